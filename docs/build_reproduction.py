"""Write the tables of reproduction.md from a run of the benchmark.

python -m benchmarks.reproduction --json reproduction.json
python -m docs.build_reproduction reproduction.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from docs.tables import filled, finished_run, part

PAGE = Path(__file__).with_name("reproduction.md")


def main() -> None:
    """Read the benchmark's JSON and write the page again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("json", type=Path, help="what the benchmark wrote")
    result = finished_run(parser.parse_args().json)
    page = filled(PAGE.read_text(encoding="utf-8"), result["benchmark"], part(result, {}))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
