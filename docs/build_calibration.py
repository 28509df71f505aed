"""Write the tables of calibration.md from the JSON of ``benchmarks.cost_model_fidelity``.

python -m docs.build_calibration FIDELITY_JSON
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("calibration.md")
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

#: Columns that are shown rounded to some decimals.
DECIMALS = {
    "fit_percent": 1, "left_out_percent": 1, "percent": 1, "median_percent": 1, "worst_percent": 1,
    "median_left_out_percent": 1, "worst_left_out_percent": 1, "measured_per_device": 0, "predicted": 0,
    "predicted_per_device": 0, "measured": 0, "median_watts": 0, "share_of_own_offline": 2, "p99_ms": 1,
    "predicted_over_measured": 2, "stated_error": 2, "interval_holds": 2,
}  # fmt: skip


def page_with(text: str, tables: dict[str, Sequence[dict[str, Any]]]) -> str:
    """Return the page with new tables between its marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    parts = [f"### {title}\n\n{markdown(rows)}" for title, rows in tables.items()]
    return f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a table; the keys of the first row are the columns."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[cell(column, row.get(column)) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(column: str, entry: Any) -> str:
    """Return one entry as text."""
    if entry is None:
        return ""
    decimals = DECIMALS.get(column)
    return str(entry) if decimals is None else f"{entry:,.{decimals}f}"


def main() -> None:
    """Read the argument and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("fidelity", type=Path, help="JSON of the benchmark")
    content = json.loads(parser.parse_args().fidelity.read_text(encoding="utf-8"))
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), content["tables"]), encoding="utf-8")


if __name__ == "__main__":
    main()
