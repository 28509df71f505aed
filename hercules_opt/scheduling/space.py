"""The search space of a (server type, model) pair: one lattice per placement, for every search method.

A point is a row of ``len(FIELDS)`` numbers in the order of ``stages.Choice``; variables that a placement
does not use are 1. Cores are a constraint of the lattice itself; memory, latency and power are for an
evaluator to judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.stages import VARIABLES, Choice
from hercules_opt.problem.schedule import Placement, Schedule

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FIELDS: Final = Choice._fields
COLUMN: Final = {name: number for number, name in enumerate(FIELDS)}

#: Largest batch of a split query; a batch is never larger than the largest query either.
MAX_BATCH = 1024
#: Co-located instances per accelerator.
MAX_INSTANCES = 8
#: The largest fused batch is the largest query times a power of 2 ** (1 / FUSED_STEPS), up to 2 **
#: FUSED_DOUBLINGS.
FUSED_DOUBLINGS, FUSED_STEPS = 4, 4
#: Hot embeddings: 5 % to 95 % in steps of 5 %.
HOT_SHARES = np.arange(1, 20) / 20.0

_HOST = ("threads", "cores_per_thread")
_DENSE = ("dense_threads", "dense_cores_per_thread")


@dataclass(frozen=True)
class Space:
    """The lattice of schedules of one pair with one placement.

    Attributes
    ----------
    placement
        What runs where.
    cores
        Cores of the host.
    max_batch
        Largest batch of a split query; every integer from 1 to it is allowed.
    max_instances
        Most co-located instances, on all accelerators together.
    fused_items
        Allowed largest fused batches, ascending.
    devices
        Accelerators: each has one instance or none, or all have equally many.
    """

    placement: Placement
    cores: int
    max_batch: int
    max_instances: int
    fused_items: tuple[int, ...]
    devices: int = 1

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The variables that the placement uses."""
        return VARIABLES[self.placement]

    @cached_property
    def splits(self) -> Integers:
        """All ways to use the cores, shape (k, 0, 2 or 4): threads, cores per thread of each host stage."""
        if "threads" not in self.names:
            return np.ones((1, 0), dtype=np.int64)
        single = np.array(
            [(m, o) for m in range(1, self.cores + 1) for o in range(1, self.cores // m + 1)], dtype=np.int64
        ).reshape(-1, 2)
        if "dense_threads" not in self.names:
            return single
        used = single.prod(axis=1)
        first, second = np.nonzero(used[:, None] + used[None, :] <= self.cores)
        return np.hstack([single[first], single[second]])

    @cached_property
    def split_columns(self) -> tuple[int, ...]:
        """Columns of the variables that ``splits`` holds."""
        return tuple(COLUMN[name] for name in (*_HOST, *_DENSE) if name in self.names)

    @cached_property
    def grids(self) -> dict[str, Floats]:
        """Allowed values of every variable that is free of the others, ascending."""
        free = {
            "batch_size": np.arange(1.0, self.max_batch + 1.0),
            "instances": np.concatenate(
                [
                    np.arange(1.0, self.devices),
                    np.arange(self.devices, self.max_instances + 1.0, self.devices),
                ]
            ),
            "fused_items": np.array(self.fused_items, dtype=np.float64),
            "hot_share": HOT_SHARES,
        }
        return {name: grid for name, grid in free.items() if name in self.names}

    @cached_property
    def size(self) -> int:
        """Number of points, those that exceed memory included."""
        return self._split_count * int(np.prod([len(grid) for grid in self.grids.values()], dtype=object))

    @property
    def _split_count(self) -> int:
        """The number of ``splits``: floor(cores / m) widths for m threads, times those of a second stage."""
        cores = np.arange(1, self.cores + 1)
        within = np.array([int(np.sum(most // cores)) for most in range(self.cores + 1)])
        stages = len(self.split_columns) // 2
        if stages < 2:
            return int(within[-1]) if stages else 1
        return int(np.diff(within) @ within[-2::-1])

    @cached_property
    def lower(self) -> Floats:
        """Least value of every variable, shape (8,); 1 where it is not used."""
        return self._ends(0)

    @cached_property
    def upper(self) -> Floats:
        """Largest value of every variable, shape (8,); 1 where it is not used."""
        ends = self._ends(-1)
        most = self.cores - 1 if "dense_threads" in self.names else self.cores
        ends[list(self.split_columns)] = most
        return ends

    def _ends(self, which: int) -> Floats:
        ends = np.ones(len(FIELDS))
        for name, grid in self.grids.items():
            ends[COLUMN[name]] = grid[which]
        return ends

    def used_cores(self, points: Floats) -> Floats:
        """Return the cores that each point takes, shape (n,)."""
        columns = self.split_columns
        pairs = points[:, columns].reshape(len(points), len(columns) // 2, 2)
        return np.asarray(pairs.prod(axis=2).sum(axis=1), dtype=np.float64)

    def contains(self, points: Floats) -> npt.NDArray[np.bool_]:
        """Return which points are of the lattice."""
        inside = self.used_cores(points) <= self.cores
        for number, name in enumerate(FIELDS):
            column = points[:, number]
            if name in self.grids:
                grid = self.grids[name]
                inside &= grid[np.minimum(np.searchsorted(grid, column), len(grid) - 1)] == column
            elif number in self.split_columns:
                inside &= (column >= 1) & (column == np.floor(column))
            else:
                inside &= column == 1.0
        return np.asarray(inside)

    def sample(self, count: int, rng: np.random.Generator) -> Floats:
        """Return ``count`` independent points, each of the lattice equally likely, shape (count, 8)."""
        points = np.ones((count, len(FIELDS)))
        points[:, self.split_columns] = self.splits[rng.integers(len(self.splits), size=count)]
        for name, grid in self.grids.items():
            points[:, COLUMN[name]] = rng.choice(grid, size=count)
        return points

    def schedule(self, point: Floats) -> Schedule:
        """Return a point of the lattice as a schedule."""
        chosen = {name: float(point[COLUMN[name]]) for name in self.names}
        whole = {name: number if name == "hot_share" else round(number) for name, number in chosen.items()}
        return Schedule.model_validate({"placement": self.placement, **whole})

    def point(self, schedule: Schedule) -> Floats:
        """Return a schedule of this placement as a point, shape (8,)."""
        point = np.ones(len(FIELDS))
        for name in self.names:
            point[COLUMN[name]] = getattr(schedule, name)
        return point


def search_space(placement: Placement, pair: Pair) -> Space:
    """Return the lattice of a pair with a placement that it offers (``placements``)."""
    largest, devices = round(float(pair.sizes.edges[-1]) - 0.5), max(int(pair.device.count), 1)
    steps = np.arange(FUSED_DOUBLINGS * FUSED_STEPS + 1) / FUSED_STEPS
    return Space(
        placement=placement,
        cores=int(pair.host.cores),
        max_batch=min(MAX_BATCH, largest),
        max_instances=MAX_INSTANCES * devices,
        fused_items=tuple(dict.fromkeys(round(largest * 2.0**step) for step in steps)),
        devices=devices,
    )


def placements(pair: Pair) -> tuple[Placement, ...]:
    """Return the placements that a pair offers; none without a core, which every query passes.

    An accelerator can hold the whole model where one copy of it fits. Holding only the hot embeddings is an
    option there too: it leaves room for more co-located copies, and the host takes part of the work.
    """
    cores = int(pair.host.cores)
    if cores < 1:
        return ()
    offered: list[Placement] = ["cpu", "cpu-sd"] if cores >= 2 else ["cpu"]
    if pair.device.count:
        copy = pair.table_bytes + float(np.sum(pair.operators.weight_bytes))
        offered += ["cpu-accelerator", "accelerator-hot"]
        if copy <= pair.device.memory_bytes:
            offered.append("accelerator")
    return tuple(offered)


@dataclass(frozen=True)
class Tasks:
    """Searches of one placement, side by side.

    Attributes
    ----------
    placement
        What runs where.
    pair
        An evaluator's number of each pair, shape (n,).
    spaces
        The search space of each.
    """

    placement: Placement
    pair: Integers
    spaces: tuple[Space, ...]

    def apart(self) -> list[Tasks]:
        """Return every search by itself."""
        return [
            Tasks(self.placement, self.pair[number : number + 1], (space,))
            for number, space in enumerate(self.spaces)
        ]
