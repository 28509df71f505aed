"""``hercules-opt export``: one interval's program as a file for other solvers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.files import check_output, read_problem, read_requirements
from hercules_opt.cli.options import (
    InstanceArgument,
    ObjectiveOption,
    PowerCapOption,
    RequirementsOption,
    TableOption,
)
from hercules_opt.cli.output import tell, write_stdout
from hercules_opt.cli.tables import given_table
from hercules_opt.errors import InputError, nearest_name

#: Ending of a file by the format's name.
ENDINGS = {"lp": ".lp", "mps": ".mps", "gmpl-dat": ".dat"}


def export(
    instance: InstanceArgument,
    table: TableOption = None,
    interval: Annotated[
        int | None,
        typer.Option("--interval", metavar="NUMBER", help="Interval, from 0; needed if there are several."),
    ] = None,
    form: Annotated[str, typer.Option("--format", metavar="NAME", help="lp, mps or gmpl-dat.")] = "lp",
    objective: ObjectiveOption = "power",
    requirements: RequirementsOption = None,
    power_cap_w: PowerCapOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write to .lp, .mps or .dat; by default to stdout."),
    ] = None,
) -> ExitCode:
    """Write the integer program of one interval, for other solvers."""
    from hercules_opt.problem.files import write_text
    from hercules_opt.problem.loading import load_instance

    if form not in ENDINGS:
        hint = nearest_name(form, ENDINGS)
        raise InputError("unknown format", where="--format", found=form, hint=hint)
    check_output(out, (ENDINGS[form],))
    from hercules_opt.provisioning.objectives import objective_levels

    levels = objective_levels(objective)
    required = read_requirements(requirements, power_cap_w)
    day = load_instance(instance)
    problem = read_problem(day, given_table(day, table), table, levels, required, requirements)
    last = len(problem.load_qps) - 1
    if interval is None and last > 0:
        raise InputError(f"must say which interval, from 0 to {last}", where="--interval")
    from hercules_opt.provisioning.files.export import export_program

    try:
        text = export_program(
            problem, interval=interval or 0, form=form, objective=objective, requirements=required
        )
    except InputError as error:
        raise (error.located("--interval") if error.where == "interval" else error) from None
    if out is None:
        write_stdout(text)
    else:
        write_text(out, text)
        tell(f"wrote {out}")
    return ExitCode.DONE
