"""Bodies that mean no good."""

import zlib
from collections.abc import Mapping
from typing import Final

import httpx2
import orjson

from triptych.tools.chaos.clients import ACKNOWLEDGED, Ledger
from triptych.tools.chaos.house import BATCH, STRUCTURED, House, event
from triptych.tools.chaos.outages import OK
from triptych.tools.chaos.verdict import Findings, Verdict
from triptych.tools.memory import peak_mb, reset_peak, resident_mb
from triptych.tools.stores import NewStore

TOO_LARGE: Final = 413
FLAT_MB: Final = 64.0
"""What a bomb may take: a few times the largest body."""

_MIB: Final = 1024 * 1024
_GZIP: Final = 31  # zlib's name for it
_ERROR_OF_THE_SERVER: Final = 500


def gzip_bomb(new_store: NewStore, *, mebibytes: int) -> Verdict:
    """Send much nothing, compressed to a thousandth."""
    findings = Findings(
        f"gzip bomb of {mebibytes:,} MiB", f"413, and the memory grows by less than {FLAT_MB:g} MB"
    )
    bomb = _bomb(mebibytes)
    with House(new_store()) as house:
        house.post_event("urn:chaos:bomb", "warm-up")
        before = resident_mb(house.pid)
        reset_peak(house.pid)
        answer = house.post(bomb, {**STRUCTURED, "Content-Encoding": "gzip"})
        grown = peak_mb(house.pid) - before
        findings.add(
            f"{len(bomb):,} bytes: {answer.status_code}", holds=answer.status_code == TOO_LARGE
        )
        findings.add(f"{grown:+.1f} MB", holds=grown < FLAT_MB)
        alive = house.status("/livez")
        findings.add(f"/livez {alive}", holds=alive == OK)
    return findings.verdict()


def hostile(new_store: NewStore, *, scenario: str, bodies: Mapping[str, bytes]) -> Verdict:
    """Send bodies as single events and in batches; each name tells what is wrong with its body."""
    findings = Findings(
        scenario, "no answer is 5xx or missing; what is acknowledged is stored once"
    )
    ledger = Ledger()
    with House(new_store()) as house:
        for what, body in bodies.items():
            for content, headers in ((body, STRUCTURED), (b"[%b]" % body, BATCH)):
                _send(house, content, headers, what, ledger, findings)
        findings.add(f"answers {dict(ledger.answers)}")
        ledger.check(house.store, findings)
        alive = house.status("/livez")
        findings.add(f"/livez {alive}", holds=alive == OK)
    return findings.verdict()


def _send(
    house: House,
    content: bytes,
    headers: dict[str, str],
    what: str,
    ledger: Ledger,
    findings: Findings,
) -> None:
    try:
        answer = house.post(content, headers)
    except httpx2.TransportError as error:
        findings.add(f"{what}: {type(error).__name__}", holds=False)
        return
    ledger.answers[f"{answer.status_code}"] += 1
    if answer.status_code >= _ERROR_OF_THE_SERVER:
        findings.add(f"{what}: {answer.status_code}", holds=False)
    for outcome in answer.json().get("outcomes", []):
        if outcome["status"] in ACKNOWLEDGED:
            ledger.acknowledged.add((outcome["source"], outcome["id"]))


def _bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(wbits=_GZIP)
    nothing = bytes(_MIB)
    return b"".join([*(packer.compress(nothing) for _ in range(mebibytes)), packer.flush()])


def _with_data(what: str, data: bytes) -> bytes:
    whole = orjson.dumps(event("urn:chaos:hostile", what, _PLACE))
    return whole.replace(orjson.dumps(_PLACE), data)


def _with_id(id_: bytes) -> bytes:
    whole = orjson.dumps(event("urn:chaos:hostile", _PLACE))
    return whole.replace(orjson.dumps(_PLACE), id_)


_PLACE: Final = "@@"
_DEPTHS: Final = (100, 1_000, 100_000)

DEEP: Final = {
    **{f"{n} arrays": _with_data(f"{n} arrays", b"[" * n + b"]" * n) for n in _DEPTHS},
    **{f"{n} objects": _with_data(f"{n} objects", b'{"a":' * n + b"1" + b"}" * n) for n in _DEPTHS},
    "never closed": b"[" * _DEPTHS[-1],
}
STRANGE_TEXT: Final = {
    **{
        what: _with_data(what, data)
        for what, data in {
            "NUL": rb'"a\u0000b"',
            "NUL in a name": rb'{"a\u0000b": 1}',
            "raw NUL": b'"a\0b"',
            "lone surrogate": rb'"\ud800"',
            "lone surrogate in a name": rb'{"\udfff": 1}',
            "surrogates the wrong way round": rb'"\udc00\ud800"',
            "no UTF-8": b'"\xff\xfe"',
            "overlong UTF-8": b'"\xc0\x80"',
            "no character": rb'"\uffff"',
        }.items()
    },
    "NUL as id": _with_id(rb'"\u0000"'),
    "lone surrogate as id": _with_id(rb'"\ud800"'),
    "id of a mebibyte": _with_id(b'"' + b"i" * _MIB + b'"'),
}
HUGE_NUMBERS: Final = {
    what: _with_data(what, data)
    for what, data in {
        "1e400": b"1e400",
        "-1e400": b"-1e400",
        "1e-400": b"1e-400",
        "1e999999999": b"1e999999999",
        "2^63": b"9223372036854775808",
        "2^64": b"18446744073709551616",
        "5,000 digits": b"9" * 5_000,
        "a million digits": b"9" * 1_000_000,
        "100,000 decimals": b"0." + b"3" * 100_000,
        "NaN": b"NaN",
        "Infinity": b"Infinity",
        "minus nothing": b"-0",
    }.items()
}
