"""Time per solver for the integer programs of stage 2, cold and warm, against branch and price.

    python -m benchmarks.provisioning_solvers [--smoke] [--json FILE]

Each interval's program is solved at the default gap of 1e-6: by branch and price, which is what ``provision``
does unless told otherwise, and as a whole by every solver that is installed. Answers are compared: a solver
that finds another power at a proven gap is an error. Wall times, since most solvers run in a child process;
run it on an idle machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import hercules_opt as ho
from benchmarks.harness import Report, main
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies import Hercules
from hercules_opt.provisioning.problem import as_problem
from hercules_opt.provisioning.programs.exact import ExactInterval, ExactProblem
from hercules_opt.provisioning.solvers import SOLVERS, Solver
from hercules_opt.provisioning.solvers.covering import cover_exactly

GAP = 1e-6
#: Limit of one interval in seconds: in a full run, in a smoke run.
LIMIT_S, SMOKE_LIMIT_S = 20.0, 1.0
#: Intervals per set, likewise.
INTERVALS, SMOKE_INTERVALS = 6, 1
LIBRARY = ("mlperf-fleet",)
OURS = "branch-and-price"


@dataclass(frozen=True)
class Run:
    """One interval by one solver: seconds, whether it is done, power in units of cost if it is covered."""

    seconds: float
    reached: bool
    cost: int | None


def random_problem(types: int, models: int, intervals: int, seed: int = 0) -> ho.ProvisioningProblem:
    """Return random rates and powers of three decimals, and loads that take most of the servers."""
    random = np.random.default_rng(seed)
    shape = (types, models)
    qps = random.uniform(50, 500, shape).round(3)
    power_w = random.uniform(100, 400, shape).round(3)
    available = random.integers(4, 16, types)
    reach = (qps * available[:, np.newaxis]).sum(axis=0) / models
    loads = (reach * random.uniform(0.4, 0.9, (intervals, models))).round(2)
    return ho.ProvisioningProblem(qps, power_w, available, loads)


def interval_sets(smoke: bool) -> dict[str, list[ExactInterval]]:
    """Return intervals spread over each library instance's day, and random ones."""
    count = SMOKE_INTERVALS if smoke else INTERVALS
    sizes = ((4, 4),) if smoke else ((8, 6), (12, 12), (20, 20))
    problems = {name: as_problem(ho.load_instance(name)) for name in LIBRARY}
    problems |= {f"random {h} x {m}": random_problem(h, m, count) for h, m in sizes}
    return {name: _spread(problem, count) for name, problem in problems.items()}


def _spread(problem: ho.ProvisioningProblem, count: int) -> list[ExactInterval]:
    intervals = ExactProblem.of(problem).intervals
    return [intervals[number * len(intervals) // count] for number in range(min(count, len(intervals)))]


def ours(interval: ExactInterval, limit_s: float) -> Run:
    """Solve by branch and price."""
    begin = time.perf_counter()
    answer = Hercules().solve(interval, Effort.within(GAP, limit_s))
    seconds = time.perf_counter() - begin
    cost = None if answer.infeasible else interval.cost(answer.counts)
    return Run(seconds, answer.stopped_by is None, cost)


def whole(solver: Solver, interval: ExactInterval, limit_s: float) -> Run:
    """Give the program to a solver."""
    begin = time.perf_counter()
    found = cover_exactly(interval, Effort.within(GAP, limit_s), solver)
    seconds = time.perf_counter() - begin
    if found.stopped_by == "solver_failure":
        raise RuntimeError(f"{solver.name}: {found.reason}")
    cost = None if found.counts is None else interval.cost(found.counts)
    return Run(seconds, found.stopped_by is None, cost)


def summary(name: str, solver: str, runs: Sequence[Run], reference: Sequence[Run]) -> dict[str, object]:
    """Return one row of the table; the ratio is of total times, over the intervals that both finished."""
    both = [(run, base) for run, base in zip(runs, reference, strict=True) if run.reached and base.reached]
    for run, base in both:
        agree = run.cost == base.cost
        close = run.cost and base.cost and abs(run.cost - base.cost) <= 2 * GAP * max(run.cost, base.cost)
        if not agree and not close:
            raise RuntimeError(f"{name}: {solver} finds {run.cost}, {OURS} {base.cost}")
    theirs, base_s = sum(run.seconds for run, _ in both), sum(base.seconds for _, base in both)
    return {
        "intervals": name,
        "solver": solver,
        "done": f"{sum(run.reached for run in runs)} of {len(runs)}",
        "median_s": statistics.median(run.seconds for run in runs),
        "largest_s": max(run.seconds for run in runs),
        "ratio_to_ours": theirs / base_s if both else None,
    }


def first_calls() -> tuple[list[dict[str, object]], dict[str, Solver]]:
    """Time a first call, in which a child process starts and loads its solver, and a second.

    Return the rows, and the solvers that are there.
    """
    easy = ExactProblem.of(as_problem(ho.load_instance("tiny"))).intervals[0]
    ours(easy, LIMIT_S)  # SciPy is loaded in any case
    warm_s = ours(easy, LIMIT_S).seconds
    rows: list[dict[str, object]] = [{"solver": OURS, "cold_s": None, "warm_s": warm_s, "note": ""}]
    usable: dict[str, Solver] = {}
    for name, kind in SOLVERS.items():
        solver = kind()
        try:
            cold_s, warm_s = (whole(solver, easy, LIMIT_S).seconds for _ in range(2))
        except RuntimeError as error:
            rows.append({"solver": name, "cold_s": None, "warm_s": None, "note": str(error)})
            continue
        usable[name] = solver
        rows.append({"solver": name, "cold_s": cold_s, "warm_s": warm_s, "note": ""})
    return rows, usable


def measure(smoke: bool) -> Report:
    """Solve every set by every solver."""
    limit_s = SMOKE_LIMIT_S if smoke else LIMIT_S
    starts, usable = first_calls()
    warm: list[dict[str, object]] = []
    for title, intervals in interval_sets(smoke).items():
        reference = [ours(interval, limit_s) for interval in intervals]
        warm.append(summary(title, OURS, reference, reference))
        for name, solver in usable.items():
            runs = [whole(solver, interval, limit_s) for interval in intervals]
            warm.append(summary(title, name, runs, reference))
    for solver in usable.values():
        solver.close()
    return Report(
        {"First and second call, one easy interval": starts, f"Warm, gap {GAP:g}": warm},
        [
            f"Limit {limit_s:g} s per interval; 'done' counts those that reached the gap or proved that "
            "nothing covers. Ratio: total time over the intervals that both did; above 1 is slower.",
            f"{OURS} is the default of provision; its bounds are certificates, the others' are claims.",
        ],
    )


if __name__ == "__main__":
    main("provisioning_solvers", "Time per solver for the programs of stage 2, cold and warm.", measure)
