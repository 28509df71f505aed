"""A look at the search: throughput over two variables of a schedule, and the gradient's way across it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement, Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.relaxation import (
    box,
    coordinates,
    points_at,
    projected,
    pulled_back,
    within_memory,
)
from hercules_opt.scheduling.schedules import located
from hercules_opt.scheduling.space import COLUMN, Space

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """Latency-bounded throughput over two variables.

    Attributes
    ----------
    placement, x, y
        The placement, and the names of the variables, as in ``Schedule``.
    x_values, y_values
        Their values, shapes (nx,) and (ny,).
    qps
        Shape (ny, nx); NaN where the schedule takes more cores or memory than there are, 0 where it misses
        its target.
    """

    placement: Placement
    x: str
    y: str
    x_values: FloatArray
    y_values: FloatArray
    qps: FloatArray


@dataclass(frozen=True)
class Path:
    """The way of a gradient ascent: values of each variable, shape (steps + 1,), and the throughput there."""

    placement: Placement
    variables: dict[str, FloatArray]
    qps: FloatArray


def throughput_surface(
    server: ServerType,
    model: Model,
    schedule: Schedule,
    x: str,
    y: str,
    *,
    points: int = 40,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
) -> Surface:
    """Return throughput over two variables, the others held as in ``schedule``.

    Values are spread evenly on a logarithmic scale between the bounds of the search space; they are real
    numbers, as the gradient search sees them.

    Raises
    ------
    InputError
        If the server does not offer the placement, or it does not use a variable.
    """
    pair = pack(server, model, efficiency)
    space, point = located(pair, schedule)
    for name in (x, y):
        if name not in space.names:
            hint = nearest_name(name, space.names)
            raise InputError(f"placement {schedule.placement!r} has no such variable", found=name, hint=hint)
    x_values, y_values = (_spread(space, name, points) for name in (x, y))
    rows = np.tile(point, (x_values.size * y_values.size, 1))
    rows[:, COLUMN[x]] = np.tile(x_values, y_values.size)
    rows[:, COLUMN[y]] = np.repeat(y_values, x_values.size)
    found = AnalyticalEvaluator([pair]).evaluate(
        schedule.placement, np.zeros(len(rows), dtype=np.int64), rows
    )
    possible = (space.used_cores(rows) <= space.cores * (1.0 + 1e-9)) & (found.memory <= 1.0)
    qps = np.where(possible, found.qps, np.nan).reshape(y_values.size, x_values.size)
    return Surface(schedule.placement, x, y, x_values, y_values, qps)


def gradient_path(
    server: ServerType,
    model: Model,
    start: Schedule,
    *,
    steps: int = 40,
    rate: float = 0.15,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
) -> Path:
    """Return a plain projected gradient ascent from a schedule: steps of fixed length in log space.

    The search itself uses an adaptive optimizer from many starts; this is for looking at.
    """
    pair = pack(server, model, efficiency)
    space, point = located(pair, start)
    evaluator, bounds, task = AnalyticalEvaluator([pair]), box([space]), np.zeros(1, dtype=np.int64)
    here = projected(coordinates(point[None]), bounds)
    way, rates = [], []
    for step in range(steps + 1):
        at_point = points_at(here)
        at = evaluator.evaluate(start.placement, task, at_point)
        way.append(at_point[0])
        rates.append(float(at.qps[0]))
        slope = pulled_back(evaluator.gradient(start.placement, task, at_point, at), at_point)
        length = max(float(np.linalg.norm(slope)), 1e-9)
        shrinking = rate * (1.0 - step / (steps + 1))
        here = projected(within_memory(here + shrinking * slope / length, at.memory, bounds), bounds)
    table = np.array(way)
    variables = {name: table[:, COLUMN[name]] for name in space.names}
    return Path(start.placement, variables, np.array(rates))


def _spread(space: Space, name: str, points: int) -> FloatArray:
    lower, upper = space.lower[COLUMN[name]], space.upper[COLUMN[name]]
    return np.asarray(np.geomspace(lower, upper, points), dtype=np.float64)
