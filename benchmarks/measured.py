"""This host, measured: microbenchmarks, and service times of models that these predict.

    python -m benchmarks.measured [--smoke] [--json FILE]

Needs the ``measure`` extra. Nothing but microbenchmarks goes into the constants; no model is timed for them.
A disturbed machine is reported: errors then are those of the measurement as much as of the prediction.
"""

from __future__ import annotations

from benchmarks.harness import Report, main
from hercules_opt.measurement.measure import measure as run
from hercules_opt.problem.catalogue import catalogue
from hercules_opt.reporting.measurement import rate_row, time_row

MODELS = ("dlrm-rmc1", "dlrm-rmc2", "dlrm-rmc3", "wnd", "din")
SMOKE_MODELS = ("ncf",)


def measure(smoke: bool) -> Report:
    """Measure all models, or the smallest in a smoke run."""
    names = SMOKE_MODELS if smoke else MODELS
    found = run({name: catalogue.models[name] for name in names}, load=True, quick=smoke)
    median, held = found.median_error or 0.0, found.held or 0.0
    stated = found.measured.calibration.relative_error
    state = "quiet" if found.quiet else "disturbed"
    busy = "unknown" if found.busy_cores is None else f"{found.busy_cores:.2f}"
    return Report(
        {
            "Service time of a batch": [time_row(one) for one in found.times],
            "Largest rate within the latency target": [rate_row(one) for one in found.rates],
        },
        [
            f"{found.host.name}, {found.host.cores} of {found.host.cores_shown} cores, {state}: others kept "
            f"{busy} cores busy; {100 * found.disturbed:.0f} % of the times differ from run to run.",
            f"Error of the predictions: median {100 * median:.1f} %; {100 * held:.0f} % are within the "
            f"stated x/÷ {1 + stated:.2f}.",
            f"Power: {'measured' if found.power_measured else 'not measured'}.",
        ],
    )


if __name__ == "__main__":
    main("measured", "Service times on this host, measured and predicted.", measure)
