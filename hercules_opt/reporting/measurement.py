"""What was measured on this host, beside what was predicted, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from hercules_opt.measurement.measure import Measurement, Rate
from hercules_opt.measurement.service_time import ServiceTime
from hercules_opt.reporting.grid import Grid
from hercules_opt.reporting.text import number, percent, printable, short


def measurement_page(found: Measurement) -> list[RenderableType]:
    """Return the host's constants, and the service times of models."""
    parts: list[RenderableType] = [Text(line) for line in _lines(found)]
    constants = found.measured.calibration
    rows = [(name, f"{value:.4g}", "fitted") for name, value in constants.constants.items()]
    rows += [(name, f"{value:.4g}", "measured") for name, value in constants.fixed.items()]
    parts += [Text(), Grid("Constants of this host", ("constant", "value", "origin"), tuple(rows), left=(2,))]
    if found.times:
        parts += [Text(), _times_grid(found.times)]
    if found.rates:
        parts += [Text(), _rates_grid(found.rates)]
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
        "rates": [rate_row(one) for one in found.rates],
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
    """Return one latency-bounded rate as plain data."""
    return {
        "model": one.model,
        "schedule": one.schedule.label(),
        "predicted_qps": one.predicted_qps,
        "measured_qps": one.measured.qps.value,
        "lower_qps": one.measured.qps.lower,
        "upper_qps": one.measured.qps.upper,
        "error": one.error,
        "inside": one.inside,
        "busy_cores": one.measured.busy_cores,
        "lateness_ms": one.measured.lateness_ms,
    }


def _rates_grid(rates: Sequence[Rate]) -> Grid:
    rows = []
    for one in rates:
        qps, busy = one.measured.qps, one.measured.busy_cores
        rows.append(
            (
                one.model,
                number(one.predicted_qps),
                number(qps.value),
                f"{short(qps.lower)} to {short(qps.upper)}",
                f"{100 * one.error:+.0f} %",
                "-" if busy is None else f"{busy:.2f}",
                one.schedule.label(),
            )
        )
    header = ("model", "predicted", "measured", "95 % interval", "error", "others busy", "schedule")
    return Grid("Largest rate within the latency target, QPS", header, tuple(rows), left=(6,))


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
