"""What all benchmarks share: ``--smoke`` (seconds, numbers mean little), ``--json FILE``, plain tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hercules_opt

Row = Mapping[str, object]


@dataclass(frozen=True)
class Report:
    """Tables of a benchmark, by title, and what one should know to read them.

    ``details`` are tables that go into the JSON only.
    """

    tables: Mapping[str, Sequence[Row]]
    notes: Sequence[str] = ()
    details: Mapping[str, Sequence[Row]] = field(default_factory=dict)


def main(
    name: str, description: str, measure: Callable[..., Report], options: Mapping[str, str] | None = None
) -> None:
    """Run a benchmark from the command line: print its tables, write them as JSON if asked.

    Parameters
    ----------
    name
        Name of the benchmark's module.
    description
        One line for ``--help``.
    measure
        Does the work; its argument is whether this is a smoke run.
    options
        Further files that ``measure`` takes by keyword, with their help; ``None`` where not given.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--smoke", action="store_true", help="a run of seconds, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables and the terms as JSON")
    for option, text in (options or {}).items():
        parser.add_argument(f"--{option}", type=Path, metavar="FILE", help=text)
    arguments = parser.parse_args()
    report = measure(arguments.smoke, **{option: getattr(arguments, option) for option in options or {}})
    print(f"benchmarks.{name}{' (smoke run)' if arguments.smoke else ''}")
    for title, rows in report.tables.items():
        print(f"\n{title}\n\n{text_table(rows)}")
    for note in report.notes:
        print(f"\n{note}")
    if arguments.json:
        content = {"benchmark": name, "smoke": arguments.smoke, "terms": terms(), "notes": list(report.notes)}
        tables = {
            title: [dict(row) for row in rows] for title, rows in {**report.tables, **report.details}.items()
        }
        arguments.json.write_text(
            json.dumps({**content, "tables": tables}, indent=1) + "\n", encoding="utf-8"
        )


def terms() -> dict[str, object]:
    """Return what a number depends on besides the code: version, Python, machine."""
    return {
        "hercules_opt": hercules_opt.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
    }


def text_table(rows: Sequence[Row]) -> str:
    """Return rows as aligned text; the keys of the first row are the columns."""
    if not rows:
        return "(no rows)"
    columns = list(rows[0])
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    numeric = [all(isinstance(row.get(column), (int, float)) for row in rows) for column in columns]
    lines = [columns, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(entry: object) -> str:
    if entry is None:
        return "-"
    return f"{entry:.4g}" if isinstance(entry, float) else str(entry)
