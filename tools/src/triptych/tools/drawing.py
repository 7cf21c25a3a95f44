"""Draw the repository: its packages, and who uses what of whom, as Mermaid and as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from triptych.tools.workspace import Package, packages

HINGES: Final = {"eventlog": "hinge 1", "lake": "hinge 2"}
_WIDTH, _HEIGHT, _GAP, _ROW, _MARGIN = 150, 54, 36, 120, 24  # pixels
_STYLE: Final = """
text { font: 14px system-ui, sans-serif; fill: #1c1e21; text-anchor: middle }
.small { font-size: 11px; fill: #5a6068 }
rect { fill: #ffffff; stroke: #0b5cad; stroke-width: 1.5 }
.service rect { fill: #e8f1fb } .hinge rect { fill: #fdf3e3; stroke: #b4470e }
path { fill: none; stroke: #9aa0a8; stroke-width: 1.2; marker-end: url(#tip) }
"""
_HEAD: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="Which packages use which">
<style>{style}</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 L8 4 L0 8 z" style="fill:#9aa0a8;stroke:none"/></marker></defs>"""


def write(root: Path, *, only_check: bool = False) -> Sequence[str]:
    """Draw it for the documentation; the files that were not as they are to be."""
    found = packages(root)
    files = {"docs/graph.md": _PAGE.format(chart=mermaid(found)), "docs/graph.svg": svg(found)}
    stale = [
        name
        for name, text in files.items()
        if not (root / name).exists() or (root / name).read_text(encoding="utf-8") != text
    ]
    for name in () if only_check else stale:
        (root / name).write_text(files[name], encoding="utf-8")
    return stale


_PAGE: Final = """\
# Who uses what

Each arrow tells how many names a package uses of another. `./triptych graph` draws this page and
[the same as a picture](graph.svg); `./triptych reuse` names the names. A test keeps it true.

```mermaid
{chart}```
"""


def mermaid(found: Sequence[Package]) -> str:
    """A flow chart; an arrow tells how many names one package uses of another."""
    drawn = [package for package in found if package.ships]
    lines = ["flowchart TD"]
    for package in drawn:
        told = (
            f"{package.name}<br/><small>{HINGES[package.name]}</small>"
            if package.name in HINGES
            else package.name
        )
        start, end = ("([", "])") if package.is_service else ("[", "]")
        lines.append(f'    {package.name}{start}"{told}"{end}')
    for package, other, names in _arrows(drawn):
        lines.append(f"    {package.name} -->|{names}| {other}")
    return "\n".join(lines) + "\n"


def svg(found: Sequence[Package]) -> str:
    """The same, by layers: each package above all that it uses."""
    drawn = [package for package in found if package.ships]
    layers = _layers(drawn)
    rows = [
        [package for package in drawn if layers[package.name] == row]
        for row in sorted(set(layers.values()))
    ]
    widest = max(len(row) for row in rows)
    width = widest * (_WIDTH + _GAP) - _GAP + 2 * _MARGIN
    height = len(rows) * _ROW - (_ROW - _HEIGHT) + 2 * _MARGIN
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(rows):
        left = (width - len(row) * (_WIDTH + _GAP) + _GAP) / 2
        for index, package in enumerate(row):
            places[package.name] = (left + index * (_WIDTH + _GAP), _MARGIN + number * _ROW)
    return "\n".join(
        [
            _HEAD.format(width=width, height=height, style=_STYLE),
            *(
                _line(places, package.name, other, names)
                for package, other, names in _arrows(drawn)
            ),
            *(_box(package, *places[package.name]) for package in drawn),
            "</svg>\n",
        ]
    )


def _arrows(drawn: Sequence[Package]) -> Iterator[tuple[Package, str, int]]:
    for package in drawn:
        for other in sorted(package.uses):
            yield package, other, len(package.uses[other])


def _layers(drawn: Sequence[Package]) -> Mapping[str, int]:
    """How many packages lie above each, at most: none above a service."""
    found: dict[str, int] = {}

    def layer(name: str) -> int:
        if name not in found:
            above = [package.name for package in drawn if name in package.uses]
            found[name] = 1 + max(map(layer, above), default=-1)
        return found[name]

    return {package.name: layer(package.name) for package in drawn}


def _line(places: Mapping[str, tuple[float, float]], start: str, end: str, names: int) -> str:
    (x1, y1), (x2, y2) = places[start], places[end]
    x1, x2, y1 = x1 + _WIDTH / 2, x2 + _WIDTH / 2, y1 + _HEIGHT
    bend = (y2 - y1) / 2
    told = f"{start} uses {names} names of {end}"
    return (
        f'<path d="M{x1:g} {y1:g} C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}">'
        f"<title>{told}</title></path>"
    )


def _box(package: Package, x: float, y: float) -> str:
    kind = "service" if package.is_service else "hinge" if package.name in HINGES else "library"
    under = HINGES.get(package.name, kind)
    middle = x + _WIDTH / 2
    return (
        f'<g class="{kind}"><title>{escape(package.description)}</title>'
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<text x="{middle:g}" y="{y + 24:g}">{package.name}</text>'
        f'<text class="small" x="{middle:g}" y="{y + 42:g}">{under}</text></g>'
    )
