"""Calibrate the constants of a device class by measured latency-bounded rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import annotated_types
import numpy as np

from hercules_opt.calibration.intervals import CONFIDENCE, coverage, half_width
from hercules_opt.calibration.least_squares import Fit, Floats, Parameter, Rows, fit
from hercules_opt.calibration.record import CLASSES, MOST_CONSTANTS, Calibration, Residual, relative
from hercules_opt.errors import InputError, Words, nearest_name
from hercules_opt.hardware.calibrated_range import features
from hercules_opt.hardware.efficiency import DeviceClass, Efficiency
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement, Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.schedules import located

#: Constants that are fitted unless others are named: those that decide most, and that no data sheet has.
DEFAULT_CONSTANTS: Mapping[DeviceClass, tuple[str, ...]] = {
    "accelerator": ("gemm", "on_chip", "clock_headroom"),
    "host": ("gemm", "memory", "core_gb_s"),
}
#: Fitted constants stay above this share of the largest allowed; those that start below, above its square.
_LEAST_SHARE = 1e-4
#: How often schedules are searched anew with the constants that were fitted to the last ones.
_ROUNDS = 3


@dataclass(frozen=True)
class Observation:
    """A measured latency-bounded rate of one server.

    Attributes
    ----------
    label, group, model_name
        What it is, what is left out together with it, and the name of the model.
    server, model
        The server type and the model, with the latency target that the rate was measured under.
    qps
        The rate.
    schedule
        The schedule that it was measured with; ``None``: the best one, by the cost model.
    """

    label: str
    group: str
    model_name: str
    server: ServerType
    model: Model
    qps: float
    schedule: Schedule | None = None


@dataclass(frozen=True)
class Calibrated:
    """A calibration with what it took: the fit, and the constants without each group."""

    calibration: Calibration
    fit: Fit
    device_class: DeviceClass
    names: tuple[str, ...]

    @cached_property
    def without(self) -> dict[str, Efficiency]:
        """The constants that each group was predicted with."""
        return {
            group: _with(self.calibration.efficiency, self.device_class, self.names, constants)
            for group, constants in self.fit.left_out_constants.items()
        }


def calibrate_rates(
    observations: Sequence[Observation],
    *,
    device_class: DeviceClass,
    title: str,
    data: str,
    constants: Sequence[str] | None = None,
    base: Efficiency | None = None,
    progress: Callable[[str], None] | None = None,
) -> Calibrated:
    """Fit constants of a device class to measured rates.

    Parameters
    ----------
    constants
        At most three names of constants of the class; by default those of ``DEFAULT_CONSTANTS``.
    base
        The constants that are not fitted, and where the fit starts; by default those of the catalogue.
    progress
        Called with a line per step.

    Raises
    ------
    InputError
        If a constant is unknown, there are too many, there are fewer measurements than constants, or a
        schedule is not one of its server.
    """
    names = DEFAULT_CONSTANTS[device_class] if constants is None else tuple(constants)
    _check_names(names, device_class)
    if len(observations) < len(names):
        rule = f"must hold at least as many rates as constants are fitted ({len(names)})"
        raise InputError(rule, where="measurements", found=Words(str(len(observations))))
    start = base or Efficiency()
    tell = progress or (lambda line: None)
    observed = [_placed(one, start) for one in observations]
    for number in range(_ROUNDS):
        tell(f"fitting {', '.join(names)} to {len(observed)} rates")
        found = _fit(observed, device_class, names, start)
        fitted = _with(start, device_class, names, found.constants)
        again = [_placed(one, fitted) for one in observations]
        if number == _ROUNDS - 1 or [one.schedule for one in again] == [one.schedule for one in observed]:
            break
        observed = again
    record = _record(observed, device_class, names, found, fitted, title, data)
    return Calibrated(record, found, device_class, names)


def _check_names(names: Sequence[str], device_class: DeviceClass) -> None:
    known = CLASSES[device_class].model_fields
    # What has no value by default has no value to start from either.
    allowed = [name for name, field in known.items() if field.default is not None]
    if not 1 <= len(names) <= MOST_CONSTANTS:
        rule = f"must be 1 to {MOST_CONSTANTS} names"
        raise InputError(rule, where="constants", found=Words(f"{len(names)}"))
    for name in names:
        if name not in allowed:
            hint = nearest_name(name, allowed)
            raise InputError("unknown constant", where="constants", found=name, hint=hint)
        if names.count(name) > 1:
            raise InputError("a constant may appear only once", where="constants", found=name)


def _placed(observation: Observation, efficiency: Efficiency) -> Observation:
    """Return an observation with a schedule: its own, else the best by these constants."""
    if observation.schedule is not None:
        _check_schedule(observation, observation.schedule, efficiency)
        return observation
    from hercules_opt.scheduling.optimize import optimize_schedule

    best = optimize_schedule(observation.server, observation.model, efficiency=efficiency)
    if best.schedule is None:
        rule = "the cost model finds no schedule that serves anything; name the one that was measured"
        hint = f"It says: {best.reason}"
        raise InputError(rule, where="measurements", key=observation.label, hint=hint)
    return replace(observation, schedule=best.schedule)


def _check_schedule(observation: Observation, schedule: Schedule, efficiency: Efficiency) -> None:
    """Raise ``InputError`` that names the measurement unless its schedule is one of the server."""
    try:
        located(pack(observation.server, observation.model, efficiency), schedule)
    except InputError as error:
        key = f"{observation.label}, schedule" + (f".{error.key}" if error.key else "")
        raise InputError(
            error.rule, where="measurements", key=key, found=error.found, hint=error.hint
        ) from None


def _fit(
    observed: Sequence[Observation], device_class: DeviceClass, names: Sequence[str], start: Efficiency
) -> Fit:
    def predicted(constants: Floats, rows: Rows) -> Floats:
        return predicted_qps([observed[row] for row in rows], _with(start, device_class, names, constants))

    return fit(
        predicted,
        np.array([one.qps for one in observed]),
        [one.group for one in observed],
        [_parameter(name, device_class, start) for name in names],
    )


def predicted_qps(observed: Sequence[Observation], efficiency: Efficiency) -> Floats:
    """Return the latency-bounded rates of observations that have a schedule, 0 where nothing is served."""
    qps = np.zeros(len(observed))
    rows_of: dict[Placement, list[int]] = {}
    for row, one in enumerate(observed):
        assert one.schedule is not None
        rows_of.setdefault(one.schedule.placement, []).append(row)
    for placement, rows in rows_of.items():
        pairs = [pack(observed[row].server, observed[row].model, efficiency) for row in rows]
        points = [
            located(pair, schedule)[1]
            for pair, row in zip(pairs, rows, strict=True)
            if (schedule := observed[row].schedule) is not None
        ]
        found = AnalyticalEvaluator(pairs).evaluate(placement, np.arange(len(rows)), np.array(points))
        qps[rows] = found.qps
    return qps


def _parameter(name: str, device_class: DeviceClass, start: Efficiency) -> Parameter:
    low, high = 0.0, math.inf
    for limit in CLASSES[device_class].model_fields[name].metadata:
        if isinstance(limit, annotated_types.Le):
            high = float(limit.le)  # type: ignore[arg-type]
        if isinstance(limit, annotated_types.Lt):
            high = float(limit.lt) * (1.0 - 1e-9)  # type: ignore[arg-type]
        if isinstance(limit, annotated_types.Ge):
            low = float(limit.ge)  # type: ignore[arg-type]
    least = _LEAST_SHARE * high
    begin = float(getattr(getattr(start, device_class), name))
    return Parameter(name, begin, max(low, least if begin > least else _LEAST_SHARE * least), high)


def _with(base: Efficiency, device_class: DeviceClass, names: Sequence[str], values: Floats) -> Efficiency:
    changed = {name: float(value) for name, value in zip(names, values, strict=True)}
    return base.model_copy(update={device_class: getattr(base, device_class).model_copy(update=changed)})


def _record(
    observed: Sequence[Observation],
    device_class: DeviceClass,
    names: Sequence[str],
    found: Fit,
    fitted: Efficiency,
    title: str,
    data: str,
) -> Calibration:
    groups = [one.group for one in observed]
    seen = [features(one.server, one.model, device_class) for one in observed]
    fixed = {
        name: getattr(getattr(fitted, device_class), name)
        for name in getattr(fitted, device_class).model_fields_set
        if name not in (*names, "kind", "source")
    }
    return Calibration.model_validate(
        {
            "title": title,
            "data": data,
            "kind": "calibrated",
            "source": data,
            "subject": device_class,
            "constants": {
                name: _rounded(value) for name, value in zip(names, found.constants.tolist(), strict=True)
            },
            "fixed": fixed,
            "relative_error": _rounded(relative(half_width(found.left_out, groups))),
            "confidence": CONFIDENCE,
            "coverage": coverage(found.left_out, groups),
            "ranges": {
                key: (min(one[key] for one in seen), max(one[key] for one in seen)) for key in seen[0]
            },
            "residuals": [
                Residual(
                    label=one.label,
                    group=one.group,
                    model=one.model_name,
                    measured=one.qps,
                    fitted=_rounded(one.qps * math.exp(fit_error)),
                    left_out=_rounded(one.qps * math.exp(left_out)),
                )
                for one, fit_error, left_out in zip(observed, found.log_ratio, found.left_out, strict=True)
            ],
        }
    )


def _rounded(value: float) -> float:
    """Return a figure with five significant digits, as it is written."""
    return float(f"{value:.5g}")
