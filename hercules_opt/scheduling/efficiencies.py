"""Rows of the efficiency table: search and check some pairs, in this process or in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hercules_opt._version import __version__
from hercules_opt.errors import InputError
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.problem.table import PairEfficiency
from hercules_opt.scheduling.check import Checked, check_results
from hercules_opt.scheduling.code_version import code_version
from hercules_opt.scheduling.optimize import Method, Progress, ScheduleResult, optimize_all

#: Names of a server type and of a model.
Names = tuple[str, str]


@dataclass(frozen=True)
class Terms:
    """How pairs are searched: all that a row depends on besides its pair and the code."""

    method: Method
    seed: int
    check: bool
    efficiency: Efficiency = DEFAULT_EFFICIENCY


def efficiencies(
    names: Sequence[Names],
    pairs: Sequence[tuple[ServerType, Model]],
    terms: Terms,
    progress: Progress | None = None,
) -> list[PairEfficiency]:
    """Return the row of each pair."""
    known = terms.efficiency
    results = optimize_all(pairs, method=terms.method, seed=terms.seed, efficiency=known, progress=progress)
    checks: Sequence[Checked | None] = [None] * len(results)
    if terms.check:
        checks = check_results(pairs, results, seed=terms.seed, efficiency=known, progress=progress)
    return [
        _row(*name, result, held, known) for name, result, held in zip(names, results, checks, strict=True)
    ]


def efficiencies_elsewhere(
    names: Sequence[Names], pairs: Sequence[tuple[ServerType, Model]], terms: Terms, version: str
) -> list[PairEfficiency]:
    """Return the same, in a process that must have the code of the one that asks.

    Raises
    ------
    InputError
        If it has not.
    """
    if code_version() != version:
        rule = "a worker has another version of hercules_opt, JAX or NumPy than this process"
        raise InputError(rule, where="workers", found=__version__)
    return efficiencies(names, pairs, terms)


def _row(
    server: str, model: str, result: ScheduleResult, check: Checked | None, efficiency: Efficiency
) -> PairEfficiency:
    constants = f"cost model with {efficiency.kind} constants"
    if efficiency.calibrated is not None:
        constants += f" ({efficiency.source})"
    source = f"hercules-opt {__version__}, {result.method} search, {constants}"
    kind = "analytic" if efficiency.calibrated is None else "calibrated"
    described = {"server_type": server, "model": model, "kind": kind, "source": source}
    prediction, schedule = result.prediction, result.schedule
    if schedule is None:
        return PairEfficiency.model_validate({**described, "reason": result.reason})
    found = {
        **described,
        "analytic_qps": result.qps,
        "checked": "not checked",
        "qps": result.qps,
        "power_w": result.power_w,
        "qps_error": efficiency.relative_error,
        "schedule": schedule,
    }
    if prediction is not None:
        found |= {
            "p95_ms": prediction.percentiles_ms[95.0],
            "p99_ms": prediction.percentiles_ms[99.0],
            "beyond": "; ".join(prediction.outside) or None,
            "binds": prediction.binding,
        }
    if check is None:
        return PairEfficiency.model_validate(found)
    found.update(checked="simulated", source=f"{source}, checked by simulation")
    if check.qps > 0.0:
        found.update(qps=check.qps, power_w=check.power_w, p95_ms=check.p95_ms, p99_ms=check.p99_ms)
        if check.qps < result.qps and prediction is not None and prediction.binds != "tail latency":
            # What the cost model names does not bind at the lowered rate.
            found["binds"] = "tail latency in simulation"
        return PairEfficiency.model_validate(found)
    for key in ("qps", "power_w", "p95_ms", "p99_ms", "qps_error", "beyond", "schedule", "binds"):
        found.pop(key, None)
    return PairEfficiency.model_validate({**found, "reason": check.reason})
