"""Write the tables of search.md from runs of the benchmarks of the search.

python -m benchmarks.search --json search.json
python -m benchmarks.search_large --json large.json
python -m benchmarks.search_oracle --json oracle.json
python -m benchmarks.cost_model_speed --json speed.json
python -m benchmarks.first_line --json line.json
python -m docs.build_search search.json large.json oracle.json speed.json line.json
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from docs.tables import filled, finished_run, part

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


def main() -> None:
    """Read the JSON of some benchmarks and write their parts of the page again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("json", type=Path, nargs="+", help="what a benchmark wrote")
    page = PAGE.read_text(encoding="utf-8")
    for file in parser.parse_args().json:
        result = finished_run(file)
        page = filled(page, result["benchmark"], part(result, COLUMNS))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
