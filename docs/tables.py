"""Tables of a benchmark's JSON as Markdown, and their place on a page: between marks of their name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def cell(value: Any) -> str:
    """Return a figure as a page shows it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return (
            f"{value:,.4f}" if abs(value) < 1.0 else f"{value:,.0f}" if abs(value) >= 1e3 else f"{value:.4g}"
        )
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None) -> str:
    """Return rows as a table; by default with all columns of the first row, under their own names."""
    columns = {name: name for name in rows[0]} if columns is None else columns
    head = [f"| {' | '.join(columns.values())} |", f"|{'---|' * len(columns)}"]
    body = [f"| {' | '.join(cell(row[name]) for name in columns)} |" for row in rows]
    return "\n".join([*head, *body]) + "\n"


def part(result: Mapping[str, Any], columns: Mapping[str, Mapping[str, str] | None]) -> str:
    """Return what stands between the marks of a benchmark: its notes, then its tables.

    Tables whose titles are in ``columns`` come last, with those columns; those of ``None`` are left out.
    """
    parts = ["".join(f"- {note}\n" for note in result["notes"])] if result["notes"] else []
    for title, rows in result["tables"].items():
        if title not in columns:
            parts.append(f"**{title}.**\n\n{table(rows)}")
    for title, chosen in columns.items():
        if chosen is not None and title in result["tables"]:
            parts.append(f"**{title}.**\n\n{table(result['tables'][title], chosen)}")
    return "\n".join(parts)


def finished_run(file: Path) -> Mapping[str, Any]:
    """Return what a benchmark wrote; stop if that was a smoke run."""
    result: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if result["smoke"]:
        raise SystemExit(f"{file}: that was a smoke run")
    return result


def filled(text: str, name: str, content: str) -> str:
    """Return a page with other content between the marks of this name."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"the page has no marks for {name}")
    return f"{before}{begin}\n{content}\n{end}{after}"
