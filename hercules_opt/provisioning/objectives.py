"""What is minimized: one figure per server, or several in order of importance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

from hercules_opt.errors import InputError, nearest_name

#: ``power``: provisioned power in W. ``servers``: how many are activated. ``cost``: cost per hour.
Level = Literal["power", "servers", "cost"]
#: The objectives, most important first; the later ones decide among plans that are equal in all before.
Levels = tuple[Level, ...]

OBJECTIVES: tuple[Level, ...] = get_args(Level)

#: Unit of each objective's value.
UNITS: dict[Level, str] = {"power": "W", "servers": "servers", "cost": "per hour"}


def objective_levels(objective: str | Sequence[str]) -> Levels:
    """Return the levels of an objective: a name, names with commas between, or a list of names.

    Raises
    ------
    InputError
        If a name is unknown or appears twice, or there is none.
    """
    given = [part.strip() for part in objective.split(",")] if isinstance(objective, str) else objective
    if not isinstance(given, (list, tuple)) or not given:
        raise InputError("must be an objective or a list of them", where="objective", found=objective)
    for name in given:
        if name not in OBJECTIVES:
            hint = nearest_name(str(name), OBJECTIVES)
            raise InputError("unknown objective", where="objective", found=name, hint=hint)
        if list(given).count(name) > 1:
            raise InputError("an objective may appear only once", where="objective", found=name)
    return cast(Levels, tuple(given))


def objective_text(levels: Levels) -> str:
    """Return the levels as one text: "power, servers"."""
    return ", ".join(levels)
