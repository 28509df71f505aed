"""Predictions: what they say of a load, what they refuse, and the surface that the search climbs."""

from __future__ import annotations

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.simulated import simulated_server
from hercules_opt.scheduling.surface import gradient_path, throughput_surface
from hercules_opt.simulation.server import poisson_trace

CORES = 6
PLAIN = ho.Schedule(placement="cpu", threads=3, cores_per_thread=2, batch_size=64)


@pytest.fixture(scope="module")
def server() -> ServerType:
    whole = ho.catalogue.servers["T1"]
    assert whole.cpu is not None
    return whole.replace(cpu=whole.cpu.replace(cores=CORES))


@pytest.fixture(scope="module")
def model() -> Model:
    return ho.catalogue.models["dlrm-rmc2"].replace(sla_ms=200.0)


def test_at_its_bound_a_schedule_meets_its_target_and_no_more(server: ServerType, model: Model) -> None:
    at_bound = ho.predict(server, model, PLAIN)
    assert at_bound.load_qps == at_bound.bounded_qps < at_bound.saturation_qps
    assert at_bound.percentiles_ms[95.0] == pytest.approx(200.0, rel=2e-3)
    assert at_bound.binds == "tail latency"
    assert list(at_bound.percentiles_ms.values()) == sorted(at_bound.percentiles_ms.values())


def test_latency_and_power_grow_with_the_load(server: ServerType, model: Model) -> None:
    bound = ho.predict(server, model, PLAIN).bounded_qps
    seen = [ho.predict(server, model, PLAIN, load_qps=share * bound) for share in (0.1, 0.5, 0.9)]
    for values in ([s.percentiles_ms[99.0] for s in seen], [s.power_w for s in seen]):
        assert values == sorted(values)
        assert values[0] < values[-1]


def test_an_embedding_bound_model_gains_from_memory_and_not_from_a_link(
    server: ServerType, model: Model
) -> None:
    """RMC2 gathers 983 KB per item; there is no accelerator, so its link cannot matter."""
    elasticity = ho.predict(server, model, PLAIN).elasticity
    assert elasticity["memory bandwidth"] > 0.5
    assert elasticity["host link"] == elasticity["near-memory gather"] == 0.0


def test_the_operators_take_the_time_of_the_model(server: ServerType, model: Model) -> None:
    operators = ho.predict(server, model, PLAIN).operators
    assert max(operators, key=lambda op: op.host_ms).kind == "gather"
    assert all(op.device_ms == 0.0 for op in operators)


@pytest.mark.parametrize(
    ("changes", "load_qps", "text"),
    [
        ({"placement": "accelerator"}, None, "placement: this server offers cpu, cpu-sd"),
        ({"threads": 4}, None, "must take at most 6 cores, found 8"),
        ({"batch_size": 2000}, None, "batch_size: must be from 1 to 1024, found 2000"),
        ({"placement": "cpu-sd"}, None, "dense_threads: placement 'cpu-sd' needs it"),
        (
            {"instances": 2},
            None,
            "schedule, instances: must be left out: placement 'cpu' has threads, cores_per_thread, batch_size"
            ", found 2",
        ),
        ({"hot_share": 0.0}, 1.0, "schedule, hot_share: must be left out: placement 'cpu' has threads, "),
        ({}, -1.0, "load_qps: must be at least 1e-06 and below the saturation"),
        ({}, 1e-7, "load_qps: must be at least 1e-06 and below the saturation of the schedule, "),
        ({}, float("nan"), "load_qps: must be at least 1e-06 and below the saturation"),
        ({}, 1e9, "load_qps: must be at least 1e-06 and below the saturation"),
    ],
)
def test_what_cannot_be_predicted_is_refused(
    server: ServerType, model: Model, changes: dict[str, object], load_qps: float | None, text: str
) -> None:
    with pytest.raises(ho.InputError) as error:
        ho.predict(server, model, PLAIN.replace(**changes), load_qps=load_qps)
    assert text in str(error.value)


