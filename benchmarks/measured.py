"""This host, measured: microbenchmarks, service times and rates of models that these predict, and the regret.

    python -m benchmarks.measured [--smoke] [--json FILE]

Needs the ``measure`` extra. Nothing but microbenchmarks goes into the constants; no model is timed for them.
Each model is then served under load with the schedule that the cost model picks and with others; what the
pick loses against the best other is measured in turns: below 0 where the pick is the better one. A disturbed
machine is reported: errors then are those of the measurement as much as of the prediction.
"""

from __future__ import annotations

import sys

from benchmarks.harness import Report, main
from hercules_opt.measurement.largest_rate import Effort
from hercules_opt.measurement.measure import Measurement, Rate
from hercules_opt.measurement.measure import measure as run
from hercules_opt.problem.catalogue import catalogue
from hercules_opt.reporting.measurement import point_rows, rate_row, time_row

MODELS = ("dlrm-rmc1", "dlrm-rmc2", "dlrm-rmc3", "wnd", "din")
#: A smoke run has a target that a machine which others use meets too.
SMOKE_MODELS, SMOKE_MS = ("ncf",), 200.0
#: Schedules measured per model, and how long each: a little less than by default.
POINTS, EFFORT = 3, Effort(repeats=1, run_s=2.0, least_queries=160, targets=20.0)


def measure(smoke: bool) -> Report:
    """Measure all models, or the smallest in a smoke run."""
    names = SMOKE_MODELS if smoke else MODELS
    models = {name: catalogue.models[name] for name in names}
    if smoke:
        models = {name: model.replace(sla_ms=SMOKE_MS) for name, model in models.items()}
    found = run(
        models, load=True, points=POINTS, effort=EFFORT, quick=smoke,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    return Report(
        {
            "Service time of a batch": [time_row(one) for one in found.times],
            "Largest rate within the latency target": [_rate(one) for one in found.rates],
            "What the predicted schedule loses, measured in turns": [_regret(one) for one in found.rates],
            "All schedules measured": [row for one in found.rates for row in point_rows(one)],
        },
        _notes(found),
        {"Rates": [rate_row(one) for one in found.rates]},
    )


def _rate(one: Rate) -> dict[str, object]:
    row = rate_row(one)
    names = "model schedule predicted_qps measured_qps lower_qps upper_qps error inside"
    return {**_columns(one, names), "disturbed": f"{row['disturbed_runs']} of {row['runs']}"}


def _regret(one: Rate) -> dict[str, object]:
    return _columns(one, "model schedule other_schedule regret regret_lower regret_upper")


def _columns(one: Rate, names: str) -> dict[str, object]:
    row = rate_row(one)
    return {name: row[name] for name in names.split()}


def _notes(found: Measurement) -> list[str]:
    median, held = found.median_error or 0.0, found.held or 0.0
    stated = found.measured.calibration.relative_error
    state = "quiet" if found.quiet else "disturbed"
    busy = "unknown" if found.busy_cores is None else f"{found.busy_cores:.2f}"
    errors = [abs(one.error) for one in found.rates if one.error is not None]
    within = sum(error <= 0.25 for error in errors)
    sound = sum(one.inside or (one.error is not None and abs(one.error) <= 0.25) for one in found.rates)
    lost = [one.lost.value for one in found.rates if one.lost is not None]
    most = f"{100 * max(lost):.1f} %" if lost else "not known"
    silent = len(found.rates) - len(lost)
    unknown = f" ({silent} without, since a rate was missing)" if silent else ""
    return [
        f"{found.host.name}, {found.host.cores} of {found.host.cores_shown} cores, {state}: others kept "
        f"{busy} cores busy; {100 * found.disturbed:.0f} % of the times differ from run to run.",
        f"Error of the predicted service times: median {100 * median:.1f} %; {100 * held:.0f} % are within "
        f"the stated x/÷ {1 + stated:.2f}.",
        f"Predicted rates: {within} of {len(found.rates)} within 25 % of the measured, {sound} within that "
        f"or the measurement's own interval. Most that a pick loses: {most}{unknown}.",
        f"Power: {'measured' if found.power_measured else 'not measured'}.",
    ]


if __name__ == "__main__":
    main("measured", "Service times, rates and regret on this host, measured and predicted.", measure)
