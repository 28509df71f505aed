"""Power: between idle and rated, growing with load, and binding where the budget is small."""

from __future__ import annotations

import numpy as np
import pytest
from cost_programs import MODELS, SERVERS, Programs, point, server

import hercules_opt as ho
from hercules_opt.hardware.packing import Pair, pack, rated_power_w
from hercules_opt.problem.catalogue import catalogue

SCHEDULES = {
    "cpu": [point(20, 1, 64), point(2, 5, 256)],
    "cpu-sd": [point(10, 1, 64, 8, 1), point(2, 2, 128, 2, 6)],
    "accelerator": [point(instances=1, fused=4096), point(instances=8, fused=1024)],
    "cpu-accelerator": [point(18, 1, 64, instances=2, fused=2048)],
}


def idle_w(name: str) -> float:
    one = catalogue.servers[name]
    assert one.cpu is not None
    parts = one.board_w + one.cpu.sockets * one.cpu.idle_w + one.cpu.memory_idle_w
    parts += one.nmp.idle_w if one.nmp else 0.0
    return parts + (one.accelerator.count * one.accelerator.idle_w if one.accelerator else 0.0)


@pytest.mark.parametrize("placement", SCHEDULES)
def test_power_lies_between_idle_and_rated(
    programs: Programs, pairs: dict[tuple[str, str], Pair], placement: str
) -> None:
    """At any load, for all models and server types: idle without load, growing with it, within the rated
    sum.
    """
    names = [n for n in SERVERS if "acc" not in placement or catalogue.servers[n].accelerator]
    names = [n for n in names if n != "T1" or placement != "cpu"]
    asked = [(pairs[n, m], n, schedule) for n in names for m in MODELS for schedule in SCHEDULES[placement]]
    some, points = [pair for pair, _, _ in asked], np.array([schedule for _, _, schedule in asked])
    saturation = programs.ask(placement, some, points).saturation_qps
    power = np.array(
        [
            programs.ask(placement, some, points, share * saturation).power_w
            for share in (1e-6, 0.3, 0.6, 0.999)
        ]
    )
    assert power[0] == pytest.approx([idle_w(n) for _, n, _ in asked], rel=1e-3)
    assert (np.diff(power, axis=0) > 0).all()
    rated = np.array([rated_power_w(catalogue.servers[n]) for _, n, _ in asked])
    assert (power[-1] <= rated * (1 + 1e-9)).all()


def test_rated_power_is_the_sum_of_the_parts() -> None:
    """By hand, for CPU-A: board 30 W, socket 86 W, memory 8 W idle and 16 W active."""
    assert rated_power_w(catalogue.servers["T1"]) == pytest.approx(30 + 86 + 8 + 16)
    assert rated_power_w(catalogue.servers["T7"]) == pytest.approx(80 + 125 + 12 + 24 + 250)


def test_devices_that_no_instance_uses_stay_idle() -> None:
    """One instance does the same work beside one, two or four devices: all but one draw idle power only."""
    schedule = ho.Schedule(placement="accelerator", instances=1, fused_items=1024)
    one = catalogue.servers["T7"]
    assert one.accelerator is not None
    dynamic_w = []
    for count in (1, 2, 4):
        several = one.replace(accelerator=one.accelerator.replace(count=count))
        power = ho.predict(several, catalogue.models["dlrm-rmc3"], schedule, 500.0).power_w
        dynamic_w.append(power - count * one.accelerator.idle_w)
    assert dynamic_w == pytest.approx([dynamic_w[0]] * 3, rel=1e-9)


def test_busy_cores_draw_their_share(programs: Programs) -> None:
    """Ten of twenty cores, all the time: half of the socket's dynamic power, besides the memory's."""
    pair = pack(server("T2", cpu__memory_active_w=0.0), catalogue.models["mt-wnd"])
    saturation = programs.ask("cpu", pair, point(10, 1, 64)).saturation_qps
    busy = programs.ask("cpu", pair, point(10, 1, 64), saturation * (1 - 1e-9)).power_w[0]
    assert busy - idle_w("T2") == pytest.approx(0.5 * (125 - 38), rel=1e-3)


