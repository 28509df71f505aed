"""Write the tables of search.md from runs of the benchmarks of the search.

python -m benchmarks.search --json search.json
python -m benchmarks.search_oracle --json oracle.json
python -m benchmarks.search_speed --json speed.json
python -m docs.build_search search.json oracle.json speed.json
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.tables import filled, finished_run, table

PAGE = Path(__file__).with_name("search.md")
#: Long tables: their columns on the page, with headings; ``None`` for those that only the JSON has.
COLUMNS: Mapping[str, Mapping[str, str] | None] = {
    "Gradient search against the exhaustive oracle": {
        "pair": "server type x model",
        "schedule": "schedule found",
        "gradient_qps": "QPS",
        "loss_percent": "loses, %",
        "binds": "binds",
        "gradient_evaluations": "evaluations",
        "space": "schedules",
    },
    "Pairs": None,
}


def part(result: Mapping[str, Any]) -> str:
    """Return what stands between the marks of a benchmark: its notes, its tables, the longest last."""
    parts = ["".join(f"- {note}\n" for note in result["notes"])]
    for title, rows in result["tables"].items():
        if title not in COLUMNS:
            parts.append(f"**{title}.**\n\n{table(rows)}")
    for title, columns in COLUMNS.items():
        if columns is not None and title in result["tables"]:
            parts.append(f"**{title}.**\n\n{table(result['tables'][title], columns)}")
    return "\n".join(parts)


def main() -> None:
    """Read the JSON of some benchmarks and write their parts of the page again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("json", type=Path, nargs="+", help="what a benchmark wrote")
    page = PAGE.read_text(encoding="utf-8")
    for file in parser.parse_args().json:
        result = finished_run(file)
        page = filled(page, result["benchmark"], part(result))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
