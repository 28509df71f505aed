"""Provision every interval of a problem."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.assembly import Terms, assemble
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.exact import ExactInterval, ExactProblem
from hercules_opt.provisioning.plan import Plan
from hercules_opt.provisioning.policies import Greedy, IntervalAnswer, Policy, policy_named
from hercules_opt.provisioning.problem import ProvisioningProblem, as_problem

#: What can be minimized.
OBJECTIVES = ("power",)

Progress = Callable[[int, int], None]


def provision(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | None = None,
    *,
    policy: str | Policy = "hercules",
    solver: str = "auto",
    gap: float = 1e-6,
    time_limit_s: float | None = None,
    objective: str = "power",
    progress: Progress | None = None,
) -> Plan:
    """Choose the servers of each type that serve each model in each interval.

    Parameters
    ----------
    problem
        An instance or a provisioning problem.
    table
        The instance's efficiency table; by default its own.
    policy
        ``"hercules"`` (least power, with a proof), ``"greedy"``, or a policy object such as
        ``Greedy(order)``.
    solver
        ``"auto"`` or one that the policy can use (hercules: ``"highs"``).
    gap
        Relative gap between power and bound at which an interval is done.
    time_limit_s
        Limit of the whole call. Each interval gets an equal share of what is left. One that is not reached
        gets the greedy answer.
    objective
        ``"power"``: provisioned power.
    progress
        Called with the number of intervals done and the number of all, after each.

    Returns
    -------
    Plan
        Also where loads are infeasible or time runs out: see its ``status``. On Ctrl-C the intervals done so
        far are kept, the others get the greedy answer, and ``stopped_by`` is ``"interrupt"``.

    Raises
    ------
    InputError
        On bad input, for instance an unknown power of a pair that could be used.
    """
    started = time.monotonic()
    chosen = policy_named(policy) if isinstance(policy, str) else policy
    solver_name = _checked_solver(solver, chosen)
    if objective not in OBJECTIVES:
        hint = nearest_name(str(objective), OBJECTIVES)
        raise InputError("unknown objective", where="objective", found=objective, hint=hint)
    _check_number("gap", gap, 0.0, 1.0)
    if time_limit_s is not None:
        _check_number("time_limit_s", time_limit_s, 0.0, 1e9)
    data = as_problem(problem, table)
    exact_problem = ExactProblem.of(data)
    answers, interrupted = _solve_all(exact_problem, chosen, Effort.within(gap, time_limit_s), progress)
    terms = Terms(
        chosen.name, solver_name, objective, gap, time_limit_s, time.monotonic() - started, interrupted
    )
    return assemble(data, exact_problem, answers, terms)


def _solve_all(
    problem: ExactProblem, policy: Policy, effort: Effort, progress: Progress | None
) -> tuple[list[IntervalAnswer], bool]:
    """Solve each distinct interval once, in order; return the answers, and whether the user interrupted."""
    copies = Counter(problem.intervals)
    done: dict[ExactInterval, IntervalAnswer] = {}
    interrupted = False
    finished = 0
    try:
        for interval in copies:
            share = _share(effort, len(copies) - len(done))
            done[interval] = policy.solve(interval, share)
            finished += copies[interval]
            if progress is not None:
                progress(finished, len(problem.intervals))
    except KeyboardInterrupt:
        interrupted = True
        for interval in copies:
            if interval not in done:
                greedy = Greedy().solve(interval, effort)
                done[interval] = IntervalAnswer(greedy.counts, stopped_by="interrupt")
    return [done[interval] for interval in problem.intervals], interrupted


def _share(effort: Effort, intervals: int) -> Effort:
    """Return an equal share of the remaining time for the next of so many intervals."""
    remaining_s = effort.remaining_s
    return effort if remaining_s is None else Effort.within(effort.gap, remaining_s / intervals)


def _checked_solver(solver: str, policy: Policy) -> str:
    allowed = ("auto", *policy.solvers)
    if solver not in allowed:
        hint = nearest_name(str(solver), allowed)
        raise InputError(
            f"unknown solver for policy {policy.name!r}", where="solver", found=solver, hint=hint
        )
    if solver != "auto":
        return solver
    return policy.solvers[0] if policy.solvers else "none"


def _check_number(where: str, value: float, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError("must be a finite number", where=where, found=value)
    if not least <= value <= most:
        raise InputError(f"must be at least {least:g} and at most {most:g}", where=where, found=value)
