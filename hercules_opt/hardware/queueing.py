"""Waiting and tail latency of the stages of one server under Poisson arrivals.

The latency of a query is its own service (a makespan D that depends on its size) plus waiting W. D is uniform
between the makespans at the edges of each cell of the query-size density; W has an atom at zero and a tail
that is a sum of exponentials. ``P(T > t)`` is then a closed form, mixed over the cells: percentiles are never
added up.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.packing import Sizes
from hercules_opt.hardware.smooth import clipped, larger, power, smaller
from hercules_opt.hardware.stages import Parabola, Stage, time_at


class Pieces(NamedTuple):
    """How a stage splits queries into batches of at most d items, per cell and edge of the size density."""

    count: jax.Array  # type: ignore[assignment]  # in place of tuple.count
    last_items: jax.Array
    edge_count: jax.Array
    edge_last_items: jax.Array


class SplitWork(NamedTuple):
    """What queries bring to a stage of split batches; times are parabolas of the occupation by other queries.

    ``work_s`` is per cell of the size density; ``full_s`` (a full batch), ``first_s`` (the first one) and
    ``last_s`` are per edge. ``effective`` is the number of servers as queries see it, each of which occupies
    several.
    """

    pieces: Pieces
    servers: jax.Array
    effective: jax.Array
    work_s: Parabola
    full_s: Parabola
    first_s: Parabola
    last_s: Parabola


class Cells(NamedTuple):
    """A mixture: own service uniform in lo..hi per cell, and with probability ``waits`` one of Exp(``rate``).

    ``lo_s``, ``hi_s`` and ``weight`` have shape (..., parts, cells); ``waits`` and ``rate``, one per part,
    (..., parts, 1).
    """

    lo_s: jax.Array
    hi_s: jax.Array
    weight: jax.Array
    waits: jax.Array
    rate: jax.Array


class SplitLoad(NamedTuple):
    """A stage of split batches at a load: makespans per edge of the size density, waiting, utilization.

    ``free_s`` is the makespan of a query that starts at once, ``delayed_s`` that of one which had to wait,
    counted from its first batch. Its other batches then start one by one, as servers become free.
    """

    rho: jax.Array
    free_s: jax.Array
    delayed_s: jax.Array
    last_s: jax.Array
    delayed: jax.Array
    rate: jax.Array


#: Times that the utilization is substituted into itself: the error left is below 1 % (tested against the
#: fixed point).
_SUBSTITUTIONS = 3

#: A query of n items is spread over n - 1/2 .. n + 1/2 in the density; ceil((x - 1/2) / d) is its number of
#: batches.
_HALF_ITEM = 0.5


def _ceil_integral(x: jax.Array) -> jax.Array:
    """Return the integral of ceil(u) over 0..x."""
    n = jnp.ceil(x)
    return 0.5 * n * (n - 1.0) + (x - (n - 1.0)) * n


def _mean_ceil(lo: jax.Array, hi: jax.Array, step: jax.Array) -> jax.Array:
    """Return the mean of ceil(s / step) for s uniform between lo and hi."""
    upper, lower = (hi - _HALF_ITEM) / step, (lo - _HALF_ITEM) / step
    return step * (_ceil_integral(upper) - _ceil_integral(lower)) / (hi - lo)


def split(sizes: Sizes, batch_size: jax.Array) -> Pieces:
    """Return the batches per query and the items in its last one, as expectations over each cell."""
    lo, hi = jnp.asarray(sizes.around_lo), jnp.asarray(sizes.around_hi)
    count = _mean_ceil(jnp.asarray(sizes.lo), jnp.asarray(sizes.hi), batch_size)
    edge_count = _mean_ceil(lo, hi, batch_size)
    last = jnp.asarray(sizes.middle) - (count - 1.0) * batch_size
    edge_last = 0.5 * (lo + hi) - (edge_count - 1.0) * batch_size
    return Pieces(count, last, edge_count, edge_last)


def split_work(stage: Stage, sizes: Sizes, batch_size: jax.Array) -> SplitWork:
    """Return the work that queries of each cell bring to a stage of split batches.

    A batch runs beside the others of its own query, and beside those of other queries on the remaining
    servers with probability u: occupation = ((w - 1) + (c - w) u) / (c - 1), where w is the query's width. It
    is affine in u, so that times stay parabolas of u.
    """
    pieces, c = split(sizes, batch_size), stage.servers
    width = smaller(pieces.count, c)
    full = time_at(stage, batch_size)
    last = time_at(stage, pieces.last_items)
    whole = Parabola(*((pieces.count - 1.0) * f + r for f, r in zip(full, last, strict=True)))
    work = _beside(stage, whole, width)
    edge_width = smaller(pieces.edge_count, c)
    first = time_at(stage, smaller(jnp.asarray(sizes.edges), batch_size))
    weighted = jnp.asarray(sizes.weight) * work.at(jnp.asarray(0.5))
    effective = larger(c * jnp.sum(weighted) / jnp.sum(weighted * width), 1.0)
    return SplitWork(
        pieces=pieces,
        servers=c,
        effective=effective,
        work_s=work,
        full_s=_beside(stage, full, edge_width),
        first_s=_beside(stage, first, edge_width),
        last_s=_beside(stage, time_at(stage, pieces.edge_last_items), edge_width),
    )


def _beside(stage: Stage, time_s: Parabola, width: jax.Array) -> Parabola:
    """Return times by the occupation u of the servers that a query of this width leaves to others."""
    own = (width - 1.0) / larger(stage.servers - 1.0, 1e-9)
    others = 1.0 - own
    slope = others * (time_s.linear + 2.0 * own * time_s.square)
    return Parabola(time_s.at(own), slope, others * others * time_s.square)


def waiting_probability(rho: jax.Array, servers: jax.Array) -> jax.Array:
    """Return the probability that all of (a real number of) servers are busy, after Sakasegawa (1977)."""
    return power(rho, jnp.sqrt(2.0 * (servers + 1.0)) - 1.0)


def _occupation_seen(rho: jax.Array, servers: jax.Array) -> jax.Array:
    """Return the share of the other servers that are busy when a service starts.

    With N busy servers found at arrival (PASTA), E[min(N, c - 1)] = c rho - P(N >= c).
    """
    several = larger(servers, 1.0 + 1e-2)
    return clipped((several * rho - waiting_probability(rho, several)) / (several - 1.0), 0.0, 1.0)


def split_saturation_qps(work: SplitWork, sizes: Sizes) -> jax.Array:
    """Return the load at which all servers of a stage of split batches are busy all the time."""
    return work.servers / jnp.sum(jnp.asarray(sizes.weight) * work.work_s.end)


def _utilization(mean_work: Parabola, work: SplitWork, load_qps: jax.Array) -> jax.Array:
    """Return rho with ``load * work(u(rho)) = servers * rho``: work itself grows with the occupation u.

    Starts from the smaller root of the parabola that u = rho gives, and substitutes a fixed number of times,
    so that the result is a closed form of the load.
    """
    idle, slope, square = (load_qps * part for part in mean_work)
    b = slope - work.servers
    root = jnp.sqrt(larger(b * b - 4.0 * square * idle, 1e-12 * work.servers**2))
    rho = clipped(2.0 * idle / (root - b), 1e-12, 1.0)
    for _ in range(_SUBSTITUTIONS):
        seen = _occupation_seen(rho, work.effective)
        rho = clipped(load_qps * mean_work.at(seen) / work.servers, 1e-12, 1.0)
    return rho


def split_load(work: SplitWork, sizes: Sizes, load_qps: jax.Array) -> SplitLoad:
    """Return how a stage of split batches behaves at a load.

    The wait of the first batch follows the work ahead, as in M/G/c under heavy traffic: work arrives in lumps
    of one query and drains at the rate of all servers at full occupation, so the rate of the exponential tail
    is 2 c (1 - rho) E[work] / E[work^2]. A query that waits finds all servers busy and starts batch by batch,
    one every (batch time / c); one that does not wait, but finds a share rho busy, loses that share of the
    difference.
    """
    weight, c = jnp.asarray(sizes.weight), work.servers
    mean_work = Parabola(*(jnp.sum(weight * part) for part in work.work_s))
    rho = _utilization(mean_work, work, load_qps)
    seen = _occupation_seen(rho, work.effective)
    first = work.first_s.at(seen)
    at_once = makespan_s(work, first, work.full_s.at(seen), work.last_s.at(seen))
    further = work.pieces.edge_count - 1.0
    saved = smaller(larger(work.full_s.end - work.last_s.end, 0.0), work.full_s.end / c)
    one_by_one = further * work.full_s.end / c - smaller(further, 1.0) * saved
    free = at_once + rho * larger(first + one_by_one - at_once, 0.0)
    delayed = work.first_s.end + one_by_one
    saturated = smaller(load_qps * mean_work.end / c, 1.0)
    rate = 2.0 * c * (1.0 - saturated) * mean_work.end / jnp.sum(weight * work.work_s.end**2)
    return SplitLoad(rho, free, delayed, first, waiting_probability(rho, work.effective), rate)


def makespan_s(work: SplitWork, first_s: jax.Array, full_s: jax.Array, last_s: jax.Array) -> jax.Array:
    """Return the time from start to end of a query that finds all servers free, per edge of the size density.

    More batches than servers take further rounds; a fractional number of batches, the mean of the rounds it
    rounds to. In one of c cases the last round is the last batch alone, which is not full.
    """
    more = work.pieces.edge_count - work.servers
    rounds = smaller(more, more / work.servers + 0.5 * (1.0 - 1.0 / work.servers))
    saved = clipped(more, 0.0, 1.0) / work.servers * larger(full_s - last_s, 0.0)
    return first_s + larger(rounds, 0.0) * full_s - saved


def split_cells(load: SplitLoad, sizes: Sizes, added_s: jax.Array) -> Cells:
    """Return the latency of a stage of split batches in two parts: queries that start at once, and that wait.

    ``added_s``, per edge, comes on top.
    """
    weight, delayed = jnp.asarray(sizes.weight), jnp.asarray(load.delayed)
    return cells(
        jnp.stack([load.free_s + added_s, load.delayed_s + added_s]),
        jnp.stack([weight * (1.0 - delayed), weight * delayed]),
        jnp.array([[0.0], [1.0]]),
        jnp.stack([jnp.ones(1), load.rate[None]]),
    )


def cells(edges_s: jax.Array, weight: jax.Array, waits: jax.Array, rate: jax.Array) -> Cells:
    """Return cells whose own service runs between its values at the edges of the size density."""
    below, above = edges_s[..., :-1], edges_s[..., 1:]
    return Cells(smaller(below, above), larger(below, above) * (1.0 + 1e-9), weight, waits, rate)


def tail(law: Cells, latency_s: jax.Array) -> jax.Array:
    """Return P(T > latency): the mean over D uniform in each cell of P(W > latency - D), a closed form."""
    width = law.hi_s - law.lo_s
    reached = clipped(latency_s - law.lo_s, 0.0, width) / width
    # The mean of exp(-rate u) for u uniform over the part of the cell that is below the latency.
    z = law.rate * width * reached + 1e-9
    mean = -jnp.expm1(-z) / z * reached
    remaining = larger(latency_s - law.hi_s, 0.0)
    late = 1.0 - reached + law.waits * jnp.exp(-law.rate * remaining) * mean
    return jnp.sum(law.weight * late, axis=(-2, -1))
