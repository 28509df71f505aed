"""Stage 1 for a whole instance: the efficiency table."""

from __future__ import annotations

from collections.abc import Callable

from hercules_opt._version import __version__
from hercules_opt.errors import InputError
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.problem.table import EfficiencyTable, PairEfficiency
from hercules_opt.scheduling.check import Checked, check_results
from hercules_opt.scheduling.optimize import Method, ScheduleResult, optimize_all


def profile(
    instance: Instance,
    *,
    method: Method | None = None,
    seed: int = 0,
    check: bool = True,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
    progress: Callable[[int, int], None] | None = None,
) -> EfficiencyTable:
    """Return the efficiency table of an instance: for each pair its best schedule, or why there is none.

    Parameters
    ----------
    method
        ``"gradient"`` or ``"exhaustive"`` searches (see ``optimize_schedule``). None: the instance's own
        measured table where it has one, else the gradient search.
    seed
        Of the search, and of the check.
    check
        Simulate each schedule at the rate found, and lower the rate to one that holds the latency target (see
        ``check``); the row says so, and keeps the cost model's rate beside it.
    efficiency
        Constants of the cost model, for example ``load_calibration(name).efficiency``.
    progress
        Called with the number of parts of searches done and how many there are, then with that of schedules
        checked.

    Raises
    ------
    InputError
        If a server type has no parts, or a model no architecture, target or query sizes: the message says
        which.
    """
    if method is None and instance.table is not None:
        return instance.table
    names = [(server, model) for server in instance.servers for model in instance.models]
    for server in instance.servers:
        _check_server(server, instance.servers[server])
    for model in instance.models:
        _check_model(model, instance.models[model])
    pairs = [(instance.servers[server], instance.models[model]) for server, model in names]
    results = optimize_all(
        pairs, method=method or "gradient", seed=seed, efficiency=efficiency, progress=progress
    )
    checks: list[Checked | None] = [None] * len(results)
    if check:
        checks = check_results(pairs, results, seed=seed, efficiency=efficiency, progress=progress)
    rows = [
        _row(*name, result, held, efficiency)
        for name, result, held in zip(names, results, checks, strict=True)
    ]
    return EfficiencyTable(tuple(rows))


def _check_server(name: str, server: ServerType) -> None:
    if server.cpu is None:
        hint = "Give the server its parts, or the instance a measured [efficiency] table."
        raise InputError("is required to search for schedules", key=f"servers.{name}.cpu", hint=hint)


def _check_model(name: str, model: Model) -> None:
    for field in ("architecture", "sla_ms", "query_size"):
        if getattr(model, field) is None:
            hint = "Describe the model, or give the instance a measured [efficiency] table."
            raise InputError("is required to search for schedules", key=f"models.{name}.{field}", hint=hint)


def _row(
    server: str, model: str, result: ScheduleResult, check: Checked | None, efficiency: Efficiency
) -> PairEfficiency:
    constants = f"cost model with {efficiency.kind} constants"
    if efficiency.calibrated is not None:
        constants += f" ({efficiency.source})"
    source = f"hercules-opt {__version__}, {result.method} search, {constants}"
    kind = "analytic" if efficiency.calibrated is None else "calibrated"
    described = {"server_type": server, "model": model, "kind": kind, "source": source}
    prediction = result.prediction
    if prediction is None:
        return PairEfficiency.model_validate({**described, "reason": result.reason})
    found = {
        **described,
        "analytic_qps": result.qps,
        "checked": "not checked",
        "qps": result.qps,
        "power_w": result.power_w,
        "p95_ms": prediction.percentiles_ms[95.0],
        "p99_ms": prediction.percentiles_ms[99.0],
        "qps_error": prediction.relative_error,
        "beyond": "; ".join(prediction.outside) or None,
        "schedule": prediction.schedule,
        "binds": prediction.binding,
    }
    if check is None:
        return PairEfficiency.model_validate(found)
    found.update(checked="simulated", source=f"{source}, checked by simulation")
    if check.qps > 0.0:
        found.update(qps=check.qps, power_w=check.power_w, p95_ms=check.p95_ms, p99_ms=check.p99_ms)
        return PairEfficiency.model_validate(found)
    for key in ("qps", "power_w", "p95_ms", "p99_ms", "qps_error", "beyond", "schedule", "binds"):
        del found[key]
    return PairEfficiency.model_validate({**found, "reason": check.reason})
