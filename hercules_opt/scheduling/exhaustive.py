"""Exhaustive search: the best point of a whole lattice, the oracle that other methods are held to.

Nothing is left out, but little is evaluated in full: a schedule can beat the best one known only if its
server meets the limits at a load just above that one's throughput, and this takes one step of the search
for the load instead of all; none where that load is beyond its saturation. Where a placement has two stages,
each must do so too when the other takes no time; only pairs of stages that both do are looked at. Both
arguments need what the definition of the throughput needs: a larger load, or a slower part, is never better
for the tail.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hercules_opt.problem.schedule import Placement
from hercules_opt.scheduling.evaluator import LARGE_CHUNK, AnalyticalEvaluator, Ideal
from hercules_opt.scheduling.gradient import Found, best_of, best_rows, polish
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Space, Tasks

#: Random points whose best start the local search that finds the first incumbent.
_SAMPLE, _POLISHED = 2048, 4
#: Variables that both stages share.
_SHARED = ("batch_size", "hot_share")
#: Load that a schedule must serve to be better than one that serves none.
_LEAST_QPS = 1e-6
#: Weight of the hot share in a key: its steps are then larger than any batch.
_HOT_KEY = 1e6
#: Far above the rounding of a saturation.
_SATURATION_ERROR = 1e-6
#: Points that are looked at between two updates of the incumbent.
_BLOCK = 65536


class _Half(NamedTuple):
    """A stage: the variables that are its own, and the part that takes no time while it is judged alone."""

    own: tuple[str, ...]
    without: Ideal


_ON_HOST = ("threads", "cores_per_thread")
_OFFLOADED = (_Half(_ON_HOST, "device"), _Half(("instances", "fused_items"), "host"))
_HALVES: dict[Placement, tuple[_Half, _Half]] = {
    "cpu-sd": (_Half(_ON_HOST, "dense"), _Half(("dense_threads", "dense_cores_per_thread"), "sparse")),
    "cpu-accelerator": _OFFLOADED,
    "accelerator-hot": _OFFLOADED,
}


def exhaustive_search(
    evaluator: AnalyticalEvaluator,
    tasks: Tasks,
    *,
    seed: int = 0,
    tolerance: float = 1e-4,
    begun: Found | None = None,
    floor_qps: Floats | None = None,
) -> Found:
    """Return the best schedule of each task.

    Parameters
    ----------
    seed
        Of the points that the first incumbent comes from; the result does not depend on it beyond
        ``tolerance``.
    tolerance
        No schedule of the lattice is better than the result, or than the floor, by more than this share of
        its throughput.
    begun
        Schedules known beforehand, one per task, from which the search starts; none by default.
    floor_qps
        Throughput known to be reached elsewhere, shape (n,): no better schedule than that is sought.
    """
    floors = np.zeros(len(tasks.spaces)) if floor_qps is None else floor_qps
    found = []
    for number, (task, floor) in enumerate(zip(tasks.apart(), floors.tolist(), strict=True)):
        first = _incumbent(evaluator, task, seed) if begun is None else begun.take(slice(number, number + 1))
        found.append(_Search(evaluator, task, tolerance, first, floor).run())
    return Found.joined(found)


def _incumbent(evaluator: AnalyticalEvaluator, task: Tasks, seed: int) -> Found:
    """Return the best of some random points, each at the end of an ascent on the lattice."""
    sample = task.spaces[0].sample(_SAMPLE, np.random.default_rng(seed))
    rows = np.zeros(len(sample), dtype=np.int64)
    judged = evaluator.evaluate(task.placement, task.pair[rows], sample)
    first = best_rows(rows, judged.merit, _POLISHED)
    polished = polish(evaluator, task, rows[first], Found(sample[first], judged.take(first)))
    return polished.take(best_rows(rows[first], polished.evaluation.merit, 1))


class _Search:
    """The search of one lattice and the best schedule so far."""

    def __init__(
        self, evaluator: AnalyticalEvaluator, task: Tasks, tolerance: float, best: Found, floor_qps: float
    ) -> None:
        self.evaluator = evaluator
        self.task = task
        self.space = task.spaces[0]
        self.tolerance = tolerance
        self.best = best
        self.floor_qps = floor_qps

    def run(self) -> Found:
        for block in self._candidates():
            chosen = block[self._promising(block)]
            if not len(chosen):
                continue
            found = best_of(self.evaluator, self.task, np.zeros(1, dtype=np.int64), [chosen])
            if found.evaluation.merit[0] > self.best.evaluation.merit[0]:
                self.best = found
        return self.best

    def _promising(self, points: Floats, ideal: Ideal | None = None) -> np.ndarray:
        """Return which points could be better than what is known by more than the tolerance."""
        known = max(float(self.best.evaluation.qps[0]), self.floor_qps)
        load = np.full(len(points), max(known * (1.0 + self.tolerance), _LEAST_QPS))
        pair, placement = np.broadcast_to(self.task.pair, len(points)), self.task.placement
        saturation_qps = self.evaluator.saturation_qps(placement, int(self.task.pair[0]), points, ideal)
        promising = saturation_qps > load * (1.0 - _SATURATION_ERROR)
        promising[promising] = self.evaluator.serves(
            placement, pair[promising], points[promising], load[promising], ideal, LARGE_CHUNK
        )
        return promising

    def _candidates(self) -> Iterator[Floats]:
        """Yield the points of the lattice in blocks, without those that one stage alone rules out."""
        space = self.space
        halves = _HALVES.get(self.task.placement)
        if halves is None:
            yield from _blocks(_product(space, tuple(space.names)))
            return
        shared = tuple(name for name in _SHARED if name in space.names)
        first, second = halves
        ours = self._kept(_product(space, (*first.own, *shared)), first)
        known = np.unique(_key(ours))
        agreeing = (
            points[np.isin(_key(points), known)] for points in _product(space, (*second.own, *shared))
        )
        theirs = self._kept(agreeing, second)
        yield from _blocks(_joined(space, ours, theirs, second.own))

    def _kept(self, points: Iterator[Floats], half: _Half) -> Floats:
        kept = [block[self._promising(block, half.without)] for block in _blocks(points)]
        return np.concatenate([np.empty((0, len(FIELDS))), *kept])


def _key(points: Floats) -> Floats:
    """Return one number per value of the variables that both stages share."""
    return points[:, COLUMN["batch_size"]] + _HOT_KEY * points[:, COLUMN["hot_share"]]


def _product(space: Space, names: tuple[str, ...]) -> Iterator[Floats]:
    """Yield all points of the lattice that differ in the named variables alone, others at their least."""
    grids = {name: space.grids[name] for name in names if name in space.grids}
    mesh = np.meshgrid(*grids.values(), indexing="ij")
    rest = np.tile(space.lower, (mesh[0].size if mesh else 1, 1))
    for name, values in zip(grids, mesh, strict=True):
        rest[:, COLUMN[name]] = values.ravel()
    columns = list(space.split_columns)
    fixed = [place for place, column in enumerate(columns) if FIELDS[column] not in names]
    for split in space.splits[(space.splits[:, fixed] == 1).all(axis=1)]:
        points = rest.copy()
        points[:, columns] = split
        yield points


def _joined(space: Space, ours: Floats, theirs: Floats, own: tuple[str, ...]) -> Iterator[Floats]:
    """Yield every point of a first stage with each of the second that agrees in the shared variables."""
    columns = [COLUMN[name] for name in own]
    first_by, second_by = _by_key(ours), _by_key(theirs)
    for key in sorted(first_by.keys() & second_by.keys()):
        first, second = first_by[key], second_by[key]
        points = np.repeat(first, len(second), axis=0)
        points[:, columns] = np.tile(second[:, columns], (len(first), 1))
        yield points[space.used_cores(points) <= space.cores]


def _by_key(points: Floats) -> dict[float, Floats]:
    if not len(points):
        return {}
    key = _key(points)
    order = np.argsort(key, kind="stable")
    values, begins = np.unique(key[order], return_index=True)
    return dict(zip(values.tolist(), np.split(points[order], begins[1:]), strict=True))


def _blocks(parts: Iterator[Floats]) -> Iterator[Floats]:
    """Yield the same points in blocks of at most one size."""
    waiting: list[Floats] = []
    for part in parts:
        for begin in range(0, len(part), _BLOCK):
            waiting.append(part[begin : begin + _BLOCK])
            if sum(map(len, waiting)) >= _BLOCK:
                joined = np.concatenate(waiting)
                yield joined[:_BLOCK]
                waiting = [joined[_BLOCK:]]
    if waiting and sum(map(len, waiting)):
        yield np.concatenate(waiting)
