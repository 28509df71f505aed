"""What was measured on this host, beside what was predicted, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from hercules_opt.measurement.host_fit import origin
from hercules_opt.measurement.largest_rate import LargestRate
from hercules_opt.measurement.measure import Measurement, Rate
from hercules_opt.measurement.service_time import ServiceTime
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.text import number, percent, printable, short
from hercules_opt.simulation.intervals import Interval

#: Percentiles of the latency that are shown.
_PERCENTILES = (50.0, 95.0, 99.0)


def measurement_page(found: Measurement) -> list[RenderableType]:
    """Return the host's constants, and the service times of models."""
    parts: list[RenderableType] = [Text(line) for line in _lines(found)]
    constants = found.measured.calibration
    every = {**constants.constants, **constants.fixed}
    rows = [(name, f"{value:.4g}", origin(name)) for name, value in every.items()]
    parts += [Text(), Grid("Constants of this host", ("constant", "value", "origin"), tuple(rows), left=(2,))]
    if found.times:
        parts += [Text(), _times_grid(found.times)]
    if found.rates:
        for grid in (_rates_grid, _regret_grid, _points_grid):
            parts += [Text(), grid(found.rates)]
    return parts


def measurement_document(found: Measurement) -> dict[str, Any]:
    """Return the same as plain data."""
    return {
        "host": vars(found.host),
        "quiet": found.quiet,
        "busy_cores": found.busy_cores,
        "disturbed": found.disturbed,
        "power_measured": found.power_measured,
        "server": found.measured.server.model_dump(mode="json", exclude_none=True),
        "calibration": found.measured.calibration.model_dump(mode="json"),
        "service_times": [time_row(one) for one in found.times],
        "rates": [{**rate_row(one), "points": point_rows(one)} for one in found.rates],
        "median_error": found.median_error,
        "held": found.held,
    }


def time_row(one: ServiceTime) -> dict[str, Any]:
    """Return one service time as plain data."""
    return {
        "model": one.model,
        "items": one.items,
        "threads": one.threads,
        "measured_ms": 1e3 * one.timing.seconds,
        "predicted_ms": 1e3 * one.predicted_s,
        "error": one.error,
        "spread": one.timing.spread,
        "row_scale": one.row_scale,
    }


def rate_row(one: Rate) -> dict[str, Any]:
    """Return one latency-bounded rate as plain data: predicted, measured, and what the prediction loses."""
    qps, lost = one.measured.qps, one.lost
    return {
        "model": one.model,
        "schedule": one.schedule.label(),
        "predicted_qps": one.predicted_qps,
        "measured_qps": qps.value,
        "lower_qps": qps.lower,
        "upper_qps": _finite(qps.upper),
        "error": one.error,
        "inside": one.inside,
        "busy_cores": one.measured.busy_cores,
        "disturbed_runs": one.measured.disturbed_runs,
        "runs": one.measured.runs,
        "lateness_ms": one.measured.lateness_ms,
        "other_schedule": None if one.rival is None else one.rival.label(),
        "regret": None if lost is None else lost.value,
        "regret_lower": None if lost is None else lost.lower,
        "regret_upper": None if lost is None else lost.upper,
    }


def point_rows(one: Rate) -> list[dict[str, Any]]:
    """Return all schedules of a model that were measured, as plain data."""
    return [
        {
            "model": one.model,
            "schedule": point.schedule.label(),
            "qps": point.rate.qps.value,
            "lower_qps": point.rate.qps.lower,
            "upper_qps": _finite(point.rate.qps.upper),
            **{
                f"p{percentile:g}_ms": _finite(found.value)
                for percentile, found in point.rate.latency_ms.items()
            },
            "busy_cores": point.rate.busy_cores,
            "disturbed_runs": point.rate.disturbed_runs,
            "runs": point.rate.runs,
        }
        for point in one.points
    ]


def _rates_grid(rates: Sequence[Rate]) -> Grid:
    rows = []
    for one in rates:
        qps = one.measured.qps
        rows.append(
            (
                one.model,
                number(one.predicted_qps),
                number(qps.value),
                _ends(qps),
                "-" if one.error is None else f"{100 * one.error:+.0f} %",
                _disturbed(one.measured),
                one.schedule.label(),
            )
        )
    header = ("model", "predicted", "measured", "95 % interval", "error", "disturbed", "schedule")
    return Grid("Largest rate within the latency target, QPS", header, tuple(rows), left=(6,))


