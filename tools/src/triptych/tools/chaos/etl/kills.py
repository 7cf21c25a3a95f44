"""etl is killed, at moments of all sorts, and run again."""

import os
import random
import time
from collections import Counter

from triptych.tools.chaos.etl.workshop import EXACTLY_ONCE, PIPELINE, Workshop, workshop
from triptych.tools.chaos.verdict import Findings, Verdict

_DYING = "triptych.tools.chaos.etl.dying"
_OLD_SECONDS = 2 * 24 * 3600


def killed(*, kills: int, seed: int, rows: int) -> Verdict:
    """Kill runs with SIGKILL while files arrive: at moments that touch the disk, and at any."""
    findings = Findings("killed (SIGKILL) at every stage", f"{EXACTLY_ONCE}; orphans are swept")
    chance = random.Random(seed)  # noqa: S311  # the same moments each time
    with workshop() as shop:
        path = shop.pipeline(PIPELINE)
        moments, seconds = _undisturbed(path, rows)
        died = 0
        for number in range(kills):
            shop.arrive(rows)
            if number % 2:  # spread over all of them, and not always the same
                at = 1 + (number * moments // kills + chance.randrange(3)) % moments
                died += shop.start("unused", str(at), "run", path, module=_DYING).wait().code < 0
            else:
                run = shop.start("run", path)
                time.sleep(chance.uniform(0.3, 1.0) * seconds)
                run.process.kill()
                died += run.wait().code < 0
        findings.add(f"{kills} kills at {moments} moments and between, {died} in time")
        _finish(shop, path, findings)
        _sweep(shop, findings)
        shop.check(findings)
    return findings.verdict()


def two_writers(*, rounds: int, rows: int) -> Verdict:
    """Two runs of one pipeline at once: one wins, the other says so or finds nothing to do."""
    findings = Findings("two runs at once", f"one wins, the other says so; {EXACTLY_ONCE}")
    ended: Counter[str] = Counter()
    with workshop() as shop:
        path = shop.pipeline(PIPELINE)
        for _ in range(rounds):
            shop.arrive(rows)
            runs = [shop.start("run", path) for _ in range(2)]
            for run in runs:
                run.wait()
                ended[_how(run.code, run.error)] += 1
                findings.held = findings.held and run.foreseen
        findings.add(f"{rounds} rounds: {dict(ended)}")
        _finish(shop, path, findings)
        shop.check(findings)
    return findings.verdict()


def during_a_vacuum(*, rounds: int, rows: int) -> Verdict:
    """Tables are cleaned up while runs write to them."""
    findings = Findings("runs during a vacuum", EXACTLY_ONCE)
    with workshop() as shop:
        path = shop.pipeline(PIPELINE)
        for _ in range(rounds):
            shop.arrive(rows)
            runs = [shop.start("run", path), shop.start("vacuum", "--keep", "1")]
            findings.held = findings.held and all(run.wait().foreseen for run in runs)
        findings.add(f"{rounds} rounds")
        _finish(shop, path, findings)
        shop.check(findings)
    return findings.verdict()


def _undisturbed(path: str, rows: int) -> tuple[int, float]:
    """How many moments a run has, and how long it takes."""
    with workshop() as shop:
        path = shop.pipeline(PIPELINE)
        shop.arrive(rows)
        counted = shop.folder / "moments"
        began = time.monotonic()
        shop.start(str(counted), "0", "run", path, module=_DYING).wait()
        return int(counted.read_text()), time.monotonic() - began


def _finish(shop: Workshop, path: str, findings: Findings) -> None:
    last = shop.run("run", path)
    findings.add("the next run ends well", holds=last.code == 0)
    if last.code:
        findings.add(last.error)


def _sweep(shop: Workshop, findings: Findings) -> None:
    left = shop.orphans()
    old = time.time() - _OLD_SECONDS
    for file in left:  # whoever wrote them might still commit them, for a day
        os.utime(file, (old, old))
    shop.run("vacuum", "--keep", "100000")
    remain = len(shop.orphans())
    findings.add(f"{len(left)} orphans, {remain} after a vacuum", holds=not remain)


def _how(code: int, error: str) -> str:
    if code == 0:
        return "done"
    return "another was faster" if "another" in error or "is at" in error else error
