"""``hercules-opt profile``: stage 1 alone, the efficiency table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.files import check_output
from hercules_opt.cli.options import (
    CacheOption,
    CalibrationOption,
    CheckOption,
    InstanceArgument,
    JsonOption,
    PointsOption,
    SeedOption,
)
from hercules_opt.cli.output import hint, show, show_json, tell
from hercules_opt.cli.tables import found_table, measured_table
from hercules_opt.errors import InputError, nearest_name

_EVALUATORS = ("analytical", "measured")

WorkersOption = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="NUMBER|ADDRESS",
        help="Processes, or a Dask scheduler like tcp://host:8786, that share the pairs.",
    ),
]

if TYPE_CHECKING:
    from hercules_opt.scheduling.optimize import Method


def profile(
    instance: InstanceArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the table: .csv or .json.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="gradient, lattice, random, exhaustive, deeprecsys, baymax, offload or gradient-offload; "
            "by default the instance's own table, else gradient.",
        ),
    ] = None,
    seed: SeedOption = 0,
    cache: CacheOption = None,
    workers: WorkersOption = None,
    check: CheckOption = True,
    calibration: CalibrationOption = None,
    evaluator: Annotated[
        str,
        typer.Option(
            "--evaluator",
            metavar="NAME",
            help="analytical: the cost model; measured: this host under load, minutes per pair.",
        ),
    ] = "analytical",
    points: PointsOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Find the best schedule of every server type and model."""
    from hercules_opt.problem.loading import load_instance
    from hercules_opt.reporting.efficiency import profile_document, profile_page

    check_output(out, (".csv", ".json"))
    day = load_instance(instance)
    if evaluator not in _EVALUATORS:
        nearest = nearest_name(evaluator, _EVALUATORS)
        raise InputError("unknown evaluator", where="--evaluator", found=evaluator, hint=nearest)
    if evaluator == "measured":
        _check_measured(method=method, seed=seed, workers=workers, check=check, cache=cache)
        assert cache is not None
        try:
            table = measured_table(day, points=points, calibration=calibration, cache=cache)
        except KeyboardInterrupt:
            tell(f"interrupted: what was measured is kept in {cache}, the same command goes on from there")
            return ExitCode.INTERRUPTED
    else:
        if points is not None:
            raise InputError("has no meaning without --evaluator measured", where="--points", found=points)
        table = found_table(
            day,
            seed=seed,
            method=_checked_method(method),
            check=check,
            calibration=calibration,
            cache=cache,
            workers=_crew(workers),
        )
    if out is not None:
        (table.to_json if out.suffix.lower() == ".json" else table.to_csv)(out)
    if as_json:
        show_json("profile", profile_document(day, table))
    else:
        show(*profile_page(day, table))
    if out is not None:
        tell(f"wrote {out}")
    keep = (
        f"hercules-opt provision {instance} --table {out}" if out else "add --out table.csv to keep the table"
    )
    hint(f"\nNext: {keep}")
    return ExitCode.DONE


def _check_measured(
    *, method: str | None, seed: int, workers: str | None, check: bool, cache: Path | None
) -> None:
    """Refuse options that measuring has no use for, and a run that would keep nothing."""
    given = {"--method": method, "--seed": seed, "--workers": workers, "--no-check": not check}
    for name, value in given.items():
        if value:
            raise InputError("has no meaning with --evaluator measured", where=name)
    if cache is None:
        hint = "It takes minutes per pair; an interrupted run goes on from there."
        raise InputError("needs --cache FOLDER, to keep what is measured", where="--evaluator", hint=hint)


def _crew(text: str | None) -> int | str | None:
    """Return a number of processes, or an address as it is."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else text


def _checked_method(name: str | None) -> Method | None:
    if name is None:
        return None
    from hercules_opt.scheduling.optimize import Method

    methods = get_args(Method)
    if name not in methods:
        raise InputError("unknown method", where="--method", found=name, hint=nearest_name(name, methods))
    return cast("Method", name)
