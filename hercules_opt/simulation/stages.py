"""What is simulated: the stages of a server, and the queries that reach it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hercules_opt.errors import InputError, Words, nearest_name

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Variability = Literal["deterministic", "exponential"]
#: Items in one query at most.
LARGEST_QUERY = 1_000_000
#: Queries in one run at most: their arrays take some ten bytes each, several times.
MOST_QUERIES = 1_000_000_000
#: Draws the sizes of ``count`` queries, in items: ``sampler(rng, count)``.
SizeSampler = Callable[[np.random.Generator, int], ArrayLike]


@dataclass(frozen=True, eq=False)
class Stage:
    """Equal servers that share one queue: threads of a host, or co-located instances on an accelerator.

    Parameters
    ----------
    servers
        How many pieces, or fused batches, are served at the same time.
    time_ms
        Shape (servers, max_items + 1). ``time_ms[k - 1, n]`` is the mean service time of a batch of ``n``
        items that starts when ``k`` servers are busy, itself and all that start at the same instant
        included. Column 0 is never read. A stage that does not slow down under co-location repeats one row.
    fuse_items
        None: a server takes one piece at a time. Else query fusion: a free server takes the waiting pieces
        in order as long as their items stay within this number, and always at least one piece. It never
        waits to fill a batch.
    variability
        ``"deterministic"``: every batch takes its mean time; ``"exponential"``: its mean times the
        draw of Exp(1) of its first piece.
    name
        For messages and reports.

    Raises
    ------
    InputError
        For a table of the wrong shape, times that are not finite and above 0, or a fusion above the table.
    """

    servers: int
    time_ms: ArrayLike
    fuse_items: int | None = None
    variability: Variability = "deterministic"
    name: str = "stage"

    def __post_init__(self) -> None:
        """Check the numbers and keep a read-only copy of the table."""
        where = f"Stage {self.name!r}"
        check_count(self.servers, "servers", where)
        table = as_floats(self.time_ms, "time_ms", where)
        if table.ndim != 2 or table.shape[0] != self.servers or table.shape[1] < 2:
            raise InputError(
                f"must have the shape (servers, max_items + 1), {self.servers} rows, 2 or more columns",
                where=where,
                key="time_ms",
                found=Words(f"shape {table.shape}"),
            )
        bad = ~(np.isfinite(table[:, 1:]) & (table[:, 1:] > 0))
        if bad.any():
            k, n = (int(i) + 1 for i in np.argwhere(bad)[0])
            rule = f"must be finite and greater than 0, also with {k} servers busy and {n} items"
            raise InputError(rule, where=where, key="time_ms", found=float(table[k - 1, n]))
        if self.fuse_items is not None:
            check_count(self.fuse_items, "fuse_items", where)
            if self.fuse_items >= table.shape[1]:
                rule = f"must be at most the largest batch of time_ms, {table.shape[1] - 1} items"
                raise InputError(rule, where=where, key="fuse_items", found=self.fuse_items)
        if self.variability not in get_args(Variability):
            hint = nearest_name(str(self.variability), get_args(Variability))
            raise InputError("unknown", where=where, key="variability", found=self.variability, hint=hint)
            object.__setattr__(self, "fuse_items", int(self.fuse_items))
        table.setflags(write=False)
        object.__setattr__(self, "servers", int(self.servers))
        object.__setattr__(self, "time_ms", table)

    @property
    def table_ms(self) -> FloatArray:
        """The service times as a read-only array, shape (servers, max_items + 1)."""
        table: FloatArray = np.asarray(self.time_ms)
        return table

    @property
    def max_items(self) -> int:
        """The largest batch that ``time_ms`` covers."""
        return int(self.table_ms.shape[1]) - 1


@dataclass(frozen=True, eq=False)
class Trace:
    """Queries as they arrive: times in ascending order (equal times are allowed), and sizes.

    Parameters
    ----------
    arrival_ms
        Shape (queries,), finite, not descending.
    sizes
        Shape (queries,), items per query, integers from 1 to ``LARGEST_QUERY``.
    """

    arrival_ms: ArrayLike
    sizes: ArrayLike

    def __post_init__(self) -> None:
        """Check the queries and keep read-only copies."""
        times = as_floats(self.arrival_ms, "arrival_ms", "Trace")
        if times.ndim != 1 or times.size == 0:
            raise InputError(
                "must be a list of times, not empty",
                where="Trace",
                key="arrival_ms",
                found=Words(f"shape {times.shape}"),
            )
        ascending = bool((times[1:] >= times[:-1]).all())  # False also where a time is NaN
        if not (ascending and math.isfinite(times[0]) and math.isfinite(times[-1])):
            _refuse_times(times)
        sizes = as_sizes(self.sizes, "Trace")
        if sizes.shape != times.shape:
            rule = f"must hold one size per arrival, {times.size}"
            raise InputError(rule, where="Trace", key="sizes", found=Words(f"shape {sizes.shape}"))
        for array in (times, sizes):
            array.setflags(write=False)
        object.__setattr__(self, "arrival_ms", times)
        object.__setattr__(self, "sizes", sizes)

    @property
    def times_ms(self) -> FloatArray:
        """Arrival times as a read-only array."""
        times: FloatArray = np.asarray(self.arrival_ms)
        return times

    @property
    def items(self) -> IntArray:
        """Query sizes as a read-only array."""
        items: IntArray = np.asarray(self.sizes)
        return items


def draw_sizes(sizes: ArrayLike | SizeSampler, queries: int, rng: np.random.Generator) -> IntArray:
    """Return the sizes of ``queries`` queries: drawn from a list with replacement, or by a sampler."""
    if callable(sizes):
        drawn = as_sizes(sizes(rng, queries), "sizes")
        if drawn.shape != (queries,):
            raise InputError(
                f"the sampler must return {queries} sizes", where="sizes", found=Words(f"shape {drawn.shape}")
            )
        return drawn
    population = as_sizes(sizes, "sizes")
    return population[rng.integers(population.size, size=queries)]


def random_stream(seed: int, number: int) -> np.random.Generator:
    """Return one of the independent random streams of a seed."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError("must be an integer of at least 0", where="seed", found=seed)
    return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(number,)))


