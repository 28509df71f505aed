"""Rivals of the gradient search, each spending a number of evaluations on one pair with one placement.

A value counts one evaluation, a value with its gradient three. Whatever a rival looks at, only schedules of
the lattice count as found.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from scipy.optimize import differential_evolution

from hercules_opt.hardware.packing import Pair
from hercules_opt.problem.schedule import Placement
from hercules_opt.scheduling.evaluator import (
    GRADIENT_COST,
    AnalyticalEvaluator,
    Evaluation,
    Flags,
)
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
from hercules_opt.scheduling.relaxation import box, points_at
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Integers, Space, Tasks

SEED = 0
#: Points that differential evolution and TPE ask for at a time.
POPULATION, ASKED = 32, 16
#: Trials of TPE at most: its own work grows with their square, and is far above that of judging them.
TPE_TRIALS = 192


class SpentError(Exception):
    """No evaluation is left."""


class Budgeted:
    """An evaluator of one pair with one placement that stops when its evaluations are used up.

    ``used`` counts them; ``best_qps`` and ``best_point`` are the best schedule of the lattice among them.
    """

    def __init__(self, pair: Pair, space: Space, budget: int) -> None:
        self.inner, self.space, self.budget = AnalyticalEvaluator([pair]), space, budget
        self.evaluations: Integers = np.zeros(1, dtype=np.int64)
        self.task = Tasks(space.placement, np.zeros(1, dtype=np.int64), (space,))
        self.best_qps, self.best_point = 0.0, space.lower

    @property
    def used(self) -> int:
        """Evaluations that were made."""
        return int(self.evaluations[0])

    def evaluate(self, placement: Placement, pair: Integers, points: Floats) -> Evaluation:
        """Judge points; where they are more than are left, as many as are, and stop."""
        allowed = self._spend(len(points))
        if not allowed:
            raise SpentError
        found = self.inner.evaluate(placement, pair[:allowed], points[:allowed])
        qps = np.where(self.space.contains(points[:allowed]), found.qps, 0.0)
        if qps.max() > self.best_qps:
            self.best_qps, self.best_point = float(qps.max()), points[qps.argmax()]
        if allowed < len(points):
            raise SpentError
        return found

    def may_beat(self, placement: Placement, pair: Integers, points: Floats, qps: Floats) -> Flags:
        """Tell which points may beat others, which counts as much as to judge them."""
        if self._spend(len(points)) < len(points):
            raise SpentError
        return self.inner.may_beat(placement, pair, points, qps)

    def gradient(self, placement: Placement, pair: Integers, points: Floats, at: Evaluation) -> Floats:
        """Return gradients, if all of them are left."""
        if self._spend((GRADIENT_COST - 1) * len(points)) < (GRADIENT_COST - 1) * len(points):
            raise SpentError
        return self.inner.gradient(placement, pair, points, at)

    def judged(self, points: Floats) -> Floats:
        """Return the merits of points."""
        return self.evaluate(self.space.placement, np.zeros(len(points), dtype=np.int64), points).merit

    def _spend(self, wanted: int) -> int:
        allowed = min(wanted, self.budget - self.used)
        self.evaluations += allowed
        return allowed


def at_unit(space: Space, unit: Floats) -> Floats:
    """Return lattice points at points of the unit cube, shape (n, k): each of the lattice is one of them.

    Variables are spread on a logarithmic scale; threads take what cores there are, their width what is left,
    so that no point of the cube is wasted.
    """
    points, share = np.ones((2, len(unit), len(FIELDS)))
    share[:, [COLUMN[name] for name in space.names]] = unit
    left = np.full(len(unit), float(space.cores))
    stages = len(space.split_columns) // 2
    for stage in range(stages):
        threads, width = space.split_columns[2 * stage : 2 * stage + 2]
        spare = 1.0 if stage + 1 < stages else 0.0
        points[:, threads] = _whole(share[:, threads], left - spare)
        points[:, width] = _whole(share[:, width], (left - spare) // points[:, threads])
        left -= points[:, threads] * points[:, width]
    for name, grid in space.grids.items():
        column = COLUMN[name]
        wanted = grid[0] * (grid[-1] / grid[0]) ** share[:, column]
        points[:, column] = grid[np.abs(np.log(wanted[:, None] / grid)).argmin(axis=1)]
    return points


def _whole(share: Floats, most: Floats) -> Floats:
    """Return whole numbers from 1 to ``most``, spread evenly on a logarithmic scale."""
    return np.minimum(np.floor((most + 1.0) ** share), most)


def random_points(problem: Budgeted) -> None:
    """Draw points evenly from the lattice."""
    rng = np.random.default_rng(SEED)
    while True:
        problem.judged(problem.space.sample(min(problem.budget - problem.used, 8192) + 1, rng))


def evolution(problem: Budgeted) -> None:
    """Run SciPy's differential evolution on the relaxed variables, rounded; again where it has converged.

    Its population grows with the budget, as ten generations at least are needed for one to pay.
    """
    size, rng = len(problem.space.names), np.random.default_rng(SEED)
    members = max(POPULATION, problem.budget // 1000)
    while True:
        differential_evolution(
            lambda columns: -problem.judged(at_unit(problem.space, np.atleast_2d(columns.T))),
            [(0.0, 1.0)] * size,
            popsize=max(members // size, 2),
            maxiter=problem.budget,
            tol=1e-6,
            polish=False,
            vectorized=True,
            updating="deferred",
            rng=rng,
        )


def tpe(problem: Budgeted) -> None:
    """Run Optuna's tree-structured Parzen estimator on the same variables, some trials at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=SEED, multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    names = problem.space.names
    kinds = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in names}
    for _ in range(TPE_TRIALS // ASKED):
        trials = [study.ask(kinds) for _ in range(ASKED)]
        unit = np.array([[trial.params[name] for name in names] for trial in trials])
        merits = problem.judged(at_unit(problem.space, unit))
        for trial, merit in zip(trials, merits.tolist(), strict=True):
            study.tell(trial, merit)


def polished(problem: Budgeted) -> None:
    """Climb on the lattice from random points, as the gradient search does from the ends of its ascents."""
    rng, row = np.random.default_rng(SEED), np.zeros(1, dtype=np.int64)
    while True:
        begun = problem.space.sample(1, rng)
        judged = problem.evaluate(problem.space.placement, row, begun)
        polish(problem, problem.task, row, Found(begun, judged))


def unpolished(problem: Budgeted) -> None:
    """Ascend and round, without a step on the lattice; the settings are those of the search."""
    settings, task, bounds = DEFAULT_SETTINGS, problem.task, box([problem.space])
    here, count = starts(bounds, settings.starts, SEED), settings.starts
    for steps, kept, rate in (
        (settings.first_steps, settings.kept, settings.rate),
        (settings.last_steps, settings.polished, settings.rate / 3.0),
    ):
        rows = np.zeros(count, dtype=np.int64)
        climbed = ascend(problem, task, bounds, rows, here, steps, rate)
        best = best_rows(rows, climbed.merit, kept)
        here, count = climbed.coordinate[best], kept
    around = [surroundings(problem.space, end) for end in points_at(here)]
    best_of(problem, task, np.zeros(count, dtype=np.int64), around)


RIVALS: dict[str, Callable[[Budgeted], None]] = {
    "random": random_points,
    "differential evolution": evolution,
    "TPE": tpe,
    "polish from random starts": polished,
    "gradient without polish": unpolished,
}


def spend(rival: str, pair: Pair, space: Space, budget: int) -> Budgeted:
    """Let a rival search a space until its evaluations are used up, or it is done; return what it found."""
    problem = Budgeted(pair, space, budget)
    with suppress(SpentError):
        RIVALS[rival](problem)
    return problem
