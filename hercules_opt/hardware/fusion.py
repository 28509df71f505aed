"""Query fusion on an accelerator: a free instance takes what is queued, up to the largest batch.

The time between two starts is a batch's service time divided by the instances; the batch that a busy instance
finds is what arrived between two starts, at least one piece. Near saturation, what does not fit into a batch
stays behind: a random walk whose steps are the items that arrive between two starts less those that fit.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.packing import Sizes
from hercules_opt.hardware.queueing import waiting_probability
from hercules_opt.hardware.smooth import clipped, larger, smaller
from hercules_opt.hardware.stages import Stage, time_at

#: -zeta(1/2) / sqrt(2 pi), twice: the correction from a diffusion to a Gaussian random walk (Siegmund 1979).
_WALK_CORRECTION = 1.1652

#: Times that the occupation is substituted into itself.
_SUBSTITUTIONS = 2


class FusedStage(NamedTuple):
    """A fused stage and the pieces that reach it: items per piece, and the mean of a length-biased query."""

    stage: Stage
    piece_items: jax.Array
    biased_items: jax.Array
    largest_items: jax.Array


class FusedLoad(NamedTuple):
    """A fused stage at a load.

    ``busy`` is the probability that all instances are busy, ``seen`` the share of busy ones that a free one
    sees. ``batch_items`` is the mean batch of a busy instance and ``cycle_s`` the time between two starts, as
    an arrival finds it (longer cycles are found more often). A query that comes to busy instances shares its
    batch with others: their service takes ``shared_s`` in the mean, with a variance of ``shared_variance``.
    ``left`` is the probability that a batch was full, ``left_rate`` the rate at which the wait for what is
    ahead decays then.
    """

    rho: jax.Array
    busy: jax.Array
    seen: jax.Array
    batch_items: jax.Array
    cycle_s: jax.Array
    shared_s: jax.Array
    shared_variance: jax.Array
    left: jax.Array
    left_rate: jax.Array


def fused_stage(stage: Stage, sizes: Sizes, pieces: jax.Array, largest_piece: jax.Array) -> FusedStage:
    """Return the stage with its pieces: ``pieces`` per query, of at most ``largest_piece`` items.

    A piece that does not fit waits for the next batch, so that on average half
    a (length-biased) piece is missing from a full one.
    """
    biased = jnp.asarray(sizes.square / sizes.mean)
    missing = smaller(biased, largest_piece)
    largest = larger(stage.max_items - 0.5 * missing, 0.5 * stage.max_items)
    return FusedStage(stage, sizes.mean / pieces, biased, largest)


def fused_saturation_items_s(fused: FusedStage) -> jax.Array:
    """Return the items per second of full batches on all instances."""
    full = time_at(fused.stage, fused.largest_items).end
    return fused.stage.servers * fused.largest_items / full


class _Cycle(NamedTuple):
    """Batches in balance at one degree of occupation: mean items, time between starts, its slope per item."""

    items: jax.Array
    time_s: jax.Array
    slope_s: jax.Array
    rho: jax.Array
    busy: jax.Array
    seen: jax.Array


def _cycle(fused: FusedStage, items_s: jax.Array, occupation: jax.Array) -> _Cycle:
    """Return the batches of busy instances: B = piece * h(a), where a pieces arrive between two starts.

    h(a) = a / (1 - exp(-a)), the mean of a Poisson number that is not 0, is replaced by
    a / 2 + sqrt(a^2 / 4 + 1) (the same limits and slopes, within 5 % between them), for which
    B / piece - piece / B = a. With the service time taken as the chord between one piece and the largest
    batch this is a quadratic equation for B.
    """
    g, piece, largest = fused.stage.servers, fused.piece_items, fused.largest_items
    small = time_at(fused.stage, piece).at(occupation) / g
    large = time_at(fused.stage, largest).at(occupation) / g
    slope = (large - small) / larger(largest - piece, 1e-9 * largest)
    fixed = larger(small - slope * piece, 0.0)
    rest = larger(1.0 - items_s * slope, 1e-9)
    root = jnp.sqrt((items_s * fixed) ** 2 + 4.0 * piece**2 * rest)
    batch = clipped((items_s * fixed + root) / (2.0 * rest), smaller(piece, largest), largest)
    time = small + slope * (batch - piece)
    a = items_s * time / piece
    rho = a / (a + jnp.exp(-a))
    busy = waiting_probability(rho, g)
    seen = clipped((g * rho - busy) / larger(g - 1.0, 1e-2), 0.0, 1.0)
    return _Cycle(batch, time, slope, rho, busy, seen)


def fused_load(fused: FusedStage, sizes: Sizes, load_qps: jax.Array) -> FusedLoad:
    """Return how a fused stage behaves at a load.

    The batch of one cycle is what arrived in the one before, a compound Poisson number, and its length
    carries over: with kappa = items per second x seconds per item / instances, its variance is
    N E[S^2] / (1 - kappa^2) for one instance. Of several, a batch sets the next start of its own only:
    1 - kappa^2 / instances, a rule that the simulator bears out.
    """
    g, items_s = fused.stage.servers, load_qps * sizes.mean
    # Batches start at the occupation that they find; begun from full occupation, two substitutions settle it.
    state = _cycle(fused, items_s, jnp.ones(()))
    for _ in range(_SUBSTITUTIONS):
        state = _cycle(fused, items_s, state.seen)
    batch, cycle, slope = state.items, state.time_s, state.slope_s
    full_cycle = time_at(fused.stage, fused.largest_items).end / g
    kappa = smaller(items_s * slope, 0.999)
    variance = batch * fused.biased_items / (1.0 - kappa**2 / g)
    cycle_variance = slope**2 * variance
    found = cycle + cycle_variance / cycle
    # What others bring: items of the cycle found, and the noise of their number.
    shared = g * slope * items_s * found
    noise = (g * slope) ** 2 * (items_s**2 * cycle_variance + items_s * found * fused.biased_items)

    drift = larger(fused.largest_items - items_s * full_cycle, 1e-9 * fused.largest_items)
    walk = items_s * fused.biased_items * full_cycle
    reached = jnp.exp(-larger(fused.largest_items - batch, 0.0) / jnp.sqrt(variance))
    left = jnp.exp(-_WALK_CORRECTION * drift / jnp.sqrt(walk)) * reached
    left_rate = 2.0 * drift / walk * fused.largest_items / full_cycle
    return FusedLoad(state.rho, state.busy, state.seen, batch, found, shared, noise, left, left_rate)


def exponential_fit(mean: jax.Array, variance: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return (probability, mean, constant) of an exponential plus a constant with this mean and variance.

    Where the standard deviation is above the mean there is no constant, and an atom at zero instead.
    """
    variation = variance / larger(mean**2, 1e-30)
    probability = smaller(2.0 / (1.0 + variation), 1.0)
    exponential = jnp.sqrt(variance / (probability * (2.0 - probability)) + 1e-30)
    return probability, exponential, mean - probability * exponential
