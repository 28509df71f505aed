"""Query fusion on an accelerator: a free instance takes what is queued, up to the largest batch.

Starts of several instances are not regular, they bunch, and batch sizes are close to exponential: a bulk
queue M/M(1,inf)/g of queries, in which an instance that becomes free takes all that waits. Near saturation,
what does not fit into a batch stays behind: a random walk whose steps are the items that arrive between two
starts less those that fit.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hercules_opt.hardware.packing import Sizes
from hercules_opt.hardware.queueing import Pieces, birth_and_death
from hercules_opt.hardware.smooth import clipped, larger, power, smaller
from hercules_opt.hardware.stages import Parabola, Stage, mean_time_at, time_at

#: Nodes and weights of the Gauss-Laguerre rule: exact for Erlang's loss formula up to 11 whole servers.
_LAGUERRE: Final = np.polynomial.laguerre.laggauss(6)

#: Evaluations in the search for the mean service time, and how far a step may leave the bracket: its last
#: steps are rounding.
_STEPS: Final = 8
_CLOSE: Final = 1e-6
#: The mean time is at most that of a full batch, and a little more where a query comes in many pieces.
_LONGEST: Final = 1.2


class FusedStage(NamedTuple):
    """A fused stage and the queries that reach it, in ``pieces`` of ``piece_items`` each, in the mean.

    ``biased_items`` is the mean of a length-biased query; ``largest_items`` that of a full batch, which takes
    ``full_s`` with all instances at work.
    """

    stage: Stage
    pieces: jax.Array
    piece_items: jax.Array
    query_items: jax.Array
    biased_items: jax.Array
    largest_items: jax.Array
    full_s: jax.Array


class FusedLoad(NamedTuple):
    """A fused stage at a load.

    ``busy`` is the probability that all instances are busy. Where they are not, ``idle`` ones are free in the
    mean, and of those beside a free one a share is busy: one of ``seen``, with its probability ``share``.
    ``batch_items`` is the mean batch. A query that comes to busy instances waits for the rest of a service
    and shares its batch with others: the two take ``shared_s`` in the mean, with a variance of
    ``shared_variance``. ``first_s`` is the rest of a service of one's own first piece. ``left`` is the
    probability that a batch was full, ``left_s`` the mean wait of what is left behind.
    """

    rho: jax.Array
    busy: jax.Array
    seen: jax.Array
    share: jax.Array
    idle: jax.Array
    batch_items: jax.Array
    shared_s: jax.Array
    shared_variance: jax.Array
    first_s: jax.Array
    left: jax.Array
    left_s: jax.Array


def fused_stage(stage: Stage, sizes: Sizes, pieces: Pieces, largest_piece: jax.Array) -> FusedStage:
    """Return the stage with its pieces, of at most ``largest_piece`` items.

    A piece that does not fit waits for the next batch: from a full one is missing what a renewal process of
    pieces lacks at a point, E[P^2] / 2 E[P] in the mean, with a mean square of E[P^3] / 3 E[P].
    """
    weight, mean = jnp.asarray(sizes.weight), jnp.asarray(sizes.mean)
    count, whole = jnp.sum(weight * pieces.count), pieces.count - 1.0
    square = jnp.sum(weight * (whole * largest_piece**2 + pieces.last_square)) / mean
    cube = jnp.sum(weight * (whole * largest_piece**3 + pieces.last_cube)) / mean
    largest = larger(stage.max_items - 0.5 * square, 0.5 * stage.max_items)
    full = mean_time_at(stage, largest, larger(cube / 3.0 - 0.25 * square**2, 0.0)).end
    return FusedStage(stage, count, mean / count, mean, jnp.asarray(sizes.square / sizes.mean), largest, full)


def fused_saturation_items_s(fused: FusedStage) -> jax.Array:
    """Return the items per second of full batches on all instances."""
    return fused.stage.servers * fused.largest_items / fused.full_s


def mean_at(time_s: Parabola, seen: jax.Array, spread: jax.Array) -> jax.Array:
    """Return the mean of times over an occupation with mean ``seen`` and variance ``spread``."""
    return time_s.at(seen) + time_s.square * spread


def fewer_idle(count: jax.Array, servers: jax.Array, busy: jax.Array) -> jax.Array:
    """Return P(fewer than ``count`` of the servers are idle), given that for one: P(all are busy)."""
    return power(busy, clipped((servers + 1.0 - count) / servers, 0.0, 1.0))


class BulkQueue(NamedTuple):
    """M/M(1,inf)/g: Poisson arrivals to g servers, of which a free one takes all that waits.

    Of several, ``others`` are busy where one is free, with ``variance``; ``share`` is the mean number of
    arrivals that wait per batch that waited, ``single`` the share of batches of an arrival that did not wait.
    """

    busy: jax.Array
    others: jax.Array
    variance: jax.Array
    share: jax.Array
    single: jax.Array


def bulk_queue(servers: jax.Array, offered: jax.Array) -> BulkQueue:
    """Return the bulk queue for a real number of servers; ``offered`` is arrival rate x mean service.

    States without a queue are those of Erlang's loss system: 1 / B(g, A) is the integral of
    exp(-z) (1 + z / A)^g over z > 0. The queue, while all are busy, is geometric with mean a = A / g.
    """
    per_server = offered / servers
    nodes, weights = _LAGUERRE
    inverse = jnp.sum(weights * power(1.0 + nodes / offered, servers))
    busy = (1.0 + per_server) / (per_server + inverse)
    blocked = 1.0 / ((inverse - 1.0) * per_server)  # of one server less
    others = offered * (1.0 - blocked)
    variance = others - offered * blocked * (servers - 1.0 - others)
    waiting = busy / (1.0 + per_server)
    return BulkQueue(busy, others, variance, 1.0 + per_server, (1.0 - busy) / (1.0 - busy + waiting))


class _Balance(NamedTuple):
    """A fused stage with a given mean service time, and the mean that follows from it."""

    queue: BulkQueue
    seen: jax.Array
    spread: jax.Array
    first_s: jax.Array
    time_s: jax.Array


def _balance(fused: FusedStage, load_qps: jax.Array, time_s: jax.Array) -> _Balance:
    """Return what follows from a mean service time.

    Batches that waited run at full occupation; a query that did not wait occupies instances for as long as
    its pieces take: those that found one idle alone, the rest together.
    """
    g, n, d, largest = fused.stage.servers, fused.pieces, fused.piece_items, fused.largest_items
    queue = bulk_queue(g, load_qps * time_s)
    beside = larger(g - 1.0, 1e-2)
    seen = clipped(queue.others / beside, 0.0, 1.0)
    spread = clipped(queue.variance / beside**2, 0.0, 0.25)
    idle = g - queue.others
    waited = fused.query_items * queue.share
    # A smooth minimum: where batches cost little but their items, two balances would be possible otherwise.
    waited /= jnp.sqrt(jnp.sqrt(1.0 + ((waited / largest) ** 2) ** 2))
    rest = smaller(larger(fused.query_items - idle * d, 0.0), largest)
    times = time_at(fused.stage, jnp.stack([smaller(d, largest), rest, waited]))
    first, together, _ = mean_at(times, seen, spread)
    fewer = fewer_idle(n, g, queue.busy)
    some = clipped((fewer - queue.busy) / larger(1.0 - queue.busy, 1e-9), 0.0, 1.0)
    alone = first * (n + some * (smaller(idle, n) - n)) + some * together
    mean = queue.single * alone + (1.0 - queue.single) * times.end[2]
    mean = smaller(mean, _LONGEST * fused.full_s)
    return _Balance(queue, seen, spread, first, mean)


@jax.custom_vjp
def _mean_time_s(fused: FusedStage, load_qps: jax.Array) -> jax.Array:
    """Return the mean service time in balance: secants in a bracket, and halvings where they leave it."""
    most = _LONGEST * fused.full_s

    def narrow(_: int, ends: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        low, high, before, excess_before, time_s = ends
        excess = _balance(fused, load_qps, time_s).time_s - time_s
        above = excess > 0.0
        low, high = jnp.where(above, time_s, low), jnp.where(above, high, time_s)
        rise = excess - excess_before
        secant = time_s - excess * (time_s - before) / jnp.where(rise == 0.0, 1.0, rise)
        inside = (secant > low * (1.0 - _CLOSE)) & (secant < high * (1.0 + _CLOSE))
        return low, high, time_s, excess, jnp.where(inside, secant, 0.5 * (low + high))

    start = time_at(fused.stage, smaller(fused.query_items, fused.largest_items)).constant
    ends = (0.0 * most, most, 0.0 * most, start, start)
    found: jax.Array = jax.lax.fori_loop(0, _STEPS, narrow, ends)[-1]
    return found


def _solved(fused: FusedStage, load_qps: jax.Array) -> tuple[jax.Array, tuple[Any, ...]]:
    time_s = _mean_time_s(fused, load_qps)
    return time_s, (fused, load_qps, time_s)


def _implicit(solved: tuple[Any, ...], factor: jax.Array) -> tuple[FusedStage, jax.Array]:
    """Return the derivatives of the mean service time by the implicit function theorem."""
    by_stage, by_load, growth = jax.grad(lambda *at: _balance(*at).time_s, argnums=(0, 1, 2))(*solved)
    scale = factor / larger(1.0 - growth, 1e-3)
    scaled: tuple[FusedStage, jax.Array] = jax.tree.map(lambda part: scale * part, (by_stage, by_load))
    return scaled


_mean_time_s.defvjp(_solved, _implicit)


def fused_load(fused: FusedStage, load_qps: jax.Array) -> FusedLoad:
    """Return how a fused stage behaves at a load.

    The rest of a service is the smallest of g residuals: its moments are exact for one instance, and for
    constant and for exponential service. What others bring to the next batch is what arrives before the query
    and after it, two rests in the mean, as far as a batch holds it: an exponential number, cut.

    That a batch is full is a matter of the queue's geometric decay at moderate loads, and of the random walk
    of what stays behind near saturation; between them, of the geometric mean of both rates.
    """
    g, p, largest, biased = fused.stage.servers, fused.query_items, fused.largest_items, fused.biased_items
    items_s = load_qps * p
    time_s = _mean_time_s(fused, load_qps)
    state = _balance(fused, load_qps, time_s)
    queue = state.queue
    waited = p * queue.share
    big, small = time_at(fused.stage, smaller(jnp.stack([2.0 * waited, p]), largest)).end
    arrivals = smaller(1.0 / (1.0 - queue.busy + queue.busy / queue.share), larger(largest / p, 1.0))
    batch = smaller(p * arrivals, largest)
    slope = (big - small) / larger(smaller(2.0 * waited, largest) - smaller(p, largest), 1e-3)
    variation = smaller((slope * batch / time_s) ** 2 * (1.0 - (batch / largest) ** 2), 1.0)
    rest = time_s / (g + 1.0) * (1.0 + variation / g)
    constant = g / (g + 2.0)
    rest_variance = rest**2 * (constant + (1.0 - constant) * variation)
    # Others' items in the batch; of an exponential number, what is below the room.
    items = 2.0 * items_s * rest
    room = larger(largest - p, 0.3 * largest) / items
    over = jnp.exp(-room)
    within = 1.0 - over
    spread = 2.0 * (within - over * room) - within**2
    items_variance = (2.0 * items_s**2 * rest_variance + biased * items) * spread
    together = 2.0 * slope * items_s * rest_variance * within
    # What a full batch leaves behind.
    drift = larger(largest - items_s * fused.full_s / g, 1e-9 * largest)
    near = 0.5 * items_s * biased * fused.full_s / g / drift
    decay = jnp.sqrt(p * (1.0 + load_qps * rest) * near)
    found = _found(fused, load_qps, time_s)
    return FusedLoad(
        rho=smaller(load_qps * time_s / (g * arrivals), 1.0),
        busy=found.busy,
        seen=found.seen,
        share=found.share,
        idle=g - found.others,
        batch_items=batch,
        shared_s=rest + slope * items * within,
        shared_variance=rest_variance + slope**2 * items_variance + together,
        first_s=state.first_s / (1.0 + found.others * state.first_s / time_s),
        left=found.busy * jnp.exp(-largest / decay),
        left_s=rest + (near / largest + 0.25) * fused.full_s / g,
    )


class _Found(NamedTuple):
    """What a query finds: all instances ``busy``, or ``others`` in the mean; ``seen`` as in ``FusedLoad``."""

    busy: jax.Array
    others: jax.Array
    seen: jax.Array
    share: jax.Array


def _found(fused: FusedStage, load_qps: jax.Array, time_s: jax.Array) -> _Found:
    """Return what a query finds: the bulk queue once more, with times that grow with the instances at work.

    The mean service is that in balance, ``time_s``; its growth is that of a mean query. Two degrees of
    occupation have the right mean, variance and skewness.
    """
    g = fused.stage.servers
    beside = larger(g - 1.0, 1e-2)
    queue = bulk_queue(g, load_qps * time_s)
    own = time_at(fused.stage, smaller(fused.query_items, fused.largest_items))
    started = mean_at(
        own, clipped(queue.others / beside, 0.0, 1.0), clipped(queue.variance / beside**2, 0.0, 0.25)
    )
    typical = started + (1.0 - queue.single) * (own.end - started)

    def offered(number: jax.Array) -> jax.Array:
        return load_qps * time_s * own.at(clipped((number - 1.0) / beside, 0.0, 1.0)) / typical

    states = birth_and_death(g, lambda number: offered(number) / number)
    waiting = states.full * (1.0 + offered(g) / g)
    total = jnp.sum(states.likely)
    found = smaller(states.busy / beside, 1.0)
    mean = jnp.sum(states.likely * found) / total
    off = found - mean
    spread = jnp.sqrt(jnp.sum(states.likely * off**2) / total + 1e-9)
    # A single instance has no others, and no skewness.
    skewness = clipped(jnp.sum(states.likely * off**3) / total / spread**3, -3.0, 3.0)
    above = 0.5 * skewness + jnp.sqrt(1.0 + 0.25 * skewness**2)
    upper = 1.0 / (1.0 + above**2)
    return _Found(
        busy=waiting / (waiting + total),
        others=mean * beside,
        seen=clipped(mean + spread * jnp.stack([-1.0 / above, above]), 0.0, 1.0),
        share=jnp.stack([1.0 - upper, upper]),
    )


def exponential_fit(mean: jax.Array, variance: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (probability, mean, constant) of an exponential plus a constant with this mean and variance.

    Where the standard deviation is above the mean there is no constant, and an atom at zero instead.
    """
    variation = variance / larger(mean**2, 1e-30)
    probability = smaller(2.0 / (1.0 + variation), 1.0)
    exponential = jnp.sqrt(variance / (probability * (2.0 - probability)) + 1e-30)
    return probability, exponential, mean - probability * exponential
