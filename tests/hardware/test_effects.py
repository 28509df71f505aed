"""Sign and limit of every effect of the cost model, from first principles and closed forms."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from cost_programs import OPTIONS, Programs, computing, gathering, ideal, model, point, server

from hercules_opt.hardware.batch_time import HostThread, device_batch, host_batch_s, host_traffic
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY as DEFAULT
from hercules_opt.hardware.efficiency import Efficiency
from hercules_opt.hardware.packing import Pair, clock_share, pack
from hercules_opt.problem.catalogue import catalogue
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.workloads.operators import workload

SIX = ("dlrm-rmc1", "dlrm-rmc2", "dlrm-rmc3", "mt-wnd", "din", "dien")
FAST_MEMORY = {"cpu__memory_gb_s": 1e5, "cpu__llc_mb": 1e5}
FAST_DEVICE = {
    "accelerator__memory_gb_s": 1e5, "accelerator__link_gb_s": 1e5, "accelerator__link_us": 0.0,
    "accelerator__launch_us": 0.0,
}  # fmt: skip

_host_s = jax.jit(host_batch_s, compiler_options=OPTIONS)
_device = jax.jit(device_batch, compiler_options=OPTIONS)


def host_s(pair: Pair, threads: float, cores: float, items: float, busy: float | None = None) -> np.ndarray:
    """Return the times of all operators of a batch on a host, shape (slots,)."""
    everything = np.ones_like(pair.operators.flops)
    thread = HostThread(*(np.float64(v) for v in (threads, cores, items, 0.0, 0.0)))
    with jax.enable_x64(True):
        together = np.array([threads if busy is None else busy])
        found = _host_s(pair.host, pair.operators, everything, thread, np.array([items]), together)
        return np.asarray(found)[0, 0]


def device_s(pair: Pair, items: float, busy: float = 1.0) -> float:
    """Return the time of a batch of the whole model on an accelerator."""
    everything = np.ones_like(pair.operators.flops)
    with jax.enable_x64(True):
        link = np.float64(pair.input_bytes)
        found = _device(pair.device, pair.operators, everything, link, np.array([items]), np.array([busy]))
        return float(found.total_s[0, 0])


def items_s(programs: Programs, pair: Pair, placement: Any, **schedule: float) -> float:
    """Return the items per second at saturation."""
    return float(programs.ask(placement, pair, point(**schedule)).saturation_qps[0]) * pair.sizes.mean


def flops_per_item(of: Model) -> float:
    assert of.architecture is not None
    return workload(of.architecture).flops_per_item


def on(server_type: ServerType, of: Model, efficiency: Efficiency = DEFAULT) -> Pair:
    return pack(server_type, of, efficiency)


# ---- Dense products ----


def test_a_large_product_on_all_cores_reaches_the_peak(programs: Programs) -> None:
    """Launches free, batch large, memory fast: saturation is peak FLOP/s over FLOP per item, within 1 %."""
    of, cpu = computing(4096), server("T2", **FAST_MEMORY)
    assert cpu.cpu is not None
    rate = items_s(programs, on(cpu, of, ideal()), "cpu", threads=20, batch=512)
    peak = 20 * cpu.cpu.clock_ghz * 1e9 * cpu.cpu.flops_per_cycle * DEFAULT.host.gemm / flops_per_item(of)
    assert 0.99 * peak < rate <= peak


def test_a_large_product_on_an_accelerator_reaches_the_peak(programs: Programs) -> None:
    """The same on a V100: 14 TFLOP/s times the share of the peak that large products reach."""
    of = computing(4096)
    rate = items_s(programs, on(server("T7", **FAST_DEVICE), of, ideal()), "accelerator", fused=16384)
    peak = 14e12 * DEFAULT.accelerator.gemm / flops_per_item(of)
    assert 0.92 * peak < rate <= peak


def test_half_of_the_rate_at_the_half_rows() -> None:
    """A product of width 256 with ``gemm_half_rows`` rows per core takes twice its time at the full rate."""
    cpu = server("T2", **FAST_MEMORY)
    for cores in (1, 4):
        constants = ideal({"gemm_half_rows": 8.0, "parallel_loss": 0.0})
        pair = on(cpu, computing(256), constants)
        layer = int(np.argmax(pair.operators.flops))
        time_s = host_s(pair, 1, cores, items=8.0 * cores)[layer]
        full_rate_s = pair.operators.flops[layer] * 8.0 * cores / (cores * pair.host.core_flop_s)
        assert time_s == pytest.approx(2.0 * full_rate_s, rel=1e-3)


def test_products_gain_from_batch_and_width_and_stay_below_the_peak(programs: Programs) -> None:
    """FLOP/s rise with the batch and with the width of the layer, on both kinds of processor."""
    for placement, name, many in (
        ("cpu", "T2", (1, 4, 16, 64, 256)),
        ("accelerator", "T7", (512, 1024, 4096, 16384)),
    ):
        rates = np.empty((3, len(many)))
        for row, width in enumerate((64, 256, 1024)):
            of = computing(width, sizes=256)
            pair = on(server(name), of, ideal({"gemm_half_rows": 4.0}, {"gemm_half_rows": 400.0}))
            for column, items in enumerate(many):
                rate = items_s(programs, pair, placement, threads=4, batch=items, fused=items)
                rates[row, column] = rate * flops_per_item(of)
        assert (np.diff(rates, axis=1) > 0).all()
        assert (np.diff(rates, axis=0) > 0).all()
        peak = 4 * pair.host.core_flop_s if placement == "cpu" else pair.device.flop_s
        assert rates.max() < peak


def test_cores_of_one_thread_are_sublinear() -> None:
    """o cores on one operator are o / (1 + s (o - 1)) times as fast as one, and never o times."""
    pair = on(server("T2", **FAST_MEMORY), computing(4096), ideal({"parallel_loss": 0.03}))
    one = host_s(pair, 1, 1, 1024).sum()
    for cores in (2, 5, 10, 20):
        speed = one / host_s(pair, 1, cores, 1024).sum()
        assert speed == pytest.approx(cores / (1 + 0.03 * (cores - 1)), rel=2e-3)
        assert speed < cores


# ---- Memory ----


def test_gathering_reaches_the_bandwidth(programs: Programs) -> None:
    """Saturation of a model that only gathers is bandwidth over bytes.

    Within 2 % on a host; on an accelerator within 8 %: a lone instance loses 5 % where its time and the
    device's
    full rate meet (``SOFTNESS``), and a fused batch misses half a query.
    """
    of = gathering()
    row = 64 * 4.0
    host = items_s(programs, on(server("T2"), of, ideal()), "cpu", threads=20, batch=512)
    rows_s = 128e9 * DEFAULT.host.memory / (row + DEFAULT.host.row_overhead_bytes)
    assert host * 100 == pytest.approx(rows_s, rel=0.02)
    assert host * 100 < rows_s
    fast_link = {name: value for name, value in FAST_DEVICE.items() if "memory" not in name}
    device = items_s(programs, on(server("T7", **fast_link), of, ideal()), "accelerator", fused=16384)
    rows_s = 900e9 * DEFAULT.accelerator.memory / (row + DEFAULT.accelerator.row_overhead_bytes)
    assert 0.92 * rows_s < device * 100 < rows_s


def test_one_core_gathers_at_its_own_rate() -> None:
    """A lone core is limited by what it can draw, not by the socket."""
    pair = on(server("T2", cpu__memory_gb_s=1e5), gathering(), ideal({"core_gb_s": 10.0}))
    rows_s = 10e9 / (64 * 4.0 + DEFAULT.host.row_overhead_bytes)
    assert 512 * 100 / host_s(pair, 1, 1, 512).sum() == pytest.approx(rows_s, rel=0.02)


def test_threads_beyond_the_bandwidth_add_nothing(programs: Programs) -> None:
    """Few threads add up; from the bandwidth's limit on a doubling of threads gains less than 2 %."""
    pair = on(server("T2"), gathering(), ideal({"core_gb_s": 20.0}))
    rate = [items_s(programs, pair, "cpu", threads=m, batch=64) for m in (1, 2, 10, 20)]
    assert rate[1] > 1.85 * rate[0]
    assert rate[3] < 1.25 * rate[2]
    pair = on(server("T2"), gathering(), ideal({"core_gb_s": 100.0}))
    rate = [items_s(programs, pair, "cpu", threads=m, batch=64) for m in (1, 2, 10, 20)]
    assert np.all(np.diff(rate) > 0)
    assert rate[3] < 1.02 * rate[2]


