"""Whatever figures the schema lets through, no answer of stage 1 holds NaN or infinity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from annotated_types import Ge, Le, Lt
from hypothesis import given, settings
from hypothesis import strategies as st

import hercules_opt as ho
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.architecture import Architecture, Tables
from hercules_opt.problem.models import Model, QuerySize
from hercules_opt.problem.provenance import Part
from hercules_opt.problem.servers import Accelerator, Cpu, Nmp, ServerType
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.space import placements, search_space

#: What ``predict`` may answer besides a prediction: a reason that names no figure of another kind.
REASONS = (
    "must hold some of the distribution",
    "serves no load within",
    "times the memory that there is",
    "must be at least 1e-06 and below the saturation",
)
#: As large as the lattice of schedules stays small enough to draw from.
CORES = st.integers(1, 16)


def between(low: float, high: float) -> st.SearchStrategy[float]:
    """Return figures of every order of magnitude, and the ends."""
    least = low if low > 0.0 else 1e-12
    inside = st.floats(math.log(least), math.log(high)).map(lambda x: min(max(math.exp(x), low), high))
    return st.sampled_from((low, high)) | inside


def mostly(usual: Any, others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from((*[st.just(usual)] * 7, others)).flatmap(lambda chosen: chosen)


def of_box(part: type[Part], key: str, usual: float) -> st.SearchStrategy[Any]:
    """Return the figures that the schema allows of a key, most of them the usual one.

    Were many of them extreme at once, nothing would ever be served.
    """
    field = part.model_fields[key]
    ends = {type(rule): rule for rule in field.metadata}
    low = float(ends[Ge].ge)
    high = float(ends[Le].le) if Le in ends else math.nextafter(float(ends[Lt].lt), 0.0)
    if field.annotation is int:
        return mostly(round(usual), between(max(low, 1.0), high).map(round))
    return mostly(float(usual), between(low, high))


def box(part: type[Part], **usual: float) -> dict[str, st.SearchStrategy[Any]]:
    return {key: of_box(part, key, figure) for key, figure in usual.items()}


def rated(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a part whose idle power is a share of its rated power."""
    return {**entry, "idle_w": entry["tdp_w"] * entry["idle_w"]}


share = {"idle_w": st.sampled_from((0.0, 0.3, 1.0))}
cpus = st.fixed_dictionaries(
    {
        **box(Cpu, clock_ghz=2, flops_per_cycle=64, llc_mb=27.5, memory_gb_s=128, memory_gb=384, tdp_w=125),
        **box(Cpu, memory_idle_w=12, memory_active_w=24),
        **share,
        "cores": CORES,
    }
).map(rated)
nmps = st.fixed_dictionaries(
    box(Nmp, ranks_per_channel=2, rank_efficiency=0.6, idle_w=1, active_w=2, energy_saving=0.4)
)
accelerators = st.fixed_dictionaries(
    {
        **box(Accelerator, count=1, peak_tflop_s=14, memory_gb_s=900, memory_gb=80, tdp_w=250),
        **box(Accelerator, launch_us=5, link_gb_s=12, link_us=10),
        **share,
    },
    optional={"uncapped_w": between(1e-6, 1e5), "on_chip_gb_s": between(1e-6, 1e7)},
).map(rated)
servers = st.fixed_dictionaries(
    {"cpu": cpus, **box(ServerType, board_w=60)},
    optional={"nmp": nmps, "accelerator": accelerators, "power_budget_w": between(0.0, 1e6)},
).map(ServerType.model_validate)
sizes = st.fixed_dictionaries(
    {**box(QuerySize, mean_items=165, sigma=1), "max_items": mostly(1024, st.integers(1, 100_000))}
).map(QuerySize.model_validate)
tables = st.fixed_dictionaries(
    {
        "rows": mostly(1_000_000, between(1.0, 1e12).map(round)),
        "count": st.integers(1, 40),
        "dim": mostly(32, between(1.0, 1e6).map(round)),
        "lookups": of_box(Tables, "lookups", 80),
    }
)
widths = st.lists(mostly(256, between(1.0, 1e6).map(round)), min_size=1, max_size=3)
element = mostly(4.0, between(1e-6, 8.0))
architectures = st.fixed_dictionaries(
    {
        "tables": st.lists(tables, min_size=1, max_size=2),
        "dense_features": st.integers(1, 100_000),
        "top_mlp": widths,
        "table_element_bytes": element,
        "dense_element_bytes": element,
        "id_bytes": element,
    }
).map(Architecture.model_validate)
models = st.builds(
    Model,
    sla_ms=of_box(Model, "sla_ms", 100),
    sla_percentile=st.sampled_from((50.0, 95.0, 99.9, math.nextafter(100.0, 0.0))),
    query_size=sizes,
    architecture=architectures,
)


