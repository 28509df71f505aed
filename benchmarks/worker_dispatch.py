"""What it costs to hand a piece to a worker: processes, as ``measure --load`` has them, against threads;
and to look up rows in memory that processes share.

    python -m benchmarks.worker_dispatch [--smoke] [--json FILE]

Needs the ``measure`` extra. All pieces are there at once, and as many workers as cores (or one) serve them;
threads share one queue and one Python. "Direct" is one loop that hands nothing to anybody. Rounds take turns.
Processor time per piece hardly depends on what others do to the machine; pieces per second do. Tables that
a process inherits keep huge pages; those in shared memory have them only where the system is set to.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import Report, main
from hercules_opt.measurement.graphs import graph, table_specs
from hercules_opt.measurement.host_server import HostServer
from hercules_opt.measurement.load_test import LateLimit
from hercules_opt.measurement.runtime import Lookups, feeds, session, tables
from hercules_opt.measurement.service_time import scaled
from hercules_opt.measurement.this_host import usable_cores
from hercules_opt.problem.architecture import Architecture
from hercules_opt.problem.catalogue import catalogue
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.simulation.stages import Trace

#: Models, the share of their rows (what is handed over does not depend on it), and items of a piece.
CASES = (
    ("ncf", 1.0, 1),
    ("ncf", 1.0, 64),
    ("dlrm-rmc2", 0.02, 1),
    ("dlrm-rmc2", 0.02, 16),
    ("wnd", 0.02, 16),
)
ROUNDS, PIECES_S = 5, 1.0
#: Lookups: rows and width of the table, rows per item, items of a batch, batches of a round.
ROWS, DIM, LOOKUPS, ITEMS, BATCHES = 4_000_000, 32, 80, 64, 60
_NO_LIMIT = LateLimit(1e9, 10**9)

#: Serves a number of pieces; returns wall time and processor time.
Served = Callable[[int], tuple[float, float]]


def measure(smoke: bool) -> Report:
    """Measure all cases, or the first in a smoke run."""
    rows = []
    for name, share, items in CASES[:1] if smoke else CASES:
        model = scaled(catalogue.models[name], share)
        rows += _case(name, model, items, 1 if smoke else ROUNDS, 0.05 if smoke else PIECES_S)
    lookups = _lookups(20_000 if smoke else ROWS, 1 if smoke else ROUNDS)
    return Report(
        {"Pieces handed to workers": rows, "Lookups by where the table is": lookups},
        ["Processor time counts everything: sending, taking, cutting row numbers, computing."],
    )


def _lookups(rows: int, rounds: int) -> list[dict[str, object]]:
    """Return the processor time of lookups in a table of this process, and in shared memory."""
    table = {"rows": rows, "dim": DIM, "lookups": float(LOOKUPS)}
    of = Architecture.model_validate({"top_mlp": (1,), "tables": (table,)})
    (spec,) = table_specs(of)
    ((name, own),) = tables([spec]).items()
    shared = np.frombuffer(mmap.mmap(-1, own.nbytes), dtype=own.dtype).reshape(own.shape)
    shared[...] = own
    one, lookups = session(graph(of, "sparse"), 1), Lookups([spec])
    spent: dict[str, list[float]] = {"its own, or inherited": [], "shared memory": []}
    for _ in range(rounds):
        for where, held in zip(spent, (own, shared), strict=True):
            batches = [{**feeds([spec], lookups, ITEMS, 0), name: held} for _ in range(BATCHES)]
            begin = time.process_time()
            for batch in batches:
                one.run(None, batch)
            spent[where].append((time.process_time() - begin) / BATCHES)
    return [{"table": where, "cpu_us_per_batch": 1e6 * median(times)} for where, times in spent.items()]


def _case(name: str, model: Model, items: int, rounds: int, seconds: float) -> list[dict[str, object]]:
    assert model.architecture is not None
    specs, held = table_specs(model.architecture), tables(table_specs(model.architecture))
    built, dense = graph(model.architecture, "whole"), model.architecture.dense_features

    def one_piece(one: Any, lookups: Lookups) -> None:
        one.run(None, {**feeds(specs, lookups, items, dense), **held})

    def direct(count: int) -> tuple[float, float]:
        begin, spent = time.perf_counter(), time.process_time()
        for _ in range(count):
            one_piece(*alone)
        return time.perf_counter() - begin, time.process_time() - spent

    drawn = Lookups(specs)
    alone = (session(built, 1), drawn)
    direct(20)
    count = max(20, int(seconds / (direct(20)[0] / 20)))
    kinds: dict[tuple[str, int], Served] = {("direct", 1): direct}
    with HostServer(model) as server:
        for workers in sorted({1, usable_cores()}):
            kinds["threads", workers] = _threads(one_piece, built, drawn, workers)
            kinds["processes", workers] = _processes(server, items, workers)
        found: dict[tuple[str, int], list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind, served in kinds.items():
                found[kind].append(served(count))
    return [
        {
            "model": name,
            "items": items,
            "workers": f"{workers} {kind}",
            "pieces_s": count / median(wall for wall, _ in times),
            "cpu_us_per_piece": 1e6 * median(spent for _, spent in times) / count,
        }
        for (kind, workers), times in found.items()
    ]


def _threads(one_piece: Callable[[Any, Lookups], None], built: bytes, drawn: Lookups, workers: int) -> Served:
    mine = [(session(built, 1), drawn.seeded(seed)) for seed in range(workers)]

    def serve(queue: SimpleQueue[bool], one: Any, lookups: Lookups) -> None:
        while queue.get():
            one_piece(one, lookups)

    def served(count: int) -> tuple[float, float]:
        queue: SimpleQueue[bool] = SimpleQueue()
        threads = [threading.Thread(target=serve, args=(queue, *each)) for each in mine]
        begin, spent = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.start()
        for _ in range(count):
            queue.put(True)
        for _ in threads:
            queue.put(False)
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin, time.process_time() - spent

    return served


def _processes(server: HostServer, items: int, workers: int) -> Served:
    schedule = Schedule(placement="cpu", threads=workers, cores_per_thread=1, batch_size=items)

    def served(count: int) -> tuple[float, float]:
        server.start(schedule)
        spent = time.process_time() + server.cpu_s()
        latency, _ = server.serve(Trace(np.zeros(count), np.full(count, items)), _NO_LIMIT)
        return float(np.max(latency)) / 1e3, time.process_time() + server.cpu_s() - spent

    return served


if __name__ == "__main__":
    main("worker_dispatch", "What it costs to hand a piece to a worker.", measure)
