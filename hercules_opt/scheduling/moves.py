"""Moves on the lattice: the points around a real one, and the neighbours of a point."""

from __future__ import annotations

from collections.abc import Sequence
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
    rows = np.ascontiguousarray(points)
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    return rows[np.sort(np.unique(as_bytes, return_index=True)[1])]


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
    steps = [along(point, COLUMN[name], _steps(space, point, name)) for name in space.grids]
    moved = changed(point, _core_moves(space, point))
    return on_lattice(space, point, np.concatenate([*steps, moved]))


def distant(space: Space, point: Floats) -> Floats:
    """Return points further away, shape (k, 8).

    Other divisions of the cores, each at several batch sizes: the first stage gets any number of cores and a
    second one the others, each with the same cores per thread as before, or with one; of many cores, where
    only some numbers are tried, also with a core per thread more or less. Other instances with any fused
    batch. Other hot shares, each with the next numbers of instances.
    """
    count, fused, hot = COLUMN["instances"], COLUMN["fused_items"], COLUMN["hot_share"]
    found = [_redivided(space, point)]
    if "instances" in space.grids:
        counted = along(point, count, some_instances(space))
        found.append(along(counted, fused, space.grids["fused_items"]))
    if "hot_share" in space.grids:
        grid = space.grids["instances"]
        rank = int(np.searchsorted(grid, point[count]))
        near = grid[max(rank - 1, 0) : rank + 2]
        found.append(along(along(point, count, near), hot, space.grids["hot_share"]))
    return on_lattice(space, point, np.concatenate(found))


def _redivided(space: Space, point: Floats) -> Floats:
    """Return other divisions of the cores, each at several batch sizes."""
    stages = _stages(space)
    if not stages:
        return np.empty((0, len(FIELDS)))
    own = [int(point[width]) for _, width in stages]
    widths = set(product(*({1, width} for width in own)))
    for stage, width in enumerate(own if space.cores > _DIVISIONS else []):
        widths |= {(*own[:stage], near, *own[stage + 1 :]) for near in (width - 1, width + 1) if near > 0}
    divisions = [changes for each in sorted(widths) for changes in _divisions(space, stages, each)]
    column = COLUMN["batch_size"]
    sizes = np.clip(np.rint(np.array(_BATCH_FACTORS) * point[column]), 1, space.max_batch)
    return along(changed(point, divisions), column, np.unique(sizes))


def on_lattice(space: Space, point: Floats, candidates: Floats) -> Floats:
    """Return the points of the lattice among the candidates, each once, without the point itself."""
    apart = (candidates != point).any(axis=1)
    return unique_rows(candidates[apart & space.contains(candidates)])


def some_instances(space: Space) -> Floats:
    """Return the numbers of instances that are tried from afar: all of one accelerator, at most 15 else."""
    counts = space.grids["instances"]
    return counts[:: max(len(counts) // _INSTANCES, 1)]


def along(points: Floats, column: int, values: Sequence[float] | Floats) -> Floats:
    """Return every point with each of the values in a column."""
    rows = np.repeat(np.atleast_2d(points), len(values), axis=0)
    rows[:, column] = np.tile(values, len(rows) // max(len(values), 1))
    return rows


def changed(point: Floats, changes: Sequence[Changes]) -> Floats:
    """Return the point with each of the changes."""
    rows = np.tile(point, (len(changes), 1))
    for row, each in zip(rows, changes, strict=True):
        for column, value in each.items():
            row[column] = value
    return rows


def _stages(space: Space) -> list[tuple[int, int]]:
    """Return the columns of threads and of cores per thread, of each host stage."""
    columns = space.split_columns
    return [(columns[number], columns[number + 1]) for number in range(0, len(columns), 2)]


def _steps(space: Space, point: Floats, name: str) -> list[float]:
    """Return the near values of a variable on its grid: one step, and strides that grow with the rank."""
    grid = space.grids[name]
    rank = int(np.searchsorted(grid, point[COLUMN[name]]))
    strides = {1, *(int(np.ceil(share * (rank + 1))) for share in _STRIDES)}
    ranks = {rank + sign * stride for stride in strides for sign in (-1, 1)} | {2 * rank + 1}
    return [float(grid[r]) for r in sorted(ranks) if 0 <= r < len(grid)]


def _core_moves(space: Space, point: Floats) -> list[Changes]:
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
    return found


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
