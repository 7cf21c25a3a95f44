"""Senders that break off, or take their time."""

import itertools
import secrets
import select
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson

from triptych.tools.chaos.clients import wait_until
from triptych.tools.chaos.house import CLIENT_SECONDS, STRUCTURED, House, event
from triptych.tools.chaos.outages import OK
from triptych.tools.chaos.verdict import Findings, Verdict
from triptych.tools.stores import NewStore

SLOWEST_SECONDS: Final = 2.0
"""What others may have to wait meanwhile, on a busy machine."""

_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing is a RST
_BYTE_SECONDS: Final = 0.2
_SPARE_SECONDS: Final = 5
_SPARE_FILES: Final = 5  # the service's own connections to its database come and go
_HEAD_BYTES: Final = 4096


def reset_in_mid_body(new_store: NewStore, *, times: int) -> Verdict:
    """Break connections off in the middle of bodies."""
    findings = Findings(
        f"{times} connections reset in mid-body",
        "nothing of them is stored, no file stays open, the next is answered 200",
    )
    with House(new_store()) as house:
        _usual(house, findings)
        before = _open_files(house.pid)
        for number in range(times):
            request = _request(house, f"reset-{number}")
            with _connect(house) as connection:
                connection.sendall(request[: -len(request) // 4])
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        closed = wait_until(lambda: _open_files(house.pid) <= before + _SPARE_FILES)
        findings.add(f"{before} files open before, {_open_files(house.pid)} after", holds=closed)
        _usual(house, findings)
        stored = sum(id_.startswith("reset") for _, id_ in house.store.events())
        findings.add(f"{stored} of them stored", holds=not stored)
    return findings.verdict()


def slow_bodies(new_store: NewStore, *, senders: int, body_seconds: float = 2) -> Verdict:
    """Send bodies a byte at a time."""
    findings = Findings(
        f"{senders} bodies that dribble",
        f"408 within {body_seconds + _SPARE_SECONDS:g} s (TRIPTYCH_LIMITS__BODY_SECONDS is "
        f"{body_seconds:g}); others wait less than {SLOWEST_SECONDS:g} s",
    )
    limit = {"TRIPTYCH_LIMITS__BODY_SECONDS": f"{body_seconds:g}"}
    with House(new_store(), **limit) as house:
        dribbles = []
        for number in range(senders):
            head, blank, body = _request(house, f"slow-{number}").partition(b"\r\n\r\n")
            dribbles.append(_Dribble(_connect(house), body))
            dribbles[-1].connection.sendall(head + blank)
        _serve_meanwhile(house, findings, dribbles, body_seconds + _SPARE_SECONDS)
        answers = Counter(dribble.answer for dribble in dribbles)
        findings.add(f"answers {dict(answers)}", holds=answers == {"408": senders})
    return findings.verdict()


def slow_heads(new_store: NewStore, *, senders: int, seconds: float) -> Verdict:
    """Send heads a byte at a time."""
    promised = f"others wait less than {SLOWEST_SECONDS:g} s"
    findings = Findings(f"{senders} heads that dribble", promised)
    with House(new_store()) as house:
        dribbles = [
            _Dribble(_connect(house), _request(house, f"slow-{number}"))
            for number in range(senders)
        ]
        _serve_meanwhile(house, findings, dribbles, seconds)
        still = sum(not dribble.answer for dribble in dribbles)
        findings.add(f"{still} still dribble after {seconds:g} s")
        for dribble in dribbles:
            dribble.connection.close()
    return findings.verdict()


@dataclass(slots=True)
class _Dribble:
    """A connection on which bytes go out one by one, until there is an answer."""

    connection: socket.socket
    rest: bytes
    answer: str = ""
    """Its status, or how it ended without one."""

    def tick(self) -> None:
        """Send a byte, or take the answer."""
        if self.answer:
            return
        try:
            if select.select([self.connection], [], [], 0)[0]:
                self.answer = self.connection.recv(_HEAD_BYTES)[9:12].decode() or "closed"
            else:
                self.connection.sendall(self.rest[:1])
                self.rest = self.rest[1:]
        except OSError:
            self.answer = "reset"
        if self.answer:
            self.connection.close()


def _serve_meanwhile(
    house: House, findings: Findings, dribbles: list[_Dribble], seconds: float
) -> None:
    """Let bytes go out, and send usual events between them."""
    slowest = 0.0
    end = time.monotonic() + seconds
    for number in itertools.count():
        began = time.monotonic()
        if began > end or all(dribble.answer for dribble in dribbles):
            break
        for dribble in dribbles:
            dribble.tick()
        asked = time.monotonic()
        answer = house.post_event("urn:chaos:usual", f"{number}")
        slowest = max(slowest, time.monotonic() - asked)
        if answer.status_code != OK:
            findings.add(f"another got {answer.status_code}", holds=False)
        time.sleep(max(0.0, began + _BYTE_SECONDS - time.monotonic()))
    findings.add(f"another's slowest answer took {slowest:.2f} s", holds=slowest < SLOWEST_SECONDS)


def _usual(house: House, findings: Findings) -> None:
    answer = house.post_event("urn:chaos:usual", secrets.token_hex(4))
    findings.add(f"a usual event: {answer.status_code}", holds=answer.status_code == OK)


def _request(house: House, id_: str) -> bytes:
    body = orjson.dumps(event("urn:chaos:slow", id_))
    fields = {"Host": urlsplit(house.url).netloc, "Content-Length": f"{len(body)}", **STRUCTURED}
    lines = ["POST /v1/events HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _connect(house: House) -> socket.socket:
    url = urlsplit(house.url)
    return socket.create_connection((url.hostname, url.port), timeout=CLIENT_SECONDS)


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
