"""Write the tables of search.md from a run of the search benchmark.

python -m benchmarks.search --json search.json
python -m docs.build_search search.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("search.md")
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
#: Title in the benchmark, and the columns of the page with their headings.
PAIRS = "Gradient search against the exhaustive oracle"
COLUMNS = {
    "pair": "server type x model",
    "schedule": "schedule found",
    "gradient_qps": "QPS",
    "loss_percent": "loses, %",
    "binds": "binds",
    "gradient_evaluations": "evaluations",
    "space": "schedules",
}


def cell(value: Any) -> str:
    """Return a figure as the page shows it."""
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 1.0 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Return rows as a Markdown table."""
    head = [f"| {' | '.join(columns.values())} |", f"|{'---|' * len(columns)}"]
    body = [f"| {' | '.join(cell(row[name]) for name in columns)} |" for row in rows]
    return "\n".join([*head, *body]) + "\n"


def tables(result: Mapping[str, Any]) -> str:
    """Return what stands between the marks of the page."""
    parts = ["".join(f"- {note}\n" for note in result["notes"])]
    for title, rows in result["tables"].items():
        if title != PAIRS:
            parts.append(f"**{title}.**\n\n" + table(rows, {name: name for name in rows[0]}))
    parts.append(table(result["tables"][PAIRS], COLUMNS))
    return "\n".join(parts)


def main() -> None:
    """Read the benchmark's JSON and write the page again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json", type=Path, help="what the benchmark wrote")
    result = json.loads(parser.parse_args().json.read_text(encoding="utf-8"))
    if result["smoke"]:
        parser.error("that was a smoke run")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n" + tables(result) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
