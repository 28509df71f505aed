"""Random search: the best of points drawn evenly from the lattice; what any other method has to beat."""

from __future__ import annotations

import numpy as np

from hercules_opt.scheduling.evaluator import Evaluator
from hercules_opt.scheduling.gradient import Found, best_of
from hercules_opt.scheduling.space import Tasks

#: Points per pair and placement: about as many as the gradient search evaluates.
POINTS = 1024


def random_search(evaluator: Evaluator, tasks: Tasks, *, seed: int = 0, points: int = POINTS) -> Found:
    """Return the best of so many points for each task; what is drawn depends on the task's space alone."""
    samples = [space.sample(points, np.random.default_rng(seed)) for space in tasks.spaces]
    return best_of(evaluator, tasks, np.arange(len(tasks.spaces)), samples)