def test_sharing_the_memory_is_a_closed_queueing_network() -> None:
    """Threads that compute for Z and then stream for D from one memory: throughput below both asymptotes,
    and of several threads within 20 % of exact mean value analysis (machine repair, exponential times).
    """
    for z, d in ((9.0, 1.0), (3.0, 1.0), (0.5, 1.0)):
        queue = 0.0
        for k in range(1, 41):
            cycle = z + d * (1.0 + queue)
            exact = k / cycle
            queue = exact * d * (1.0 + queue)
            ours = k / np.hypot(z + d, k * d)
            assert ours <= min(k / (z + d), 1.0 / d)
            assert ours == pytest.approx(exact, rel=0.2)


def test_the_batch_time_is_that_law() -> None:
    """hypot(alone, k streams of the memory), for a model that computes and gathers."""
    of = model(tables=({"rows": 50_000_000, "dim": 64, "lookups": 40},), dense_features=512, top_mlp=(512, 1))
    pair = on(server("T2"), of, ideal({"core_gb_s": 10.0}))
    assert pair.operators.lookups.max() == 40
    thread = HostThread(*(np.float64(v) for v in (20, 1, 64, 0.0, 0.0)))
    channel, inside = host_traffic(pair.host, pair.operators, np.ones_like(pair.operators.flops), thread)
    stream_s = (float(channel.batch) + float(channel.item) * 64) / pair.host.bytes_s
    assert float(inside.item) == 0.0
    alone_s = np.sqrt(host_s(pair, 20, 1, 64, busy=1).sum() ** 2 - stream_s**2)
    for busy in (2, 7, 20):
        assert host_s(pair, 20, 1, 64, busy=busy).sum() == pytest.approx(np.hypot(alone_s, busy * stream_s))


