"""The exhaustive search leaves nothing out, and the gradient search is held to it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.hardware.batch_time import HostThread, device_batch, host_batch_s
from hercules_opt.hardware.efficiency import Efficiency, HostEfficiency
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator, Evaluation, _idealized
from hercules_opt.scheduling.exhaustive import exhaustive_search
from hercules_opt.scheduling.gradient import gradient_search
from hercules_opt.scheduling.optimize import optimize_all
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats, Space, Tasks, search_space

TOLERANCE = 1e-4


#: The variables of the first and of the second stage alone.
ON_HOST, ON_DEVICE = ("threads", "cores_per_thread"), ("instances", "fused_items")
OTHERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cpu": (ON_HOST, ()),
    "accelerator": ((), ON_DEVICE),
    "cpu-sd": (ON_HOST, ("dense_threads", "dense_cores_per_thread")),
    "cpu-accelerator": (ON_HOST, ON_DEVICE),
    "accelerator-hot": (ON_HOST, ON_DEVICE),
}


class TwoStages:
    """Time per query is rugged, and a sum of a host's and a device's; what it costs at a load is that time.

    The two stages know nothing of each other but the batch size and the hot share, as in the real model.
    """

    def __init__(self, seed: int) -> None:
        self.weight = np.random.default_rng(seed).normal(size=(2, len(FIELDS)))
        self.evaluations = np.zeros(1, dtype=np.int64)
        self.full = 0

    def may_beat(self, placement, pair, points, qps):
        return np.ones(len(points), dtype=bool)

    def stage(self, number: int, points: Floats, unused: tuple[str, ...]) -> Floats:
        weight = self.weight[number].copy()
        weight[[COLUMN[name] for name in unused]] = 0.0
        return np.exp(np.sin(7.0 * (np.log(points) @ weight)) + 0.3 * np.log(points) @ weight)

    def times(self, placement: str, points: Floats) -> tuple[Floats, Floats]:
        first, second = OTHERS[placement]
        return self.stage(0, points, second), self.stage(1, points, first)

    def evaluate(self, placement, pair, points) -> Evaluation:
        self.full += len(points)
        host, device = self.times(placement, points)
        memory = points[:, COLUMN["instances"]] * points[:, COLUMN["hot_share"]] / 2.5
        qps = np.where(memory <= 1.0, 1.0 / (host + device), 0.0)
        return Evaluation(qps, np.full(len(points), -1.0), 1.0 / np.maximum(host, device), memory)

    def serves(self, placement, pair, points, load_qps, ideal=None, size=0):
        host, device = self.times(placement, points)
        if ideal in ("host", "sparse"):
            host = 0.0 * host
        if ideal in ("device", "dense"):
            device = 0.0 * device
        memory = points[:, COLUMN["instances"]] * points[:, COLUMN["hot_share"]] / 2.5
        return (host + device <= 1.0 / load_qps) & (memory <= 1.0)

    def saturation_qps(self, placement, pair, points, ideal=None):
        host, device = self.times(placement, points)
        alone = {"host": device, "sparse": device, "device": host, "dense": host}
        return 1.0 / (np.maximum(host, device) if ideal is None else alone[ideal])


class Needle(TwoStages):
    """Only one schedule of the lattice serves anything, and nothing near it tells."""

    def __init__(self, point: Floats) -> None:
        super().__init__(0)
        self.point = point

    def hit(self, points: Floats, unused: tuple[str, ...] = ()) -> np.ndarray:
        columns = [number for number, name in enumerate(FIELDS) if name not in unused]
        return (points[:, columns] == self.point[columns]).all(axis=1)

    def evaluate(self, placement, pair, points) -> Evaluation:
        hit = self.hit(points)
        return Evaluation(np.where(hit, 3.0, 0.0), np.where(hit, -1.0, 1.0), 4.0 + 0.0 * hit, 0.5 + 0.0 * hit)

    def serves(self, placement, pair, points, load_qps, ideal=None, size=0):
        first, second = OTHERS[placement]
        unused = {None: (), "host": first, "sparse": first, "device": second, "dense": second}[ideal]
        return self.hit(points, unused) & (load_qps < 3.0)

    def saturation_qps(self, placement, pair, points, ideal=None):
        return np.full(len(points), 4.0)


def everything(space: Space) -> Floats:
    """Return every point of a lattice."""
    grids = np.meshgrid(np.arange(len(space.splits)), *space.grids.values(), indexing="ij")
    points = np.ones((grids[0].size, len(FIELDS)))
    points[:, list(space.split_columns)] = space.splits[grids[0].ravel()]
    for name, values in zip(space.grids, grids[1:], strict=True):
        points[:, COLUMN[name]] = values.ravel()
    assert len(points) == space.size
    return points


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("placement", ["cpu", "cpu-sd", "cpu-accelerator", "accelerator", "accelerator-hot"])
def test_nothing_is_left_out(placement, seed) -> None:
    """The best of all points of a rugged landscape, by evaluating each of them."""
    space = Space(placement, 5, 12, 3, (12, 24, 48))
    known = TwoStages(seed)
    found = exhaustive_search(TwoStages(seed), Tasks(placement, np.zeros(1, dtype=np.int64), (space,)))
    best = known.evaluate(placement, None, everything(space)).qps.max()
    assert space.contains(found.points).all()
    assert found.evaluation.qps[0] >= best / (1.0 + TOLERANCE)


@pytest.mark.parametrize("placement", ["cpu", "cpu-sd", "cpu-accelerator", "accelerator", "accelerator-hot"])
def test_the_only_schedule_that_serves_is_found(placement) -> None:
    space = Space(placement, 4, 40, 8, (40, 80, 160))
    needle = space.sample(1, np.random.default_rng(5))[0]
    task = Tasks(placement, np.zeros(1, dtype=np.int64), (space,))
    found = exhaustive_search(Needle(needle), task)
    assert np.array_equal(found.points[0], needle)
    missed = exhaustive_search(Needle(-needle), task)
    assert not missed.evaluation.valid.any()


def test_little_is_evaluated_in_full() -> None:
    """Of a lattice of half a million points, less than one in twenty."""
    space = Space("accelerator-hot", 8, 64, 4, (64, 128, 256, 512, 1024))
    judge = TwoStages(1)
    exhaustive_search(judge, Tasks("accelerator-hot", np.zeros(1, dtype=np.int64), (space,)))
    assert space.size > 400_000
    assert judge.full < space.size / 20


def test_an_ideal_part_takes_no_time_whatever_it_costs(model: Callable[[str], Model]) -> None:
    """Else a stage would be ruled out for the time of the other; also of constants that are 0 by default."""
    server = ho.catalogue.servers["T7"]
    assert server.accelerator is not None
    engine = server.replace(accelerator=server.accelerator.replace(on_chip_gb_s=4000.0))
    costs = HostEfficiency(row_ns=50.0, vector_ns=100.0, table_us=20.0, cache_gb_s=5.0, bag_rewrite=2.0)
    real = pack(engine, model("dlrm-rmc1"), Efficiency(host=costs))
    every = np.ones(len(real.operators.flops))

    def host_s(pair: Pair) -> float:
        one, none = jnp.ones(()), jnp.zeros(())
        thread = HostThread(one, one, 64.0 * one, none, none)
        items = jnp.array([64.0])
        return float(host_batch_s(pair.host, pair.operators, every, thread, items, jnp.ones(1)).sum())

    def device_s(pair: Pair) -> float:
        items = jnp.array([1024.0])
        link_bytes = jnp.asarray(pair.input_bytes)
        batch = device_batch(pair.device, pair.operators, every, link_bytes, items, jnp.ones(1))
        return float(batch.total_s[0, 0])

    with jax.enable_x64(True):
        assert host_s(_idealized(real, "host")) < 1e-5 * host_s(real)
        assert device_s(_idealized(real, "device")) < 1e-5 * device_s(real)


@pytest.mark.parametrize("placement", ["cpu", "accelerator"])
def test_the_oracle_of_the_cost_model(placement, small_pair) -> None:
    """Every schedule of a small server, evaluated one by one, gives the same best throughput."""
    pair = small_pair("T7", 6)
    space = search_space(placement, pair)
    points = everything(space)
    evaluator = AnalyticalEvaluator([pair])
    every = evaluator.evaluate(placement, np.zeros(len(points), dtype=np.int64), points)
    task = Tasks(placement, np.zeros(1, dtype=np.int64), (space,))
    for search in (exhaustive_search, gradient_search):
        found = search(evaluator, task)
        assert found.evaluation.qps[0] >= every.qps.max() * (1.0 - TOLERANCE)
    assert (every.qps <= every.saturation_qps).all()


@pytest.mark.parametrize("placement", ["cpu", "accelerator"])
def test_gradient_search_within_a_thousandth_on_a_sample(placement, pair) -> None:
    """Four pairs of the catalogue, one placement each."""
    names = [("T7", "dlrm-rmc1"), ("T7", "din"), ("T6", "mt-wnd"), ("T10", "dlrm-rmc2")]
    packed = [pair(*name) for name in names]
    task = Tasks(placement, np.arange(4), tuple(search_space(placement, each) for each in packed))
    found = gradient_search(AnalyticalEvaluator(packed), task)
    oracle = exhaustive_search(AnalyticalEvaluator(packed), task)
    loss = 1.0 - found.evaluation.qps / oracle.evaluation.qps
    assert loss.max() < 1e-3


def test_a_schedule_that_serves_meets_limits_below_its_throughput_and_not_above(pair, rng) -> None:
    """What the oracle's pruning rests on: one load divides those that are met from those that are not."""
    packed = pair("T2", "dlrm-rmc3")
    points = search_space("cpu", packed).sample(100, rng)
    numbers = np.zeros(100, dtype=np.int64)
    evaluator = AnalyticalEvaluator([packed])
    qps = evaluator.evaluate("cpu", numbers, points).qps
    for load in np.quantile(qps[qps > 0], [0.1, 0.5, 0.9]):
        serves = evaluator.serves("cpu", numbers, points, np.full(len(points), load))
        apart = np.abs(np.log(np.maximum(qps, 1e-9) / load)) > 1e-3
        assert np.array_equal(serves[apart], (qps > load)[apart])


