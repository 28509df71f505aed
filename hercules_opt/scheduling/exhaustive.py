"""Exhaustive search: the best point of a whole lattice, the oracle that other methods are held to.

Nothing is left out, but little is evaluated in full: a schedule can beat the best one known only if its
server meets the limits at a load just above that one's throughput, and this takes one step of the search
for the load instead of all. Of a schedule with a host and an accelerator stage, each stage must do so too
when the other takes no time; only pairs of stages that both do are looked at. Both arguments need what the
definition of the throughput needs: a larger load, or a slower part, is never better for the tail.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hercules_opt.scheduling.evaluator import LARGE_CHUNK, AnalyticalEvaluator, Ideal
from hercules_opt.scheduling.gradient import Found, best_of, best_rows, polish
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Integers, Space, Tasks

#: Random points whose best start the local search that finds the first incumbent.
_SAMPLE, _POLISHED = 2048, 4
#: Variables of the accelerator's stage alone, and those that it shares with the host's.
_OWN, _SHARED = ("instances", "fused_items"), ("batch_size", "hot_share")
#: Load that a schedule must serve to be better than one that serves none.
_LEAST_QPS = 1e-6
#: Weight of the hot share in a key: its steps are then larger than any batch.
_HOT_KEY = 1e6
#: Points that are looked at between two updates of the incumbent.
_BLOCK = 65536


def exhaustive_search(
    evaluator: AnalyticalEvaluator, tasks: Tasks, *, seed: int = 0, tolerance: float = 1e-4
) -> Found:
    """Return the best schedule of each task.

    Parameters
    ----------
    seed
        Of the points that the first incumbent comes from; the result does not depend on it beyond
        ``tolerance``.
    tolerance
        No schedule of the lattice is better than the result by more than this share of its throughput.
    """
    found = [_search(evaluator, _only(tasks, number), seed, tolerance) for number in range(len(tasks.spaces))]
    points = np.concatenate([one.points for one in found])
    columns = zip(*(one.evaluation for one in found), strict=True)
    evaluation = type(found[0].evaluation)(*(np.concatenate(column) for column in columns))
    return Found(points, evaluation)


def _only(tasks: Tasks, number: int) -> Tasks:
    return Tasks(tasks.placement, tasks.pair[number : number + 1], (tasks.spaces[number],))


def _search(evaluator: AnalyticalEvaluator, task: Tasks, seed: int, tolerance: float) -> Found:
    best = _incumbent(evaluator, task, seed)
    for block in _candidates(evaluator, task, best, tolerance):
        best = _better(evaluator, task, best, block, tolerance)
    return best


def _incumbent(evaluator: AnalyticalEvaluator, task: Tasks, seed: int) -> Found:
    """Return the best of some random points, each at the end of an ascent on the lattice."""
    sample = task.spaces[0].sample(_SAMPLE, np.random.default_rng(seed))
    rows = np.zeros(len(sample), dtype=np.int64)
    judged = evaluator.evaluate(task.placement, task.pair[rows], sample)
    first = best_rows(rows, judged.merit, _POLISHED)
    polished = polish(evaluator, task, rows[first], Found(sample[first], judged.take(first)))
    return polished.take(best_rows(rows[first], polished.evaluation.merit, 1))


def _better(
    evaluator: AnalyticalEvaluator, task: Tasks, best: Found, block: Floats, tolerance: float
) -> Found:
    """Return the best of the incumbent and a block of points."""
    chosen = block[_promising(evaluator, task, best, block, tolerance)]
    if not len(chosen):
        return best
    group = np.zeros(1, dtype=np.int64)
    found = best_of(evaluator, task, group, [chosen])
    return found if found.evaluation.merit[0] > best.evaluation.merit[0] else best


def _promising(
    evaluator: AnalyticalEvaluator,
    task: Tasks,
    best: Found,
    block: Floats,
    tolerance: float,
    ideal: Ideal | None = None,
) -> np.ndarray:
    """Return which points could be better than the incumbent by more than the tolerance."""
    load = max(float(best.evaluation.qps[0]) * (1.0 + tolerance), _LEAST_QPS)
    pair = np.broadcast_to(task.pair, len(block))
    return evaluator.serves(task.placement, pair, block, np.full(len(block), load), ideal, LARGE_CHUNK)


def _candidates(
    evaluator: AnalyticalEvaluator, task: Tasks, best: Found, tolerance: float
) -> Iterator[Floats]:
    """Yield the points of the lattice in blocks, without those that one stage alone rules out."""
    space = task.spaces[0]
    own = [name for name in _OWN if name in space.grids]
    shared = [name for name in _SHARED if name in space.grids]
    if not own or not shared:
        yield from _blocks(_product(space, space.splits, own + shared))
        return
    one = np.ones((1, len(space.split_columns)))
    hosts = _kept(evaluator, task, best, tolerance, _product(space, space.splits, shared), "device")
    known = np.unique(_key(hosts))
    every = _product(space, one, own + shared)
    agreeing = (points[np.isin(_key(points), known)] for points in _blocks(every))
    devices = _kept(evaluator, task, best, tolerance, agreeing, "host")
    yield from _blocks(_joined(hosts, devices, own))


def _key(points: Floats) -> Floats:
    """Return one number per value of the variables that both stages share."""
    return points[:, COLUMN["batch_size"]] + _HOT_KEY * points[:, COLUMN["hot_share"]]


def _kept(
    evaluator: AnalyticalEvaluator,
    task: Tasks,
    best: Found,
    tolerance: float,
    points: Iterator[Floats],
    ideal: Ideal,
) -> Floats:
    kept = [block[_promising(evaluator, task, best, block, tolerance, ideal)] for block in _blocks(points)]
    return np.concatenate([np.empty((0, len(FIELDS))), *kept])


def _product(space: Space, splits: Floats | Integers, names: list[str]) -> Iterator[Floats]:
    """Yield all points with these splits of the cores and any values of the named variables.

    Other variables are at their least value. The last but one axis is yielded piece by piece.
    """
    grids = [space.grids[name] for name in names]
    for row in splits:
        mesh = np.meshgrid(*grids, indexing="ij")
        points = np.tile(space.lower, (mesh[0].size if mesh else 1, 1))
        points[:, list(space.split_columns)] = row
        for name, values in zip(names, mesh, strict=True):
            points[:, COLUMN[name]] = values.ravel()
        yield points


def _joined(hosts: Floats, devices: Floats, own: list[str]) -> Iterator[Floats]:
    """Yield every host's choice with every device's that agrees with it in the shared variables."""
    mine = [COLUMN[name] for name in own]
    ours, theirs = _by_key(hosts), _by_key(devices)
    for key in sorted(ours.keys() & theirs.keys()):
        first, second = ours[key], theirs[key]
        points = np.repeat(first, len(second), axis=0)
        points[:, mine] = np.tile(second[:, mine], (len(first), 1))
        yield points


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
