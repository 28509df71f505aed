"""Read the loads of a day from CSV."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.problem.csv_files import parse_number, read_csv
from hercules_opt.problem.instance import MAX_LOAD_QPS


def read_loads(path: str | Path, models: Iterable[str]) -> dict[str, list[float]]:
    """Read loads: a first column ``interval`` (any label), then one column of QPS per model.

    Raises
    ------
    InputError
        If a column is not a model, a model has no column, or an entry is not a load.
    """
    file = read_csv(path)
    names = list(models)
    if file.header[0] != "interval":
        raise InputError(
            "the first column must be 'interval'", where=path, key="line 1", found=file.header[0]
        )
    columns = file.header[1:]
    for column in columns:
        if column not in names:
            hint = nearest_name(column, names)
            raise InputError("unknown model", where=path, key="line 1", found=column, hint=hint)
    for name in names:
        if name not in columns:
            raise InputError(f"column {name!r} is missing: every model needs loads", where=path, key="line 1")
    if not file.records:
        raise InputError("must have at least one interval", where=path)
    loads: dict[str, list[float]] = {name: [] for name in columns}
    for line, fields in file.records:
        for name, text in zip(columns, fields[1:], strict=True):
            loads[name].append(_load(text, path, f"line {line}, {name}"))
    return loads


def _load(text: str, path: str | Path, key: str) -> float:
    load = parse_number(text, where=path, key=key)
    if not 0 <= load <= MAX_LOAD_QPS:
        raise InputError(f"must be between 0 and {MAX_LOAD_QPS:g}", where=path, key=key, found=load)
    return load
