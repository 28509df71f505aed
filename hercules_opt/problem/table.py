"""The efficiency table: what one server of each type does for each model, and at what power."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.problem.files import read_text, write_text
from hercules_opt.problem.provenance import Part
from hercules_opt.problem.schedule import Schedule
from hercules_opt.problem.validation import input_error

if TYPE_CHECKING:
    import pandas as pd

#: Version of the table's CSV and JSON layout.
TABLE_SCHEMA = 1


class PairEfficiency(Part):
    """One (server type, model) pair; ``qps`` is ``None`` where the server cannot serve the model."""

    server_type: str
    model: str
    qps: float | None = Field(default=None, gt=0, le=1e12, description="Latency-bounded throughput of one server.")
    power_w: float | None = Field(default=None, gt=0, le=1e9, description="Power of one server at that rate.")
    p95_ms: float | None = Field(default=None, ge=0)
    p99_ms: float | None = Field(default=None, ge=0)
    schedule: Schedule | None = None
    binds: str | None = Field(default=None, description="What keeps the rate from being higher.")
    reason: str | None = Field(default=None, description="Why the server cannot serve the model, what would help.")


COLUMNS: tuple[str, ...] = (
    "server_type", "model", "qps", "power_w", "p95_ms", "p99_ms", "schedule", "binds", "reason", "kind", "source",
)  # fmt: skip
_NUMBERS = ("qps", "power_w", "p95_ms", "p99_ms")


@dataclass(frozen=True)
class EfficiencyTable:
    """Efficiency of every (server type, model) pair; a pair that is absent cannot be served.

    Raises
    ------
    InputError
        If a pair appears twice.
    """

    pairs: tuple[PairEfficiency, ...]
    _index: Mapping[tuple[str, str], PairEfficiency] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[tuple[str, str], PairEfficiency] = {}
        for pair in self.pairs:
            key = (pair.server_type, pair.model)
            if key in index:
                raise InputError(
                    "each pair may appear only once", where="efficiency table", found=f"{key[0]} x {key[1]} twice"
                )
            index[key] = pair
        object.__setattr__(self, "_index", index)

    def __iter__(self) -> Iterator[PairEfficiency]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def get(self, server_type: str, model: str) -> PairEfficiency | None:
        """Return the pair, or ``None`` if the table does not have it."""
        return self._index.get((server_type, model))

    def replace(self, pair: PairEfficiency) -> EfficiencyTable:
        """Return a table in which one pair is replaced, or added."""
        key = (pair.server_type, pair.model)
        kept = [pair if (p.server_type, p.model) == key else p for p in self.pairs]
        return EfficiencyTable(tuple(kept if key in self._index else [*kept, pair]))

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one plain dictionary per pair, with every column."""
        return [_row(pair) for pair in self.pairs]

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a data frame with the columns of ``COLUMNS``; schedules are JSON text."""
        import pandas as pd

        return pd.DataFrame([_flat(pair) for pair in self.pairs], columns=list(COLUMNS))

    def to_csv(self, path: str | Path) -> None:
        """Write the table; a number is written in its shortest exact form, so reading gives it back."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for pair in self.pairs:
            flat = _flat(pair)
            writer.writerow(["" if flat[c] is None else flat[c] for c in COLUMNS])
        write_text(path, out.getvalue())

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], where: str = "efficiency table") -> EfficiencyTable:
        """Build a table from dictionaries with the columns of ``COLUMNS``; raise ``InputError`` on a bad one."""
        pairs: list[PairEfficiency] = []
        for number, row in enumerate(rows, start=1):
            try:
                pairs.append(PairEfficiency.model_validate(dict(row)))
            except ValidationError as error:
                raise input_error(error, where=where, prefix=(f"row {number}",)) from None
        try:
            return cls(tuple(pairs))
        except InputError as error:
            raise error.located(where) from None

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> EfficiencyTable:
        """Build a table from a data frame; missing entries (NaN) are unknown."""
        rows = [
            {str(key): entry for key, entry in record.items() if not _missing(entry)}
            for record in frame.to_dict(orient="records")
        ]
        return cls.from_rows([_typed(row, f"row {n}") for n, row in enumerate(rows, start=1)], where="data frame")

    @classmethod
    def from_csv(cls, path: str | Path) -> EfficiencyTable:
        """Read a table; raise ``InputError`` with file and line on the first bad entry."""
        reader = csv.DictReader(io.StringIO(read_text(path)), strict=True)
        pairs: list[PairEfficiency] = []
        try:
            header = list(reader.fieldnames or ())
            for required in ("server_type", "model", "qps"):
                if required not in header:
                    raise InputError(f"column {required!r} is missing", where=path, key="line 1", found=header or "nothing")
            for column in header:
                if column not in COLUMNS:
                    raise InputError(
                        "unknown column", where=path, key="line 1", found=column, hint=nearest_name(column, COLUMNS)
                    )
                if header.count(column) > 1:
                    raise InputError("a column may appear only once", where=path, key="line 1", found=column)
            for record in reader:
                line = f"line {reader.line_num}"
                if None in record or None in record.values():
                    raise InputError(f"must have {len(header)} fields", where=path, key=line, found="another number")
                try:
                    given = {column: entry for column, entry in record.items() if entry != ""}
                    pairs.append(PairEfficiency.model_validate(_typed(given, line)))
                except ValidationError as error:
                    raise input_error(error, where=path, prefix=(line,)) from None
                except InputError as error:
                    raise error.located(path) from None
        except csv.Error as error:
            raise InputError(f"is not a CSV file: {error}", where=path, key=f"line {reader.line_num}") from None
        try:
            return cls(tuple(pairs))
        except InputError as error:
            raise error.located(path) from None


def _row(pair: PairEfficiency) -> dict[str, Any]:
    dumped = pair.model_dump(mode="json")
    return {column: dumped[column] for column in COLUMNS}


def _flat(pair: PairEfficiency) -> dict[str, Any]:
    row = _row(pair)
    if pair.schedule is not None:
        row["schedule"] = pair.schedule.model_dump_json(exclude_none=True)
    return row


def _missing(entry: Any) -> bool:
    return entry is None or (isinstance(entry, float) and entry != entry)


def _typed(row: dict[str, Any], place: str) -> dict[str, Any]:
    typed = dict(row)
    for column in _NUMBERS:
        if column in typed:
            try:
                typed[column] = float(typed[column])
            except (TypeError, ValueError):
                raise InputError("must be a number", key=f"{place}, {column}", found=typed[column]) from None
    if isinstance(typed.get("schedule"), str):
        try:
            typed["schedule"] = json.loads(typed["schedule"])
        except json.JSONDecodeError:
            raise InputError("must be JSON", key=f"{place}, schedule", found=typed["schedule"]) from None
    return typed
