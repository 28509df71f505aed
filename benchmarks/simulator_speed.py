"""How fast the server simulator is: one queue in SimPy, Ciw and ours, and ours with all features.

    python -m benchmarks.simulator_speed [--smoke] [--json FILE]

Needs the ``bench`` extra (SimPy, Ciw). Times are processor seconds of one thread, so that other load on the
machine matters little, and warm: compilation is timed apart. The queue is M/M/4 at 80 % load, in rounds that
take turns; the best round of each counts. Mean waits are printed beside Erlang's: all simulate one queue.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hercules_opt.simulation.largest_load import largest_load
from hercules_opt.simulation.server import simulate_server
from hercules_opt.simulation.stages import Stage

SERVERS, SERVICE_MS, LOAD = 4, 1.0, 3.2  # load: queries per ms
MAX_ITEMS = 1024
HOST_LOAD_QPS = 3000.0
ROUNDS = 5

FIRST_CALL = """
import time
begin = time.perf_counter()
from hercules_opt.simulation.server import simulate_server
from hercules_opt.simulation.stages import Stage
stages = [Stage(1, [[0.0, 1.0]]), Stage(1, [[0.0, 1.0, 2.0]], fuse_items=2)]
simulate_server(stages, load_qps=100.0, sizes=[1], queries=1000)
print(time.perf_counter() - begin)
"""


def exact_wait_ms() -> float:
    """Return the mean wait of the queue by Erlang's delay formula."""
    offered = LOAD * SERVICE_MS
    terms = [offered**k / math.factorial(k) for k in range(SERVERS)]
    last = offered**SERVERS / math.factorial(SERVERS) * SERVERS / (SERVERS - offered)
    return last / (sum(terms) + last) / (SERVERS / SERVICE_MS - LOAD)


def simpy_wait_ms(queries: int, seed: int) -> float:
    """Simulate the queue in SimPy, a process per query."""
    import simpy

    environment = simpy.Environment()
    resource = simpy.Resource(environment, capacity=SERVERS)
    draw = random.Random(seed)
    waits: list[float] = []

    def query() -> Any:
        arrived = environment.now
        with resource.request() as request:
            yield request
            waits.append(environment.now - arrived)
            yield environment.timeout(draw.expovariate(1 / SERVICE_MS))

    def source() -> Any:
        for _ in range(queries):
            yield environment.timeout(draw.expovariate(LOAD))
            environment.process(query())

    environment.process(source())
    environment.run()
    return float(np.mean(waits))


def ciw_wait_ms(queries: int, seed: int) -> float:
    """Simulate the queue in Ciw, until as many queries have left."""
    import ciw

    ciw.seed(seed)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=LOAD)],
        service_distributions=[ciw.dists.Exponential(rate=1 / SERVICE_MS)],
        number_of_servers=[SERVERS],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(queries)
    return float(np.mean([record.waiting_time for record in simulation.get_all_records()]))


def our_wait_ms(queries: int, seed: int) -> float:
    """Simulate the queue with the server simulator, intervals and all."""
    table = np.full((SERVERS, 2), SERVICE_MS)
    stage = Stage(SERVERS, table, variability="exponential")
    run = simulate_server(
        [stage], load_qps=1000 * LOAD, sizes=[1], queries=queries, warmup_share=0.0, seed=seed
    )
    return run.mean_ms.value - SERVICE_MS