def figures_in(answer: Any) -> list[float]:
    """Return every number of an answer, whatever it is nested in."""
    if dataclasses.is_dataclass(answer):
        return [n for field in dataclasses.fields(answer) for n in figures_in(getattr(answer, field.name))]
    if isinstance(answer, Mapping):
        return [number for value in answer.values() for number in figures_in(value)]
    if isinstance(answer, (tuple, list)):
        return [number for value in answer for number in figures_in(value)]
    return [float(answer)] if isinstance(answer, (int, float)) else []


def answer(call: Callable[[], Any]) -> Any:
    """Return what a call answers, ``None`` where it is refused for a good reason."""
    try:
        return call()
    except ho.InputError as error:
        if any(reason in str(error) for reason in REASONS):
            return None
        raise


@settings(derandomize=True, deadline=None, max_examples=25)
@given(servers, models, st.integers(0, 2**32 - 1), between(1e-9, 0.999))
def test_predictions_are_finite(server: ServerType, model: Model, seed: int, load: float) -> None:
    """At the bound and at a share of saturation, with a schedule of every placement."""
    pair = answer(lambda: pack(server, model))
    for placement in placements(pair) if pair else ():
        space = search_space(placement, pair)
        point = space.sample(1, np.random.default_rng(seed))
        at = AnalyticalEvaluator([pair]).evaluate(placement, np.zeros(1, dtype=np.int64), point)
        for load_qps in (None, load * float(at.saturation_qps[0])):
            schedule = space.schedule(point[0])
            found = answer(partial(ho.predict, server, model, schedule, load_qps))
            if found is None:
                continue
            assert np.isfinite(figures_in(found)).all()
            assert found.power_w >= 0.0
            assert min(found.percentiles_ms.values()) > 0.0


@settings(derandomize=True, deadline=None, max_examples=3)
@given(servers, models)
def test_schedules_found_are_finite(server: ServerType, model: Model) -> None:
    """Of a search; where nothing is served there is a reason with figures."""
    found = answer(lambda: ho.optimize_schedule(server, model, method="random"))
    if found is None:
        return
    assert np.isfinite(figures_in(found)).all()
    assert (found.reason is None) == (found.qps > 0.0)
    assert not {"nan", "inf"} & set((found.reason or "").split())


@pytest.mark.parametrize("method", ["lattice", "random"])
def test_what_is_no_number_never_wins(method: Any) -> None:
    """Behind the schema's back: a processor without a clock serves nothing, and the reason says so."""
    server = ho.catalogue.servers["T1"]
    assert server.cpu is not None
    broken = server.model_copy(update={"cpu": server.cpu.model_copy(update={"clock_ghz": math.nan})})
    found = ho.optimize_schedule(broken, ho.catalogue.models["dlrm-rmc3"], method=method)
    assert (found.schedule, found.qps, found.power_w) == (None, 0.0, None)
    assert set(found.placements.values()) == {0.0}
    reason = "the cost model has no finite figures for a server and a model as extreme as these"
    assert found.reason == reason
    schedule = ho.Schedule(placement="cpu", threads=1, cores_per_thread=1, batch_size=1)
    for load_qps in (None, 1.0):
        with pytest.raises(ho.InputError, match=f"^schedule: {reason}$"):
            ho.predict(broken, ho.catalogue.models["dlrm-rmc3"], schedule, load_qps)


def test_a_schedule_of_unknown_figures_is_the_worst() -> None:
    """Below one that serves nothing, and below one that does not fit."""
    server, model = ho.catalogue.servers["T1"], ho.catalogue.models["dlrm-rmc3"]
    good = pack(server, model)
    small = good._replace(host=good.host._replace(memory_bytes=1.0))
    late = good._replace(terms=good.terms._replace(sla_s=1e-9))
    unknown = good._replace(host=good.host._replace(core_flop_s=math.nan))
    point = search_space("cpu", good).sample(1, np.random.default_rng(0))
    judged = AnalyticalEvaluator([unknown, small, late, good]).evaluate(
        "cpu", np.arange(4), np.repeat(point, 4, axis=0)
    )
    assert judged.merit.argsort().tolist() == [0, 1, 2, 3]
    assert judged.qps.tolist()[:3] == [0.0, 0.0, 0.0]
