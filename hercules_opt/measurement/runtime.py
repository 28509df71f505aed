"""Graphs as sessions of the runtime, and inputs for them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from hercules_opt.measurement.extra import required
from hercules_opt.measurement.graphs import TableSpec

Array = npt.NDArray[Any]

#: Row numbers that are drawn once and then cut into queries: many more than caches hold rows.
POOL = 4_000_000
#: Share of the available memory that tables may take.
MEMORY_SHARE = 0.5
_WARNINGS = 3


def session(model: bytes, threads: int) -> Any:
    """Return a session that runs its operators one after the other, each on some threads."""
    runtime = required("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _WARNINGS
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_in_turn(session: Any, inputs: Sequence[dict[str, Any]], number: int) -> Any:
    """Run a session on one of several inputs."""
    return session.run(None, inputs[number % len(inputs)])


class Lookups:
    """Row numbers of queries, fresh ones each time: repeated ones would be answered by the caches.

    They are drawn once per number of rows, and cut out anywhere.
    """

    def __init__(self, specs: Sequence[TableSpec], seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._pools: dict[int, Array] = {
            rows: self._rng.integers(0, rows, POOL, dtype=np.int32)
            for rows in sorted({spec.rows for spec in specs})
        }

    def seeded(self, seed: int) -> Lookups:
        """Return the same numbers, to be cut at other places: processes share them."""
        other = copy(self)
        other._rng = np.random.default_rng(seed)
        return other

    def ids(self, spec: TableSpec, items: int) -> Array:
        """Return the row numbers of some items in a table; numbers repeat where there are more than drawn."""
        pool, count = self._pools[spec.rows], items * spec.sequence * spec.lookups
        if count > POOL:
            return np.resize(pool, (items, *spec.ids_shape))
        begin = int(self._rng.integers(0, POOL - count + 1))
        return pool[begin : begin + count].reshape(items, *spec.ids_shape)


def drawn_bytes(specs: Sequence[TableSpec]) -> int:
    """Return the memory that row numbers for some tables take."""
    return 4 * POOL * len({spec.rows for spec in specs})


def feeds(specs: Sequence[TableSpec], lookups: Lookups, items: int, dense_features: int) -> dict[str, Array]:
    """Return the inputs of one batch, without the tables.

    Dense features are ones: the system backs zeros by the same page over and over, which is slower to read.
    """
    inputs = {spec.ids: lookups.ids(spec, items) for spec in specs}
    if dense_features:
        inputs["dense"] = np.ones((items, dense_features), dtype=np.float32)
    return inputs


def tables(specs: Sequence[TableSpec], seed: int = 0) -> dict[str, Array]:
    """Return random tables."""
    rng = np.random.default_rng(seed)
    return {f"table_{spec.name}": rng.random((spec.rows, spec.dim), dtype=np.float32) for spec in specs}
