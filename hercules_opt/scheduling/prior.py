"""Prior schedulers: searches that may choose what those of earlier work could, and nothing else.

*DeepRecSys-like* (Gupta et al., ISCA 2020): one thread per core on all cores, each query split into batches
of one size, and a query size above which queries go whole to the accelerator, one instance on each.
*Baymax-like* (Chen et al., ASPLOS 2016): all queries on the accelerator, several instances on each; on the
host, where that is better, as DeepRecSys. *Offload* has both freedoms together, which no prior scheduler had:
a threshold and several instances. None has wider threads, an S-D pipeline, a model split between host and
accelerator, hot embeddings or large fused batches.

Every choice is judged where the originals climb (with a threshold, one variable after the other): a ratio to
them is never that of a climb that stopped early.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from hercules_opt.problem.schedule import Placement
from hercules_opt.scheduling.evaluator import Evaluator
from hercules_opt.scheduling.gradient import Found, best_of
from hercules_opt.scheduling.space import COLUMN, Floats, Space, Tasks

Prior = Literal["deeprecsys", "baymax", "offload"]
WithThreshold = Literal["deeprecsys", "offload"]

#: Placements without a threshold: all queries on the host, or all on the accelerator.
PRIOR_PLACEMENTS: Final[tuple[Placement, ...]] = ("cpu", "accelerator")


def prior_search(evaluator: Evaluator, tasks: Tasks, prior: Prior) -> Found:
    """Return the best schedule of each task that a prior scheduler may choose without a threshold."""
    choices = [prior_points(space, prior) for space in tasks.spaces]
    return best_of(evaluator, tasks, np.arange(len(tasks.spaces)), choices)


def prior_points(space: Space, prior: Prior) -> Floats:
    """Return all points of a lattice that a prior scheduler may choose, shape (k, 8)."""
    if space.placement == "cpu":
        column, values = COLUMN["batch_size"], space.grids["batch_size"]
        begin = space.lower.copy()
        begin[COLUMN["threads"]] = space.cores
    else:
        column, values = COLUMN["instances"], np.array(instance_counts(space, prior))
        begin = space.lower
    points = np.tile(begin, (len(values), 1))
    points[:, column] = values
    return points


def instance_counts(space: Space, prior: Prior) -> Sequence[int]:
    """Return how many instances a prior scheduler may place on all accelerators."""
    every = range(space.devices, space.max_instances + 1, space.devices)
    return every[:1] if prior == "deeprecsys" else every
