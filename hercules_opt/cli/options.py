"""Arguments and options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from hercules_opt.errors import shown

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|nan)")


def number(text: str) -> float:
    """Return the number that an option gives; the command checks its range."""
    if isinstance(text, str) and not _NUMBER.fullmatch(text.strip()):
        raise typer.BadParameter(f"must be a number, found {shown(text)}")
    return float(text)


def seed_number(text: str) -> int:
    """Return the whole number that an option gives."""
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{1,18}", text.strip()):
        rule = "must be a whole number from 0 on, at most 18 digits"
        raise typer.BadParameter(f"{rule}, found {shown(text)}")
    return int(text)


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
RequirementsOption = Annotated[
    Path | None,
    typer.Option(
        "--requirements",
        metavar="FILE",
        help="TOML: pairs to forbid, pin or fix, minimum servers, and a cap on power.",
    ),
]
PowerCapOption = Annotated[
    float | None,
    typer.Option(
        "--power-cap-w", metavar="WATTS", parser=number, help="Most provisioned power of every interval."
    ),
]
GapOption = Annotated[
    float,
    typer.Option(
        "--gap",
        metavar="SHARE",
        parser=number,
        help="Gap between objective and its lower bound at which an interval is done.",
    ),
]
TimeLimitOption = Annotated[
    float | None,
    typer.Option(
        "--time-limit-s",
        metavar="SECONDS",
        parser=number,
        help="Stop then, with the best plan so far and its bound.",
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
        "--allow-shortfall", help="Where nothing covers, miss the fewest QPS in total, then the objective."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="NUMBER", parser=seed_number, help="Seed of every random choice.")
]

PointsOption = Annotated[
    int | None,
    typer.Option(
        "--points",
        metavar="NUMBER",
        min=1,
        max=1000,
        help="Schedules to measure under load, per model; 4 by default.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Keep all that is found or measured at once: a killed run goes on, only what changed is redone.",
    ),
]

CheckOption = Annotated[
    bool,
    typer.Option(
        "--check/--no-check",
        help="Simulate each schedule found, and lower its rate to one that holds the latency target.",
    ),
]

CalibrationOption = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        metavar="NAME",
        help="Constants of the cost model: a calibration of the catalogue, or a file of 'calibrate --out'.",
    ),
]

#: The default of ``GapOption``: what counts as optimal.
DEFAULT_GAP = 1e-6
