"""The efficiency table of a command: the instance's own, or a file's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hercules_opt.errors import InputError

if TYPE_CHECKING:
    from hercules_opt.problem.instance import Instance
    from hercules_opt.problem.table import EfficiencyTable


def table_of(instance: Instance, *, seed: int) -> EfficiencyTable:
    """Return the instance's own table, else what stage 1 finds."""
    if instance.table is None:
        raise InputError("needs an efficiency table", where=instance.name)
    return instance.table
