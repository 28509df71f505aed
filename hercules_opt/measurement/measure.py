"""Measure this host: its microbenchmarks, and models beside what these predict of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.measurement.extra import required
from hercules_opt.measurement.host_fit import MeasuredHost, fit_host
from hercules_opt.measurement.load_test import LargestRate, largest_rate
from hercules_opt.measurement.microbenchmarks import microbenchmarks
from hercules_opt.measurement.service_time import ServiceTime, row_scale, scaled, service_times
from hercules_opt.measurement.this_host import ThisHost, measured_power_w, this_host
from hercules_opt.measurement.timing import Neighbours, disturbed_share
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.scheduling.optimize import optimize_schedule

#: Batches of the models that are timed, and how many threads.
BATCHES = (1, 4, 16, 64, 256)
#: Time for one microbenchmark, and for one batch of a model.
_MICRO_S, _MODEL_S = 0.12, 0.5
#: Cores kept busy by others from which a measurement is called disturbed.
_BUSY_CORES = 0.1
_POWER_S = 1.0


@dataclass(frozen=True)
class Rate:
    """The latency-bounded rate of one model under the schedule that the cost model picks for this host."""

    model: str
    schedule: Schedule
    predicted_qps: float
    measured: LargestRate

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted_qps / self.measured.qps.value - 1.0

    @property
    def inside(self) -> bool:
        """Whether the prediction is within the measurement's own interval."""
        return self.measured.qps.lower <= self.predicted_qps <= self.measured.qps.upper


@dataclass(frozen=True)
class Measurement:
    """What was found about this host.

    Attributes
    ----------
    host, measured
        What the system states, and what the microbenchmarks show.
    times, rates
        Service times of models, measured and predicted; and latency-bounded rates, where they were asked for.
    power_measured
        Whether the power counters could be read.
    busy_cores
        Cores that others kept busy meanwhile; ``None``: not known.
    disturbed
        Share of all times that differ too much from one run to the next.
    """

    host: ThisHost
    measured: MeasuredHost
    times: tuple[ServiceTime, ...]
    rates: tuple[Rate, ...]
    power_measured: bool
    busy_cores: float | None
    disturbed: float

    @property
    def quiet(self) -> bool:
        """Whether the machine was left alone."""
        return (self.busy_cores or 0.0) < _BUSY_CORES and self.disturbed < _BUSY_CORES

    @property
    def median_error(self) -> float | None:
        """Median of the relative errors' sizes; ``None`` where no model was timed."""
        return float(np.median([abs(one.error) for one in self.times])) if self.times else None

    @property
    def held(self) -> float | None:
        """Share of the measured service times within the stated interval of their predictions."""
        width = np.log1p(self.measured.calibration.relative_error)
        inside = [abs(np.log1p(one.error)) <= width for one in self.times]
        return float(np.mean(inside)) if inside else None


def measure(
    models: Mapping[str, Model],
    *,
    batches: Sequence[int] = BATCHES,
    load: bool = False,
    quick: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Measurement:
    """Run the microbenchmarks of this host, fit its constants to them alone, and time models beside them.

    Parameters
    ----------
    models
        By name; none: microbenchmarks only.
    load
        Also serve every model under load, with the schedule that the cost model picks.
    quick
        A run of seconds, whose figures mean little.

    Raises
    ------
    InputError
        If the packages of the ``measure`` extra are missing, or a model cannot be measured.
    """
    required("onnx")
    required("onnxruntime")
    host, neighbours = this_host(), Neighbours()
    idle_w = measured_power_w(_POWER_S)
    samples = microbenchmarks(
        host.cores, budget_s=0.01 if quick else _MICRO_S, quick=quick, progress=progress
    )
    found = fit_host(samples, host, idle_w=idle_w)
    times = [
        one
        for name, model in models.items()
        for one in service_times(
            name, model, found.server, found.calibration.efficiency,
            batches=batches, threads=sorted({1, host.cores}), available_gb=host.available_gb,
            budget_s=0.02 if quick else _MODEL_S, progress=progress,
        )
    ]  # fmt: skip
    rates = _rates(models, found, host, quick, progress) if load else []
    timings = [*(one.timing for one in samples), *(one.timing for one in times)]
    return Measurement(
        host,
        found,
        tuple(times),
        tuple(rates),
        idle_w is not None,
        neighbours.cores(),
        disturbed_share(timings),
    )


def _rates(
    models: Mapping[str, Model],
    found: MeasuredHost,
    host: ThisHost,
    quick: bool,
    progress: Callable[[str], None] | None,
) -> list[Rate]:
    rates = []
    for name, model in models.items():
        assert model.architecture is not None
        smaller = scaled(model, row_scale(model.architecture, host.available_gb))
        best = optimize_schedule(found.server, smaller, efficiency=found.calibration.efficiency)
        if best.schedule is None:
            raise InputError(f"nothing is served within the limits: {best.reason}", where=name)
        if progress is not None:
            progress(f"{name} under load, {best.schedule.label()}")
        measured = largest_rate(
            smaller,
            best.schedule,
            best.qps,
            repeats=2 if quick else 3,
            run_s=0.2 if quick else 3.0,
            progress=progress,
        )
        rates.append(Rate(name, best.schedule, best.qps, measured))
    return rates
