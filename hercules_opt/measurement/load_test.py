"""A model served on this host under an open-loop Poisson load, and its largest rate within the target.

Queries arrive when they arrive, whether or not the server keeps up; latency counts from the intended arrival.
Co-located threads are threads of this process with a session each: the runtime leaves Python's lock while it
computes, and all of them share the tables.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError
from hercules_opt.measurement.graphs import graph, table_specs
from hercules_opt.measurement.runtime import Lookups, feeds, session, tables
from hercules_opt.measurement.this_host import allowed_cores
from hercules_opt.measurement.timing import Neighbours
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.simulation.intervals import Interval, t_quantile
from hercules_opt.simulation.server import poisson_trace
from hercules_opt.simulation.stages import Trace
from hercules_opt.workloads.query_sizes import sample_sizes

#: Time before the first query, and after the last one that a server may take to finish.
_LEAD_S, _PATIENCE_S = 0.05, 5.0
#: Pieces that may wait per thread: more, and the server does not keep up.
_MOST_WAITING = 500
#: A run has at least so many queries, and lasts this long.
_LEAST_QUERIES, _RUN_S = 200, 3.0
#: Halvings of one bisection, bisections, and the factor around the expected rate that they begin with.
_HALVINGS, _REPEATS, _FACTOR = 5, 3, 4.0


@dataclass(frozen=True)
class LargestRate:
    """The largest rate within the latency target: the mean of several bisections with its 95 % interval.

    ``lateness_ms`` is the largest delay of the load generator itself; ``busy_cores`` what others kept busy
    meanwhile, ``None`` where that is not known.
    """

    qps: Interval
    lateness_ms: float
    busy_cores: float | None


@dataclass
class _Run:
    """Queries under way: pieces that are left of each, and when each was done."""

    left: npt.NDArray[np.int64]
    done_s: npt.NDArray[np.float64]
    lock: threading.Lock
    all_done: threading.Event
    open_queries: int

    def piece_done(self, query: int) -> None:
        now = time.perf_counter()
        with self.lock:
            self.left[query] -= 1
            if self.left[query] == 0:
                self.done_s[query] = now
                self.open_queries -= 1
                if self.open_queries == 0:
                    self.all_done.set()


class HostServer:
    """A model on this host under a schedule of placement ``cpu`` or ``cpu-sd``; a context that stops it.

    Raises
    ------
    InputError
        If the placement needs an accelerator, or the schedule takes more cores than may be used.
    """

    def __init__(self, model: Model, schedule: Schedule, seed: int = 0) -> None:
        if schedule.placement not in ("cpu", "cpu-sd"):
            rule = "must run on the host alone: cpu or cpu-sd"
            raise InputError(rule, where="schedule", key="placement", found=schedule.placement)
        assert model.architecture is not None
        self._architecture = model.architecture
        self._specs = table_specs(model.architecture)
        self._tables = tables(self._specs, seed)
        self._batch = schedule.batch_size or 1
        self._first: SimpleQueue[Any] = SimpleQueue()
        self._second: SimpleQueue[Any] = SimpleQueue()
        self._run: _Run | None = None
        self._failure: Exception | None = None
        self._threads: list[threading.Thread] = []
        cores = allowed_cores()
        stages = [("whole", self._first, schedule.threads or 1, schedule.cores_per_thread or 1)]
        if schedule.placement == "cpu-sd":
            stages[0] = ("sparse", *stages[0][1:])
            dense = (schedule.dense_threads or 1, schedule.dense_cores_per_thread or 1)
            stages.append(("dense", self._second, *dense))
        needed = sum(threads * wide for _, _, threads, wide in stages)
        if needed > len(cores):
            rule = f"must take at most {len(cores)} cores"
            raise InputError(rule, where="schedule", found=needed)
        ready = []
        for part, queue, threads, wide in stages:
            model_bytes = graph(model.architecture, part, seed)  # type: ignore[arg-type]
            for _ in range(threads):
                mine, cores = cores[:wide], cores[wide:]
                started = threading.Event()
                worker = threading.Thread(
                    target=self._work, args=(part, queue, model_bytes, mine, started), daemon=True
                )
                worker.start()
                self._threads.append(worker)
                ready.append(started)
        for started in ready:
            started.wait()
        self._check()
        self._waiting_limit = _MOST_WAITING * len(self._threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all threads."""
        for _ in self._threads:
            self._first.put(None)
            self._second.put(None)
        for worker in self._threads:
            worker.join()

    def _work(
        self, part: str, queue: SimpleQueue[Any], model: bytes, cores: Sequence[int], started: threading.Event
    ) -> None:
        """Serve pieces until told to stop; a failure is kept for who waits for the answers."""
        try:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, cores)
            one, lookups = session(model, len(cores)), Lookups(seed=cores[0])
            started.set()
            self._serve(part, queue, one, lookups)
        except Exception as error:
            self._failure = error
            started.set()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _serve(self, part: str, queue: SimpleQueue[Any], one: Any, lookups: Lookups) -> None:
        while (piece := queue.get()) is not None:
            query, items, vectors = piece
            run = self._run
            if run is None:
                continue
            inputs = vectors
            if part != "dense":
                inputs = feeds(self._specs, lookups, items, self._architecture.dense_features)
                dense = inputs.pop("dense", None) if part == "sparse" else None
                inputs.update(self._tables)
            found = one.run(None, inputs)
            if part == "sparse":
                handed = {spec.pooled: array for spec, array in zip(self._specs, found, strict=True)}
                self._second.put((query, items, handed if dense is None else {**handed, "dense": dense}))
            else:
                run.piece_done(query)

    def latencies_ms(self, trace: Trace) -> tuple[npt.NDArray[np.float64], float]:
        """Return latencies from intended arrivals, infinite where the server fell behind; and lateness."""
        pieces = -(-trace.items.astype(np.int64) // self._batch)
        count = len(pieces)
        run = _Run(pieces.copy(), np.full(count, np.inf), threading.Lock(), threading.Event(), count)
        self._run = run
        begin, lateness = time.perf_counter() + _LEAD_S, 0.0
        due = begin + trace.times_ms / 1e3
        for query, arrival in enumerate(due):
            wait = arrival - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            lateness = max(lateness, time.perf_counter() - float(arrival))
            rest = int(trace.items[query])
            while rest > 0:
                self._first.put((query, min(rest, self._batch), None))
                rest -= self._batch
            if self._first.qsize() > self._waiting_limit:
                break
        else:
            run.all_done.wait(_PATIENCE_S)
        self._run = None
        self._drain()
        self._check()
        return np.asarray((run.done_s - due) * 1e3), lateness * 1e3

    def _drain(self) -> None:
        """Throw away what waits: workers skip it, since there is no run."""
        while not (self._first.empty() and self._second.empty()):
            self._check()
            time.sleep(0.001)


def largest_rate(
    model: Model,
    schedule: Schedule,
    expected_qps: float,
    *,
    repeats: int = _REPEATS,
    run_s: float = _RUN_S,
    progress: Callable[[str], None] | None = None,
) -> LargestRate:
    """Return the largest rate at which enough queries are within the latency target, by repeated bisection.

    Parameters
    ----------
    expected_qps
        Where to look: a factor of four around it.
    repeats, run_s
        Bisections, each with queries of its own, and the time of one run.
    """
    assert model.sla_ms is not None
    assert model.query_size is not None
    sizes = model.query_size
    allowed, found, lateness = 1.0 - model.sla_percentile / 100.0, [], 0.0
    neighbours = Neighbours()
    with HostServer(model, schedule) as server:
        for repeat in range(repeats):
            low, high = expected_qps / _FACTOR, expected_qps * _FACTOR
            for halving in range(_HALVINGS + repeat % 2):
                rate = math.sqrt(low * high)
                count = max(_LEAST_QUERIES, int(rate * run_s))
                trace = poisson_trace(
                    rate, lambda rng, n: sample_sizes(sizes, rng, n), count, 100 * repeat + halving
                )
                latency, late = server.latencies_ms(trace)
                lateness = max(lateness, late)
                held = float(np.mean(latency > model.sla_ms)) <= allowed
                low, high = (rate, high) if held else (low, rate)
                if progress is not None:
                    progress(f"{rate:.4g} QPS {'held' if held else 'missed'}")
            found.append(math.sqrt(low * high))
    mean, spread = float(np.mean(found)), float(np.std(found, ddof=1)) if len(found) > 1 else math.inf
    # Each bisection leaves a bracket; its half width counts as an error of its own.
    bracket = mean * (_FACTOR ** (2.0 * 0.5**_HALVINGS) - 1.0) / 2.0
    half = math.hypot(t_quantile(max(len(found) - 1, 1), 0.95) * spread / math.sqrt(len(found)), bracket)
    interval = Interval(mean, max(mean - half, 0.0), mean + half)
    return LargestRate(interval, lateness, neighbours.cores())
