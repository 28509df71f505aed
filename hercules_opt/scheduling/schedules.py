"""A schedule that a user gives, checked against the server and the model it is for."""

from __future__ import annotations

from hercules_opt.errors import InputError
from hercules_opt.hardware.packing import Pair
from hercules_opt.problem.schedule import Schedule
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Space, placements, search_space


def located(pair: Pair, schedule: Schedule) -> tuple[Space, Floats]:
    """Return the search space that a schedule belongs to, and the schedule as a point of it, shape (8,).

    The point need not be on the lattice (any hot share will do), but it must lie between its ends: the cost
    model is not meant to be used beyond them.

    Raises
    ------
    InputError
        If the server does not offer the placement, a variable is missing, out of range or not one of the
        placement, instances are not shared evenly, or there are too few cores.
    """
    if schedule.placement not in placements(pair):
        offered = ", ".join(placements(pair)) or "nothing"
        rule = f"this server offers {offered} for this model"
        raise InputError(rule, where="schedule", key="placement", found=schedule.placement)
    if schedule.offload_above is not None:
        rule = "must be left out: only the methods 'deeprecsys' and 'offload' know a threshold"
        raise InputError(rule, where="schedule", key="offload_above", found=schedule.offload_above)
    space = search_space(schedule.placement, pair)
    for name in space.names:
        if getattr(schedule, name) is None:
            raise InputError(f"placement {schedule.placement!r} needs it", where="schedule", key=name)
    for name in FIELDS:
        if name not in space.names and getattr(schedule, name) is not None:
            rule = f"must be left out: placement {schedule.placement!r} has {', '.join(space.names)}"
            raise InputError(rule, where="schedule", key=name, found=getattr(schedule, name))
    point = space.point(schedule)
    for name, grid in space.grids.items():
        low, high, value = float(grid[0]), float(grid[-1]), getattr(schedule, name)
        if not low <= value <= high:
            raise InputError(f"must be from {low:g} to {high:g}", where="schedule", key=name, found=value)
    if "instances" in space.names and point[COLUMN["instances"]] not in space.grids["instances"]:
        rule = f"must be a multiple of the {space.devices} accelerators, or fewer than these"
        raise InputError(rule, where="schedule", key="instances", found=schedule.instances)
    used = int(space.used_cores(point[None])[0])
    if used > space.cores:
        raise InputError(f"must take at most {space.cores} cores", where="schedule", found=used)
    return space, point
