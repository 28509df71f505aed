"""Stage 1 on this host by measuring: the efficiency table of an instance whose servers are this host."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral
from pathlib import Path

from hercules_opt._version import __version__
from hercules_opt.errors import InputError, check_type
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.measurement.largest_rate import Effort
from hercules_opt.measurement.measured_points import MeasuredPoint
from hercules_opt.measurement.measured_search import DEFAULT_POINTS
from hercules_opt.measurement.on_host import (
    HostModel,
    OnHost,
    check_measurable,
    check_this_host,
    host_model,
)
from hercules_opt.measurement.this_host import ThisHost, this_host
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.servers import ServerType
from hercules_opt.problem.table import EfficiencyTable, PairEfficiency
from hercules_opt.scheduling.efficiencies import Names
from hercules_opt.scheduling.predict import predict
from hercules_opt.scheduling.profile import searchable_pairs

#: Share of the cost model's saturation up to which it states power.
_SATURATED = 0.999


def profile_measured(
    instance: Instance,
    *,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
    points: int = DEFAULT_POINTS,
    folder: str | Path | None = None,
    effort: Effort | None = None,
    progress: Callable[[str], None] | None = None,
) -> EfficiencyTable:
    """Return the efficiency table of an instance, its rates measured on this host.

    Each model is built with random weights and served under an open-loop Poisson load; a search on the
    lattice begins with the cost model's answer. Power is the cost model's.

    Parameters
    ----------
    efficiency
        Constants of the cost model, which decides what is measured: those of ``hercules-opt measure``.
    points
        Schedules that are measured per pair.
    folder
        Where each is kept as soon as it is measured: a second call goes on from there. None: nowhere.
    effort
        How long to measure each.
    progress
        Called with a line per step.

    Raises
    ------
    InputError
        If the extra ``measure`` is missing, a server type is not this host, or a model cannot be built.
    """
    check_type("instance", instance, Instance)
    check_type("efficiency", efficiency, Efficiency)
    if isinstance(points, bool) or not isinstance(points, Integral) or points < 1:
        raise InputError("must be a whole number from 1 on", where="points", found=points)
    names, host, tell = searchable_pairs(instance), this_host(), progress or (lambda line: None)
    for name in instance.servers:
        check_this_host(name, instance.servers[name], host)
    for name in instance.models:
        check_measurable(f"models.{name}", instance.models[name])
    kept = None if folder is None else Path(folder)
    rows = []
    for pair in names:
        server, model = instance.servers[pair[0]], instance.models[pair[1]]
        one = host_model(pair[1], model, server, efficiency, host)
        with OnHost(one, host, effort=effort or Effort(), folder=kept, tell=tell) as on_host:
            rows.append(_row(pair, server, one, on_host.search(points), host))
    return EfficiencyTable(tuple(rows))


def _row(
    name: Names, server: ServerType, one: HostModel, measured: list[MeasuredPoint], host: ThisHost
) -> PairEfficiency:
    found = {"server_type": name[0], "model": name[1], "kind": "measured", "source": _source(measured, host)}
    best = max(measured, key=lambda point: point.rate.qps.value, default=None)
    if best is None or best.rate.qps.value == 0.0:
        missed = f"none of {len(measured)} measured schedules meets the latency target at any rate"
        return PairEfficiency.model_validate({**found, "reason": missed if measured else one.picked.reason})
    qps = best.rate.qps
    told = predict(server, one.model, best.schedule, efficiency=one.efficiency)
    load = min(qps.value, _SATURATED * told.saturation_qps)  # the cost model has no power beyond its own
    told = predict(server, one.model, best.schedule, load_qps=load, efficiency=one.efficiency)
    power = {"value": told.power_w, "kind": "analytic", "source": "cost model at the measured rate"}
    return PairEfficiency.model_validate(
        {
            **found,
            "qps": qps.value,
            "power_w": power,
            "p95_ms": _finite(best, 95.0),
            "p99_ms": _finite(best, 99.0),
            "qps_error": qps.upper / qps.value - 1.0 if math.isfinite(qps.upper) else None,
            "beyond": "; ".join(_doubts(one, best)) or None,
            "analytic_qps": told.bounded_qps or None,
            "schedule": best.schedule,
        }
    )


def _source(measured: list[MeasuredPoint], host: ThisHost) -> str:
    tried = f"schedules tried: {len(measured)}"
    return f"hercules-opt {__version__}, measured on {host.name}, {host.cores} cores, {tried}"


def _finite(best: MeasuredPoint, percentile: float) -> float | None:
    found = best.rate.latency_ms.get(percentile)
    return found.value if found is not None and math.isfinite(found.value) else None


def _doubts(one: HostModel, best: MeasuredPoint) -> list[str]:
    doubts = []
    if best.rate.disturbed:
        doubts.append(f"others used the machine in {best.rate.disturbed_runs} of {best.rate.runs} runs")
    if one.row_scale < 1.0:
        doubts.append(f"rows of the tables scaled by {one.row_scale:.3g} to fit into memory")
    return doubts
