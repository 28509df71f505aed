"""``hercules-opt verify``: recompute everything a plan claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.files import read_plan, read_problem
from hercules_opt.cli.options import InstanceArgument, JsonOption, TableOption
from hercules_opt.cli.output import show, show_json
from hercules_opt.cli.tables import given_table


def verify(
    instance: InstanceArgument,
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN", help="A plan: JSON, or CSV with the counts.", show_default=False)
    ],
    table: TableOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Recompute in exact arithmetic what a plan claims.

    Coverage, availability, power, bounds, status; exit code 5 if something is not true.
    """
    from hercules_opt.problem.loading import load_instance
    from hercules_opt.provisioning.checking.verify import audit
    from hercules_opt.reporting.audits import audit_document, audit_page

    day = load_instance(instance)
    problem = read_problem(day, given_table(day, table), table, ())
    read = read_plan(plan, problem)
    found = audit(problem, read)
    if as_json:
        show_json("verify", {"plan": str(plan), **audit_document(read, found)})
    else:
        show(audit_page(read, found, plan))
    return ExitCode.VIOLATIONS if found.violations else ExitCode.DONE
