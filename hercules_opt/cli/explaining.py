"""Say why a plan does not cover the day, and what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hercules_opt.cli.progress import progress_bar

if TYPE_CHECKING:
    from hercules_opt.provisioning.answers.explain import Explanation
    from hercules_opt.provisioning.plan import Plan
    from hercules_opt.provisioning.problem import ProvisioningProblem

#: Seconds that an explanation may take where the command has no time limit.
EXPLAIN_S = 60.0


def explained(
    problem: ProvisioningProblem, plan: Plan, time_limit_s: float | None = None
) -> Explanation | None:
    """Return why a plan does not cover every interval; ``None`` if it does, or was cut short itself."""
    if plan.covered.all() or plan.stopped_by is not None:
        return None
    from hercules_opt.provisioning.answers.explain import explain

    with progress_bar("explanation") as progress:
        limit_s = EXPLAIN_S if time_limit_s is None else time_limit_s
        return explain(problem, plan, time_limit_s=limit_s, progress=progress)
