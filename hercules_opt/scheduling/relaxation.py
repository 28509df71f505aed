"""The continuous relaxation of a search space: real coordinates in which gradients are followed.

Integers become real numbers in log space, the hot share a logit. Every coordinate has bounds; the cores of
a host are shared by threads x cores per thread of each stage, and where they exceed what there is, all
shrink by one factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hercules_opt.scheduling.space import COLUMN, Floats, Integers, Space

_HOT = COLUMN["hot_share"]
_FIRST = [COLUMN["threads"], COLUMN["cores_per_thread"]]
_SECOND = [COLUMN["dense_threads"], COLUMN["dense_cores_per_thread"]]
#: Shrinking meets bounds, after which the rest must shrink again; each round leaves fewer free.
_ROUNDS = 4
#: Logit of a share of 1, in floating point.
_ALL = 40.0


class Box(NamedTuple):
    """Bounds of coordinates: ``lower`` and ``upper`` have shape (n, 8), ``cores`` has shape (n,)."""

    lower: Floats
    upper: Floats
    cores: Floats
    stages: int

    def take(self, rows: Integers) -> Box:
        """Return the bounds of some rows."""
        return Box(self.lower[rows], self.upper[rows], self.cores[rows], self.stages)


def box(spaces: Sequence[Space]) -> Box:
    """Return the bounds of one row per space, all of one placement."""
    lower = coordinates(np.array([space.lower for space in spaces]))
    upper = coordinates(np.array([space.upper for space in spaces]))
    cores = np.array([float(space.cores) for space in spaces])
    return Box(lower, upper, cores, len(spaces[0].split_columns) // 2)


def coordinates(points: Floats) -> Floats:
    """Return points, shape (n, 8), as real coordinates."""
    found = np.log(points)
    hot = points[:, _HOT]
    found[:, _HOT] = np.minimum(found[:, _HOT] - np.log(np.maximum(1.0 - hot, 1e-300)), _ALL)
    return found


def points_at(coordinate: Floats) -> Floats:
    """Return the points at real coordinates, shape (n, 8)."""
    found = np.exp(coordinate)
    found[:, _HOT] = 1.0 / (1.0 + np.exp(-coordinate[:, _HOT]))
    return found


def pulled_back(gradient: Floats, points: Floats) -> Floats:
    """Return the gradient with respect to the coordinates from that with respect to the points."""
    slope = points.copy()
    slope[:, _HOT] *= 1.0 - points[:, _HOT]
    return gradient * slope


def projected(coordinate: Floats, bounds: Box) -> Floats:
    """Return coordinates within their bounds and cores."""
    inside = np.clip(coordinate, bounds.lower, bounds.upper)
    if not bounds.stages:
        return inside
    columns = _FIRST if bounds.stages == 1 else _FIRST + _SECOND
    for _ in range(_ROUNDS):
        used = np.exp(inside[:, _FIRST].sum(axis=1))
        if bounds.stages == 2:
            used = used + np.exp(inside[:, _SECOND].sum(axis=1))
        excess = np.maximum(np.log(used / bounds.cores), 0.0)
        inside[:, columns] = np.maximum(inside[:, columns] - 0.5 * excess[:, None], 0.0)
    return inside


def within_memory(coordinate: Floats, memory: Floats, bounds: Box) -> Floats:
    """Return coordinates that take less memory, where more than all of it is taken.

    Memory of an accelerator grows no faster than instances x hot share: first the instances shrink, to one
    at least, then the hot share.
    """
    excess = np.log(np.maximum(memory, 1.0))
    shrunk = coordinate.copy()
    column = COLUMN["instances"]
    shrunk[:, column] = np.maximum(coordinate[:, column] - excess, 0.0)
    rest = excess - (coordinate[:, column] - shrunk[:, column])
    shrunk[:, _HOT] -= rest
    return np.clip(shrunk, bounds.lower, bounds.upper)
