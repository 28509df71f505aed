"""What a schedule does at a load, what binds it, and where its time goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from hercules_opt.errors import InputError, check_type
from hercules_opt.hardware.calibrated_range import outside
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.hardware.operating_point import PERCENTILES, OperatingPoint
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement, Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.evaluator import LEAST_QPS, AnalyticalEvaluator, Evaluation
from hercules_opt.scheduling.programs import Detail, detail
from hercules_opt.scheduling.refusal import no_figures
from hercules_opt.scheduling.schedules import located
from hercules_opt.scheduling.space import Floats
from hercules_opt.workloads.operators import workload

#: Relative change of a resource that its elasticity is measured with.
_STEP = 0.01
#: Elasticities below this are not named among what binds.
_NOTABLE = 0.1
#: Share of saturation from which no other limit is said to bind.
_AT_SATURATION = 0.999


@dataclass(frozen=True)
class OperatorTime:
    """Time of one operator in a full batch, in milliseconds; 0 where it does not run."""

    name: str
    kind: str
    stage: str
    launches: float
    host_ms: float
    device_ms: float


@dataclass(frozen=True)
class Prediction:
    """A schedule at a load, by the cost model.

    Attributes
    ----------
    load_qps, bounded_qps, saturation_qps
        The load that this is about; the largest within the limits; the largest that keeps queues in balance.
    percentiles_ms
        Latency by percentile, the model's own among them.
    power_w, host_power_w, device_power_w
        Power at that load.
    utilization
        Share of time for which the servers of each stage are busy.
    binds
        The limit that the bounded throughput meets: tail latency, power budget or saturation; memory where
        the schedule takes more than there is, and could not run.
    elasticity
        Per cent of bounded throughput gained for one per cent more of a resource.
    memory_share
        Memory taken, as a share of what there is where it is scarcest.
    operators
        Where the time of a batch goes; ``link_ms`` is the transfer to the accelerator.
    relative_error, confidence
        Stated relative error of rates: that of the constants in use, and the share of rates that were held
        back from their calibration and are within it; ``None`` where the error is assumed.
    outside
        Why that error does not speak for this prediction, a sentence each; empty where it does.
    """

    schedule: Schedule
    load_qps: float
    bounded_qps: float
    saturation_qps: float
    percentiles_ms: Mapping[float, float]
    power_w: float
    host_power_w: float
    device_power_w: float
    utilization: Mapping[str, float]
    batch_items: float
    binds: str
    elasticity: Mapping[str, float]
    memory_share: float
    operators: tuple[OperatorTime, ...]
    link_ms: float
    relative_error: float
    confidence: float | None = None
    outside: tuple[str, ...] = ()

    @property
    def bounded_qps_interval(self) -> tuple[float, float]:
        """The bounded throughput, less and plus the stated error."""
        factor = 1.0 + self.relative_error
        return self.bounded_qps / factor, self.bounded_qps * factor

    @property
    def binding(self) -> str:
        """What binds, in a few words: the limit, then the resources that matter most."""
        ranked = sorted(self.elasticity.items(), key=lambda entry: -entry[1])
        named = [f"{name} {share:.2f}" for name, share in ranked if share >= _NOTABLE]
        return ", ".join([self.binds, *named])


def predict(
    server: ServerType,
    model: Model,
    schedule: Schedule,
    load_qps: float | None = None,
    *,
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
) -> Prediction:
    """Return what a server does under a schedule, at a load or (``None``) at its bounded throughput.

    Raises
    ------
    InputError
        If an argument is of another type, the schedule is not one of this server, or the load is not from
        1e-6 QPS to below its saturation; without a load, if the schedule serves none within the limits.
    """
    check_type("server", server, ServerType)
    check_type("model", model, Model)
    check_type("schedule", schedule, Schedule)
    check_type("efficiency", efficiency, Efficiency)
    if load_qps is not None and (isinstance(load_qps, bool) or not isinstance(load_qps, Real)):
        raise InputError("must be a number", where="load_qps", found=load_qps)
    pair = pack(server, model, efficiency)
    return predict_all([pair], [model], [schedule], [load_qps], efficiency, [server])[0]


def predict_all(
    pairs: Sequence[Pair],
    models: Sequence[Model],
    schedules: Sequence[Schedule],
    loads_qps: Sequence[float | None],
    efficiency: Efficiency = DEFAULT_EFFICIENCY,
    servers: Sequence[ServerType] | None = None,
) -> list[Prediction]:
    """Return predictions of many pairs, each with its schedule and load, evaluated together.

    Without ``servers``, ``outside`` says only whether the constants are calibrated.
    """
    points = [located(pair, schedule)[1] for pair, schedule in zip(pairs, schedules, strict=True)]
    predictions: dict[int, Prediction] = {}
    for placement in dict.fromkeys(schedule.placement for schedule in schedules):
        rows = [row for row, schedule in enumerate(schedules) if schedule.placement == placement]
        bounded, elasticity = _elasticities(
            placement, [pairs[row] for row in rows], [points[row] for row in rows]
        )
        for place, row in enumerate(rows):
            base = bounded.take(place)
            load = _load(loads_qps[row], base)
            found = detail(placement, pairs[row], points[row], load)
            if not all(np.isfinite(figure).all() for figure in found.point):
                raise InputError(no_figures(), where="schedule")
            predictions[row] = _prediction(
                models[row],
                schedules[row],
                found,
                load,
                base,
                elasticity[place],
                efficiency,
                outside(efficiency, None if servers is None else servers[row], models[row]),
            )
    return [predictions[row] for row in range(len(schedules))]


def _load(asked: float | None, at: Evaluation) -> float:
    if not math.isfinite(at.memory):
        raise InputError(no_figures(), where="schedule")
    if asked is None:
        if at.memory > 1.0:
            raise InputError(_too_large(at), where="schedule")
        if not at.qps > 0.0:
            rule = "the schedule serves no load within the limits; give load_qps to see what it does"
            raise InputError(rule, where="schedule")
        return float(at.qps)
    if not (math.isfinite(asked) and LEAST_QPS <= asked < at.saturation_qps):
        most = f"the saturation of the schedule, {float(at.saturation_qps):.6g} QPS"
        rule = f"must be at least {LEAST_QPS:g} and below {most}"
        raise InputError(rule, where="load_qps", found=asked)
    return float(asked)


def _too_large(at: Evaluation) -> str:
    return f"takes {float(at.memory):.3g} times the memory that there is"


class _Fields(NamedTuple):
    """What one per cent more of a resource scales; a cost shrinks instead."""

    host: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    shrinks: bool = False


_RESOURCES: dict[str, _Fields] = {
    "compute": _Fields(host=("core_flop_s",), device=("flop_s",)),
    "memory bandwidth": _Fields(host=("bytes_s", "core_bytes_s"), device=("bytes_s",)),
    "near-memory gather": _Fields(host=("nmp_bytes_s",)),
    "host link": _Fields(device=("link_bytes_s",)),
    "launches": _Fields(host=("launch_s", "fork_s"), device=("launch_s", "link_s"), shrinks=True),
}
_LIMITS: dict[str, _Fields] = {
    "tail latency": _Fields(terms=("sla_s",)),
    "power budget": _Fields(terms=("budget_w",)),
}
_CHANGES = {**_RESOURCES, **_LIMITS}


def _with_more(pair: Pair, fields: _Fields) -> Pair:
    factor = 1.0 / (1.0 + _STEP) if fields.shrinks else 1.0 + _STEP
    return pair._replace(
        host=pair.host._replace(**{name: getattr(pair.host, name) * factor for name in fields.host}),
        device=pair.device._replace(**{name: getattr(pair.device, name) * factor for name in fields.device}),
        terms=pair.terms._replace(**{name: getattr(pair.terms, name) * factor for name in fields.terms}),
    )


def _elasticities(
    placement: Placement, pairs: Sequence[Pair], points: Sequence[Floats]
) -> tuple[Evaluation, list[dict[str, float]]]:
    """Return the bounded throughput of each pair, and its elasticity in each resource and limit."""
    variants = [*pairs, *(_with_more(pair, fields) for fields in _CHANGES.values() for pair in pairs)]
    found = AnalyticalEvaluator(variants).evaluate(
        placement, np.arange(len(variants)), np.tile(np.asarray(points), (len(_CHANGES) + 1, 1))
    )
    qps = found.qps.reshape(len(_CHANGES) + 1, len(pairs))
    shares = [
        {
            name: _log_ratio(more, column[0]) / math.log1p(_STEP)
            for name, more in zip(_CHANGES, column[1:], strict=True)
        }
        for column in qps.T
    ]
    return found.take(slice(0, len(pairs))), shares


def _log_ratio(more: float, less: float) -> float:
    return math.log(more / less) if more > 0.0 and less > 0.0 else 0.0


def _prediction(
    model: Model,
    schedule: Schedule,
    found: Detail,
    load_qps: float,
    base: Evaluation,
    elasticity: dict[str, float],
    efficiency: Efficiency,
    beyond: tuple[str, ...],
) -> Prediction:
    point, times = found.point, found.breakdown
    power = float(point.host_power_w + point.device_power_w)
    percentiles = {
        percent: float(seconds) * 1e3
        for percent, seconds in zip((*PERCENTILES, model.sla_percentile), point.percentile_s, strict=True)
    }
    assert model.architecture is not None
    operators = tuple(
        OperatorTime(op.name, op.kind, op.stage, op.launches, float(host) * 1e3, float(device) * 1e3)
        for op, host, device in zip(
            workload(model.architecture).operators, times.host_s, times.device_s, strict=False
        )
    )
    return Prediction(
        schedule=schedule,
        load_qps=load_qps,
        bounded_qps=float(base.qps),
        saturation_qps=float(base.saturation_qps),
        percentiles_ms=MappingProxyType(percentiles),
        power_w=power,
        host_power_w=float(point.host_power_w),
        device_power_w=float(point.device_power_w),
        utilization=MappingProxyType(_utilization(point, schedule.placement)),
        batch_items=float(point.batch_items),
        binds=_limit(base, elasticity),
        elasticity=MappingProxyType({name: elasticity[name] for name in _RESOURCES}),
        memory_share=float(base.memory),
        operators=operators,
        link_ms=float(times.link_s) * 1e3,
        relative_error=efficiency.relative_error,
        confidence=efficiency.confidence,
        outside=beyond,
    )


def _utilization(point: OperatingPoint, placement: Placement) -> dict[str, float]:
    stages = {
        "host": (point.host_utilization, placement != "accelerator"),
        "dense host": (point.dense_utilization, placement == "cpu-sd"),
        "accelerator": (point.device_utilization, placement not in ("cpu", "cpu-sd")),
    }
    return {name: float(share) for name, (share, present) in stages.items() if present}


def _limit(base: Evaluation, elasticity: Mapping[str, float]) -> str:
    """Return the limit that the bounded throughput meets: the one of which more would help."""
    if base.memory > 1.0:
        return f"memory: {_too_large(base)}"
    if not base.qps > 0.0:
        return "nothing is served within the limits"
    if base.qps >= _AT_SATURATION * base.saturation_qps:
        return "saturation"
    return max(_LIMITS, key=lambda name: elasticity[name])
