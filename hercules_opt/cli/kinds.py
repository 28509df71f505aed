"""What kind of file a CSV or JSON file is, by its content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hercules_opt.errors import InputError

PLAN, TABLE, LOADS = "a plan", "an efficiency table", "loads"


def kind_of(path: Path) -> str | None:
    """Return ``PLAN``, ``TABLE`` or ``LOADS``; ``None`` if it is none, or cannot be read."""
    from hercules_opt.problem.csv_files import read_csv
    from hercules_opt.problem.files import read_json

    try:
        if path.suffix.lower() == ".json":
            return json_kind(read_json(path))
        return csv_kind(read_csv(path).header)
    except InputError:
        return None


def json_kind(document: Any) -> str | None:
    """Return the kind of a JSON document."""
    from hercules_opt.provisioning.files.plan_files import PLAN_SCHEMA

    if not isinstance(document, dict):
        return None
    if "pairs" in document:
        return TABLE
    return PLAN if document.get("schema") == PLAN_SCHEMA or "intervals" in document else None


def csv_kind(header: tuple[str, ...]) -> str | None:
    """Return the kind of a CSV file with a header."""
    from hercules_opt.provisioning.files.counts_file import COUNT_COLUMNS

    if "qps" in header:
        return TABLE
    if set(COUNT_COLUMNS[1:]) <= set(header):
        return PLAN
    return LOADS if header[0] == "interval" and not set(COUNT_COLUMNS[1:]) & set(header) else None
