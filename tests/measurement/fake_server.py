"""Servers without a clock: queries wait in one queue for servers that take a fixed time per item."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Self

import numpy as np

import hercules_opt as ho
from hercules_opt.measurement.load_test import Floats, LateLimit
from hercules_opt.problem.models import Model
from hercules_opt.simulation.stages import Trace


class NoNeighbours:
    """Others that use a fixed number of cores."""

    busy_cores = 0.0

    def __init__(self, own_s: Callable[[], float]) -> None:
        assert own_s() == 0.0

    def cores(self) -> float:
        """Return the cores that others kept busy."""
        return self.busy_cores


class FakeServer:
    """``slower`` is multiplied to the time of an item, run by run; the last stays."""

    def __init__(self, item_ms: float = 0.1, servers: int = 1, slower: tuple[float, ...] = (1.0,)) -> None:
        self.item_ms, self.servers, self.slower = item_ms, servers, slower
        self.traces: list[Trace] = []

    def serve(self, trace: Trace, limit: LateLimit) -> tuple[Floats, float]:
        """Return the latencies of a queue in order of arrival."""
        slower = self.slower[min(len(self.traces), len(self.slower) - 1)]
        self.traces.append(trace)
        free = [0.0] * self.servers
        latency = []
        for due, items in zip(trace.times_ms, trace.items, strict=True):
            end = max(heapq.heappop(free), due) + items * self.item_ms * slower
            heapq.heappush(free, end)
            latency.append(end - due)
        found = np.array(latency)
        late = limit.skipped + np.flatnonzero(found[limit.skipped :] > limit.sla_ms)
        if len(late) > limit.most_late:
            found[late[limit.most_late] + 1 :] = np.inf
        return found, 0.25

    def cpu_s(self) -> float:
        """Return that it took nothing."""
        return 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        return None

    def start(self, schedule: ho.Schedule) -> None:
        """Serve with the threads of a schedule."""
        self.servers = schedule.threads or 1


def small(sla_ms: float = 200.0, mean_items: float = 10.0) -> Model:
    """Return a tiny model; every query has as many items."""
    return Model.model_validate(
        {
            "sla_ms": sla_ms,
            "query_size": {"distribution": "fixed", "mean_items": mean_items},
            "architecture": {
                "dense_features": 8,
                "top_mlp": (16, 1),
                "tables": ({"rows": 100, "dim": 4, "lookups": 2.0, "count": 2},),
            },
        }
    )


def instance_of(cores: int = 2, name: str = "made up", **server: object) -> ho.Instance:
    """Return an instance with one server type, a host as ``measure`` writes it, and the tiny model."""
    cpu = {
        "name": name, "cores": cores, "clock_ghz": 1.0, "flops_per_cycle": 50.0, "llc_mb": 32.0,
        "memory_gb_s": 20.0, "memory_gb": 8.0, "idle_w": 10.0, "tdp_w": 20.0, "memory_idle_w": 0.0,
        "memory_active_w": 0.0,
    }  # fmt: skip
    return ho.Instance.model_validate(
        {
            "format": 1,
            "name": "this host",
            "day": {"interval_h": 24},
            "loads": {"qps": {"small": [1.0]}},
            "servers": {"here": {"available": 1, "cpu": cpu, **server}},
            "models": {"small": small(sla_ms=50.0)},
        }
    )
