"""``hercules-opt compare``: plans of one instance beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.files import plan_names, read_plan, read_problem
from hercules_opt.cli.options import InstanceArgument, JsonOption, SeedOption, TableOption
from hercules_opt.cli.output import show, show_json
from hercules_opt.cli.tables import given_table
from hercules_opt.errors import InputError

if TYPE_CHECKING:
    from hercules_opt.provisioning.checking.verify import Audit


def compare(
    instance: InstanceArgument,
    plans: Annotated[
        list[Path],
        typer.Argument(metavar="PLAN...", help="Plans: JSON, or CSV with the counts.", show_default=False),
    ],
    table: TableOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Put plans beside each other and beside greedy.

    Each plan is verified; exit code 5 if one claims what is not true.
    """
    from hercules_opt.problem.loading import load_instance
    from hercules_opt.provisioning.answers.compare import compare as compare_plans
    from hercules_opt.provisioning.checking.verify import audit
    from hercules_opt.reporting.day import DayReport, day_document, day_page

    day = load_instance(instance)
    rates = given_table(day, table)
    problem = read_problem(day, rates, table)
    _refuse_twice(plans)
    read = {name: read_plan(path, problem) for name, path in zip(plan_names(plans), plans, strict=True)}
    audits = tuple(audit(problem, plan) for plan in read.values())
    for path, found in zip(plans, audits, strict=True):
        _refuse_stranger(path, found)
    comparison = compare_plans(problem, list(read.values()), seed=seed)
    report = DayReport(day, rates, read, audits, comparison)
    if as_json:
        show_json("compare", day_document(report))
    else:
        show(*day_page(report))
    return ExitCode.VIOLATIONS if report.violations else ExitCode.DONE


def _refuse_twice(paths: Sequence[Path]) -> None:
    for path in paths:
        if list(paths).count(path) > 1:
            raise InputError("a plan may be given only once", where=path)


def _refuse_stranger(path: Path, audit: Audit) -> None:
    for found in audit.violations:
        if found.code == "names":
            raise InputError(f"is a plan of another instance: {found.text}", where=path)
