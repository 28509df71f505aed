"""The efficiency table: what one server of each type does for each model, and at what power."""

from __future__ import annotations

import json
import numbers
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from hercules_opt.errors import InputError, Words, key_path, nearest_name
from hercules_opt.problem.csv_files import parse_number, read_csv, write_csv
from hercules_opt.problem.files import read_json, write_text
from hercules_opt.problem.names import Name
from hercules_opt.problem.provenance import KINDS, Part
from hercules_opt.problem.schedule import Schedule
from hercules_opt.problem.validation import broken, input_error

if TYPE_CHECKING:
    import pandas as pd

#: What a predicted rate went through.
Check = Literal["simulated", "not checked"]

#: Version of the table's CSV and JSON layout.
TABLE_SCHEMA = 1


class PairEfficiency(Part):
    """One (server type, model) pair; ``qps`` is ``None`` where the server cannot serve the model."""

    server_type: Name = Field(description="Name of the server type.")
    model: Name = Field(description="Name of the model.")
    qps: float | None = Field(
        default=None, gt=0, le=1e12, description="Latency-bounded throughput of one server."
    )
    power_w: float | None = Field(default=None, gt=0, le=1e9, description="Power of one server at that rate.")
    p95_ms: float | None = Field(
        default=None, ge=0, description="95th percentile of the latency at that rate."
    )
    p99_ms: float | None = Field(
        default=None, ge=0, description="99th percentile of the latency at that rate."
    )
    qps_error: float | None = Field(
        default=None, ge=0, description="Expected relative error of the rate, where it is predicted."
    )
    beyond: str | None = Field(
        default=None,
        description="Why that error is not vouched for: not calibrated, or outside what was.",
    )
    analytic_qps: float | None = Field(
        default=None, gt=0, le=1e12, description="Rate that the cost model states, before any check."
    )
    checked: Check | None = Field(
        default=None,
        description="Whether a predicted rate was simulated, and lowered to what holds its latency target.",
    )
    schedule: Schedule | None = Field(default=None, description="How the server runs the model at that rate.")
    binds: str | None = Field(default=None, description="What keeps the rate from being higher.")
    reason: str | None = Field(
        default=None, description="Why the server cannot serve the model, what would help."
    )

    @model_validator(mode="after")
    def _check_only_lowers(self) -> Self:
        if self.checked == "simulated" and (self.qps or 0.0) > (self.analytic_qps or 0.0):
            raise broken(
                "must be at most analytic_qps where it was checked by simulation",
                key=("qps",),
                found=self.qps,
                hint="Leave checked empty for a rate of your own.",
            )
        return self


