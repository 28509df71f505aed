"""Graphs as sessions of the runtime, and inputs for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hercules_opt.measurement.extra import required
from hercules_opt.measurement.graphs import TableSpec

Array = npt.NDArray[Any]

#: Row numbers that are drawn once and then cut into queries: many more than caches hold rows.
POOL = 4_000_000
_WARNINGS = 3


def session(model: bytes, threads: int) -> Any:
    """Return a session that runs its operators one after the other, each on some threads."""
    runtime = required("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _WARNINGS
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Lookups:
    """Row numbers of queries, fresh ones each time: repeated ones would be answered by the caches."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._pools: dict[int, Array] = {}

    def ids(self, spec: TableSpec, items: int) -> Array:
        """Return the row numbers of some items in a table."""
        if spec.rows not in self._pools:
            self._pools[spec.rows] = self._rng.integers(0, spec.rows, POOL, dtype=np.int32)
        count = items * spec.sequence * spec.lookups
        begin = int(self._rng.integers(0, max(POOL - count, 1)))
        return self._pools[spec.rows][begin : begin + count].reshape(items, *spec.ids_shape)


def feeds(specs: Sequence[TableSpec], lookups: Lookups, items: int, dense_features: int) -> dict[str, Array]:
    """Return the inputs of one batch, without the tables."""
    inputs = {spec.ids: lookups.ids(spec, items) for spec in specs}
    if dense_features:
        inputs["dense"] = np.zeros((items, dense_features), dtype=np.float32)
    return inputs


def tables(specs: Sequence[TableSpec], seed: int = 0) -> dict[str, Array]:
    """Return random tables."""
    rng = np.random.default_rng(seed)
    return {f"table_{spec.name}": rng.random((spec.rows, spec.dim), dtype=np.float32) for spec in specs}
