"""``hercules-opt diff``: plan against plan, what moves where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.files import plan_names, read_plan, read_problem
from hercules_opt.cli.options import InstanceArgument, JsonOption, TableOption
from hercules_opt.cli.output import show, show_json
from hercules_opt.cli.tables import given_table
from hercules_opt.errors import InputError


def diff(
    instance: InstanceArgument,
    first: Annotated[
        Path,
        typer.Argument(metavar="PLAN", help="A plan: JSON, or CSV with the counts.", show_default=False),
    ],
    second: Annotated[
        Path, typer.Argument(metavar="PLAN", help="The plan it is compared with.", show_default=False)
    ],
    table: TableOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show what moves where between two plans.

    Counts, power and servers, interval by interval; what the plans claim is for 'verify' to check.
    """
    from hercules_opt.problem.loading import load_instance
    from hercules_opt.provisioning.answers.diff import diff as difference
    from hercules_opt.reporting.diffs import diff_document, diff_page

    day = load_instance(instance)
    problem = read_problem(day, given_table(day, table), table)
    plans = read_plan(first, problem), read_plan(second, problem)
    try:
        found = difference(problem, None, *plans)
    except InputError as error:
        raise error.located(first if error.where == "first" else second) from None
    one, other = plan_names((first, second))
    if as_json:
        show_json("diff", diff_document((one, other), plans, found))
    else:
        show(*diff_page(day, (one, other), found))
    return ExitCode.DONE
