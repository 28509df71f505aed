"""From plans to exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hercules_opt.cli.errors import ExitCode
from hercules_opt.cli.output import tell

if TYPE_CHECKING:
    from hercules_opt.provisioning.plan import Plan


def plan_exit_code(plan: Plan, *, allow_shortfall: bool = False) -> ExitCode:
    """Return the exit code that a plan stands for.

    A requested gap that was reached counts as done, and so does a shortfall that was allowed and is proven to
    be the least.
    """
    if plan.stopped_by == "interrupt":
        return ExitCode.INTERRUPTED
    if plan.status == "infeasible" and allow_shortfall:
        return ExitCode.DONE if plan.misses_least and plan.stopped_by is None else ExitCode.STOPPED
    if plan.status == "infeasible":
        return ExitCode.INFEASIBLE
    if plan.status == "unknown":
        return ExitCode.STOPPED
    reached = plan.gap is not None and plan.gap <= plan.requested_gap
    return ExitCode.DONE if reached or plan.stopped_by is None else ExitCode.STOPPED


def tell_ending(plan: Plan, *, allow_shortfall: bool = False) -> ExitCode:
    """Say on stderr why a plan is less than was asked for, and return its exit code."""
    from hercules_opt.reporting.plans import ending_line

    for note in plan.notes:
        tell(note)
    line = ending_line(plan, allow_shortfall=allow_shortfall)
    if line is not None:
        tell(line)
    return plan_exit_code(plan, allow_shortfall=allow_shortfall)