def test_long_rows_are_faster_at_equal_bytes() -> None:
    """800 rows of 32 against 200 of 128 elements: 102 KB both, but 600 overheads fewer; the same table
    size.
    """
    narrow, wide = gathering(dim=32, lookups=800), gathering(dim=128, lookups=200, rows=12_500_000)
    times = [host_s(on(server("T2"), of, ideal()), 20, 1, 64).sum() for of in (narrow, wide)]
    expected = 80 * (128 + DEFAULT.host.row_overhead_bytes) / (20 * (512 + DEFAULT.host.row_overhead_bytes))
    assert times[0] / times[1] == pytest.approx(expected, rel=0.02)
    fast_link = server("T7", **{key: value for key, value in FAST_DEVICE.items() if "memory" not in key})
    times = [device_s(on(fast_link, of, ideal()), 4096) for of in (narrow, wide)]
    expected = 80 * (128 + 32) / (20 * (512 + 32))
    assert times[0] / times[1] == pytest.approx(expected, rel=0.02)


def test_an_unfused_bag_writes_and_reads_its_rows_again() -> None:
    """bag_rewrite 1 adds twice the gathered bytes to the traffic, where no cache holds them."""
    small = server("T2", cpu__llc_mb=0.001)
    fused, unfused = (
        host_s(on(small, gathering(), ideal({"bag_rewrite": times})), 20, 1, 64).sum() for times in (0.0, 1.0)
    )
    assert unfused / fused == pytest.approx((256 + 64 + 2 * 256) / (256 + 64), rel=0.02)


def test_cached_tables_cost_no_memory_traffic() -> None:
    """Tables far smaller than the last-level cache cost none, far larger ones all their rows."""
    thread = HostThread(*(np.float64(v) for v in (20, 1, 64, 0.0, 0.0)))
    bytes_item = []
    for rows in (10, 10**9):
        pair = on(server("T2"), gathering(rows=rows))
        select = (pair.operators.rows > 0).astype(float)
        bytes_item.append(float(host_traffic(pair.host, pair.operators, select, thread)[0].item))
    all_of_it = 100 * (256 + DEFAULT.host.row_overhead_bytes)
    assert bytes_item[0] < 1e-3 * all_of_it
    assert bytes_item[1] == pytest.approx(all_of_it, rel=1e-3)


def test_weights_and_activations_beyond_the_cache_are_streamed(programs: Programs) -> None:
    """The same layers on a socket with a tiny cache are slower, and no faster than without any cache
    misses.
    """
    of = computing(2048, sizes=256)
    rates = [
        items_s(programs, on(server("T2", cpu__llc_mb=size), of), "cpu", threads=20, batch=8)
        for size in (0.1, 27.5, 1e5)
    ]
    assert rates[0] < rates[1] < rates[2]


def test_a_pipeline_shares_the_bandwidth(programs: Programs) -> None:
    """S-D pipeline: both stages together never move more than the memory gives (with a percent for the
    fit).
    """
    of = model(
        sizes=256,
        tables=({"rows": 50_000_000, "dim": 64, "lookups": 40},),
        dense_features=4096,
        top_mlp=(4096, 1),
    )
    pair = on(server("T2", cpu__llc_mb=0.1), of, ideal())
    whole = np.ones_like(pair.operators.flops)
    thread = HostThread(*(np.float64(v) for v in (10, 1, 8, 0.0, 0.0)))
    channel, _ = host_traffic(pair.host, pair.operators, whole, thread)
    bytes_item = float(channel.item) + float(channel.batch) / 8
    for threads, others in ((4, 16), (10, 10), (16, 4), (1, 19), (19, 1)):
        rate = items_s(programs, pair, "cpu-sd", threads=threads, batch=8, dense_threads=others)
        assert rate * bytes_item < 1.01 * pair.host.bytes_s


