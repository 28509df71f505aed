"""Waiting and tail latency of the stages of one server under Poisson arrivals.

The latency of a query is its own service (a makespan D that depends on its size) plus waiting W. D is uniform
between the makespans at the edges of each cell of the query-size density; W has an atom at zero and a tail
that is a sum of exponentials. ``P(T > t)`` is then a closed form, mixed over the cells: percentiles are never
added up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hercules_opt.hardware.packing import Sizes
from hercules_opt.hardware.smooth import clipped, larger, smaller
from hercules_opt.hardware.stages import Parabola, Stage, mean_time_at, time_at


class Pieces(NamedTuple):
    """How a stage splits queries into batches of at most d items, per cell and edge of the size density.

    ``last_items``, ``last_square`` and ``last_cube`` are moments of the last batch.
    """

    count: jax.Array  # type: ignore[assignment]  # in place of tuple.count
    last_items: jax.Array
    last_square: jax.Array
    last_cube: jax.Array
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

    ``lo_s``, ``hi_s`` and ``weight`` have shape (..., parts, cells); ``waits`` and ``rate``, one per waiting
    part, (..., waiting, 1). Those parts come last; in the others nobody waits.
    """

    lo_s: jax.Array
    hi_s: jax.Array
    weight: jax.Array
    waits: jax.Array
    rate: jax.Array


class SplitLoad(NamedTuple):
    """A stage of split batches at a load: makespans per edge of the size density, waiting, utilization.

    ``free_s`` is the makespan of a query that starts at once, a row per degree of occupation that it may
    find, each with its ``share``; ``delayed_s`` that of one which had to wait, counted from its first batch.
    Its other batches then start one by one, as servers become free. ``last_s`` is the time of a lone batch, a
    row per degree too, and ``late_s`` that with all servers busy.
    """

    rho: jax.Array
    free_s: jax.Array
    share: jax.Array
    delayed_s: jax.Array
    last_s: jax.Array
    late_s: jax.Array
    delayed: jax.Array
    rate: jax.Array


class Occupation(NamedTuple):
    """How busy the servers are that a query finds.

    All are busy with probability ``delayed``. Otherwise a share of the others is, with this ``mean`` and
    ``variance``; ``nodes`` are the means of the parts of its distribution that ``SHARES`` names.
    """

    delayed: jax.Array
    mean: jax.Array
    variance: jax.Array
    nodes: jax.Array


#: States of the birth-and-death process of queries in service; more servers than these are taken in strides.
_STATES: Final = np.arange(16.0)
#: Sums over all steps below each state.
_BELOW: Final = np.tri(len(_STATES), len(_STATES) - 1, -1)
#: Sums over all states below each state.
_BEFORE: Final = np.tri(len(_STATES), k=-1)
#: Parts of a distribution by rank, finer toward the tail that percentiles are read off, and their shares.
_RANKS: Final = np.array([0.0, 0.5, 0.8, 0.95, 1.0])
SHARES: Final = np.diff(_RANKS)
#: Closer to saturation than this no queue is in balance.
_SATURATED: Final = 1.0 - 1e-9

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


def _mean_last(lo: jax.Array, hi: jax.Array, step: jax.Array, exponent: int) -> jax.Array:
    """Return the mean of (s - (ceil(s / step) - 1) step)^exponent for s uniform between lo and hi."""

    def integral(x: jax.Array) -> jax.Array:
        whole = jnp.ceil(x) - 1.0
        return whole + (x - whole) ** (exponent + 1)

    upper, lower = (hi - _HALF_ITEM) / step, (lo - _HALF_ITEM) / step
    return step ** (exponent + 1) / (exponent + 1.0) * (integral(upper) - integral(lower)) / (hi - lo)


def split(sizes: Sizes, batch_size: jax.Array) -> Pieces:
    """Return the batches per query and the items in its last one, as expectations over each cell."""
    cell = jnp.asarray(sizes.lo), jnp.asarray(sizes.hi)
    lo, hi = jnp.asarray(sizes.around_lo), jnp.asarray(sizes.around_hi)
    count = _mean_ceil(*cell, batch_size)
    edge_count = _mean_ceil(lo, hi, batch_size)
    last = jnp.asarray(sizes.middle) - (count - 1.0) * batch_size
    edge_last = 0.5 * (lo + hi) - (edge_count - 1.0) * batch_size
    square, cube = (_mean_last(*cell, batch_size, exponent) for exponent in (2, 3))
    # Those moments are of the items less half of one, which is what the density begins with.
    before = last - _HALF_ITEM
    square += last**2 - before**2
    return Pieces(count, last, square, cube + last**3 - before**3, edge_count, edge_last)


