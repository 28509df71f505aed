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
#: Halvings of the factor by which threads and cores per thread shrink: to the last digit of a number.
_HALVINGS = 52
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
    """Return coordinates within their bounds and cores.

    Where the cores do not suffice, threads and cores per thread of all stages shrink by one factor, none
    below 1; the factor is found by bisection, from the side on which they do suffice.
    """
    inside = np.clip(coordinate, bounds.lower, bounds.upper)
    over = np.flatnonzero(_used_cores(inside, bounds) > bounds.cores)
    columns = (*_FIRST, *_SECOND)[: 2 * bounds.stages]
    if not len(over):
        return inside
    wide, limits = inside[over], bounds.take(over)
    least, most = np.zeros(len(over)), wide[:, columns].max(axis=1)
    for _ in range(_HALVINGS):
        middle = 0.5 * (least + most)
        fits = _used_cores(_shrunk(wide, columns, middle), limits) <= limits.cores
        least, most = np.where(fits, least, middle), np.where(fits, middle, most)
    inside[over] = _shrunk(wide, columns, most)
    return inside


def _used_cores(coordinate: Floats, bounds: Box) -> Floats:
    stages = (_FIRST, _SECOND)[: bounds.stages]
    used = sum((np.exp(coordinate[:, stage].sum(axis=1)) for stage in stages), np.zeros(len(coordinate)))
    return np.asarray(used)


def _shrunk(coordinate: Floats, columns: tuple[int, ...], by: Floats) -> Floats:
    smaller = coordinate.copy()
    smaller[:, columns] = np.maximum(coordinate[:, columns] - by[:, None], 0.0)
    return smaller


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