def test_near_memory_processing_saves_memory_energy(programs: Programs) -> None:
    """The same load of RMC2 takes less memory energy per gathered byte when it is pooled inside the
    modules.
    """
    of = catalogue.models["dlrm-rmc2"]
    schedule, load = point(20, 1, 128), 100.0
    watts = {}
    for name, saving in (("T2", 0.0), ("T3", 0.0), ("T3", 0.458)):
        updates = {"nmp__energy_saving": saving} if name == "T3" else {}
        pair = pack(server(name, cpu__tdp_w=38.0, **updates), of)
        watts[name, saving] = float(programs.ask("cpu", pair, schedule, load).power_w[0])
    assert watts["T3", 0.458] < watts["T3", 0.0]


def test_a_budget_lowers_the_throughput(programs: Programs) -> None:
    """Down from the rated power the throughput falls; at the idle power there is none, and the excess says
    so.
    """
    of = catalogue.models["dlrm-rmc3"]
    rated, idle = rated_power_w(catalogue.servers["T2"]), idle_w("T2")
    found = []
    for watts in (rated, 0.75 * rated, 0.6 * rated, idle + 1.0, idle - 1.0):
        pair = pack(server("T2", power_budget_w=watts), of)
        answers = programs.ask("cpu", pair, point(20, 1, 64))
        found.append((answers.qps[0], answers.excess[0]))
        if answers.qps[0] > 0:
            drawn = programs.ask("cpu", pair, point(20, 1, 64), answers.qps[0]).power_w[0]
            assert drawn <= watts * (1 + 1e-5)
            if watts < 0.7 * rated:
                assert drawn == pytest.approx(watts, rel=1e-4)
    rates = [qps for qps, _ in found]
    assert rates[0] >= rates[1] > rates[2] > rates[3] > rates[4] == 0
    assert found[-1][1] == pytest.approx(np.log(idle / (idle - 1.0)), rel=1e-6)


@pytest.mark.parametrize("keys", [{"idle_w": 150.0}, {"peak_w": 800.0}, {"idle_w": 10.0, "peak_w": 300.0}])
def test_stated_power_of_a_server_scales_that_of_its_parts(keys: dict[str, float]) -> None:
    """Idle and rated power are as stated, and in between as far between them as the parts are."""
    of, schedule = (
        catalogue.models["dlrm-rmc3"],
        ho.Schedule(placement="accelerator", instances=2, fused_items=2048),
    )
    parts = catalogue.servers["T9"]
    stated = parts.replace(**keys)
    low, high = keys.get("idle_w", idle_w("T9")), keys.get("peak_w", rated_power_w(parts))
    bound = ho.predict(parts, of, schedule).bounded_qps
    for load in (1e-3 * bound, 0.5 * bound, bound):
        by_parts, found = (ho.predict(one, of, schedule, load) for one in (parts, stated))
        share = (by_parts.power_w - idle_w("T9")) / (rated_power_w(parts) - idle_w("T9"))
        assert found.power_w == pytest.approx(low + share * (high - low), rel=1e-9)
        assert min(found.host_power_w, found.device_power_w) >= 0.0
    assert pack(stated, of).terms.budget_w == high
    assert stated.power_bounds_w == (low, high)


def test_a_server_whose_parts_draw_nothing_may_state_its_power() -> None:
    """There is nothing to scale: it draws its idle power at any load."""
    whole = catalogue.servers["T1"]
    assert whole.cpu is not None
    watts = {"tdp_w": 1e-3, "idle_w": 1e-3, "memory_idle_w": 0.0, "memory_active_w": 0.0}
    silent = whole.replace(board_w=0.0, idle_w=70.0, peak_w=90.0, cpu=whole.cpu.replace(**watts))
    schedule = ho.Schedule(placement="cpu", threads=2, cores_per_thread=1, batch_size=64)
    found = ho.predict(silent, catalogue.models["dlrm-rmc3"], schedule)
    assert found.power_w == pytest.approx(70.0)