def split_work(stage: Stage, sizes: Sizes, batch_size: jax.Array) -> SplitWork:
    """Return the work that queries of each cell bring to a stage of split batches.

    A batch runs beside the others of its own query, and beside those of other queries on the remaining
    servers with probability u: occupation = ((w - 1) + (c - w) u) / (c - 1), where w is the query's width. It
    is affine in u, so that times stay parabolas of u.
    """
    pieces, c = split(sizes, batch_size), stage.servers
    width = smaller(pieces.count, c)
    full = time_at(stage, batch_size)
    last = mean_time_at(stage, pieces.last_items, pieces.last_square - pieces.last_items**2)
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


def split_saturation_qps(work: SplitWork, sizes: Sizes) -> jax.Array:
    """Return the load at which all servers of a stage of split batches are busy all the time."""
    return work.servers / jnp.sum(jnp.asarray(sizes.weight) * work.work_s.end)


def occupation(mean_work: Parabola, work: SplitWork, load_qps: jax.Array) -> Occupation:
    """Return the occupation that an arrival finds (PASTA): a birth-and-death process of queries.

    ``effective`` slots hold a query each, which leaves at the pace of its work at the occupation by the
    others. The servers are memory-bound as often as not: the more are busy, the longer each takes. Erlang's C
    for equal times and whole slots.
    """
    slots, others = work.effective, larger(work.effective - 1.0, 1e-2)

    def ratio(number: jax.Array) -> jax.Array:
        work_s = mean_work.at(clipped((number - 1.0) / others, 0.0, 1.0))
        return load_qps * work_s * slots / (work.servers * number)

    states = birth_and_death(slots, ratio)
    waiting = states.full / (1.0 - smaller(load_qps * mean_work.end / work.servers, _SATURATED))
    total = jnp.sum(states.likely)
    found = smaller(states.busy / others, 1.0)
    mean = jnp.sum(states.likely * found) / total
    return Occupation(
        delayed=waiting / (waiting + total),
        mean=mean,
        variance=jnp.sum(states.likely * (found - mean) ** 2) / total,
        nodes=strata(states.likely, found),
    )


class States(NamedTuple):
    """A birth-and-death process up to a real number of busy slots: how ``likely``, up to a common factor.

    Below the slots ``busy`` ones are occupied, a row of ``_STATES``; ``full`` is the state in which all are.
    """

    busy: jax.Array
    likely: jax.Array
    full: jax.Array


def birth_and_death(slots: jax.Array, ratio: Callable[[jax.Array], jax.Array]) -> States:
    """Return the states of a process that goes up from one below a number ``ratio`` times as often as down.

    The number of slots is real: the last one counts in part.
    """
    stride = larger(slots / (_STATES[-1] - 1.0), 1.0)
    busy = jnp.asarray(_STATES) * stride
    # Between two states lie stride births; the middle one stands for all.
    logarithm = _BELOW @ (stride * jnp.log(ratio(busy[1:] - 0.5 * (stride - 1.0))))
    likely = jnp.exp(logarithm - jax.lax.stop_gradient(jnp.max(logarithm)))
    full = jnp.sum(likely * larger(1.0 - jnp.abs(slots - busy) / stride, 0.0))
    # A state stands for the strides around it; whole states below the slots count.
    below = clipped((slots - busy + 0.5 * (stride - 1.0)) / stride, 0.0, 1.0)
    return States(busy, likely * below, full / stride)


def strata(likely: jax.Array, found: jax.Array) -> jax.Array:
    """Return the mean of ascending values in each part of their distribution, by rank: ``SHARES``."""
    # The integral of the quantile function up to each edge.
    before = _BEFORE @ likely / jnp.sum(likely)
    integral = larger(_RANKS[:, None] - before, 0.0) @ jnp.diff(found, prepend=0.0)
    return jnp.diff(integral) / SHARES


