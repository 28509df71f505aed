"""Schedules as the simulator sees them: the cost model's times, stage by stage."""

from __future__ import annotations

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.errors import InputError
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.schedule import Schedule
from hercules_opt.scheduling.simulated import SimulatedServer, simulated_servers

HOST = {"threads": 4, "cores_per_thread": 2, "batch_size": 64}
DEVICE = {"instances": 3, "fused_items": 2048}
DENSE = {"dense_threads": 2, "dense_cores_per_thread": 1}
SHAPES = {
    Schedule(placement="cpu", **HOST): [("host", 4, 64, None)],
    Schedule(placement="cpu-sd", **HOST, **DENSE): [("host", 4, 64, None), ("dense host", 2, 64, None)],
    Schedule(placement="accelerator", **DEVICE): [("accelerator", 3, 2048, 2048)],
    Schedule(placement="cpu-accelerator", **HOST, **DEVICE): [
        ("host", 4, 64, None), ("accelerator", 3, 2048, 2048),
    ],
    Schedule(placement="accelerator-hot", **HOST, **DEVICE, hot_share=0.5): [
        ("host", 4, 64, None), ("accelerator", 3, 2048, 2048),
    ],
}  # fmt: skip


def simulated(schedule: Schedule) -> SimulatedServer:
    server, model = ho.catalogue.servers["T7"], ho.catalogue.models["dlrm-rmc3"]
    return simulated_servers([pack(server, model)], [model], [schedule])[0]


@pytest.mark.parametrize("schedule", SHAPES, ids=lambda schedule: str(schedule.placement))
def test_every_placement_becomes_its_stages(schedule: Schedule) -> None:
    server = simulated(schedule)
    shapes = [(stage.name, stage.servers, stage.max_items, stage.fuse_items) for stage in server.stages]
    assert shapes == SHAPES[schedule]
    assert server.batch_items == schedule.batch_size
    assert np.array_equal(
        server.sizes(np.random.default_rng(3), 50), server.sizes(np.random.default_rng(3), 50)
    )


def test_times_grow_with_the_items_and_with_the_servers_at_work() -> None:
    for schedule in SHAPES:
        for stage in simulated(schedule).stages:
            assert (np.diff(stage.table_ms[:, 1:], axis=1) > 0).all()
            assert (np.diff(stage.table_ms[:, 1:], axis=0) >= -1e-12).all()


def test_a_lone_query_takes_what_the_cost_model_says() -> None:
    """One full batch on one of several threads: the first row of the table, without any queue."""
    server, model = ho.catalogue.servers["T2"], ho.catalogue.models["dlrm-rmc3"]
    model = model.replace(query_size={"distribution": "fixed", "mean_items": 64})
    schedule = Schedule(placement="cpu", **HOST)
    found = simulated_servers([pack(server, model)], [model], [schedule])[0]
    run = ho.simulate_server(
        found.stages, load_qps=0.01, sizes=found.sizes, batch_items=found.batch_items, queries=2000
    )
    expected = ho.predict(server, model, schedule, load_qps=0.01).percentiles_ms[50.0]
    assert run.percentile_ms(50).value == pytest.approx(expected, rel=0.01)
    assert found.stages[0].table_ms[0, 64] == pytest.approx(expected, rel=0.01)


def test_a_schedule_of_another_server_is_refused() -> None:
    server, model = ho.catalogue.servers["T2"], ho.catalogue.models["dlrm-rmc3"]
    with pytest.raises(InputError, match="this server offers cpu, cpu-sd for this model"):
        simulated_servers([pack(server, model)], [model], [Schedule(placement="accelerator", **DEVICE)])
