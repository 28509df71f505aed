"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

InstanceArgument = Annotated[
    str,
    typer.Argument(
        metavar="INSTANCE",
        help="A name of the library (see 'hercules-opt instances') or a TOML file.",
        show_default=False,
    ),
]
TableOption = Annotated[
    Path | None,
    typer.Option(
        "--table", metavar="FILE", help="Efficiency table, CSV or JSON; by default the instance's own."
    ),
]
ObjectiveOption = Annotated[
    str,
    typer.Option(
        "--objective",
        metavar="NAMES",
        help="What is minimized: power, servers, cost, or several in order with commas: servers,power.",
    ),
]
GapOption = Annotated[
    float,
    typer.Option(
        "--gap",
        metavar="SHARE",
        help="Gap between objective and its lower bound at which an interval is done.",
    ),
]
TimeLimitOption = Annotated[
    float | None,
    typer.Option(
        "--time-limit-s", metavar="SECONDS", help="Stop then, with the best plan so far and its bound."
    ),
]
SolverOption = Annotated[
    str,
    typer.Option(
        "--solver",
        metavar="NAME",
        help="auto, branch-and-price, highs, ortools-highs, scip, cp-sat, cbc or glpk.",
    ),
]
AllowShortfallOption = Annotated[
    bool,
    typer.Option(
        "--allow-shortfall", help="Where nothing covers, miss the fewest QPS in total, then the least power."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="NUMBER", min=0, help="Seed of every random choice.")
]

CheckOption = Annotated[
    bool,
    typer.Option(
        "--check/--no-check",
        help="Simulate each schedule found, and lower its rate to one that holds the latency target.",
    ),
]

#: The default of ``GapOption``: what counts as optimal.
DEFAULT_GAP = 1e-6
