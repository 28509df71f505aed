"""``hercules-opt provision``: stage 2 alone, one policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.explaining import explained
from hercules_opt.cli.files import check_output, read_problem, read_requirements
from hercules_opt.cli.options import (
    DEFAULT_GAP,
    AllowShortfallOption,
    GapOption,
    InstanceArgument,
    JsonOption,
    ObjectiveOption,
    PowerCapOption,
    RequirementsOption,
    SolverOption,
    TableOption,
    TimeLimitOption,
)
from hercules_opt.cli.outcome import tell_ending
from hercules_opt.cli.output import hint, show, show_json, tell
from hercules_opt.cli.progress import progress_bar
from hercules_opt.cli.tables import given_table

if TYPE_CHECKING:
    from hercules_opt.problem.instance import Instance
    from hercules_opt.problem.table import EfficiencyTable
    from hercules_opt.provisioning.answers.explain import Explanation
    from hercules_opt.provisioning.plan import Plan


def provision(
    instance: InstanceArgument,
    table: TableOption = None,
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            metavar="NAME",
            help="hercules, greedy, greedy-priority, lp-rounding or oblivious.",
        ),
    ] = "hercules",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the plan: .json (everything) or .csv (counts)."),
    ] = None,
    objective: ObjectiveOption = "power",
    requirements: RequirementsOption = None,
    power_cap_w: PowerCapOption = None,
    solver: SolverOption = "auto",
    gap: GapOption = DEFAULT_GAP,
    time_limit_s: TimeLimitOption = None,
    allow_shortfall: AllowShortfallOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Choose the servers of every interval by one policy.

    Where it does not cover every interval, say why and what would help.
    """
    from hercules_opt.problem.loading import load_instance

    check_output(out, (".csv", ".json"))
    day = load_instance(instance)
    rates = given_table(day, table)
    from hercules_opt.provisioning.objectives import objective_levels

    levels = objective_levels(objective)
    required = read_requirements(requirements, power_cap_w)
    problem = read_problem(day, rates, table, levels, required, requirements)
    from hercules_opt.provisioning.provision import provision as solve

    with progress_bar(policy) as progress:
        plan = solve(
            problem, policy=policy, solver=solver, gap=gap, time_limit_s=time_limit_s,
            objective=levels, requirements=required, allow_shortfall=allow_shortfall, progress=progress,
        )  # fmt: skip
    if out is not None:
        _write(plan, out)
    why, interrupted = None, False
    try:
        why = None if allow_shortfall else explained(problem, plan, time_limit_s)
    except KeyboardInterrupt:
        interrupted = True
    print_plan(day, rates, plan, why, as_json=as_json)
    if out is not None:
        tell(f"wrote {out}")
    keep = f"hercules-opt verify {instance} {out}" if out else "add --out plan.json to keep the plan"
    hint(f"\nNext: {keep}")
    ending = tell_ending(plan, allow_shortfall=allow_shortfall)
    if interrupted:
        tell("interrupted before the explanation; the plan is whole")
        return ExitCode.INTERRUPTED
    return ending


def _write(plan: Plan, out: Path) -> None:
    from hercules_opt.provisioning.files.plan_files import save_plan, save_plan_csv

    if out.suffix.lower() == ".csv":
        save_plan_csv(plan, out)
    else:
        save_plan(plan, out)


def print_plan(
    instance: Instance,
    table: EfficiencyTable | None,
    plan: Plan,
    why: Explanation | None,
    *,
    as_json: bool,
) -> None:
    """Print one plan: terms, intervals, use of the server types, proof, and why it does not cover the day."""
    from rich.text import Text

    from hercules_opt.provisioning.files.plan_files import plan_to_json
    from hercules_opt.reporting.audits import proof_line
    from hercules_opt.reporting.explanations import explanation_document, explanation_page
    from hercules_opt.reporting.plans import intervals_grid, mean_line, use_grid
    from hercules_opt.reporting.terms import terms_document, terms_page

    if as_json:
        terms = terms_document(instance, table, [plan])
        explanation = None if why is None else explanation_document(why)
        show_json("provision", {**terms, "plan": plan_to_json(plan), "explanation": explanation})
        return
    show(
        terms_page(instance, table, [plan]), Text(), intervals_grid(instance, plan), Text(),
        use_grid(instance, {plan.policy: plan}), Text(), Text(mean_line(plan)), Text(proof_line(plan, None)),
    )  # fmt: skip
    if why is not None:
        show(Text(), *explanation_page(instance, why))
