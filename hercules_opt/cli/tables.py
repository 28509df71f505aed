"""The efficiency table of a command: a file's, the instance's own, or what stage 1 finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hercules_opt.cli.files import read_table
from hercules_opt.cli.output import tell
from hercules_opt.cli.progress import progress_bar
from hercules_opt.errors import InputError

if TYPE_CHECKING:
    from hercules_opt.hardware.efficiency import Efficiency
    from hercules_opt.problem.instance import Instance
    from hercules_opt.problem.table import EfficiencyTable
    from hercules_opt.scheduling.optimize import Method


def given_table(instance: Instance, path: Path | None) -> EfficiencyTable:
    """Return a file's table, else the instance's own; raise ``InputError`` if there is neither."""
    if path is not None:
        return read_table(path)
    if instance.table is None:
        raise InputError(
            "needs an efficiency table",
            where=instance.name,
            hint="'hercules-opt profile INSTANCE --out table.csv' computes one, --table takes it.",
        )
    return instance.table


def found_table(
    instance: Instance,
    *,
    seed: int,
    method: Method | None = None,
    check: bool = True,
    calibration: str | None = None,
    cache: Path | None = None,
    workers: int | str | None = None,
) -> EfficiencyTable:
    """Return the instance's own table unless a method is asked for, else what stage 1 finds."""
    if method is None and instance.table is not None:
        if calibration is not None:
            rule = "the instance has its own table; add --method gradient to predict one"
            raise InputError(rule, where="--calibration", found=calibration)
        return instance.table
    from hercules_opt.scheduling.profile import profile

    constants = {} if calibration is None else {"efficiency": _constants(calibration)}
    try:
        with progress_bar("schedules") as progress:
            return profile(
                instance,
                method=method,
                seed=seed,
                check=check,
                cache=cache,
                workers=workers,
                progress=progress,
                **constants,
            )
    except InputError as error:
        raise (error if error.where else error.located(instance.name)) from None


def measured_table(
    instance: Instance, *, points: int | None, calibration: str | None, cache: Path
) -> EfficiencyTable:
    """Return what is measured on this host."""
    from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY
    from hercules_opt.measurement.measured_profile import profile_measured
    from hercules_opt.measurement.measured_search import DEFAULT_POINTS

    constants = DEFAULT_EFFICIENCY if calibration is None else _constants(calibration)
    try:
        return profile_measured(
            instance, efficiency=constants, points=points or DEFAULT_POINTS, folder=cache, progress=tell
        )
    except InputError as error:
        raise (error if error.where else error.located(instance.name)) from None


def _constants(calibration: str) -> Efficiency:
    from hercules_opt.calibration.record import load_calibration

    return load_calibration(calibration).efficiency