# ---- Near-memory processing ----


def test_ranks_multiply_the_gather_bandwidth(programs: Programs) -> None:
    """Saturation of gathering inside modules: hypot of the ranks' time and the commands' on the channel."""
    of = gathering(dim=64, lookups=100)
    rates = [
        items_s(programs, on(server(name), of, ideal()), "cpu", threads=20, batch=512)
        for name in ("T2", "T3", "T4", "T5")
    ]
    assert np.all(np.diff(rates) > 0)
    for rate, ranks in zip(rates[1:], (2, 4, 8), strict=True):
        inside_s = 100 * 256 / (128e9 * ranks * 0.5)
        channel_s = (64 * 4 + 100 * DEFAULT.host.nmp_command_bytes) / (128e9 * DEFAULT.host.memory)
        assert rate == pytest.approx(1 / np.hypot(inside_s, channel_s), rel=0.03)


def test_near_memory_processing_pools_only() -> None:
    """Rows that are not pooled gain nothing: their vectors cross the channel anyway."""
    of = gathering(dim=64, lookups=1)
    assert host_s(on(server("T5"), of), 20, 1, 64) == pytest.approx(host_s(on(server("T2"), of), 20, 1, 64))


def best_qps(programs: Programs, name: str, of: Model) -> float:
    """Return the largest throughput over a small grid of schedules of the whole model on the host."""
    grid = [point(20, 1, batch) for batch in (8, 32, 64, 128, 256)] + [
        point(10, 2, batch) for batch in (8, 64, 128)
    ]
    return float(programs.ask("cpu", pack(catalogue.servers[name], of), np.array(grid)).qps.max())


def test_near_memory_processing_helps_the_embedding_bound(programs: Programs) -> None:
    """RMC1 and RMC2 gain at least ten times as much as RMC3, and no model loses, whatever the ranks."""
    gain = {
        (name, m): best_qps(programs, name, catalogue.models[m])
        / best_qps(programs, "T2", catalogue.models[m])
        - 1
        for name in ("T3", "T5")
        for m in catalogue.models
    }
    for name in ("T3", "T5"):
        assert min(gain[name, "dlrm-rmc1"], gain[name, "dlrm-rmc2"]) > 10 * gain[name, "dlrm-rmc3"] > 0
        assert all(gain[name, m] > -1e-3 for m in catalogue.models)


# ---- Accelerators ----


def test_launches_punish_recurrences_on_an_accelerator() -> None:
    """One query of 165 items per batch, nothing co-located: of the six models DIEN gains least against a
    core.

    Launches are the reason: its 212 take most of the batch, and no model gains more from free ones.
    """

    def gains(launch_us: float) -> dict[str, float]:
        found = {}
        for m in SIX:
            pair = pack(server("T7", accelerator__launch_us=launch_us), catalogue.models[m])
            found[m] = host_s(pair, 1, 1, 165).sum() / device_s(pair, 165)
        return found

    real, free = gains(10.0), gains(0.0)
    assert min(real, key=real.__getitem__) == "dien"
    assert real["dien"] < 0.5 * sorted(real.values())[1]
    assert max(SIX, key=lambda m: free[m] / real[m]) == "dien"
    pair = pack(catalogue.servers["T7"], catalogue.models["dien"])
    assert 0.5 * device_s(pair, 165) < 212 * 10e-6


def test_fusion_repays_the_launches(programs: Programs) -> None:
    """With large fused batches the launches are shared by many queries: DIEN loses them almost without
    trace.
    """

    def rate(fused: float, launch_us: float) -> float:
        pair = pack(server("T7", accelerator__launch_us=launch_us), catalogue.models["dien"])
        return items_s(programs, pair, "accelerator", fused=fused)

    assert rate(1024, 10.0) < 0.5 * rate(1024, 0.0)
    assert rate(16384, 10.0) > 0.8 * rate(16384, 0.0)


def test_a_slow_link_binds(programs: Programs) -> None:
    """Saturation approaches link / bytes per item, for whole models and for pooled vectors from the host."""
    of = gathering()
    for placement in ("accelerator", "cpu-accelerator"):
        pair = on(server("T7", accelerator__link_gb_s=1e-3), of)
        bytes_item = 100 * 4.0 if placement == "accelerator" else 64 * 4.0
        rate = items_s(programs, pair, placement, threads=20, batch=512, fused=16384)
        assert rate == pytest.approx(1e6 / bytes_item, rel=0.05)
        faster = items_s(programs, on(server("T7"), of), placement, threads=20, batch=512, fused=16384)
        assert faster > 100 * rate


