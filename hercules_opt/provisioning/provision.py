"""Provision every interval of a problem."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

import numpy as np

from hercules_opt.errors import InputError, check_number, nearest_name
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.assembly import Terms, assemble
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.objectives import objective_levels, objective_text
from hercules_opt.provisioning.parallel import Answered, solve_apart, usable_cores
from hercules_opt.provisioning.plan import Plan
from hercules_opt.provisioning.policies import (
    Greedy,
    Hercules,
    IntervalAnswer,
    Policy,
    WholeProgram,
    policy_named,
)
from hercules_opt.provisioning.policies.hercules import Start, start_prices
from hercules_opt.provisioning.policies.shortfall_first import shortfall_first
from hercules_opt.provisioning.policies.within_limits import within_limits
from hercules_opt.provisioning.problem import ProvisioningProblem, as_problem
from hercules_opt.provisioning.programs.exact import ExactInterval, ExactProblem, as_rows
from hercules_opt.provisioning.programs.limits import Limits
from hercules_opt.provisioning.requirements import NO_REQUIREMENTS, Requirements
from hercules_opt.provisioning.solvers import SOLVERS

#: Seconds of solving here, and seconds expected to be left, at which worker processes are worth their start.
_PATIENCE_S = 1.0
_WORTH_S = 3.0

Progress = Callable[[int, int], None]


def provision(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | None = None,
    *,
    policy: str | Policy = "hercules",
    solver: str = "auto",
    gap: float = 1e-6,
    time_limit_s: float | None = None,
    objective: str | Sequence[str] = "power",
    allow_shortfall: bool = False,
    requirements: Requirements | None = None,
    start: Plan | None = None,
    workers: int | None = None,
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
        ``"hercules"`` (the least, with a proof), ``"greedy"``, ``"greedy-priority"``, ``"lp-rounding"``,
        ``"oblivious"``, or a policy object such as ``Greedy(order)`` or ``Oblivious(seed)``.
    solver
        ``"auto"`` or one that the policy can use. For hercules ``"auto"`` is ``"branch-and-price"``, which
        leaves a proof that can be recomputed, and where it finds no plan one solver after another until one
        does not fail. A name of ``SOLVERS`` gives each interval's program to that solver as a whole:
        ``"highs"`` (SciPy's), ``"ortools-highs"``, ``"scip"``, ``"cp-sat"``, ``"cbc"`` (PuLP's) or ``"glpk"``
        (needs swiglpk). Its answers are checked exactly, its bound is a claim; if it fails, the plan's
        ``stopped_by`` is ``"solver_failure"``, ``notes`` say why, and nothing takes its place.
    gap
        Relative gap between objective and bound at which an interval is done; several objectives are always
        searched to the end.
    time_limit_s
        Limit of the whole call. Each interval gets an equal share of what is left. One that is not reached
        gets the greedy answer.
    objective
        ``"power"``, ``"servers"`` or ``"cost"`` (per hour); or a list of these, of which a later one decides
        among plans that are equal in all before, to the last digit.
    allow_shortfall
        Where nothing covers, prove the least total shortfall in QPS, over all models, and reach it with the
        least of the objective (that by a solver's word). Such an interval is still called infeasible;
        ``Plan.shortfall_bound`` holds what is proven. Needs the policy hercules.
    requirements
        Pairs that are forbidden, pinned or fixed, minimum servers of models, and a cap on power; kept in the
        plan, and checked by ``verify``. Where minimum servers or a cap change what is least, the bound is a
        solver's claim.
    start
        An earlier plan of the same server types, models and intervals, to start from: the optimum is the
        same and found sooner where little has changed. Needs the policy hercules and branch and price.
    workers
        Most intervals to solve at the same time, each in a process of its own; by default as many as there
        are usable cores. Quick problems are solved in this process whatever it says. The plan does not depend
        on it, except where time runs out.
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
        On bad input, for instance an unknown power of a pair that could be used where power is minimized.
    """
    started = time.monotonic()
    if isinstance(policy, type) or not (isinstance(policy, str) or callable(getattr(policy, "solve", None))):
        raise InputError("must be the name of a policy, or a policy", where="policy", found=policy)
    chosen = policy_named(policy) if isinstance(policy, str) else policy
    solver_name = _checked_solver(solver, chosen)
    if isinstance(chosen, Hercules) and solver_name in SOLVERS:
        chosen = WholeProgram(solver_name)
    if not isinstance(allow_shortfall, bool):
        raise InputError("must be True or False", where="allow_shortfall", found=allow_shortfall)
    if progress is not None and not callable(progress):
        raise InputError("must be a function of two numbers", where="progress", found=progress)
    if allow_shortfall and not isinstance(chosen, Hercules | WholeProgram):
        hint = "Only hercules finds the least shortfall; what other policies miss, their plans say anyway."
        raise InputError("needs the policy hercules", where="allow_shortfall", found=chosen.name, hint=hint)
    levels = objective_levels(objective)
    check_number("gap", gap, 0.0, 1.0)
    if time_limit_s is not None:
        check_number("time_limit_s", time_limit_s, 0.0, 1e9)
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise InputError("must be a whole number, at least 1", where="workers", found=workers)
    data = as_problem(problem, table)
    required = _checked_requirements(requirements, allow_shortfall=allow_shortfall)
    exact_problem = ExactProblem.of(data, levels, required)
    if start is not None:
        chosen = _started(chosen, exact_problem, data, start)
    effort = Effort.within(gap if len(levels) == 1 else 0.0, time_limit_s)
    try:
        answers, interrupted = _solve_all(exact_problem, chosen, effort, workers or usable_cores(), progress)
        if allow_shortfall and not interrupted:
            answers, interrupted = _missing_least(exact_problem, answers, effort)
        limiting = Greedy() if interrupted else chosen
        answers, cut = _limited(exact_problem, answers, limiting, effort)
        interrupted = interrupted or cut
    finally:
        if isinstance(chosen, WholeProgram):
            chosen.close()
    terms = Terms(
        chosen.name,
        solver_name,
        objective_text(levels),
        gap,
        time_limit_s,
        time.monotonic() - started,
        interrupted,
        required,
    )
    return assemble(data, exact_problem, answers, terms)


