"""Service time of models on this host: a batch at a time, measured and predicted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from hercules_opt.errors import InputError, Words
from hercules_opt.hardware.efficiency import Efficiency
from hercules_opt.hardware.packing import pack
from hercules_opt.measurement.graphs import graph, table_specs
from hercules_opt.measurement.host_fit import batch_s
from hercules_opt.measurement.runtime import (
    MEMORY_SHARE,
    Lookups,
    drawn_bytes,
    feeds,
    run_in_turn,
    session,
    tables,
)
from hercules_opt.measurement.timing import MOST_CALLS, Call, Timing, timed_in_turns
from hercules_opt.problem.architecture import Architecture, Tables
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType

#: Items of the inputs that are made before the clock runs, at most; and inputs, at least.
_ITEMS, _LEAST_INPUTS = 100_000, 4


@dataclass(frozen=True)
class ServiceTime:
    """A batch of one model on some threads.

    Attributes
    ----------
    row_scale
        Rows of the tables over those of the model, below 1 where they would not fit into memory.
    timing
        What was measured.
    predicted_s
        By the cost model, for tables of that size.
    """

    model: str
    items: int
    threads: int
    row_scale: float
    timing: Timing
    predicted_s: float

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted_s / self.timing.seconds - 1.0


def row_scale(architecture: Architecture, available_gb: float) -> float:
    """Return by what the rows of a model's tables must be scaled to fit into memory: 1, a half, a quarter ...

    What is available differs from call to call; such steps hardly do: what was measured before counts.

    Raises
    ------
    InputError
        If there is no memory left for tables.
    """
    specs = table_specs(architecture)
    needed = sum(spec.bytes for spec in specs)
    available = available_gb * 1e9 - drawn_bytes(specs)
    if available <= 0.0:
        rule = f"must be more than the {drawn_bytes(specs) / 1e9:.2g} GB of its row numbers"
        raise InputError(rule, where="available memory", found=Words(f"{available_gb:.2g} GB"))
    return 2.0 ** min(0, math.floor(math.log2(MEMORY_SHARE * available / needed)))


def scaled(model: Model, scale: float) -> Model:
    """Return a model whose tables have fewer rows."""
    assert model.architecture is not None

    def fewer(group: Tables) -> Tables:
        rows = group.rows
        if isinstance(rows, tuple):
            return group.replace(rows=tuple(max(1, round(one * scale)) for one in rows))
        return group.replace(rows=max(1, round(rows * scale)))

    if scale == 1.0:
        return model
    groups = tuple(fewer(group) for group in model.architecture.tables)
    return model.replace(architecture=model.architecture.replace(tables=groups))


def service_times(
    name: str,
    model: Model,
    server: ServerType,
    efficiency: Efficiency,
    *,
    batches: Sequence[int],
    threads: Sequence[int],
    available_gb: float,
    budget_s: float = 0.8,
    progress: Callable[[str], None] | None = None,
) -> Iterator[ServiceTime]:
    """Measure a model's service time over batches and threads, beside the prediction.

    Raises
    ------
    InputError
        If the model has no architecture, or one that is not measured.
    """
    if model.architecture is None:
        raise InputError("is required to measure a model", where=name, key="architecture")
    scale = row_scale(model.architecture, available_gb)
    smaller = scaled(model, scale)
    assert smaller.architecture is not None
    specs = table_specs(smaller.architecture)
    held, lookups, whole = tables(specs), Lookups(specs), graph(smaller.architecture, "whole")
    pair = pack(server, smaller, efficiency)
    every = np.ones(len(pair.operators.flops))
    calls: dict[tuple[int, int], Call] = {}
    for count in threads:
        one = session(whole, count)
        for items in batches:
            made = max(_LEAST_INPUTS, min(MOST_CALLS, _ITEMS // items))
            # Row numbers are fresh ones each time; dense features would take gigabytes.
            every_time = {**held, **feeds((), lookups, items, smaller.architecture.dense_features)}
            inputs = [{**every_time, **feeds(specs, lookups, items, 0)} for _ in range(made)]
            calls[count, items] = partial(run_in_turn, one, inputs)
    if progress is not None:
        progress(f"{name}, {min(batches)} to {max(batches)} items")
    timings = timed_in_turns(list(calls.values()), budget_s)
    for (count, items), timing in zip(calls, timings, strict=True):
        yield ServiceTime(name, items, count, scale, timing, batch_s(pair, every, count, items))
