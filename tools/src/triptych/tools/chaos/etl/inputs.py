"""Files that are damaged, or mean no good."""

import gzip
import json
from dataclasses import dataclass
from typing import Final

from triptych.tools.chaos.etl.workshop import Workshop, workshop
from triptych.tools.chaos.verdict import Findings, Verdict

_PIPELINE: Final = """
version: 1
name: rows
source: {files: {paths: ["in/*"], format: FORMAT, columns: {id: text, n: integer}}}
sink: {lake: {table: rows}}
"""
_ROWS: Final = 1000
_WHOLE: Final = "".join(json.dumps({"id": str(n), "n": n}) + "\n" for n in range(_ROWS)).encode()
_CSV: Final = "id,n\n" + "".join(f"{n},{n}\n" for n in range(_ROWS))


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is wrong with a file."""

    name: str
    suffix: str
    content: bytes
    format: str = "ndjson"
    whole: bytes | None = None
    """The file as it should have been, where it can be mended; else its bad rows are set aside."""
    aside: int = 0
    """How many of its rows are set aside."""


def damages() -> list[Damage]:
    """All that is tried."""
    packed = gzip.compress(_WHOLE)
    text = b'{"id": "nul\\u0000", "n": 1}\n'  # as good as any other
    lines = [
        b'{"id": "surrogate \\ud800", "n": 1}',
        b'{"id": "huge", "n": 1e400}',
        b'{"id": "long", "n": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b"\x00\x01\x02",
        b'{"id": "cut off',
        b"[]",
    ]
    return [
        Damage("gzip that is cut off", ".ndjson.gz", packed[: len(packed) // 2], whole=packed),
        Damage("gzip that is none", ".ndjson.gz", b"no gzip at all", whole=packed),
        Damage("a line of 20 MB", ".ndjson", b'{"id": "' + b"x" * 20_000_000 + b'"}', whole=_WHOLE),
        Damage("hostile lines", ".ndjson", _WHOLE + text + b"\n".join(lines), aside=len(lines)),
        Damage("UTF-16", ".ndjson", _WHOLE.decode().encode("utf-16"), whole=_WHOLE),
        Damage("CSV with ragged rows", ".csv", (_CSV + "1,2,3\n").encode(), "csv", _CSV.encode()),
        Damage("CSV with an open quote", ".csv", (_CSV + '"1,2\n').encode(), "csv", _CSV.encode()),
    ]


def damaged(damage: Damage) -> Verdict:
    """Read a damaged file beside a good one, mend it, and read it again."""
    mended = "then all rows when it is mended" if damage.whole else "bad rows are set aside"
    findings = Findings(damage.name, f"a message and no traceback; nothing half; {mended}")
    with workshop() as shop:
        path = shop.pipeline(_PIPELINE.replace("FORMAT", damage.format), "rows")
        good = _CSV.encode() if damage.format == "csv" else _WHOLE
        shop.put(f"in/1.{damage.format}", good)
        file = shop.put(f"in/2{damage.suffix}", damage.content)
        run = shop.run("run", path)
        findings.add(f"exit code {run.code} {run.error[:100]}".strip(), holds=run.foreseen)
        if damage.whole is not None and run.code:
            findings.add("nothing written", holds=not (shop.folder / "lake" / "rows").exists())
            file.unlink()
            shop.put(f"in/3{damage.suffix}", damage.whole)
            findings.add("mended", holds=shop.run("run", path).code == 0)
        _count(shop, damage, run.code, findings)
    return findings.verdict()


def _count(shop: Workshop, damage: Damage, code: int, findings: Findings) -> None:
    found = len(shop.column("rows", "id"))
    aside = len(shop.column("rows_quarantine", "reasons"))
    expected = _ROWS * (2 if damage.whole and code else 1)
    holds = found >= expected and damage.aside in (0, aside)
    findings.add(f"{found:,} rows, {aside} set aside", holds=holds)
