"""Moves on the lattice: the points around a real one, and the neighbours of a point."""

from __future__ import annotations

from itertools import product

import numpy as np

from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Space

#: Steps along a variable's grid, as a share of the value's rank, beside single steps.
_STRIDES = (0.05, 0.2, 0.5)
#: Divisions of the cores that are tried from afar, and factors of the batch size.
_DIVISIONS, _BATCH_FACTORS = 32, (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
#: Numbers of instances that are tried from afar.
_INSTANCES = 8

Changes = dict[int, float]


def unique_rows(points: Floats) -> Floats:
    """Return points without repetitions, in the order of their first appearance."""
    _, first = np.unique(points, axis=0, return_index=True)
    return points[np.sort(first)]


def surroundings(space: Space, point: Floats) -> Floats:
    """Return the lattice points around a real point, shape (k, 8): each variable rounded down and up.

    Roundings that take too many cores are left out; rounding all down always stays.
    """
    options = [_bracket(space, number, float(point[number])) for number in range(len(FIELDS))]
    corners = np.array(list(product(*options)))
    return unique_rows(corners[space.contains(corners)])


def _bracket(space: Space, column: int, value: float) -> tuple[float, ...]:
    name = FIELDS[column]
    if name in space.grids:
        grid = space.grids[name]
        above = int(np.clip(np.searchsorted(grid, value * (1.0 - 1e-9)), 0, len(grid) - 1))
        below = max(above - 1, 0) if grid[above] > value * (1.0 + 1e-9) else above
        return tuple(dict.fromkeys((float(grid[below]), float(grid[above]))))
    if column in space.split_columns:
        low = max(np.floor(value + 1e-9), 1.0)
        return (low,) if value - low < 1e-9 else (low, low + 1.0)
    return (1.0,)


def neighbours(space: Space, point: Floats) -> Floats:
    """Return the neighbours of a lattice point, shape (k, 8).

    One variable moves by a step or several along its grid, or cores move: between threads and cores per
    thread, from one stage to the other, or all that are left are taken.
    """
    found = [
        _with(point, {COLUMN[name]: value}) for name in space.grids for value in _steps(space, point, name)
    ]
    return _others(space, point, found + _core_moves(space, point))


def distant(space: Space, point: Floats) -> Floats:
    """Return points further away, shape (k, 8).

    Other divisions of the cores, each at several batch sizes: the first stage gets any number of cores and a
    second one the others, each with the same cores per thread as before, or with one. Other instances with
    any fused batch. Other hot shares, each with an instance more or less.
    """
    changes = _redivided(space, point)
    count, fused, hot = COLUMN["instances"], COLUMN["fused_items"], COLUMN["hot_share"]
    if "instances" in space.grids:
        some = space.grids["instances"][:: max(space.max_instances // _INSTANCES, 1)]
        changes += [{count: float(g), fused: float(f)} for g in some for f in space.grids["fused_items"]]
    if "hot_share" in space.grids:
        near = (point[count] + more for more in (-1.0, 0.0, 1.0))
        changes += [{count: float(g), hot: float(share)} for g in near for share in space.grids["hot_share"]]
    return _others(space, point, [_with(point, each) for each in changes])


def _redivided(space: Space, point: Floats) -> list[Changes]:
    """Return other divisions of the cores, each at several batch sizes."""
    stages = _stages(space)
    if not stages:
        return []
    widths = product(*(sorted({1, int(point[width])}) for _, width in stages))
    column = COLUMN["batch_size"]
    sizes = dict.fromkeys(_nearest(space, factor * point[column]) for factor in _BATCH_FACTORS)
    divisions = [changes for each in widths for changes in _divisions(space, stages, each)]
    return [{**changes, column: size} for changes in divisions for size in sizes]


def _others(space: Space, point: Floats, found: list[Floats]) -> Floats:
    """Return the points of the lattice among these, each once, without the point itself."""
    if not found:
        return np.empty((0, len(FIELDS)))
    candidates = unique_rows(np.array(found))
    apart = (candidates != point).any(axis=1)
    return np.asarray(candidates[apart & space.contains(candidates)])


def _with(point: Floats, changes: Changes) -> Floats:
    moved = point.copy()
    moved[list(changes)] = list(changes.values())
    return moved


def _stages(space: Space) -> list[tuple[int, int]]:
    """Return the columns of threads and of cores per thread, of each host stage."""
    columns = space.split_columns
    return [(columns[number], columns[number + 1]) for number in range(0, len(columns), 2)]


def _nearest(space: Space, batch: float) -> float:
    return float(np.clip(round(batch), 1, space.max_batch))


def _steps(space: Space, point: Floats, name: str) -> list[float]:
    """Return the near values of a variable on its grid: one step, and strides that grow with the rank."""
    grid = space.grids[name]
    rank = int(np.searchsorted(grid, point[COLUMN[name]]))
    strides = {1, *(int(np.ceil(share * (rank + 1))) for share in _STRIDES)}
    ranks = {rank + sign * stride for stride in strides for sign in (-1, 1)} | {2 * rank + 1}
    return [float(grid[r]) for r in sorted(ranks) if 0 <= r < len(grid)]


def _core_moves(space: Space, point: Floats) -> list[Floats]:
    free = space.cores - int(space.used_cores(point[None])[0])
    stages = _stages(space)
    found: list[Changes] = []
    for threads, width in stages:
        m, o = int(point[threads]), int(point[width])
        most = m * o + free
        found += [{threads: k, width: most // max(k, 1)} for k in (m - 1, m, m + 1, 2 * m)]
        found += [{width: k, threads: most // max(k, 1)} for k in (o - 1, o, o + 1, 2 * o)]
        found += [{threads: m + a, width: o + b} for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    if len(stages) == 2:
        first, second = stages
        found += _handed_over(space, point, first, second) + _handed_over(space, point, second, first)
    return [_with(point, changes) for changes in found]


def _handed_over(
    space: Space, point: Floats, giving: tuple[int, int], taking: tuple[int, int]
) -> list[Changes]:
    """Return changes in which one stage gives a thread, or a core of each, and the other takes them."""
    found: list[Changes] = []
    for column, other in (giving, giving[::-1]):
        left = space.cores - int((point[column] - 1.0) * point[other])
        for kept, grown in (taking, taking[::-1]):
            found.append({column: point[column] - 1.0, grown: left // int(point[kept])})
    return found


def _divisions(space: Space, stages: list[tuple[int, int]], widths: tuple[int, ...]) -> list[Changes]:
    """Return divisions of all cores among one or two stages, with these cores per thread."""
    found: list[Changes] = []
    counts = np.unique(np.linspace(1, space.cores, min(space.cores, _DIVISIONS)).astype(int))
    for first in counts:
        changes: Changes = {}
        for (threads, width), cores, each in zip(stages, (first, space.cores - first), widths, strict=False):
            changes |= {threads: cores // each, width: each}
        found.append(changes)
    return found