def split_load(work: SplitWork, sizes: Sizes, load_qps: jax.Array) -> SplitLoad:
    """Return how a stage of split batches behaves at a load.

    The wait of the first batch follows the work ahead, as in M/G/c under heavy traffic: work arrives in lumps
    of one query and drains at the rate of all servers at full occupation, so the rate of the exponential tail
    is 2 c (1 - rho) E[work] / E[work^2]. A query that waits finds all servers busy and starts batch by batch,
    one every (batch time / c); one that does not wait, but finds a share of them busy, loses that share of
    the difference.
    """
    weight, c = jnp.asarray(sizes.weight), work.servers
    mean_work = Parabola(*(jnp.sum(weight * part) for part in work.work_s))
    found = occupation(mean_work, work, load_qps)
    at_start = mean_work.at(found.mean) + mean_work.square * found.variance
    rho = load_qps * (at_start + found.delayed * (mean_work.end - at_start)) / c
    seen = found.nodes[:, None]
    first = work.first_s.at(seen)
    at_once = makespan_s(work, first, work.full_s.at(seen), work.last_s.at(seen))
    further = work.pieces.edge_count - 1.0
    saved = smaller(larger(work.full_s.end - work.last_s.end, 0.0), work.full_s.end / c)
    one_by_one = further * work.full_s.end / c - smaller(further, 1.0) * saved
    busy = seen * (1.0 - 1.0 / work.effective)
    saturated = smaller(load_qps * mean_work.end / c, _SATURATED)
    return SplitLoad(
        rho=smaller(rho, 1.0),
        free_s=at_once + busy * larger(first + one_by_one - at_once, 0.0),
        share=jnp.asarray(SHARES),
        delayed_s=work.first_s.end + one_by_one,
        last_s=first,
        late_s=work.first_s.end,
        delayed=found.delayed,
        rate=2.0 * c * (1.0 - saturated) * mean_work.end / jnp.sum(weight * work.work_s.end**2),
    )


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
    """Return the latency of a stage of split batches in parts: queries that start at once, and that wait.

    ``added_s``, per edge, comes on top.
    """
    weight = jnp.asarray(sizes.weight)
    shares = jnp.append(load.share * (1.0 - load.delayed), load.delayed)
    edges_s = jnp.concatenate([load.free_s, load.delayed_s[None]]) + added_s
    return cells(edges_s, shares[:, None] * weight, jnp.ones((1, 1)), load.rate[None, None])


def merged(load: SplitLoad) -> SplitLoad:
    """Return the same with the mean makespan in place of one per degree of occupation."""
    return load._replace(
        free_s=(load.share @ load.free_s)[None],
        share=jnp.ones(1),
        last_s=(load.share @ load.last_s)[None],
    )


def cells(edges_s: jax.Array, weight: jax.Array, waits: jax.Array, rate: jax.Array) -> Cells:
    """Return cells whose own service runs between its values at the edges of the size density."""
    below, above = edges_s[..., :-1], edges_s[..., 1:]
    return Cells(smaller(below, above), larger(below, above) * (1.0 + 1e-9), weight, waits, rate)


def tail(law: Cells, latency_s: jax.Array) -> jax.Array:
    """Return P(T > latency): the mean over D uniform in each cell of P(W > latency - D), a closed form."""
    width = law.hi_s - law.lo_s
    reached = clipped(latency_s - law.lo_s, 0.0, width) / width
    at_work = jnp.sum(law.weight * (1.0 - reached), axis=(-2, -1))
    first = law.weight.shape[-2] - law.rate.shape[-2]
    weight, highest, width, reached = (
        part[..., first:, :] for part in (law.weight, law.hi_s, width, reached)
    )
    # The mean of exp(-rate u) for u uniform over the part of the cell that is below the latency.
    z = law.rate * width * reached + 1e-9
    mean = -jnp.expm1(-z) / z * reached
    remaining = larger(latency_s - highest, 0.0)
    return at_work + jnp.sum(weight * law.waits * jnp.exp(-law.rate * remaining) * mean, axis=(-2, -1))
