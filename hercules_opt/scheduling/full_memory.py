"""Schedules that fill an accelerator's memory, for several numbers of co-located instances.

Where that memory is scarce, every number of instances has a best hot share, fused batch and batch size of its
own, far from those of the next: no move that changes one or two of them leads from one to the other. What
these schedules have in common is that no larger share of the embeddings would fit, so that few of them have
to be looked at.
"""

from __future__ import annotations

import numpy as np

from hercules_opt.scheduling.evaluator import GradientEvaluator
from hercules_opt.scheduling.moves import along, some_instances
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Integers, Space, Tasks

_BATCH, _HOT = COLUMN["batch_size"], COLUMN["hot_share"]
#: Ranks of the fused batches that are tried: the best one is often among the least.
_FUSED_RANKS = (0, 1, 2, 4, 7, 10)
#: Batch sizes that are tried.
_BATCHES = (1.0, 4.0, 16.0, 64.0, 256.0, 480.0)


def full_memory(evaluator: GradientEvaluator, tasks: Tasks) -> tuple[Integers, Floats]:
    """Return schedules with the largest hot share that fits, where not all would: their tasks, and points.

    Some numbers of instances with some fused batches and batch sizes, one thread on every core.
    """
    none = np.empty((0, len(FIELDS)))
    if "hot_share" not in tasks.spaces[0].grids:
        return np.zeros(0, dtype=np.int64), none
    apart = [_combined(space) for space in tasks.spaces]
    rows, points = np.repeat(np.arange(len(apart)), [len(each) for each in apart]), np.concatenate(apart)
    shares = tasks.spaces[0].grids["hot_share"]
    fitting = _fitting(evaluator, tasks, rows, points, shares)
    bound = np.flatnonzero((fitting > 0) & (fitting < len(shares)))
    rows, points = rows[bound], points[bound]
    points[:, _HOT] = shares[fitting[bound] - 1]
    batches = [np.unique(np.minimum(_BATCHES, space.max_batch)) for space in tasks.spaces]
    whole = [along(point, _BATCH, batches[row]) for row, point in zip(rows, points, strict=True)]
    return np.repeat(rows, [len(each) for each in whole]), np.concatenate([none, *whole])


def _combined(space: Space) -> Floats:
    """Return a point for every number of instances and fused batch that is tried."""
    first = space.lower.copy()
    first[COLUMN["threads"]] = space.cores
    fused = space.grids["fused_items"]
    ranks = [rank for rank in _FUSED_RANKS if rank < len(fused)]
    counted = along(first, COLUMN["instances"], some_instances(space))
    return along(counted, COLUMN["fused_items"], fused[ranks])


def _fitting(
    evaluator: GradientEvaluator, tasks: Tasks, rows: Integers, points: Floats, shares: Floats
) -> Integers:
    """Return how many of the hot shares, ascending, fit with each point: memory grows with the share."""
    fitting = np.zeros(len(points), dtype=np.int64)
    beyond = np.full(len(points), len(shares) + 1)
    while (beyond - fitting > 1).any():
        middle = (fitting + beyond) // 2
        tried = points.copy()
        tried[:, _HOT] = shares[np.maximum(middle - 1, 0)]
        fits = evaluator.memory(tasks.placement, tasks.pair[rows], tried) <= 1.0
        between = beyond - fitting > 1
        fitting, beyond = np.where(between & fits, middle, fitting), np.where(between & ~fits, middle, beyond)
    return fitting