def test_cold_vectors_cross_the_link_once_any_row_is_cold(programs: Programs) -> None:
    """Hot embeddings: with one row per vector the link carries the cold share of the vectors, and hot ids."""
    of = gathering(dim=64, lookups=1)
    pair = on(server("T7", accelerator__link_gb_s=1e-3), of)
    for hot in (0.01, 0.2, 0.8):
        hit = hot**DEFAULT.access_skew
        rate = items_s(programs, pair, "accelerator-hot", threads=20, batch=512, fused=16384, hot=hot)
        assert rate == pytest.approx(1e6 / ((1 - hit) * 256 + hit * 4), rel=0.05)


def test_hot_embeddings_run_from_nothing_to_everything(programs: Programs) -> None:
    """Hot share to 0 is SparseNet on the host; hot share to 1 fills the accelerator as the whole model
    does.
    """
    pair = pack(catalogue.servers["T7"], catalogue.models["dlrm-rmc1"])
    schedule = {"threads": 18.0, "batch": 128.0, "instances": 2.0, "fused": 4096.0}
    least = programs.ask("accelerator-hot", pair, point(**schedule, hot=1e-300))
    none = programs.ask("cpu-accelerator", pair, point(**schedule))
    assert least.saturation_qps[0] == pytest.approx(none.saturation_qps[0], rel=1e-3)
    most = programs.ask("accelerator-hot", pair, point(**schedule, hot=1 - 1e-12))
    whole = programs.ask("accelerator", pair, point(**schedule))
    assert most.memory[0] == pytest.approx(whole.memory[0], rel=1e-6)


def test_co_located_instances_share_a_device() -> None:
    """k instances on a device take at least k times the time at the full rate, and never less than alone."""
    pair = pack(catalogue.servers["T7"], catalogue.models["dlrm-rmc3"])
    alone = device_s(pair, 4096)
    times = [device_s(pair, 4096, busy) for busy in (1, 2, 4, 8)]
    assert np.all(np.diff(times) >= 0)
    assert times[0] == pytest.approx(alone)
    full = 4096 * flops_per_item(catalogue.models["dlrm-rmc3"]) / pair.device.flop_s
    assert all(time >= k * full for time, k in zip(times, (1, 2, 4, 8), strict=True))
    twice = pack(server("T7", accelerator__count=2), catalogue.models["dlrm-rmc3"])
    assert device_s(twice, 4096, 8) == pytest.approx(times[2], rel=1e-9)


def test_copies_fill_the_memory(programs: Programs) -> None:
    """Each co-located instance holds its copy of the tables; threads of a host share them."""
    pair = pack(catalogue.servers["T7"], catalogue.models["dlrm-rmc1"])
    one, four = (programs.ask("accelerator", pair, point(instances=k)).memory[0] for k in (1, 4))
    assert four == pytest.approx(4 * one)
    tables = 8 * 4_000_000 * 32 * 4
    assert one == pytest.approx(tables / (16e9 * (1 - DEFAULT.accelerator.reserved_memory)), rel=0.01)
    host = [programs.ask("cpu", pair, point(threads=m, batch=1)).memory[0] for m in (1, 20)]
    assert host[1] == pytest.approx(host[0], rel=0.01)
    assert host[0] == pytest.approx(tables / (192e9 * (1 - DEFAULT.reserved_host_memory)), rel=0.01)
    assert programs.ask("accelerator-hot", pair, point(hot=0.25)).memory[0] == pytest.approx(
        0.25 * one, rel=0.02
    )


def test_a_power_cap_lowers_the_clock_by_its_cube_root(programs: Programs) -> None:
    """Power grows with the third power of the clock: an eighth of the power leaves half of the clock."""
    capped = server("T7", accelerator__tdp_w=50.0, accelerator__uncapped_w=400.0, **FAST_DEVICE)
    assert capped.accelerator is not None
    assert clock_share(capped.accelerator) == pytest.approx(0.5)
    assert clock_share(server("T7", accelerator__uncapped_w=100.0).accelerator) == 1.0
    of = computing(4096)
    slow, fast = (
        items_s(programs, on(one, of, ideal()), "accelerator", fused=16384)
        for one in (capped, server("T7", **FAST_DEVICE))
    )
    assert slow == pytest.approx(0.5 * fast, rel=0.02)
