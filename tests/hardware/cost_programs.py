"""The cost model compiled once per placement, and small servers and models to ask it about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hercules_opt.hardware.efficiency import Efficiency
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.server import at_load, miss_probability, power_w, serve
from hercules_opt.hardware.stages import IMPLIED, PROGRAM, VARIABLES, Choice
from hercules_opt.hardware.throughput import (
    Bounded,
    bounded_throughput,
    objective_gradient,
    unloaded_excess,
    unloaded_latency_s,
    violation,
)
from hercules_opt.problem.catalogue import catalogue
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.program_cache import kept

#: Without optimization the programs compile three times as fast; they run more slowly, which tests do not
#: mind.
OPTIONS = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}
CHUNK = 64
FIELDS = Choice._fields


class Answers(NamedTuple):
    """What the cost model says, each of shape (n,), ``gradient`` of shape (n, 8).

    The first four are about the schedule; the others about the load and latency that were asked for.
    """

    qps: np.ndarray
    excess: np.ndarray
    saturation_qps: np.ndarray
    memory: np.ndarray
    violation: np.ndarray
    unloaded_excess: np.ndarray
    unloaded_s: np.ndarray
    miss: np.ndarray
    power_w: np.ndarray
    gradient: np.ndarray


class Programs:
    """The cost model, vectorized over (pair, schedule, load, latency)."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[Placement, tuple[tuple[int, ...], ...]], Any] = {}

    def ask(
        self,
        placement: Placement,
        pairs: Pair | Sequence[Pair],
        points: np.ndarray,
        load_qps: float | np.ndarray = 1.0,
        latency_s: float | np.ndarray = 1.0,
    ) -> Answers:
        """Return answers for points, shape (n, 8), of one pair or of one pair each.

        The gradient is that of log load at constant violation; of minus the excess where the load is 0.
        """
        points = np.asarray(points, dtype=np.float64).reshape(-1, len(FIELDS)).copy()
        for name, value in IMPLIED[placement].items():
            points[:, FIELDS.index(name)] = value
        n = len(points)
        each = [pairs] * n if isinstance(pairs, Pair) else list(pairs)
        stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf, float) for leaf in leaves]), *each)
        inputs = (stacked, points, np.full(n, load_qps, float), np.full(n, latency_s, float))
        results = []
        with jax.enable_x64(True):
            for begin in range(0, n, CHUNK):
                rows = np.minimum(np.arange(begin, begin + CHUNK), n - 1)
                chunk = jax.tree.map(lambda leaf, rows=rows: leaf[rows], inputs)
                results.append(self._program(PROGRAM[placement], chunk)(*chunk))
            answers = Answers(
                *(
                    np.concatenate([np.asarray(r) for r in column])[:n]
                    for column in zip(*results, strict=False)
                )
            )
        used = np.isin(FIELDS, VARIABLES[placement])
        return answers._replace(gradient=np.where(used, answers.gradient, 0.0))

    def _program(self, placement: Placement, inputs: Any) -> Any:
        """Return the program for inputs of these shapes; other processes of the run find it compiled."""
        key = placement, tuple(np.shape(leaf) for leaf in jax.tree.leaves(inputs))
        if key not in self._compiled:
            source = Path(__file__).read_text(encoding="utf-8")
            self._compiled[key] = kept((source, *key), partial(_compiled, placement, inputs))
        return self._compiled[key]


def _compiled(placement: Placement, inputs: Any) -> Any:
    def answer(pair: Pair, point: jax.Array, load: jax.Array, latency: jax.Array) -> Answers:
        choice = Choice(*point)
        server = serve(placement, pair, choice)
        bounded = bounded_throughput(server)
        state = at_load(server, load)
        asked = Bounded(load, bounded.excess, bounded.saturation_qps, bounded.memory)
        return Answers(
            *bounded,
            violation(server, load),
            unloaded_excess(server),
            unloaded_latency_s(server),
            miss_probability(server, state, latency),
            power_w(server, state),
            jnp.stack(objective_gradient(placement, pair, choice, asked)),
        )

    return jax.jit(jax.vmap(answer), compiler_options=OPTIONS).lower(*inputs).compile()


def point(
    threads: float = 1,
    cores: float = 1,
    batch: float = 64,
    dense_threads: float = 1,
    dense_cores: float = 1,
    instances: float = 1,
    fused: float = 1024,
    hot: float = 0.5,
) -> np.ndarray:
    """Return a schedule in the order of ``Choice``, shape (8,)."""
    values = {
        "threads": threads, "cores_per_thread": cores, "dense_threads": dense_threads,
        "dense_cores_per_thread": dense_cores, "batch_size": batch, "instances": instances,
        "fused_items": fused, "hot_share": hot,
    }  # fmt: skip
    return np.array([values[name] for name in FIELDS], dtype=np.float64)


def changed(part: Any, **updates: Any) -> Any:
    """Return a part of an instance with other figures, checked again; ``a__b`` is ``b`` of its part ``a``."""
    data = part.model_dump()
    for key, value in updates.items():
        *path, last = key.split("__")
        inner = data
        for name in path:
            inner = inner[name]
        inner[last] = value
    return type(part).model_validate(data)


def model(
    sizes: dict[str, Any] | int = 512, sla_ms: float = 100.0, percentile: float = 95.0, **architecture: Any
) -> Model:
    """Return a model; ``sizes`` is its query_size, or the one size of all its queries."""
    query_size = {"distribution": "fixed", "mean_items": sizes} if isinstance(sizes, int) else sizes
    return Model.model_validate(
        {
            "sla_ms": sla_ms,
            "sla_percentile": percentile,
            "query_size": query_size,
            "architecture": {"top_mlp": (1,), "tables": ({"rows": 1, "dim": 1},), **architecture},
        }
    )


def computing(width: int = 4096, **others: Any) -> Model:
    """Return a model that is one square layer between two thin ones, with a table of one element."""
    return model(dense_features=width, top_mlp=(width, 1), **others)


def gathering(dim: int = 64, lookups: float = 100, rows: int = 50_000_000, **others: Any) -> Model:
    """Return a model that is little but the pooling of rows of one large table."""
    return model(tables=({"rows": rows, "dim": dim, "lookups": lookups},), **others)


def ideal(host: dict[str, float] | None = None, accelerator: dict[str, float] | None = None) -> Efficiency:
    """Return constants without the costs that hide a limit: no launch, no half-full products, fast cores."""
    on_host = {"launch_us": 0.0, "fork_us": 0.0, "gemm_half_rows": 0.0, "core_gb_s": 1000.0, **(host or {})}
    on_device = {"gemm_half_rows": 0.0, **(accelerator or {})}
    return Efficiency.model_validate({"host": on_host, "accelerator": on_device})


def server(name: str, **updates: Any) -> ServerType:
    """Return a server type of the catalogue, with other figures."""
    return changed(catalogue.servers[name], **updates)


SERVERS = tuple(catalogue.servers)
MODELS = tuple(catalogue.models)
