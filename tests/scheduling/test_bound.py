"""No schedule is above the bound, of any pair; and it is not far above the best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.problem.models import Model
from hercules_opt.scheduling.bound import _least, _Nodes, bounds_qps
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.exhaustive import _product
from hercules_opt.scheduling.space import FIELDS, Floats, placements, search_space

PAIRS = [("T2", "din"), ("T1", "dlrm-rmc2"), ("T4", "mt-wnd"), ("T7", "dien"), ("T10", "dlrm-rmc1")]


def saturation_qps(pair: Pair, placement: str, points: Floats) -> Floats:
    """Return the saturation of schedules that fit into memory, 0 for the others."""
    found, _ = AnalyticalEvaluator([pair]).violation(
        placement, np.zeros(len(points), dtype=np.int64), points, np.ones(len(points))
    )
    return np.where(found.memory <= 1.0, found.saturation_qps, 0.0)


def other(pair: Pair, rng: np.random.Generator) -> Pair:
    """Return a pair whose rates, costs and memories differ by factors of up to ten from those of another."""

    def changed(part, kept):
        return part._replace(
            **{
                name: getattr(part, name) * 10.0 ** rng.uniform(-1.0, 1.0)
                for name in part._fields
                if name not in kept
            }
        )

    host = changed(pair.host, ("cores", "has_nmp", "nmp_saving", "idle_w", "memory_bytes"))
    device = changed(pair.device, ("count", "spilled", "idle_w", "busy_power"))
    return pair._replace(host=host, device=device)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize(("server", "name"), PAIRS)
def test_no_sampled_schedule_is_above_the_bound(pair, server: str, name: str, seed: int) -> None:
    """Of a pair, or of one with other hardware: saturation, and with it every throughput."""
    given, rng = pair(server, name), np.random.default_rng(seed)
    for each in (given, other(given, rng)) if seed == 0 else (other(given, rng),):
        bounds = bounds_qps(each)
        assert tuple(bounds) == placements(each)
        for placement, bound in bounds.items():
            points = search_space(placement, each).sample(1500, rng)
            assert saturation_qps(each, placement, points).max() <= bound


@pytest.mark.parametrize("server", ["T4", "T7"])
@pytest.mark.parametrize("grain_bytes", [0.0, 3e3])
def test_the_bound_is_near_the_best_of_a_lattice_that_can_be_listed(
    small_pair: Callable[[str, int], Pair], server: str, grain_bytes: float
) -> None:
    """Queries of 1 to 8 items; also where few lookups stay on one core."""
    given = small_pair(server, 5)
    given = given._replace(host=given.host._replace(grain_bytes=grain_bytes))
    for placement, bound in bounds_qps(given).items():
        space = search_space(placement, given)
        points = np.concatenate(list(_product(space, tuple(space.names))))
        assert len(points) == space.size
        most = saturation_qps(given, placement, points).max()
        assert most <= bound <= 1.2 * most


def test_a_loose_target_comes_near_the_bound_and_a_tight_one_does_not(model: Callable[[str], Model]) -> None:
    server = ho.catalogue.servers["T2"]
    loose, tight = (model("dlrm-rmc1").replace(sla_ms=target) for target in (1e5, 10.0))
    bound = ho.throughput_bound(server, loose)
    assert bound == ho.throughput_bound(server, tight)
    found = ho.optimize_schedule(server, loose).qps
    assert 0.95 * bound < found <= bound
    assert ho.optimize_schedule(server, tight).qps < 0.95 * bound


def test_memory_bounds_the_instances(model: Callable[[str], Model]) -> None:
    """With room for one copy, an accelerator is bounded at what one instance does; with none, not at all."""
    server, load = ho.catalogue.servers["T7"], model("dlrm-rmc2")
    assert server.accelerator is not None
    assert server.cpu is not None
    server = server.replace(cpu=server.cpu.replace(cores=4))  # more take the bound longer

    def bound(memory_gb: float) -> float:
        smaller = server.accelerator.replace(memory_gb=memory_gb)
        return bounds_qps(pack(server.replace(accelerator=smaller), load)).get("accelerator", 0.0)

    copy_gb = pack(server, load).table_bytes / 1e9
    least, most = bound(1.2 * copy_gb), bound(16.0)
    assert 0.0 < least < 0.8 * most
    assert bound(0.9 * copy_gb) == 0.0


def test_a_server_without_a_core_or_memory_serves_nothing(model: Callable[[str], Model]) -> None:
    server = ho.catalogue.servers["T1"]
    assert server.cpu is not None
    for change in ({"cores": 0}, {"memory_gb": 0.5}):
        assert (
            ho.throughput_bound(server.replace(cpu=server.cpu.replace(**change)), model("dlrm-rmc1")) == 0.0
        )


def test_another_type_is_named(model: Callable[[str], Model]) -> None:
    with pytest.raises(ho.InputError, match="server"):
        ho.throughput_bound(model("din"), model("din"))  # type: ignore[arg-type]


def test_negative_weights_move_along_the_chain(rng) -> None:
    """Of a parabola whose nodes hold none <= half <= whole <= 2 half: never above its value, and sharp."""
    share = rng.uniform(0.0, 1.5, 4000)
    weights = _Nodes(1 - 3 * share + 2 * share**2, 4 * (share - share**2), 2 * share**2 - share)
    half = rng.uniform(0.1, 1.0, 4000)
    none, whole = half * rng.uniform(0.0, 1.0, 4000), half * rng.uniform(1.0, 2.0, 4000)

    def both(nodes: _Nodes) -> tuple[Floats, Floats]:
        return _least(weights, nodes), sum(w * time for w, time in zip(weights, nodes, strict=True))

    least, value = both(_Nodes(none, half, whole))
    assert (least > 0.0).all()
    assert (least <= value + 1e-12).all()
    # The weight of the whole batch is negative below one half, that of none up to one, that of half beyond.
    sharp = _Nodes(
        np.where((share > 0.5) & (share < 1.0), half, none), half, np.where(share < 0.5, 2.0 * half, half)
    )
    assert np.allclose(*both(sharp))


def test_where_the_chain_is_broken_nothing_is_claimed() -> None:
    """Half a batch may take ten times as long: a weight below zero has no bound, and the time may be none."""
    weights = _Nodes(np.array([0.2]), np.array([-0.3]), np.array([1.1]))
    nodes = _Nodes(*(np.ones(1) for _ in range(3)))
    assert _least(weights, nodes)[0] == pytest.approx(1.0)
    assert _least(weights, nodes, 10.0)[0] == 0.0


def test_every_variable_is_tried_or_relaxed() -> None:
    """A new variable of the search space must find its way into the bound."""
    assert FIELDS == (
        "threads", "cores_per_thread", "dense_threads", "dense_cores_per_thread",
        "batch_size", "instances", "fused_items", "hot_share",
    )  # fmt: skip