def check_network(
    stages: Sequence[Stage], batch_items: int | None, largest_query: int
) -> tuple[tuple[Stage, ...], int]:
    """Check that every piece fits every stage's table; return the stages, and the items of a full piece."""
    if not isinstance(stages, Sequence) or not stages or not all(isinstance(s, Stage) for s in stages):
        raise InputError("must be a list of one or more Stage", where="stages", found=stages)
    if batch_items is not None:
        check_count(batch_items, "batch_items", None)
    piece = largest_query if batch_items is None else min(int(batch_items), largest_query)
    for stage in stages:
        if piece > stage.max_items:
            rule = f"covers batches of up to {stage.max_items} items, and pieces of {piece} items occur"
            hint = "Set batch_items, or extend the table."
            raise InputError(rule, where=f"Stage {stage.name!r}", key="time_ms", hint=hint)
    return tuple(stages), piece


def check_count(value: Any, key: str, where: str | None) -> None:
    """Refuse anything that is not an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError("must be an integer of at least 1", where=where, key=key, found=value)


def check_positive(value: Any, key: str) -> None:
    """Refuse anything that is not a finite number greater than 0."""
    if not _is_number(value) or not 0 < value <= sys.float_info.max:
        raise InputError("must be a finite number greater than 0", where=key, found=value)


def check_percentile(value: Any) -> None:
    """Refuse anything that is not a number from 1 to below 100; a share such as 0.95 is meant otherwise."""
    if not _is_number(value) or not 1 <= value < 100:
        rule = "must be from 1 to below 100, in per cent: 95, not 0.95"
        raise InputError(rule, where="percentile", found=value)


def check_range(value: Any, key: str, low: float, high: float, rule: str) -> None:
    """Refuse anything that is not a number from ``low`` to ``high``, as ``rule`` puts it."""
    if not _is_number(value) or not low <= value <= high:
        raise InputError(rule, where=key, found=value)


def as_floats(values: Any, key: str, where: str) -> FloatArray:
    """Return a fresh, contiguous float64 copy of ``values``."""
    try:
        # Texts, dates and complex numbers would be converted too: a date to the count of its own unit.
        if np.asarray(values).dtype.kind in "biufO":
            return np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError("must be an array of numbers", where=where, key=key, found=values)


def as_sizes(values: Any, where: str) -> IntArray:
    """Return query sizes as a fresh int64 array of one dimension, each from 1 to ``LARGEST_QUERY``."""
    whole = isinstance(values, np.ndarray) and np.issubdtype(values.dtype, np.integer)
    numbers = values if whole else as_floats(values, "sizes", where)
    if numbers.ndim != 1 or numbers.size == 0:
        shape = Words(f"shape {numbers.shape}")
        raise InputError("must be a list of sizes, not empty", where=where, key="sizes", found=shape)
    bad = ~((numbers >= 1) & (numbers <= LARGEST_QUERY))
    if not whole:
        bad |= numbers != np.floor(numbers)
    if bad.any():
        rule = f"must be integers from 1 to {LARGEST_QUERY:,}"
        raise InputError(rule, where=where, key="sizes", found=_first(numbers, bad))
    sizes: IntArray = numbers.astype(np.int64)
    return sizes


def _refuse_times(times: FloatArray) -> None:
    bad = ~np.isfinite(times)
    if bad.any():
        raise InputError("must be finite", where="Trace", key="arrival_ms", found=_first(times, bad))
    late = int(np.flatnonzero(np.diff(times) < 0)[0]) + 1
    rule = f"must not descend, and query {late} arrives before query {late - 1}"
    raise InputError(rule, where="Trace", key="arrival_ms", found=float(times[late]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _first(values: NDArray[Any], chosen: NDArray[np.bool_]) -> float:
    return float(values[np.flatnonzero(chosen)[0]])
