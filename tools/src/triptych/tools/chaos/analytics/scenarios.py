"""All scenarios for analytics: whatever goes away, an answer is right or it is none."""

import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final, TypeAlias

import httpx2

from triptych.testing.redis import RedisServer, redis
from triptych.testing.relay import Relay, relayed
from triptych.tools.chaos.analytics.house import house
from triptych.tools.chaos.verdict import Findings, State, Verdict

_TOTAL: Final = "/v1/metrics/total/query"
_ROWS: Final = "/v1/tables/numbers/rows"
ASKED, EVERY, SLOWEST = 60, 10, 10
"""Questions, after how many of them a version is committed, and how many seconds one may take."""
RIGHT: Final = "every answer is right, or an error that says what to do; none is stale"


Harm: TypeAlias = Callable[[RedisServer, Relay], None]


def redis_harmed(how: str, harm_it: Harm, mend_it: Harm) -> Verdict:
    """Harm the Redis of two replicas, while versions are committed."""
    findings = Findings(f"Redis {how}", f"slower, never wrong: {RIGHT}")
    with redis() as server, relayed(server.url) as relay, house(1000) as here:
        replicas = [here.serve(TRIPTYCH_REDIS__URL=relay.url) for _ in range(2)]
        seen: Counter[str] = Counter()
        harm, mend = ASKED // 3, 2 * ASKED // 3
        for number in range(ASKED):
            if number == harm:
                harm_it(server, relay)
            if number == mend:
                mend_it(server, relay)
            if (number + 1) % EVERY == 0:
                here.commit()
            answer = httpx2.get(f"{replicas[number % 2].url}{_TOTAL}", timeout=30)
            seen[_judged(answer, here.total(1 + (number + 1) // EVERY))] += 1
        _count(findings, seen, {"right"})
    return findings.verdict()


def _signal(sent: signal.Signals) -> Harm:
    return lambda server, _: server.process.send_signal(sent)


def _late(seconds: float) -> Harm:
    def let_it_be_late(_: RedisServer, relay: Relay) -> None:
        relay.seconds = seconds

    return let_it_be_late


def vacuumed() -> Verdict:
    """Remove old versions under those who walk through pages of them."""
    promise = "a walk sees one version, or is told with 410 to begin again"
    findings = Findings("vacuum under a walk", promise)
    with house(1000) as here, httpx2.Client(timeout=30) as client:
        url = here.serve().url
        page = client.get(f"{url}{_ROWS}", params={"limit": 10}).json()
        for file in (here.folder / "lake" / "numbers").glob("*.parquet"):
            file.unlink()
        here.commit("others")
        gone = client.get(f"{url}{page['next']}")
        told = gone.json()
        findings.add(
            f"the next page: {gone.status_code}", holds=gone.status_code == httpx2.codes.GONE
        )
        findings.add("with a way on", holds="Begin again" in told.get("hint", ""))
        other = client.get(f"{url}/v1/tables/others/rows", params={"limit": 1})
        findings.add(f"another table: {other.status_code}", holds=other.is_success)
    return findings.verdict()


def corrupt() -> Verdict:
    """Damage a file of one table."""
    findings = Findings("a corrupt file", "an error that names the lake; other tables are served")
    with house(1000) as here, httpx2.Client(timeout=30) as client:
        here.commit("others")
        url = here.serve().url
        [file] = (here.folder / "lake" / "numbers").glob("*.parquet")
        file.write_bytes(file.read_bytes()[:-200] + bytes(200))
        bad = client.get(f"{url}{_TOTAL}")
        findings.add(
            f"its metric: {bad.status_code}",
            holds=bad.status_code == httpx2.codes.SERVICE_UNAVAILABLE,
        )
        findings.add("as a problem", holds="lake-away" in bad.text and "Traceback" not in bad.text)
        other = client.get(f"{url}/v1/tables/others/rows", params={"limit": 1})
        findings.add(f"another table: {other.status_code}", holds=other.is_success)
    return findings.verdict()


def endless() -> Verdict:
    """Ask what takes longer than a query may."""
    findings = Findings("a query that never ends", "504, and the service goes on")
    limit = {"TRIPTYCH_QUERY__SECONDS": "0.05"}
    return _refused(findings, limit, _ROWS, 10_000, httpx2.codes.GATEWAY_TIMEOUT)


def too_large() -> Verdict:
    """Ask what needs more memory than there is for it."""
    findings = Findings("memory limit", "413, and the service goes on")
    limit = {"TRIPTYCH_QUERY__MEMORY": "20MB"}
    return _refused(findings, limit, f"{_ROWS}.csv", 1_000_000, httpx2.codes.CONTENT_TOO_LARGE)


def _refused(
    findings: Findings, limit: dict[str, str], path: str, rows: int, status: int
) -> Verdict:
    """Ask for rows of three million, sorted: too much for this limit."""
    with house(3_000_000) as here, httpx2.Client(timeout=60) as client:
        here.commit("others", 10)
        url = here.serve(TRIPTYCH_QUERY__THREADS="1", **limit).url
        began = time.perf_counter()
        answer = client.get(f"{url}{path}", params={"order": "-kind,-n", "limit": rows})
        took = time.perf_counter() - began
        findings.add(f"{answer.status_code}", holds=answer.status_code == status)
        findings.add(f"after {took:.1f} s", holds=took < SLOWEST)
        other = client.get(f"{url}/v1/tables/others/rows", params={"limit": 1})
        findings.add(f"a small table: {other.status_code}", holds=other.is_success)
    return findings.verdict()


def slow_readers(number: int) -> Verdict:
    """Let clients ask for large answers, and not read them."""
    findings = Findings("slow readers", "others are answered all the same")
    with house(200_000) as here, httpx2.Client(timeout=30) as client, ExitStack() as held:
        service = here.serve()
        host, port = service.url.removeprefix("http://").split(":")
        sent = f"GET {_ROWS}.csv?limit=200000 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        for _ in range(number):
            reader = held.enter_context(socket.create_connection((host, int(port))))
            reader.sendall(sent)
        answers = [client.get(f"{service.url}{_TOTAL}") for _ in range(50)]
        seen = Counter(_judged(answer, here.total(1)) for answer in answers)
        findings.add(f"{number} readers wait")
        _count(findings, seen, {"right"})
    return findings.verdict()


def killed(kills: int) -> Verdict:
    """Kill it with SIGKILL while it is asked, and start it again."""
    promise = "after a restart, ETags and cursors are what they were, and answers are right"
    findings = Findings("killed", promise)
    with house(5000) as here, httpx2.Client(timeout=30) as client:
        service = here.serve()
        etag = client.get(f"{service.url}{_TOTAL}").headers["etag"]
        page = client.get(f"{service.url}{_ROWS}", params={"limit": 10}).json()
        kept = following = unanswered = 0
        for _ in range(kills):
            asking = _Asking(f"{service.url}{_TOTAL}?limit=")
            asking.start()
            time.sleep(0.2)
            service.stop(signal.SIGKILL)
            asking.join()
            unanswered += asking.failed
            findings.held = findings.held and asking.wrong == 0
            service = here.serve()
            same = client.get(f"{service.url}{_TOTAL}", headers={"If-None-Match": etag})
            kept += same.status_code == httpx2.codes.NOT_MODIFIED
            following += client.get(f"{service.url}{page['next']}").is_success
        findings.add(f"{kills} kills, {unanswered} requests unanswered")
        findings.add(f"{kept} ETags kept", holds=kept == kills)
        findings.add(f"{following} cursors led on", holds=following == kills)
    return findings.verdict()


class _Asking(threading.Thread):
    """Asks until it is not answered."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.failed = self.wrong = 0

    def run(self) -> None:
        with httpx2.Client(timeout=10) as client:
            for number in range(1, 10_000):
                try:
                    answer = client.get(f"{self.url}{number}")
                except httpx2.TransportError:
                    self.failed += 1
                    return
                self.wrong += not answer.is_success


def _judged(answer: httpx2.Response, right: str) -> str:
    if not answer.is_success:
        return f"{answer.status_code}"
    [row] = answer.json()["rows"]
    return "right" if str(row["total"]) == right else "WRONG"


def _count(findings: Findings, seen: Counter[str], allowed: set[str]) -> None:
    for what, number in sorted(seen.items()):
        findings.add(f"{number} {what}", holds=what in allowed)


def scenarios(kills: int) -> dict[str, Callable[[], Verdict]]:
    """What is played, in this order."""
    return {
        "Redis killed": lambda: redis_harmed("killed", _signal(signal.SIGKILL), _late(0)),
        "Redis paused": lambda: redis_harmed(
            "paused", _signal(signal.SIGSTOP), _signal(signal.SIGCONT)
        ),
        "Redis slow": lambda: redis_harmed("slow", _late(0.1), _late(0)),
        "Redis too slow": lambda: redis_harmed("too slow to wait for", _late(1), _late(0)),
        "vacuum": vacuumed,
        "corrupt file": corrupt,
        "endless query": endless,
        "memory limit": too_large,
        "slow readers": lambda: slow_readers(50),
        "killed": lambda: killed(kills),
    }


def play(kills: int, only: str = "") -> Iterator[Verdict]:
    """Play the scenarios whose names contain `only`."""
    for name, scenario in scenarios(kills).items():
        if only in name:
            yield _verdict(name, scenario)


def _verdict(name: str, scenario: Callable[[], Any]) -> Verdict:
    try:
        found: Verdict = scenario()
    except Exception as error:  # noqa: BLE001  # whatever it is, the promise was not kept
        counted = f"{type(error).__name__}: {error}"
        return Verdict(name, "it can be played", counted, State.BROKEN)
    return found
