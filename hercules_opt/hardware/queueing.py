"""Waiting and tail latency of the stages of one server under Poisson arrivals.

The latency of a query is its own service (a makespan D that depends on its size) plus waiting W. D is uniform between
the makespans at the edges of each cell of the query-size density; W has an atom at zero and a tail that is a sum of
exponentials. ``P(T > t)`` is then a closed form, mixed over the cells: percentiles are never added up.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.packing import Sizes
from hercules_opt.hardware.stages import Stage, occupation_weights, time_at


class Pieces(NamedTuple):
    """How a stage splits queries into batches of at most d items, per cell and per edge of the size density."""

    count: jax.Array
    last_items: jax.Array
    edge_count: jax.Array
    edge_last: jax.Array


class SplitWork(NamedTuple):
    """What queries bring to a stage of split batches; a leading axis of 3 is rho = 0, 1/2, 1.

    ``work_s`` is per cell of the size density; ``full_s`` (a full batch) and ``first_s`` (the first one) are per edge.
    ``effective`` is the number of servers as queries see it, each of which occupies several.
    """

    pieces: Pieces
    servers: jax.Array
    effective: jax.Array
    work_s: jax.Array
    full_s: jax.Array
    first_s: jax.Array


class Cells(NamedTuple):
    """A mixture: own service uniform in lo..hi, plus with probability ``amplitude`` a wait of Exp(``rate``)."""

    lo_s: jax.Array
    hi_s: jax.Array
    weight: jax.Array
    amplitude: jax.Array
    rate: jax.Array


class SplitLoad(NamedTuple):
    """A stage of split batches at a load: makespans per edge of the size density, waiting, utilization.

    ``free_s`` is the makespan of a query that starts at once, ``delayed_s`` that of one which had to wait, counted
    from its first batch. Its other batches then start one by one, as servers become free.
    """

    rho: jax.Array
    free_s: jax.Array
    delayed_s: jax.Array
    last_s: jax.Array
    delayed: jax.Array
    rate: jax.Array


#: Times that the utilization is substituted into itself: the error left is below 1 % (tested against the fixed point).
_SUBSTITUTIONS = 3

#: A query of n items is spread over n - 1/2 .. n + 1/2 in the density; ceil((x - 1/2) / d) is its number of batches.
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
    """Return the number of batches per query and the items in its last one, as expectations over each cell."""
    edges = jnp.asarray(sizes.edges)
    lo, hi = edges[:-1], edges[1:]
    middle = 0.5 * (lo + hi)
    count = _mean_ceil(lo, hi, batch_size)
    outer_lo = jnp.concatenate([edges[:1], middle])
    outer_hi = jnp.concatenate([middle, edges[-1:]])
    edge_count = _mean_ceil(outer_lo, outer_hi, batch_size)
    edge_mean = 0.5 * (outer_lo + outer_hi)
    return Pieces(
        count, middle - (count - 1.0) * batch_size, edge_count, edge_mean - (edge_count - 1.0) * batch_size
    )


def split_work(stage: Stage, sizes: Sizes, batch_size: jax.Array) -> SplitWork:
    """Return the work that queries of each cell bring to a stage of split batches.

    A batch runs beside the others of its own query, and beside those of other queries on the remaining servers with
    probability u: occupation = ((w - 1) + (c - w) u) / (c - 1), where w is the query's width. It is affine in u, so
    that times stay parabolas of u.
    """
    pieces, c = split(sizes, batch_size), stage.servers
    width = jnp.minimum(pieces.count, c)
    full = _beside(stage, time_at(stage, batch_size)[:, None], width)
    work = (pieces.count - 1.0) * full + _beside(stage, time_at(stage, pieces.last_items), width)
    edge_width = jnp.minimum(pieces.edge_count, c)
    first = time_at(stage, jnp.minimum(jnp.asarray(sizes.edges), batch_size))
    edge_full = _beside(stage, time_at(stage, batch_size)[:, None], edge_width)
    weighted = jnp.asarray(sizes.weight) * work[1]
    effective = jnp.maximum(c * jnp.sum(weighted) / jnp.sum(weighted * width), 1.0)
    return SplitWork(pieces, c, effective, work, edge_full, _beside(stage, first, edge_width))


def _beside(stage: Stage, time_s: jax.Array, width: jax.Array) -> jax.Array:
    """Return times at rho = 0, 1/2, 1 (3, n) from times at occupation 0, 1/2, 1 (3, n), for queries of a width."""
    own = (width - 1.0) / jnp.maximum(stage.servers - 1.0, 1e-9)
    rho = jnp.array([0.0, 0.5, 1.0])[:, None]
    weights = occupation_weights(own + (1.0 - own) * rho)
    return jnp.einsum("rnk,kn->rn", weights, jnp.broadcast_to(time_s, (3, width.shape[0])))


def waiting_probability(rho: jax.Array, servers: jax.Array) -> jax.Array:
    """Return the probability that all of (a real number of) servers are busy, after Sakasegawa (1977)."""
    return rho ** (jnp.sqrt(2.0 * (servers + 1.0)) - 1.0)


def _occupation_seen(rho: jax.Array, servers: jax.Array) -> jax.Array:
    """Return the share of the other servers that are busy when a service starts.

    With N busy servers found at arrival (PASTA), E[min(N, c - 1)] = c rho - P(N >= c).
    """
    others = jnp.maximum(servers - 1.0, 1e-2)
    seen = (servers * rho - waiting_probability(rho, servers)) / others
    return jnp.clip(jnp.where(servers > 1.0 + 1e-2, seen, rho), 0.0, 1.0)


def split_saturation_qps(work: SplitWork, sizes: Sizes) -> jax.Array:
    """Return the load at which all servers of a stage of split batches are busy all the time."""
    return work.servers / jnp.sum(jnp.asarray(sizes.weight) * work.work_s[2])


def _utilization(mean_work: jax.Array, work: SplitWork, load_qps: jax.Array) -> jax.Array:
    """Return rho with ``load * work(u(rho)) = servers * rho``: work itself grows with the occupation u.

    Starts from the smaller root of the parabola that u = rho gives, and substitutes a fixed number of times, so that
    the result is a closed form of the load.
    """
    idle, half, full = mean_work[0], mean_work[1], mean_work[2]
    a = load_qps * (2.0 * idle - 4.0 * half + 2.0 * full)
    b = load_qps * (-3.0 * idle + 4.0 * half - full) - work.servers
    root = jnp.sqrt(jnp.maximum(b * b - 4.0 * a * load_qps * idle, 1e-12 * work.servers**2))
    rho = jnp.clip(2.0 * load_qps * idle / (root - b), 1e-12, 1.0)
    for _ in range(_SUBSTITUTIONS):
        weights = occupation_weights(_occupation_seen(rho, work.effective))
        rho = jnp.clip(load_qps * jnp.sum(weights * mean_work) / work.servers, 1e-12, 1.0)
    return rho


def split_load(work: SplitWork, sizes: Sizes, load_qps: jax.Array) -> SplitLoad:
    """Return how a stage of split batches behaves at a load.

    The wait of the first batch follows the work ahead, as in M/G/c under heavy traffic: work arrives in lumps of one
    query and drains at the rate of all servers at full occupation, so the rate of the exponential tail is
    2 c (1 - rho) E[work] / E[work^2]. A query that waits finds all servers busy and starts batch by batch, one every
    (batch time / c); one that does not wait, but finds a share rho busy, loses that share of the difference.
    """
    weight, c = jnp.asarray(sizes.weight), work.servers
    mean_work = work.work_s @ weight
    rho = _utilization(mean_work, work, load_qps)
    weights = occupation_weights(_occupation_seen(rho, work.effective))
    full, first = weights @ work.full_s, weights @ work.first_s
    at_once = makespan_s(work, first, full)
    delayed = (work.pieces.edge_count - 1.0) * work.full_s[2] / c + work.first_s[2]
    free = at_once + rho * jnp.maximum(delayed - at_once, 0.0)
    saturated = jnp.minimum(load_qps * mean_work[2] / c, 1.0)
    rate = 2.0 * c * (1.0 - saturated) * mean_work[2] / jnp.sum(weight * work.work_s[2] ** 2)
    return SplitLoad(rho, free, delayed, first, waiting_probability(rho, work.effective), rate)


def makespan_s(work: SplitWork, first_s: jax.Array, full_s: jax.Array) -> jax.Array:
    """Return the time from start to end of a query that finds all servers free, per edge of the size density.

    More batches than servers take further rounds; a fractional number of batches, the mean of the rounds it rounds to.
    """
    more = work.pieces.edge_count - work.servers
    rounds = jnp.minimum(more, more / work.servers + 0.5 * (1.0 - 1.0 / work.servers))
    return first_s + jnp.maximum(rounds, 0.0) * full_s


def split_cells(load: SplitLoad, sizes: Sizes, before_s: jax.Array, after_s: jax.Array) -> Cells:
    """Return the latency of a stage of split batches as a mixture; ``before`` and ``after`` are added, per edge."""
    weight = jnp.asarray(sizes.weight)
    zero = jnp.zeros_like(weight)
    free = _cells(load.free_s + before_s + after_s, weight * (1.0 - load.delayed), zero, zero + 1.0)
    late = _cells(load.delayed_s + before_s + after_s, weight * load.delayed, zero + 1.0, zero + load.rate)
    return joined([free, late])


def _cells(edges_s: jax.Array, weight: jax.Array, amplitude: jax.Array, rate: jax.Array) -> Cells:
    lo, hi = jnp.minimum(edges_s[:-1], edges_s[1:]), jnp.maximum(edges_s[:-1], edges_s[1:])
    return Cells(lo, hi + 1e-9 * hi, weight, amplitude, rate)


def joined(parts: list[Cells]) -> Cells:
    """Return several mixtures as one; their weights add up to 1 together."""
    return Cells(*(jnp.concatenate(columns) for columns in zip(*parts, strict=True)))


def tail(law: Cells, latency_s: jax.Array) -> jax.Array:
    """Return P(T > latency): the mean over D uniform in each cell of P(W > latency - D), a closed form."""
    width = law.hi_s - law.lo_s
    reached = jnp.clip(latency_s - law.lo_s, 0.0, width)
    remaining = jnp.maximum(latency_s - law.hi_s, 0.0)
    z = law.rate * reached
    mean = jnp.where(z > 1e-6, -jnp.expm1(-z) / jnp.maximum(z, 1e-6), 1.0 - 0.5 * z) * (reached / width)
    waiting = law.amplitude * jnp.exp(-law.rate * remaining) * mean
    return jnp.sum(law.weight * (1.0 - reached / width + waiting))