def _checked_requirements(requirements: Requirements | None, *, allow_shortfall: bool) -> Requirements:
    if requirements is None:
        return NO_REQUIREMENTS
    if not isinstance(requirements, Requirements):
        found = type(requirements).__name__
        raise InputError("must be Requirements", where="requirements", found=found)
    if allow_shortfall and (requirements.at_least or requirements.power_cap_w is not None):
        raise InputError("cannot be asked for with minimum servers or a power cap", where="allow_shortfall")
    return requirements


def _started(policy: Policy, problem: ExactProblem, data: ProvisioningProblem, start: Plan) -> Hercules:
    """Return hercules that begins each interval at an earlier plan's counts and prices."""
    if not isinstance(start, Plan):
        raise InputError("must be a Plan", where="start", found=type(start).__name__)
    if not isinstance(policy, Hercules):
        raise InputError("needs the policy hercules with branch and price", where="start", found=policy.name)
    same = start.server_types == data.server_types and start.models == data.models
    if not same or start.counts.shape != data.shape:
        raise InputError("must have the problem's server types, models and intervals", where="start")
    starts: dict[ExactInterval, Start] = {}
    for t, interval in enumerate(problem.intervals):
        # Servers of pairs that cannot serve, or are fixed, are of no use: they would seem to cost nothing.
        free = np.where(np.array(interval.rates, dtype=object).T > 0, start.counts[t], 0)
        prices = start_prices(start.certificate[t])
        starts.setdefault(interval, Start(as_rows(np.maximum(free, 0)), prices))
    return Hercules(starts)


def _solve_all(
    problem: ExactProblem, policy: Policy, effort: Effort, workers: int, progress: Progress | None
) -> tuple[list[IntervalAnswer], bool]:
    """Solve each distinct interval once; return the answers in order, and whether the user interrupted."""
    copies = Counter(problem.intervals)
    done: dict[ExactInterval, IntervalAnswer] = {}
    interrupted = False
    finished = 0
    try:
        with closing(_solved(policy, list(copies), effort, workers)) as solved:
            for interval, answer in solved:
                done[interval] = answer
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


def _missing_least(
    problem: ExactProblem, answers: Sequence[IntervalAnswer], effort: Effort
) -> tuple[list[IntervalAnswer], bool]:
    """Let the answers of what nothing covers miss as little as can be; say whether the user interrupted."""
    short = {
        interval: answer
        for interval, answer in zip(problem.intervals, answers, strict=True)
        if answer.infeasible
    }
    done: dict[ExactInterval, IntervalAnswer] = {}
    interrupted = False
    try:
        for interval, answer in short.items():
            share = _share(effort, len(short) - len(done))
            done[interval] = shortfall_first(interval, answer, share)
    except KeyboardInterrupt:
        interrupted = True
    pairs = zip(problem.intervals, answers, strict=True)
    return [done.get(interval, answer) for interval, answer in pairs], interrupted


def _limited(
    problem: ExactProblem, answers: Sequence[IntervalAnswer], policy: Policy, effort: Effort
) -> tuple[list[IntervalAnswer], bool]:
    """Let the answers keep to each interval's limits; say whether the user interrupted."""
    done: dict[tuple[ExactInterval, Limits], IntervalAnswer] = {}
    interrupted = False
    for t, key in enumerate(zip(problem.intervals, problem.limits, strict=True)):
        if key in done:
            continue
        try:
            done[key] = within_limits(problem, t, answers[t], policy, _share(effort, len(answers) - t))
        except KeyboardInterrupt:
            interrupted, policy = True, Greedy()
            done[key] = within_limits(problem, t, answers[t], policy, effort)
    return [done[key] for key in zip(problem.intervals, problem.limits, strict=True)], interrupted


def _solved(
    policy: Policy, intervals: Sequence[ExactInterval], effort: Effort, workers: int
) -> Generator[Answered, None, None]:
    """Solve intervals one by one here; if that turns out to be slow, the rest in worker processes."""
    started = time.monotonic()
    for number, interval in enumerate(intervals):
        left = len(intervals) - number
        spent_s = time.monotonic() - started
        slow = spent_s >= _PATIENCE_S and spent_s / number * left >= _WORTH_S if number else False
        if slow and min(workers, left) > 1 and _is_ours(policy):
            yield from solve_apart(policy, intervals[number:], effort, min(workers, left))
            return
        yield interval, policy.solve(interval, _share(effort, left))


def _is_ours(policy: Policy) -> bool:
    """Whether a worker can import the policy; one of a user's script or notebook it may not find."""
    return type(policy).__module__.startswith("hercules_opt.")


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
