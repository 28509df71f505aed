"""Read and write CSV files: every record has the header's fields, every entry is told by its line."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hercules_opt.errors import InputError, Words, shown
from hercules_opt.problem.files import read_text, write_text

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


#: A field that holds one of these is written in quotes; the csv module leaves a carriage return bare.
_QUOTED = re.compile(r'[",\r\n]')


@dataclass(frozen=True)
class CsvFile:
    """Header and records of a CSV file; a record is its last line's number and its fields."""

    path: Path
    header: tuple[str, ...]
    records: tuple[tuple[int, tuple[str, ...]], ...]


def read_csv(path: str | Path) -> CsvFile:
    """Read a CSV file with a header; blank lines are left out.

    Raises
    ------
    InputError
        If the file is empty, a column has no name or appears twice, or a record has another number of fields.
    """
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    try:
        rows = [(reader.line_num, tuple(row)) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"is not a CSV file: {error}", where=path, key=f"line {reader.line_num}") from None
    if not rows:
        raise InputError("must have a header line", where=path, found=Words("an empty file"))
    (line, header), records = rows[0], rows[1:]
    if len(header) == 1 and ";" in header[0]:
        found = Words("semicolons")
        raise InputError("fields must be separated by commas", where=path, key=f"line {line}", found=found)
    for column in header:
        if not column:
            raise InputError("every column needs a name", where=path, key=f"line {line}")
        if header.count(column) > 1:
            raise InputError("a column may appear only once", where=path, key=f"line {line}", found=column)
    for line, fields in records:
        if len(fields) != len(header):
            found = Words(len(fields))
            raise InputError(f"must have {len(header)} fields", where=path, key=f"line {line}", found=found)
    return CsvFile(Path(path), header, tuple(records))


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file that ``read_csv`` reads back; ``None`` is an empty field."""
    lines = [",".join(_field(entry) for entry in row) for row in (header, *rows)]
    write_text(path, "\n".join(lines) + "\n")


def _field(entry: object) -> str:
    text = "" if entry is None else str(entry)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def parse_number(text: str, *, key: str, where: str | Path | None = None) -> float:
    """Return a decimal number; raise ``InputError`` for anything else, infinity and "nan" included."""
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped):
        raise InputError("must be a number", where=where, key=key, found=text)
    number = float(stripped)
    if not math.isfinite(number):
        raise InputError(
            "must be a finite number", where=where, key=key, found=Words(shown(stripped).strip("'"))
        )
    return number