COLUMNS: tuple[str, ...] = (
    "server_type", "model", "qps", "power_w", "p95_ms", "p99_ms", "qps_error", "beyond", "analytic_qps",
    "checked", "schedule", "binds", "reason", "kind", "source",
)  # fmt: skip
_NUMBERS = ("qps", "power_w", "p95_ms", "p99_ms", "qps_error", "analytic_qps")


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
        if not isinstance(self.pairs, Iterable) or not all(isinstance(p, PairEfficiency) for p in self.pairs):
            raise InputError("must be PairEfficiency entries", where="efficiency table", found=self.pairs)
        object.__setattr__(self, "pairs", tuple(self.pairs))
        index: dict[tuple[str, str], PairEfficiency] = {}
        for pair in self.pairs:
            key = (pair.server_type, pair.model)
            if key in index:
                found = Words(f"{key[0]} x {key[1]} twice")
                raise InputError("each pair may appear only once", where="efficiency table", found=found)
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
        """Return one plain dictionary per pair, with every column; a figure with provenance is a table."""
        return [_row(pair) for pair in self.pairs]

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a data frame with the columns of ``COLUMNS``; schedules are JSON text."""
        import pandas as pd

        return pd.DataFrame([_flat(pair) for pair in self.pairs], columns=list(COLUMNS))

    def to_csv(self, path: str | Path) -> None:
        """Write the table as CSV; a number is written in its shortest exact form, so reading gives it back.

        A row has one ``kind`` and one ``source``: figures of different provenance get the weakest kind.
        """
        write_csv(path, COLUMNS, [list(_flat(pair).values()) for pair in self.pairs])

    def to_json(self, path: str | Path) -> None:
        """Write the table as JSON, with the version of its layout; nothing is lost."""
        rows = [pair.model_dump(mode="json", exclude_none=True) for pair in self.pairs]
        write_text(path, json.dumps({"schema": TABLE_SCHEMA, "pairs": rows}, indent=1) + "\n")

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], where: str = "efficiency table") -> EfficiencyTable:
        """Build a table from dictionaries with the keys of ``COLUMNS``; raise ``InputError`` on a bad one."""
        if not isinstance(rows, Iterable) or isinstance(rows, (str, bytes, Mapping)):
            raise InputError("must be a list of rows", where=where, found=rows)
        pairs: list[PairEfficiency] = []
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, Mapping):
                raise InputError("must be a table", where=where, key=f"row {number}", found=row)
            pairs.append(_pair(dict(row), where, f"row {number}"))
        try:
            return cls(tuple(pairs))
        except InputError as error:
            raise error.located(where) from None

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> EfficiencyTable:
        """Build a table from a data frame; missing entries (NaN, None) are unknown."""
        import pandas as pd

        where = "data frame"
        if not isinstance(frame, pd.DataFrame):
            raise InputError("must be a pandas DataFrame", where="frame", found=type(frame).__name__)
        rows = []
        for number, record in enumerate(frame.to_dict(orient="records"), start=1):
            given = {
                str(key): entry
                for key, entry in record.items()
                if not (pd.api.types.is_scalar(entry) and pd.isna(entry))
            }
            rows.append(_typed(given, where, f"row {number}"))
        return cls.from_rows(rows, where=where)

    @classmethod
    def from_csv(cls, path: str | Path) -> EfficiencyTable:
        """Read a table; raise ``InputError`` with file and line on the first bad entry."""
        return cls(tuple(pair for _, pair in read_pairs(path)))

    @classmethod
    def from_json(cls, path: str | Path) -> EfficiencyTable:
        """Read a table that ``to_json`` wrote; raise ``InputError`` on the first bad entry."""
        raw = read_json(path)
        if not isinstance(raw, dict):
            raise InputError("must hold a table", where=path, found=raw)
        for key in raw:
            if key not in ("schema", "pairs"):
                hint = nearest_name(key, ("schema", "pairs"))
                raise InputError("unknown key", where=path, key=key_path([key]), hint=hint)
        schema, rows = raw.get("schema"), raw.get("pairs")
        if schema != TABLE_SCHEMA or isinstance(schema, bool):
            raise InputError(f"must be {TABLE_SCHEMA}", where=path, key="schema", found=schema)
        if not isinstance(rows, list):
            raise InputError("must be a list", where=path, key="pairs", found=rows)
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, dict):
                raise InputError("must be a table", where=path, key=f"row {number}", found=row)
        return cls.from_rows(rows, where=str(path))


def read_pairs(path: str | Path) -> list[tuple[int, PairEfficiency]]:
    """Read the rows of a CSV file, each with its line; raise ``InputError`` on the first bad one."""
    file = read_csv(path)
    for column in file.header:
        if column not in COLUMNS:
            hint = nearest_name(column, COLUMNS)
            raise InputError("unknown column", where=path, key="line 1", found=column, hint=hint)
    for required in ("server_type", "model", "qps"):
        if required not in file.header:
            raise InputError(f"column {required!r} is missing", where=path, key="line 1")
    first_line: dict[tuple[str, str], int] = {}
    pairs = []
    for line, fields in file.records:
        given = {column: text for column, text in zip(file.header, fields, strict=True) if text != ""}
        place = f"line {line}"
        pair = _pair(_typed(given, path, place), path, place)
        earlier = first_line.setdefault((pair.server_type, pair.model), line)
        if earlier != line:
            found = Words(f"{pair.server_type} x {pair.model} in line {earlier} too")
            raise InputError("each pair may appear only once", where=path, key=place, found=found)
        pairs.append((line, pair))
    return pairs


def _pair(row: dict[str, Any], where: str | Path, place: str) -> PairEfficiency:
    try:
        return PairEfficiency.model_validate(row)
    except ValidationError as error:
        raise input_error(error, where=where, data=row, prefix=(place,)) from None


def _row(pair: PairEfficiency) -> dict[str, Any]:
    dumped = pair.model_dump(mode="json")
    return {column: dumped[column] for column in COLUMNS}


def _flat(pair: PairEfficiency) -> dict[str, Any]:
    row: dict[str, Any] = {column: getattr(pair, column) for column in COLUMNS}
    if pair.schedule is not None:
        row["schedule"] = pair.schedule.model_dump_json(exclude_none=True)
    if pair.provenance:
        origins = [pair.origin(column) for column in _NUMBERS if row[column] is not None]
        row["kind"] = max((origin.kind for origin in origins), key=KINDS.index)
        row["source"] = "; ".join(dict.fromkeys(o.source for o in origins if o.source)) or None
    return row


def _typed(row: dict[str, Any], where: str | Path, place: str) -> dict[str, Any]:
    """Return a row with numbers and schedule read from text."""
    typed = dict(row)
    for column in _NUMBERS:
        if column in typed:
            typed[column] = _number(typed[column], where, f"{place}, {column}")
    if isinstance(typed.get("schedule"), str):
        try:
            typed["schedule"] = json.loads(typed["schedule"])
        except (ValueError, RecursionError):
            key = f"{place}, schedule"
            raise InputError("must be JSON", where=where, key=key, found=typed["schedule"]) from None
    return typed


def _number(entry: Any, where: str | Path, key: str) -> float:
    if isinstance(entry, str):
        return parse_number(entry, where=where, key=key)
    if not isinstance(entry, numbers.Real) or isinstance(entry, bool):
        raise InputError("must be a number", where=where, key=key, found=entry)
    try:
        return float(entry)
    except OverflowError:
        raise InputError("must be a finite number", where=where, key=key, found=entry) from None
