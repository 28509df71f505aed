"""Measure this host: its microbenchmarks, and models beside what these predict of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.measurement.extra import required
from hercules_opt.measurement.host_fit import MeasuredHost, fit_host
from hercules_opt.measurement.largest_rate import ONCE, QUICK, Effort, LargestRate, summarized
from hercules_opt.measurement.load_test import BUSY_CORES
from hercules_opt.measurement.measured_points import MeasuredPoint, made_folder
from hercules_opt.measurement.measured_search import DEFAULT_POINTS
from hercules_opt.measurement.microbenchmarks import keep_busy, microbenchmarks
from hercules_opt.measurement.on_host import HostModel, OnHost, check_measurable, host_model
from hercules_opt.measurement.regret import in_turns, regret
from hercules_opt.measurement.service_time import ServiceTime, service_times
from hercules_opt.measurement.this_host import ThisHost, measured_power_w, this_host
from hercules_opt.measurement.timing import Neighbours, disturbed_share
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.simulation.intervals import Interval

#: Batches of the models that are timed, and how many threads.
BATCHES = (1, 4, 16, 64, 256)
#: Time for one microbenchmark, and for one batch of a model.
_MICRO_S, _MODEL_S = 0.2, 0.8
#: Share of times that differ from run to run, from which a measurement is called disturbed.
_DISTURBED_SHARE = 0.1
#: How often the pick and the best other schedule are measured in turns.
_ROUNDS = 4
_POWER_S = 1.0


@dataclass(frozen=True)
class Rate:
    """The latency-bounded rate of one model on this host.

    Attributes
    ----------
    schedule, predicted_qps, measured
        The schedule that the cost model picks; its rate by the cost model, and measured.
    points
        All schedules that were measured, that one first.
    rival, lost
        The best of the other schedules by the search, ``None`` where no other held a rate; the share of its
        rate that the pick does not serve, both measured in turns: below 0 where the pick is the better one,
        ``None`` where one of them held no rate then.
    """

    model: str
    schedule: Schedule
    predicted_qps: float
    points: tuple[MeasuredPoint, ...]
    rival: Schedule | None
    lost: Interval | None

    @property
    def measured(self) -> LargestRate:
        """The measured rate of the pick."""
        return self.points[0].rate

    @property
    def error(self) -> float | None:
        """Relative error of the prediction; ``None`` where no rate was held."""
        qps = self.measured.qps.value
        return self.predicted_qps / qps - 1.0 if qps > 0.0 else None

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
        return (self.busy_cores or 0.0) < BUSY_CORES and self.disturbed < _DISTURBED_SHARE

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
    points: int = DEFAULT_POINTS,
    effort: Effort | None = None,
    folder: str | Path | None = None,
    quick: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Measurement:
    """Run the microbenchmarks of this host, fit its constants to them alone, and time models beside them.

    Parameters
    ----------
    models
        By name; none: microbenchmarks only.
    load
        Also serve every model under load: a search from the schedule that the cost model picks.
    points
        Schedules that it measures per model.
    effort
        How long it measures each; the pick and the best other are then measured in turns.
    folder
        Where every schedule is kept as soon as it is measured: a second call goes on from there.
    quick
        A run of seconds, whose figures mean little.

    Raises
    ------
    InputError
        If the packages of the ``measure`` extra are missing, a model cannot be measured, or the folder cannot
        be made.
    """
    required("onnx")
    required("onnxruntime")
    for name, model in models.items():
        check_measurable(name, model)
    kept = None if folder is None else made_folder(Path(folder))
    host, neighbours = this_host(), Neighbours()
    idle_w = measured_power_w(_POWER_S)
    busy_w = None
    if idle_w is not None:
        busy_w = measured_power_w(_POWER_S, work=partial(keep_busy, host.cores))
    samples = microbenchmarks(
        host.cores,
        available_gb=host.available_gb,
        budget_s=0.01 if quick else _MICRO_S,
        quick=quick,
        progress=progress,
    )
    found = fit_host(samples, host, idle_w=idle_w, busy_w=busy_w)
    times = [
        one
        for name, model in models.items()
        for one in service_times(
            name, model, found.server, found.calibration.efficiency,
            batches=batches, threads=sorted({1, host.cores}), available_gb=host.available_gb,
            budget_s=0.02 if quick else _MODEL_S, progress=progress,
        )
    ]  # fmt: skip
    rates = []
    if load:
        rates = measured_rates(
            models,
            found,
            host,
            points=points,
            effort=QUICK if quick else effort or ONCE,
            folder=kept,
            progress=progress,
        )
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


def measured_rates(
    models: Mapping[str, Model],
    found: MeasuredHost,
    host: ThisHost,
    *,
    points: int,
    effort: Effort,
    folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Rate]:
    """Serve models under load, with the schedules that the calibrated cost model picks and with others.

    Raises
    ------
    InputError
        If the cost model finds no schedule that serves a model.
    """
    rates, tell = [], progress or (lambda line: None)
    for name, model in models.items():
        one = host_model(name, model, found.server, found.calibration.efficiency, host)
        if one.picked.schedule is None:
            raise InputError(f"nothing is served within the limits: {one.picked.reason}", where=name)
        with OnHost(one, host, effort=effort, folder=folder, tell=tell) as on_host:
            rates.append(_rate(one, on_host, on_host.search(points)))
    return rates


def _rate(one: HostModel, on_host: OnHost, searched: Sequence[MeasuredPoint]) -> Rate:
    """Return the rate of the pick, and what is lost by it: it and the best other are measured in turns."""
    pick, others = searched[0], [point for point in searched[1:] if point.rate.qps.value > 0.0]
    rival = max(others, key=lambda point: point.rate.qps.value, default=None)
    points, lost = {point.schedule: point for point in searched}, None
    if pick.rate.qps.value > 0.0:
        begun = [point for point in (pick, rival) if point is not None]
        turns = in_turns(
            on_host.bisected, [(point.schedule, point.rate.qps.value) for point in begun], _ROUNDS
        )
        lost = regret(turns[0], turns[1]) if rival is not None else None
        for point, turn in zip(begun, turns, strict=True):
            rate = summarized(turn.found, turn.runs, one.model.sla_percentile)
            points[point.schedule] = MeasuredPoint(point.schedule, rate)
    beaten = None if rival is None else rival.schedule
    return Rate(one.name, pick.schedule, one.picked.qps, tuple(points.values()), beaten, lost)
