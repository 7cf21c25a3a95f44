"""How DuckDB reads files: nothing in them is guessed at, so that no row is lost to a wrong guess."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlglot import exp

from triptych.etl.application.ports import Format, Scan
from triptych.etl.domain.relation import ROW, column, named, text

_PLACE: Final = exp.column("file_index") * exp.convert(2**40) + exp.column("file_row_number")
"""Where a row of Parquet files is: in which of them, and the how manieth there."""
_LINE: Final = "line"
_NEVER: Final = "\x1e\x1f\x1e"
"""What stands between the columns of a file that has but one: it is in no text."""
_LONGEST_LINE: Final = 16 * 1024 * 1024


def reads(scan: Scan, *, numbered: bool = False) -> exp.Query:
    """A query for the columns of files; for columnar ones, with the number of each row."""
    if scan.format is Format.CSV:
        return _csv(scan)
    read = _read(*_reader_of(scan), scan, scan.files)
    if scan.format is Format.ITEMS:
        item = exp.Cast(this=column("json"), to=exp.DataType.build("text"))
        others = [_told(scan, name) for name in scan.schema.names if name != _LINE]
        return exp.select(named(item, _LINE), *others).from_(read)
    number = [named(_PLACE.copy(), ROW)] if numbered else []
    query = exp.select(*number, *(_told(scan, name) for name in scan.schema.names)).from_(read)
    if scan.format is Format.LINES:
        query = query.where(column(_LINE).is_(exp.null()).not_())
    return query


def _told(scan: Scan, name: str) -> exp.Expr:
    """A column; of files' names, as people call them."""
    if scan.renamed is None or name != scan.file_column:
        return column(name)
    renamed = exp.Anonymous(this="replace", expressions=[column(name), *map(text, scan.renamed)])
    return named(renamed, name)


def _csv(scan: Scan) -> exp.Query:
    together: dict[tuple[str, ...], list[str]] = {}
    usual = tuple(name for name in scan.schema.names if name != scan.file_column)
    headers = scan.headers or (usual,) * len(scan.files)
    for file, header in zip(scan.files, headers, strict=True):
        together.setdefault(header, []).append(file)
    queries = [_alike(scan, header, files) for header, files in together.items()]
    return exp.union(*queries, distinct=False) if len(queries) > 1 else queries[0]


def _alike(scan: Scan, header: tuple[str, ...], files: list[str]) -> exp.Select:
    """A query that reads files with the same columns."""
    options = {**_text('"', scan.separator), "columns": _all_text(header), "header": exp.true()}
    read = _read("read_csv", options, scan, files)
    return exp.select(
        *(
            (
                _told(scan, name)
                if name in header or name == scan.file_column
                else named(exp.Cast(this=exp.null(), to=exp.DataType.build("text")), name)
            )
            for name in scan.schema.names
        )
    ).from_(read)


def _read(
    reader: str, options: Mapping[str, exp.Expr], scan: Scan, files: Iterable[str]
) -> exp.Anonymous:
    named_file = {} if scan.file_column is None else {"filename": text(scan.file_column)}
    arguments = [
        exp.PropertyEQ(this=exp.to_identifier(name), expression=value)
        for name, value in {**options, **named_file}.items()
    ]
    listed = exp.Array(expressions=[text(file) for file in files])
    return exp.Anonymous(this=reader, expressions=[listed, *arguments])


def _reader_of(scan: Scan) -> tuple[str, dict[str, exp.Expr]]:
    match scan.format:
        case Format.PARQUET:
            return "read_parquet", {"union_by_name": exp.true(), "hive_partitioning": exp.false()}
        case Format.ITEMS:
            longest = exp.convert(_LONGEST_LINE)
            return "read_json_objects", {"format": text("array"), "maximum_object_size": longest}
        case _:
            options = {**_text("", _NEVER), "columns": _all_text([_LINE])}
            return "read_csv", {**options, "header": exp.false()}


def _all_text(names: Iterable[str]) -> exp.Struct:
    members = [
        exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=text("VARCHAR"))
        for name in names
    ]
    return exp.Struct(expressions=members)


def _text(quote: str, separator: str) -> dict[str, exp.Expr]:
    return {
        "auto_detect": exp.false(),
        "comment": text(""),
        "delim": text(separator),
        "quote": text(quote),
        "escape": text(quote),
        "max_line_size": exp.convert(_LONGEST_LINE),
        # Else a buffer is sixteen times the longest line, whatever the memory limit.
        "buffer_size": exp.convert(2 * _LONGEST_LINE),
    }