def _regret_grid(rates: Sequence[Rate]) -> Grid:
    rows = []
    for one in rates:
        cells = ("-", "no rate held" if one.measured.qps.value == 0.0 else "no other held a rate")
        if one.lost is not None:
            cells = (percent(one.lost.value), f"{percent(one.lost.lower)} to {percent(one.lost.upper)}")
        label = "-" if one.rival is None else one.rival.label()
        rows.append((one.model, f"{len(one.points)}", *cells, label))
    header = ("model", "schedules measured", "lost", "95 % interval", "best other schedule")
    title = "Lost by the schedule that the cost model picks against the best other, measured in turns"
    return Grid(title, header, tuple(rows), left=(4,))


def _points_grid(rates: Sequence[Rate]) -> Grid:
    rows = [
        (
            one.model,
            number(point.rate.qps.value),
            _ends(point.rate.qps),
            *(_latency(point.rate.latency_ms.get(percentile)) for percentile in _PERCENTILES),
            _disturbed(point.rate),
            point.schedule.label(),
        )
        for one in rates
        for point in one.points
    ]
    header = ("model", "QPS", "95 % interval", "p50 ms", "p95 ms", "p99 ms", "disturbed", "schedule")
    return Grid(
        "All schedules measured, latencies at the highest rate that held", header, tuple(rows), left=(7,)
    )


def _finite(value: float) -> float | None:
    """Return a number as JSON has it."""
    return value if math.isfinite(value) else None


def _ends(interval: Interval) -> str:
    """Return both ends; nothing where one value has none."""
    if not math.isfinite(interval.upper):
        return "-"
    return f"{short(interval.lower)} to {short(interval.upper)}"


def _latency(found: Interval | None) -> str:
    """Return a percentile with its interval."""
    if found is None or not math.isfinite(found.value):
        return "-"
    upper = short(found.upper) if math.isfinite(found.upper) else "?"
    return f"{short(found.value)} ({short(found.lower)} to {upper})"


def _disturbed(rate: LargestRate) -> str:
    """Return the runs in which others used the machine, of all."""
    return f"{rate.disturbed_runs} of {rate.runs}"


def _lines(found: Measurement) -> list[str]:
    host, stated = found.host, found.measured.calibration.relative_error
    lines = [
        f"{printable(host.name)}: {host.cores} of {host.cores_shown} cores, {host.memory_gb:.1f} GB",
        "power: measured" if found.power_measured else "power: not measured (no readable counter)",
    ]
    if found.busy_cores is not None and not found.quiet:
        lines.append(
            f"disturbed: others kept {found.busy_cores:.2f} cores busy, {percent(found.disturbed)} of times "
            "differ from run to run; measure again on a quiet machine"
        )
    if found.median_error is not None and found.held is not None:
        lines.append(
            f"predictions of service times: off by {percent(found.median_error)} in the median; "
            f"{percent(found.held)} within the stated x/÷ {1 + stated:.3g}"
        )
    scales = {one.model: one.row_scale for one in found.times if one.row_scale < 1.0}
    lines += [f"rows of {printable(name)} scaled by {scale:.3g} to fit" for name, scale in scales.items()]
    return lines


def _times_grid(times: Sequence[ServiceTime]) -> Grid:
    rows = []
    for model, threads in dict.fromkeys((one.model, one.threads) for one in times):
        mine = [one for one in times if (one.model, one.threads) == (model, threads)]
        cells = [
            f"{1e3 * one.timing.seconds:.3g} ms {100 * one.error:+.0f} %"
            + ("~" if one.timing.disturbed else " ")
            for one in mine
        ]
        median = percent(float(np.median([abs(one.error) for one in mine])))
        rows.append((f"{model}, {threads} threads", *cells, median))
    sizes = list(dict.fromkeys(one.items for one in times))
    header = ("model", *(f"{size} items " for size in sizes), "median")
    title = "Service time, and the error of its prediction (~ disturbed)"
    return Grid(title, header, tuple(rows))