def full_server() -> tuple[list[Stage], np.ndarray]:
    """Return 20 host threads before 2 fusing accelerator instances, and heavy-tailed query sizes."""
    items = np.arange(MAX_ITEMS + 1)
    host = Stage(20, np.array([0.1 + 0.01 * items * (1 + 0.02 * k) for k in range(20)]), name="host")
    device = Stage(
        2, np.array([0.2 + 0.001 * items * (1 + 0.3 * k) for k in range(2)]), MAX_ITEMS, name="accelerator"
    )
    drawn = np.random.default_rng(0).lognormal(math.log(120), 0.8, 20_000)
    return [host, device], np.clip(drawn, 1, MAX_ITEMS).astype(np.int64)


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor seconds a call took, and its result."""
    begin = time.process_time()
    result = function()
    return time.process_time() - begin, result


def plain_queue(smoke: bool) -> list[dict[str, Any]]:
    """Compare the three simulators on one queue."""
    simulators: dict[str, tuple[Callable[[int, int], float], int]] = {
        "SimPy": (simpy_wait_ms, 5_000 if smoke else 100_000),
        "Ciw": (ciw_wait_ms, 2_000 if smoke else 30_000),
        "hercules_opt": (our_wait_ms, 50_000 if smoke else 1_000_000),
    }
    for simulate, _ in simulators.values():
        simulate(1000, 0)
    best: dict[str, float] = {}
    waits_ms: dict[str, list[float]] = {name: [] for name in simulators}
    for seed in range(ROUNDS):
        for name, (simulate, queries) in simulators.items():
            seconds, wait_ms = timed(partial(simulate, queries, seed))
            waits_ms[name].append(wait_ms)
            best[name] = max(best.get(name, 0.0), queries / seconds)
    return [
        {"simulator": name, "queries": queries, "queries_per_s": best[name]}
        | {"ours_is_faster_by": best["hercules_opt"] / best[name]}
        | {"mean_wait_ms": float(np.mean(waits_ms[name])), "exact_mean_wait_ms": exact_wait_ms()}
        for name, (_, queries) in simulators.items()
    ]


def all_features(smoke: bool) -> list[dict[str, Any]]:
    """Time splitting, two stages, fusion and busy-dependent times together, for three piece sizes."""
    stages, sizes = full_server()
    queries = 20_000 if smoke else 1_000_000
    rows = []
    for batch_items in (256, 64, 16):
        simulate = partial(
            simulate_server, stages, load_qps=HOST_LOAD_QPS, sizes=sizes, batch_items=batch_items
        )
        simulate(queries=1000)
        times = [timed(partial(simulate, queries=queries)) for _ in range(ROUNDS)]
        seconds, run = min(times, key=lambda pair: pair[0])
        rows.append(
            {"batch_items": batch_items, "pieces_per_query": float((-(-sizes // batch_items)).mean())}
            | {"queries": queries, "queries_per_s": queries / seconds}
            | {"load_over_saturation": HOST_LOAD_QPS / run.saturation_qps}
        )
    return rows


def search(smoke: bool) -> dict[str, Any]:
    """Time one latency-bounded throughput with its interval."""
    stages, sizes = full_server()
    queries = 10_000 if smoke else 100_000
    seconds, found = timed(
        lambda: largest_load(stages, sla_ms=5.0, sizes=sizes, batch_items=64, queries=queries)
    )
    return {"queries_per_run": queries, "runs": found.runs, "seconds": seconds} | {
        "qps": found.value_qps,
        "lower_qps": found.lower_qps,
        "upper_qps": found.upper_qps,
    }


def first_calls() -> dict[str, float]:
    """Time import and first simulation in a new process, without and with cached machine code."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        seconds = [
            float(subprocess.check_output([sys.executable, "-c", FIRST_CALL], env=environment, text=True))
            for _ in range(2)
        ]
    return {"cold_s": seconds[0], "cached_s": seconds[1]}


def main() -> None:
    """Run all parts and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="small sizes: shows that it runs, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    options = parser.parse_args()
    report = {
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
        "plain_queue": plain_queue(options.smoke),
        "all_features": all_features(options.smoke),
        "search": search(options.smoke),
        "first_call": first_calls(),
    }
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def show(report: dict[str, Any]) -> None:
    """Print the figures as text."""
    print(f"M/M/{SERVERS} at {LOAD * SERVICE_MS / SERVERS:.0%} load, one thread, warm")
    for row in report["plain_queue"]:
        print(
            f"  {row['simulator']:13s} {row['queries_per_s']:12,.0f} queries/s"
            f"   ours is {row['ours_is_faster_by']:6.1f}x as fast"
            f"   mean wait {row['mean_wait_ms']:.4f} ms (exact {row['exact_mean_wait_ms']:.4f})"
        )
    print("All features (splitting, 20 host threads, 2 fusing instances, busy-dependent times), one thread")
    for row in report["all_features"]:
        print(
            f"  pieces of {row['batch_items']:4d} items ({row['pieces_per_query']:5.2f} per query)"
            f" {row['queries_per_s']:12,.0f} queries/s   at {row['load_over_saturation']:.0%} of saturation"
        )
    found = report["search"]
    print(
        f"Largest load within 5 ms at p95: {found['qps']:,.0f} qps"
        f" [{found['lower_qps']:,.0f}, {found['upper_qps']:,.0f}],"
        f" {found['runs']} runs of {found['queries_per_run']:,} queries in {found['seconds']:.2f} s"
    )
    first = report["first_call"]
    print(
        f"First call in a new process, wall clock: {first['cold_s']:.1f} s,"
        f" {first['cached_s']:.1f} s with cached machine code"
    )


if __name__ == "__main__":
    main()
