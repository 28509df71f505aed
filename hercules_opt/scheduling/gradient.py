"""Gradient search: ascend the throughput of relaxed schedules from many starts, round, polish on the lattice.

All pairs of one placement are searched at once, in two parts: ``climb`` gives local optima, and ``finish``
looks further around those that can still become the best of their pair over all placements. Steps are pure
functions of arrays; what is found for a pair depends on the pair, the settings and the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from hercules_opt.scheduling.evaluator import Evaluation, Evaluator, GradientEvaluator
from hercules_opt.scheduling.full_memory import full_memory
from hercules_opt.scheduling.moves import distant, neighbours, surroundings
from hercules_opt.scheduling.relaxation import (
    Box,
    box,
    points_at,
    projected,
    pulled_back,
    within_memory,
)
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Integers, Space, Tasks


@dataclass(frozen=True)
class GradientSettings:
    """How much a gradient search does.

    Attributes
    ----------
    starts
        Starts per pair and placement.
    first_steps, kept, last_steps
        After ``first_steps`` from every start, the best ``kept`` go on for ``last_steps``.
    rate
        First step of every coordinate: a factor e ** rate of a schedule's variable. It falls to a tenth,
        and starts at a third in the second round.
    polished
        Ascents whose ends are rounded, and polished on the lattice.
    hopeful
        A local optimum is searched further from where its throughput is at least this share of the best of
        its pair over all placements.
    """

    starts: int = 12
    first_steps: int = 4
    kept: int = 3
    last_steps: int = 6
    rate: float = 0.3
    polished: int = 2
    hopeful: float = 0.9


DEFAULT_SETTINGS = GradientSettings()

#: The last step of an ascent, as a share of the first.
_LAST_STEP = 0.1
#: Rows of one call of the compiled optimizer.
_ROWS = 256
#: Starts that anyone would try: batch size, and cores per thread as a power of the cores of a stage.
_PLAIN_STARTS = ((16.0, 0.0), (64.0, 0.0), (256.0, 0.0), (1024.0, 0.0), (256.0, 0.5))


class Climbed(NamedTuple):
    """The best points of several ascents: coordinates of shape (n, 8), merits of shape (n,)."""

    coordinate: Floats
    merit: Floats


class Found(NamedTuple):
    """Schedules, shape (n, 8), and how they were judged."""

    points: Floats
    evaluation: Evaluation

    def take(self, rows: Any) -> Found:
        """Return some of them."""
        return Found(self.points[rows], self.evaluation.take(rows))

    def with_rows(self, rows: Integers, others: Found) -> Found:
        """Return the same with some of them replaced."""
        points, columns = self.points.copy(), [column.copy() for column in self.evaluation]
        points[rows] = others.points
        for column, values in zip(columns, others.evaluation, strict=True):
            column[rows] = values
        return Found(points, Evaluation(*columns))

    @classmethod
    def joined(cls, parts: Sequence[Found]) -> Found:
        """Return all of several."""
        columns = zip(*(part.evaluation for part in parts), strict=True)
        evaluation = Evaluation(*(np.concatenate(column) for column in columns))
        return cls(np.concatenate([part.points for part in parts]), evaluation)


class Ends(NamedTuple):
    """Local optima: the task of each, shape (n,), and the schedules."""

    rows: Integers
    found: Found

    def apart(self) -> Ends:
        """Return each once, in the order of their first appearance."""
        rows, found = self
        first = np.sort(np.unique(np.column_stack([rows, found.points]), axis=0, return_index=True)[1])
        return Ends(rows[first], found.take(first))

    def best_qps(self, tasks: int) -> Floats:
        """Return the best throughput of each task, shape (tasks,)."""
        best = np.zeros(tasks)
        np.maximum.at(best, self.rows, self.found.evaluation.qps)
        return best


def gradient_search(
    evaluator: GradientEvaluator,
    tasks: Tasks,
    *,
    seed: int = 0,
    settings: GradientSettings = DEFAULT_SETTINGS,
) -> Found:
    """Return the best schedule found for each task."""
    ends = climb(evaluator, tasks, seed=seed, settings=settings)
    return finish(evaluator, tasks, ends, ends.best_qps(len(tasks.spaces)), settings=settings)


def climb(
    evaluator: GradientEvaluator,
    tasks: Tasks,
    *,
    seed: int = 0,
    settings: GradientSettings = DEFAULT_SETTINGS,
) -> Ends:
    """Return local optima of each task, at least one: ascended to, rounded, polished by near moves."""
    bounds, count = box(tasks.spaces), len(tasks.spaces)
    rows = np.repeat(np.arange(count), settings.starts)
    begun = starts(bounds, settings.starts, seed)
    climbed = ascend(evaluator, tasks, bounds, rows, begun, settings.first_steps, settings.rate)
    best = best_rows(rows, climbed.merit, settings.kept)
    rows, begun = rows[best], climbed.coordinate[best]
    climbed = ascend(evaluator, tasks, bounds, rows, begun, settings.last_steps, settings.rate / 3.0)
    best = best_rows(rows, climbed.merit, settings.polished)
    rows, ends = rows[best], points_at(climbed.coordinate[best])
    around = [surroundings(tasks.spaces[row], end) for row, end in zip(rows, ends, strict=True)]
    rounded = best_of(evaluator, tasks, rows, around)
    return Ends(rows, polish(evaluator, tasks, rows, rounded)).apart()


def finish(
    evaluator: GradientEvaluator,
    tasks: Tasks,
    ends: Ends,
    best_qps: Floats,
    *,
    settings: GradientSettings = DEFAULT_SETTINGS,
) -> Found:
    """Return the best schedule of each task, after far moves from the ends that may become their pair's best.

    A better schedule that fills an accelerator's memory with another number of instances joins the ends.

    Parameters
    ----------
    best_qps
        The best throughput of each task's pair over all placements, shape (tasks,); 0 where none serves.
    """
    floor_qps = settings.hopeful * best_qps
    rows, found = filled_up(evaluator, tasks, ends, floor_qps)
    hopeful = np.flatnonzero(found.evaluation.qps >= floor_qps[rows])
    further = found.take(hopeful)
    for moves in (distant, neighbours):
        further = polish(evaluator, tasks, rows[hopeful], further, moves)
    rows, found = np.concatenate([rows[hopeful], rows]), Found.joined([further, found])
    return found.take(best_rows(rows, found.evaluation.merit, 1))


def filled_up(evaluator: GradientEvaluator, tasks: Tasks, ends: Ends, floor_qps: Floats) -> Ends:
    """Return the ends, and one more of each task whose best is a schedule that fills the memory.

    It is polished by near moves from the best that serves more than the floor of its task, and more than any
    end with as many instances.
    """
    rows, points = full_memory(evaluator, tasks)
    hopeful = evaluator.may_beat(tasks.placement, tasks.pair[rows], points, floor_qps[rows])
    rows, points = rows[hopeful], points[hopeful]
    if not len(rows):
        return ends
    found = Found(points, evaluator.evaluate(tasks.placement, tasks.pair[rows], points))
    group = np.concatenate([_by_instances(*ends), _by_instances(rows, found)])
    merit = np.concatenate([ends.found.evaluation.merit, found.evaluation.merit])
    best = best_rows(np.unique(group, axis=0, return_inverse=True)[1].ravel(), merit, 1) - len(ends.rows)
    unknown = best[best >= 0]
    first = unknown[best_rows(rows[unknown], found.evaluation.merit[unknown], 1)]
    rows, more = rows[first], polish(evaluator, tasks, rows[first], found.take(first))
    better = more.evaluation.qps > ends.best_qps(len(tasks.spaces))[rows]
    return Ends(np.append(ends.rows, rows[better]), Found.joined([ends.found, more.take(better)])).apart()


def _by_instances(rows: Integers, found: Found) -> Floats:
    return np.column_stack([rows, found.points[:, COLUMN["instances"]]])


def starts(bounds: Box, count: int, seed: int) -> Floats:
    """Return ``count`` starting coordinates for each row of bounds, shape (n * count, 8).

    First the plain ones, then a low-discrepancy sequence (Halton, scrambled by the seed) over the box, the
    same for every row.
    """
    from scipy.stats import qmc

    spread = qmc.Halton(len(FIELDS), seed=np.random.default_rng(seed)).random(count)
    share = np.where(np.isfinite(spread), spread, 0.5)
    found = bounds.lower[:, None] + share[None] * (bounds.upper - bounds.lower)[:, None]
    for number, (batch, width) in enumerate(_PLAIN_STARTS[: count - 1]):
        found[:, number] = _plain(bounds, batch, width)
    rows = np.repeat(np.arange(len(bounds.lower)), count)
    return projected(found.reshape(-1, len(FIELDS)), bounds.take(rows))


def _plain(bounds: Box, batch: float, width: float) -> Floats:
    """Return starts that use all cores, half of them in each stage of two; the middle of what is not said."""
    found = 0.5 * (bounds.lower + bounds.upper)
    found[:, COLUMN["batch_size"]] = np.log(batch)
    each = np.log(np.maximum(bounds.cores / max(bounds.stages, 1), 1.0))
    for threads, cores in (("threads", "cores_per_thread"), ("dense_threads", "dense_cores_per_thread")):
        found[:, COLUMN[threads]], found[:, COLUMN[cores]] = (1.0 - width) * each, width * each
    return found


def ascend(
    evaluator: GradientEvaluator,
    tasks: Tasks,
    bounds: Box,
    rows: Integers,
    start: Floats,
    steps: int,
    rate: float,
) -> Climbed:
    """Ascend from every start and return the best point of each ascent, not its last.

    Parameters
    ----------
    rows
        The task of each start, shape (n,).
    start
        Coordinates, shape (n, 8).
    """
    adam, own = _adam(), bounds.take(rows)
    schedule = optax.cosine_decay_schedule(rate, steps, alpha=_LAST_STEP)
    here, state = start, adam.init(start)
    best = Climbed(start, np.full(len(start), -np.inf))
    for number in range(steps):
        points = points_at(here)
        at = evaluator.evaluate(tasks.placement, tasks.pair[rows], points)
        better = at.merit > best.merit
        best = Climbed(np.where(better[:, None], here, best.coordinate), np.maximum(at.merit, best.merit))
        slope = pulled_back(evaluator.gradient(tasks.placement, tasks.pair[rows], points, at), points)
        direction, state = adam.update(np.where(at.memory[:, None] > 1.0, 0.0, slope), state)
        here = projected(within_memory(here + float(schedule(number)) * direction, at.memory, own), own)
    return best


class _Optimizer(NamedTuple):
    init: Callable[[Floats], Any]
    update: Callable[[Floats, Any], tuple[Floats, Any]]


@lru_cache
def _adam() -> _Optimizer:
    """Return Adam, compiled once for any number of rows: they are filled up to multiples of one number."""
    adam = optax.scale_by_adam(b1=0.8, b2=0.95)
    compiled = jax.jit(adam.update)

    def init(coordinate: Floats) -> Any:
        with jax.enable_x64(True):
            return [adam.init(part) for part in _filled(coordinate)]

    def update(slope: Floats, state: Any) -> tuple[Floats, Any]:
        with jax.enable_x64(True):
            done = [compiled(part, old) for part, old in zip(_filled(slope), state, strict=True)]
        return np.concatenate([np.asarray(part) for part, _ in done])[: len(slope)], [new for _, new in done]

    return _Optimizer(init, update)


def _filled(rows: Floats) -> list[Floats]:
    count = -(-len(rows) // _ROWS) * _ROWS
    return list(np.resize(rows, (count, rows.shape[1])).reshape(-1, _ROWS, rows.shape[1]))


def best_rows(rows: Integers, merit: Floats, count: int) -> Integers:
    """Return the positions of the ``count`` best of each task, best first; ties go to the first."""
    order = np.lexsort((np.arange(len(rows)), -merit, rows))
    sorted_rows = rows[order]
    begins = np.searchsorted(sorted_rows, sorted_rows)
    return order[np.arange(len(rows)) - begins < count]


def best_of(evaluator: Evaluator, tasks: Tasks, rows: Integers, candidates: Sequence[Floats]) -> Found:
    """Return the best of the candidates of each row; a row without candidates is not allowed."""
    group = np.repeat(np.arange(len(rows)), [len(points) for points in candidates])
    points = np.concatenate(candidates)
    judged = evaluator.evaluate(tasks.placement, tasks.pair[rows[group]], points)
    return Found(points, judged).take(best_rows(group, judged.merit, 1))


def polish(
    evaluator: Evaluator,
    tasks: Tasks,
    rows: Integers,
    begun: Found,
    moves: Callable[[Space, Floats], Floats] = neighbours,
) -> Found:
    """Move to the best point within reach, as long as one is better: steepest ascent on the lattice."""
    reached, moving = begun, np.arange(len(rows))
    while len(moving):
        around = [moves(tasks.spaces[rows[row]], reached.points[row]) for row in moving]
        moving, around = _with_candidates(moving, around)
        if not len(moving):
            break
        around = _promising(evaluator, tasks, rows[moving], around, reached.evaluation.qps[moving])
        moving, around = _with_candidates(moving, around)
        if not len(moving):
            break
        found = best_of(evaluator, tasks, rows[moving], around)
        better = found.evaluation.merit > reached.evaluation.merit[moving]
        moving, found = moving[better], found.take(better)
        reached = reached.with_rows(moving, found)
    return reached


def _promising(
    evaluator: Evaluator, tasks: Tasks, rows: Integers, around: Sequence[Floats], qps: Floats
) -> list[Floats]:
    """Return the candidates of each row that may serve more than it does; all where it serves nothing."""
    ends = np.cumsum([len(points) for points in around])
    group = np.repeat(np.arange(len(rows)), [len(points) for points in around])
    points, served = np.concatenate(around), qps[group] > 0.0
    kept = ~served
    kept[served] = evaluator.may_beat(
        tasks.placement, tasks.pair[rows[group[served]]], points[served], qps[group[served]]
    )
    return [part[chosen] for part, chosen in zip(around, np.split(kept, ends[:-1]), strict=True)]


def _with_candidates(rows: Integers, around: list[Floats]) -> tuple[Integers, list[Floats]]:
    some = np.array([len(points) > 0 for points in around])
    return rows[some], [points for points in around if len(points)]
