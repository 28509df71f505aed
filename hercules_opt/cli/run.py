"""``hercules-opt run``: the main job, both stages, and greedy beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.explaining import explained
from hercules_opt.cli.files import Writer, check_folder, read_problem, read_requirements, write_folder
from hercules_opt.cli.options import (
    DEFAULT_GAP,
    AllowShortfallOption,
    CheckOption,
    GapOption,
    InstanceArgument,
    JsonOption,
    ObjectiveOption,
    PowerCapOption,
    RequirementsOption,
    SeedOption,
    TimeLimitOption,
)
from hercules_opt.cli.outcome import plan_exit_code, tell_ending
from hercules_opt.cli.output import document, hint, show, show_json, tell
from hercules_opt.cli.progress import progress_bar
from hercules_opt.cli.provision import print_plan
from hercules_opt.cli.tables import found_table
from hercules_opt.errors import InputError, nearest_name

if TYPE_CHECKING:
    from hercules_opt.problem.instance import Instance
    from hercules_opt.problem.table import EfficiencyTable
    from hercules_opt.provisioning.plan import Plan
    from hercules_opt.provisioning.problem import ProvisioningProblem
    from hercules_opt.reporting.day import DayReport

#: What ``--out`` writes, and with ``--also``.
FILES = ("table.csv", "plan-hercules.json", "plan-greedy.json", "report.json")
ALSO = ("greedy-priority", "lp-rounding", "oblivious")
_ALL_FILES = (*FILES, *(f"plan-{name}.json" for name in ALSO))

AlsoOption = Annotated[
    str,
    typer.Option(
        "--also", metavar="NAMES", help=f"Plan by these policies too, commas between: {', '.join(ALSO)}."
    ),
]


def run(
    instance: InstanceArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help=f"Write {', '.join(FILES)} into a new folder."),
    ] = None,
    objective: ObjectiveOption = "power",
    also: AlsoOption = "",
    requirements: RequirementsOption = None,
    power_cap_w: PowerCapOption = None,
    gap: GapOption = DEFAULT_GAP,
    time_limit_s: TimeLimitOption = None,
    seed: SeedOption = 0,
    check: CheckOption = True,
    allow_shortfall: AllowShortfallOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Plan a day: hercules and greedy, both verified, and compared.

    Where no plan covers every interval, say why and what would help.
    """
    from hercules_opt.problem.loading import load_instance

    if out is not None:
        check_folder(out, _ALL_FILES)
    from hercules_opt.provisioning.objectives import objective_levels

    others = _other_policies(also)
    levels = objective_levels(objective)
    required = read_requirements(requirements, power_cap_w)
    day = load_instance(instance)
    table = found_table(day, seed=seed, check=check)
    problem = read_problem(day, table, None, levels, required, requirements)
    from hercules_opt.provisioning.provision import provision

    with progress_bar("hercules") as progress:
        plan = provision(
            problem,
            gap=gap,
            time_limit_s=time_limit_s,
            objective=levels,
            requirements=required,
            allow_shortfall=allow_shortfall,
            progress=progress,
        )
    try:
        report = None if plan.stopped_by == "interrupt" else _report(day, table, problem, plan, others, seed)
        if report is not None and not allow_shortfall:
            report = replace(report, explanation=explained(problem, plan, time_limit_s))
    except KeyboardInterrupt:
        report = None
    if report is None:
        return _interrupted(day, table, plan, out, as_json=as_json)
    _finish(report, instance, out, as_json=as_json)
    ending = tell_ending(plan, allow_shortfall=allow_shortfall)
    if report.violations:
        tell("a plan of ours is not true: this is a bug, please report it with the input")
        return ExitCode.VIOLATIONS
    return ending


def _other_policies(also: str) -> tuple[str, ...]:
    """Return the names given to ``--also``, each once."""
    names = tuple(dict.fromkeys(name.strip() for name in also.split(","))) if also else ()
    for name in names:
        if name not in ALSO:
            raise InputError("unknown policy", where="--also", found=name, hint=nearest_name(name, ALSO))
    return names


def _report(
    day: Instance,
    table: EfficiencyTable,
    problem: ProvisioningProblem,
    plan: Plan,
    others: Sequence[str],
    seed: int,
) -> DayReport:
    """Plan the day by greedy and the other policies too, check all plans, compare them."""
    from hercules_opt.provisioning.answers.compare import compare
    from hercules_opt.provisioning.checking.verify import audit
    from hercules_opt.provisioning.provision import provision
    from hercules_opt.reporting.day import DayReport

    plans = {"hercules": plan}
    for name in ("greedy", *others):
        plans[name] = provision(problem, policy=name, objective=plan.levels, requirements=plan.requirements)
    audits = tuple(audit(problem, entry) for entry in plans.values())
    comparison = compare(problem, list(plans.values()), seed=seed)
    return DayReport(day, table, plans, audits, comparison)


def _finish(report: DayReport, instance: str, out: Path | None, *, as_json: bool) -> None:
    """Write and print the report."""
    from hercules_opt.provisioning.files.plan_files import save_plan
    from hercules_opt.reporting.day import day_document, day_page

    content = day_document(report)
    if out is not None:
        writers: dict[str, Writer] = {
            "table.csv": report.table.to_csv,
            **{f"plan-{name}.json": partial(save_plan, plan) for name, plan in report.plans.items()},
            "report.json": partial(_write_json, document("run", content)),
        }
        _write(out, writers)
    if as_json:
        show_json("run", content)
    else:
        show(*day_page(report))
        _hint_next(instance, out)


def _interrupted(
    day: Instance, table: EfficiencyTable, plan: Plan, out: Path | None, *, as_json: bool
) -> ExitCode:
    """Save and print what was found so far."""
    from hercules_opt.provisioning.files.plan_files import save_plan

    if out is not None:
        _write(out, {"table.csv": table.to_csv, "plan-hercules.json": partial(save_plan, plan)})
    print_plan(day, table, plan, None, as_json=as_json)
    if plan_exit_code(plan) != ExitCode.INTERRUPTED:
        tell("interrupted before the comparison; the plan of hercules is whole")
    else:
        tell_ending(plan)
    return ExitCode.INTERRUPTED


def _write(out: Path, writers: dict[str, Writer]) -> None:
    write_folder(out, writers, _ALL_FILES)
    tell(f"wrote {', '.join(writers)} into {out}")


def _write_json(content: dict[str, object], path: Path) -> None:
    from hercules_opt.problem.files import write_text

    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def _hint_next(instance: str, out: Path | None) -> None:
    if out is None:
        hint(f"\nNext: hercules-opt run {instance} --out day    writes table, plans and report into a folder")
    else:
        hint(
            f"\nNext: hercules-opt verify {instance} {out / 'plan-hercules.json'}    checks every claim again"
        )
