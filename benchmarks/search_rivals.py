"""The gradient search against rivals at equal evaluations, and what each of its parts is good for.

    python -m benchmarks.search_rivals [--smoke] [--json FILE]

Every rival gets as many evaluations for a pair as the gradient search spent on it (a value with its gradient
counts three), shared equally among the placements of the pair. Optuna's TPE is slow by itself: it gets the
pairs of two server types only.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import differential_evolution

import hercules_opt as ho
from benchmarks.harness import Report, main
from benchmarks.search import smoke_instance
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.gradient import (
    DEFAULT_SETTINGS,
    Found,
    ascend,
    best_of,
    best_rows,
    polish,
    starts,
)
from hercules_opt.scheduling.moves import surroundings
from hercules_opt.scheduling.optimize import optimize_all
from hercules_opt.scheduling.relaxation import box, points_at
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Space, Tasks, placements, search_space

INSTANCE, SEED = "hpca22", 0
#: A method counts as best within this share.
BEST = 1e-3
#: Points that differential evolution and TPE ask for at a time.
POPULATION, ASKED = 32, 16
#: Server types whose pairs TPE searches: a plain one, and one with an accelerator.
TPE_SERVERS = ("T2", "T7")


class Problem:
    """One pair with one placement: judges points of the unit cube, and keeps the best."""

    def __init__(self, pair: Pair, space: Space) -> None:
        self.evaluator, self.space = AnalyticalEvaluator([pair]), space
        self.bounds = box([space])
        self.free = [COLUMN[name] for name in space.names]
        self.best_qps = 0.0

    def judged(self, points: Floats) -> Floats:
        """Return the merits of lattice points."""
        found = self.evaluator.evaluate(self.space.placement, np.zeros(len(points), dtype=np.int64), points)
        self.best_qps = max(self.best_qps, float(found.qps.max()))
        return found.merit

    def at(self, unit: Floats) -> Floats:
        """Return the merits at points of the unit cube, shape (n, k): every lattice point is one of them.

        Variables are spread on a logarithmic scale; threads take what cores there are, their width what is
        left, so that no point of the cube is wasted.
        """
        points, share = np.ones((2, len(unit), len(FIELDS)))
        share[:, self.free] = unit
        left = np.full(len(unit), float(self.space.cores))
        stages = len(self.space.split_columns) // 2
        for stage in range(stages):
            threads, width = self.space.split_columns[2 * stage : 2 * stage + 2]
            spare = 1.0 if stage + 1 < stages else 0.0
            points[:, threads] = _whole(share[:, threads], left - spare)
            points[:, width] = _whole(share[:, width], (left - spare) // points[:, threads])
            left -= points[:, threads] * points[:, width]
        for name, grid in self.space.grids.items():
            column = COLUMN[name]
            wanted = grid[0] * (grid[-1] / grid[0]) ** share[:, column]
            points[:, column] = grid[np.abs(np.log(wanted[:, None] / grid)).argmin(axis=1)]
        return self.judged(points)


def _whole(share: Floats, most: Floats) -> Floats:
    """Return whole numbers from 1 to ``most``, spread evenly on a logarithmic scale."""
    return np.minimum(np.floor((most + 1.0) ** share), most)


def random_points(problem: Problem, budget: int) -> None:
    """Draw points evenly from the lattice."""
    problem.judged(problem.space.sample(budget, np.random.default_rng(SEED)))


def evolution(problem: Problem, budget: int) -> None:
    """Run SciPy's differential evolution on the relaxed variables, rounded."""
    size = len(problem.free)
    differential_evolution(
        lambda columns: -problem.at(np.atleast_2d(columns.T)),
        [(0.0, 1.0)] * size,
        popsize=max(POPULATION // size, 2),
        maxiter=max(budget // (max(POPULATION // size, 2) * size) - 1, 1),
        tol=0.0,
        polish=False,
        vectorized=True,
        updating="deferred",
        rng=np.random.default_rng(SEED),
    )


def tpe(problem: Problem, budget: int) -> None:
    """Run Optuna's tree-structured Parzen estimator on the same variables, some trials at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=SEED, multivariate=False)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    names = problem.space.names
    kinds = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in names}
    for begin in range(0, budget, ASKED):
        trials = [study.ask(kinds) for _ in range(min(ASKED, budget - begin))]
        merits = problem.at(np.array([[trial.params[name] for name in names] for trial in trials]))
        for trial, merit in zip(trials, merits.tolist(), strict=True):
            study.tell(trial, merit)


def polished(problem: Problem, budget: int) -> None:
    """Climb on the lattice from random points, as the gradient search does from the ends of its ascents."""
    rng, evaluator = np.random.default_rng(SEED), problem.evaluator
    task = Tasks(problem.space.placement, np.zeros(1, dtype=np.int64), (problem.space,))
    row = np.zeros(1, dtype=np.int64)
    while evaluator.evaluations[0] < budget:
        begun = problem.space.sample(1, rng)
        judged = evaluator.evaluate(task.placement, row, begun)
        found = polish(evaluator, task, row, Found(begun, judged))
        problem.best_qps = max(problem.best_qps, float(found.evaluation.qps[0]))


def unpolished(problem: Problem, budget: int) -> None:
    """Ascend and round, without a step on the lattice; the settings are those of the search."""
    del budget
    settings, bounds = DEFAULT_SETTINGS, problem.bounds
    task = Tasks(problem.space.placement, np.zeros(1, dtype=np.int64), (problem.space,))
    here, count = starts(bounds, settings.starts, SEED), settings.starts
    for steps, kept, rate in (
        (settings.first_steps, settings.kept, settings.rate),
        (settings.last_steps, settings.polished, settings.rate / 3.0),
    ):
        rows = np.zeros(count, dtype=np.int64)
        climbed = ascend(problem.evaluator, task, bounds, rows, here, steps, rate)
        best = best_rows(rows, climbed.merit, kept)
        here, count = climbed.coordinate[best], kept
    around = [surroundings(problem.space, end) for end in points_at(here)]
    rounded = best_of(problem.evaluator, task, np.zeros(count, dtype=np.int64), around)
    problem.best_qps = float(rounded.evaluation.qps.max())


RIVALS: dict[str, Callable[[Problem, int], None]] = {
    "random": random_points,
    "differential evolution": evolution,
    "polish from random starts": polished,
    "gradient without polish": unpolished,
    "TPE": tpe,
}


def measure(smoke: bool) -> Report:
    """Search all pairs by every method, or one small pair."""
    instance = ho.load_instance(INSTANCE)
    if smoke:
        instance = smoke_instance(instance)
    names = [(server, model) for server in instance.servers for model in instance.models]
    pairs = [(instance.servers[server], instance.models[model]) for server, model in names]
    ours = optimize_all(pairs)
    rows: list[dict[str, object]] = []
    seconds = dict.fromkeys(RIVALS, 0.0)
    spent = dict.fromkeys(RIVALS, 0)
    for name, pair, result in zip(names, pairs, ours, strict=True):
        packed = pack(*pair)
        offered = placements(packed)
        row: dict[str, object] = {
            "pair": " x ".join(name),
            "evaluations": result.evaluations,
            "ours": result.qps,
        }
        for rival, search in RIVALS.items():
            if rival == "TPE" and not smoke and name[0] not in TPE_SERVERS:
                continue
            begin, best = time.process_time(), 0.0
            for placement in offered:
                problem = Problem(packed, search_space(placement, packed))
                search(problem, result.evaluations // len(offered))
                best = max(best, problem.best_qps)
                spent[rival] += int(problem.evaluator.evaluations[0])
            seconds[rival] += time.process_time() - begin
            row[rival] = best
        rows.append(row)
    return report(rows, spent, seconds, sum(result.space_size for result in ours))


def report(
    rows: list[dict[str, object]], spent: dict[str, int], seconds: dict[str, float], space: int
) -> Report:
    """Return how often each method is best, and how far it is behind."""
    summary = []
    for method in ("ours", *RIVALS):
        mine = [row for row in rows if method in row]
        if not mine:
            continue
        qps = np.array([float(str(row[method])) for row in mine])
        best = np.array(
            [max(float(str(row[name])) for name in ("ours", *RIVALS) if name in row) for row in mine]
        )
        loss = 100.0 * (1.0 - qps / np.where(best > 0.0, best, 1.0))
        evaluations = sum(int(str(row["evaluations"])) for row in mine)
        summary.append(
            {
                "method": method,
                "pairs": len(mine),
                "best or within 0.1 %": int((loss <= 100.0 * BEST).sum()),
                "median loss, %": float(np.median(loss)),
                "mean loss, %": float(loss.mean()),
                "worst loss, %": float(loss.max()),
                "evaluations": evaluations if method == "ours" else spent[method],
                "CPU, s": None if method == "ours" else seconds[method],
            }
        )
    total = sum(int(str(row["evaluations"])) for row in rows)
    notes = [f"Evaluations of ours: {total:,}; points of all spaces: {space:,}."]
    return Report({"At equal evaluations": summary}, notes, {"Pairs": rows})


if __name__ == "__main__":
    main("search_rivals", "The gradient search against rivals at equal evaluations.", measure)
