"""Lattice search: grow parallelism along the steepest ascent, from one thread on; no gradient is needed.

The discrete search of the kind that Hercules describes: with each number of cores per thread (operator
parallelism) the other variables grow from their least values, above all threads (model parallelism) and batch
size (data parallelism), always to the neighbour with the highest throughput, until none is higher; wider
threads are tried as long as they help. It takes any evaluator, above all one that is slow or has no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hercules_opt.scheduling.evaluator import Evaluator
from hercules_opt.scheduling.gradient import Found, polish
from hercules_opt.scheduling.moves import Changes, changed, on_lattice
from hercules_opt.scheduling.space import COLUMN, Floats, Integers, Space, Tasks

_THREADS, _CORES, _BATCH = COLUMN["threads"], COLUMN["cores_per_thread"], COLUMN["batch_size"]
#: Ranks of the grid that a variable moves by; the batch size moves by factors of two until the last ascent.
_RANKS = (-4, -1, 1, 4)


def lattice_search(evaluator: Evaluator, tasks: Tasks) -> Found:
    """Return the best schedule found for each task; nothing is random."""
    best = ascents(evaluator, tasks, np.arange(len(tasks.spaces)), 1)
    growing = _wider(tasks.spaces, np.arange(len(tasks.spaces)), 2)
    width = 2
    while len(growing):
        found = ascents(evaluator, tasks, growing, width)
        better = found.evaluation.merit > best.evaluation.take(growing).merit
        growing, found = growing[better], found.take(better)
        best = best.with_rows(growing, found)
        width += 1
        growing = _wider(tasks.spaces, growing, width)
    return polish(evaluator, tasks, np.arange(len(tasks.spaces)), best, single_steps)


def _wider(spaces: Sequence[Space], rows: Integers, width: int) -> Integers:
    """Return the rows on whose cores a thread of this width can run, beside one of a second stage."""
    return rows[[_widest(spaces[row]) >= width for row in rows]]


def _widest(space: Space) -> int:
    return int(space.upper[_CORES])


def ascents(evaluator: Evaluator, tasks: Tasks, rows: Integers, width: int) -> Found:
    """Return where the ascents with this many cores per thread end, from the least of everything else."""
    points = np.array([tasks.spaces[row].lower for row in rows])
    points[:, _CORES] = width
    judged = evaluator.evaluate(tasks.placement, tasks.pair[rows], points)
    return polish(evaluator, tasks, rows, Found(points, judged), growing_steps)


def coarse_steps(space: Space, point: Floats) -> Floats:
    """Return the neighbours of a point that differ enough to be told apart by measuring, shape (k, 8).

    Those of an ascent, and threads one core wider or narrower with the cores that they have in all.
    """
    used = point[_THREADS] * point[_CORES]
    widths = (point[_CORES] - 1.0, point[_CORES] + 1.0)
    wider: list[Changes] = [{_CORES: width, _THREADS: used // max(width, 1.0)} for width in widths]
    return np.concatenate([growing_steps(space, point), on_lattice(space, point, changed(point, wider))])


def growing_steps(space: Space, point: Floats) -> Floats:
    """Return the neighbours of a point in an ascent with a given number of cores per thread, shape (k, 8).

    Threads one more or one less, batch size twice or half, or both; every other variable alone.
    """
    batches = [point[_BATCH], 2.0 * point[_BATCH], np.ceil(0.5 * point[_BATCH])]
    found: list[Changes] = [{_BATCH: min(batch, float(space.max_batch))} for batch in batches[1:]]
    found += [
        {_THREADS: point[_THREADS] + step, _BATCH: min(batch, float(space.max_batch))}
        for step in (-1.0, 1.0)
        for batch in batches
    ]
    return on_lattice(space, point, changed(point, [*found, *_others(space, point)]))


def single_steps(space: Space, point: Floats) -> Floats:
    """Return the neighbours of a point in the last ascent, shape (k, 8).

    The batch size moves by every power of two; cores move between threads and their width.
    """
    sizes = 2.0 ** np.arange(np.floor(np.log2(space.max_batch)) + 1.0)
    found: list[Changes] = [{_BATCH: point[_BATCH] + sign * size} for size in sizes for sign in (-1.0, 1.0)]
    used = point[_THREADS] * point[_CORES]
    for width in (point[_CORES] - 1.0, point[_CORES] + 1.0):
        found.append({_CORES: width})
        found.append({_CORES: width, _THREADS: used // max(width, 1.0)})
    found += [{_THREADS: point[_THREADS] + step} for step in (-1.0, 1.0)]
    return on_lattice(space, point, changed(point, [*found, *_others(space, point)]))


def _others(space: Space, point: Floats) -> list[Changes]:
    """Return steps of the variables besides threads, their width and the batch size.

    A second host stage grows by a thread or by a core each, alone or at the cost of a thread of the first.
    """
    found: list[Changes] = []
    for name in ("instances", "fused_items", "hot_share"):
        if name in space.grids:
            grid, column = space.grids[name], COLUMN[name]
            rank = int(np.searchsorted(grid, point[column]))
            ranks = (rank + step for step in _RANKS)
            found += [{column: float(grid[each])} for each in ranks if 0 <= each < len(grid)]
    for name in ("dense_threads", "dense_cores_per_thread"):
        column = COLUMN[name]
        if column in space.split_columns:
            found += [{column: point[column] + step} for step in (-1.0, 1.0)]
            found += [
                {column: point[column] + step, _THREADS: point[_THREADS] - step} for step in (-1.0, 1.0)
            ]
    return found