def test_a_fused_batch_below_the_largest_query_is_refused(model: Model) -> None:
    """A lone query may have 1024 items; the service times of a stage end at its largest batch."""
    small = ho.Schedule(placement="accelerator", instances=1, fused_items=512)
    with pytest.raises(ho.InputError, match="fused_items: must be from 1024 to 16384, found 512"):
        ho.predict(ho.catalogue.servers["T7"], model, small)


def test_accelerators_share_their_instances_evenly(model: Model) -> None:
    """Three instances on two accelerators would be one and a half copies on each."""
    one = ho.catalogue.servers["T7"]
    assert one.accelerator is not None
    two = one.replace(accelerator=one.accelerator.replace(count=2))
    three = ho.Schedule(placement="accelerator", instances=3, fused_items=1024)
    with pytest.raises(ho.InputError, match="instances: must be a multiple of the 2 accelerators, or"):
        ho.predict(two, model, three)
    assert ho.predict(two, model, three.replace(instances=4)).bounded_qps > 0.0


def test_a_query_of_more_pieces_than_instances_is_slowed_by_itself_alone(model: Model) -> None:
    """32 pieces of the largest query before four instances: as in a simulation of lone queries."""
    server = ho.catalogue.servers["T7"]
    schedule = ho.Schedule(
        placement="cpu-accelerator",
        threads=4,
        cores_per_thread=5,
        batch_size=32,
        instances=4,
        fused_items=1024,
    )
    found = ho.predict(server, model, schedule)
    load_qps = 1e-4 * found.saturation_qps
    queries = simulated_server(pack(server, model), model, schedule)
    trace = poisson_trace(load_qps, queries.sizes, 20_000, 0)
    latency_ms = queries.done_ms(trace, 0) - trace.times_ms
    told = ho.predict(server, model, schedule, load_qps=load_qps)
    assert told.percentiles_ms[95.0] == pytest.approx(np.percentile(latency_ms, 95), rel=0.1)


def test_beyond_memory_nothing_is_bounded_and_memory_is_what_binds(server: ServerType, model: Model) -> None:
    """RMC2's tables take 4.1 GB; without a load the schedule is refused, with one memory is named."""
    assert server.cpu is not None
    small = server.replace(cpu=server.cpu.replace(memory_gb=1.0))
    with pytest.raises(ho.InputError, match=r"^schedule: takes 4\.\d+ times the memory that there is$"):
        ho.predict(small, model, PLAIN)
    found = ho.predict(small, model, PLAIN, load_qps=1.0)
    assert found.bounded_qps == 0.0
    assert found.memory_share > 4.0
    assert found.binding == f"memory: takes {found.memory_share:.3g} times the memory that there is"


def test_a_schedule_that_serves_nothing_says_so(server: ServerType, model: Model) -> None:
    with pytest.raises(ho.InputError, match="serves no load within the limits"):
        ho.predict(server, model.replace(sla_ms=0.01), PLAIN)


def test_the_surface_is_what_predictions_say(server: ServerType, model: Model) -> None:
    """NaN beyond the cores; the rest agrees point by point."""
    surface = throughput_surface(server, model, PLAIN, "threads", "batch_size", points=4)
    assert surface.qps.shape == (4, 4)
    beyond = np.broadcast_to(2.0 * surface.x_values > CORES, (4, 4))
    assert np.array_equal(np.isnan(surface.qps), beyond)
    corner = PLAIN.replace(threads=1, batch_size=round(surface.y_values[-1]))
    bound = ho.predict(server, model, corner).bounded_qps
    assert surface.qps[-1, 0] == pytest.approx(bound, rel=1e-9)


def test_the_gradient_path_climbs_and_keeps_to_the_cores(server: ServerType, model: Model) -> None:
    start = PLAIN.replace(threads=1, cores_per_thread=1, batch_size=2)
    path = gradient_path(server, model, start, steps=25)
    assert path.qps[-1] > 3.0 * path.qps[0]
    used = path.variables["threads"] * path.variables["cores_per_thread"]
    assert used.max() <= CORES * (1 + 1e-9)


def test_an_unknown_variable_of_a_surface_names_the_nearest(server: ServerType, model: Model) -> None:
    with pytest.raises(ho.InputError, match="Did you mean 'batch_size'"):
        throughput_surface(server, model, PLAIN, "threads", "batch_sice")