def by_parts(server: ServerType, model: Model, schedule: ho.Schedule) -> None:
    """Check cores, bounds and memory of a schedule from the parts, with no help of the search."""
    assert server.cpu is not None
    cores = (schedule.threads or 0) * (schedule.cores_per_thread or 0)
    cores += (schedule.dense_threads or 0) * (schedule.dense_cores_per_thread or 0)
    assert cores <= server.cpu.cores * server.cpu.sockets
    assert schedule.batch_size is None or 1 <= schedule.batch_size <= 1024
    assert model.architecture is not None
    tables = sum(
        group.total_rows * group.dim * model.architecture.table_element_bytes
        for group in model.architecture.tables
    )
    assert tables <= server.cpu.memory_gb * 1e9 or schedule.placement == "accelerator"
    if schedule.instances is not None:
        assert server.accelerator is not None
        assert schedule.instances <= 8 * server.accelerator.count
        assert schedule.fused_items is not None
        assert 1024 <= schedule.fused_items <= 16 * 1024
        held = {"accelerator": 1.0, "cpu-accelerator": 0.0}.get(schedule.placement, schedule.hot_share or 0.0)
        assert schedule.instances * held * tables <= server.accelerator.memory_gb * 1e9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["T1"])
def test_gradient_search_against_the_oracle_on_hpca22(kind: str) -> None:
    """Within 1 %, 0.1 % in the median, all valid; benchmarks.search_oracle has all 60 pairs."""
    instance = ho.load_instance("hpca22")
    pairs = [(instance.servers[kind], model) for model in instance.models.values()]
    found = optimize_all(pairs)
    oracle = optimize_all(pairs, method="exhaustive")
    loss = np.array([1.0 - one.qps / best.qps for one, best in zip(found, oracle, strict=True)])
    assert loss.max() < 0.01
    assert np.median(loss) < 0.001
    for (server, model), one in zip(pairs, found, strict=True):
        assert one.schedule is not None
        by_parts(server, model, one.schedule)
        seen = ho.predict(server, model, one.schedule, load_qps=one.qps)
        assert seen.percentiles_ms[95.0] <= (model.sla_ms or 0.0) * 1.002
        assert server.power_budget_w is None or seen.power_w <= server.power_budget_w


Build = Callable[[str, int], Pair]


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["cpu-sd", "cpu-accelerator", "accelerator-hot"])
def test_the_oracle_of_the_cost_model_for_two_stages(placement, small_pair: Build) -> None:
    """As above, for placements whose stages are pruned apart: programs that take longer to compile."""
    pair = small_pair("T7", 4)
    space = search_space(placement, pair)
    points = everything(space)
    evaluator = AnalyticalEvaluator([pair])
    every = evaluator.evaluate(placement, np.zeros(len(points), dtype=np.int64), points)
    task = Tasks(placement, np.zeros(1, dtype=np.int64), (space,))
    found = exhaustive_search(evaluator, task)
    assert found.evaluation.qps[0] >= every.qps.max() * (1.0 - TOLERANCE)
