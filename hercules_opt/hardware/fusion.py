"""Query fusion on an accelerator: a free instance takes what is queued, up to the largest batch.

The time between two starts is a batch's service time divided by the instances; the batch that a busy instance finds is
what arrived between two starts, at least one piece. Near saturation, what does not fit
into a batch stays behind: a random walk whose steps are the items that arrive between two starts less those that fit.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.smooth import clipped, larger, smaller
from hercules_opt.hardware.packing import Sizes
from hercules_opt.hardware.queueing import waiting_probability
from hercules_opt.hardware.stages import Stage, time_at

#: -zeta(1/2) / sqrt(2 pi), twice: the correction from a diffusion to a Gaussian random walk (Siegmund 1979).
_WALK_CORRECTION = 1.1652


class FusedStage(NamedTuple):
    """A fused stage and the pieces that reach it: items and number per query."""

    stage: Stage
    piece_items: jax.Array
    pieces: jax.Array
    largest_items: jax.Array


class FusedLoad(NamedTuple):
    """A fused stage at a load.

    ``batch_items`` is the mean batch of a busy instance, ``cycle_s`` the time between two starts, ``busy`` the
    probability that all instances are busy, ``left`` that a batch was full, ``left_rate`` the rate at which the wait
    for what is ahead decays then.
    """

    rho: jax.Array
    batch_items: jax.Array
    cycle_s: jax.Array
    busy: jax.Array
    left: jax.Array
    left_rate: jax.Array


def fused_stage(stage: Stage, sizes: Sizes, pieces: jax.Array, largest_piece: jax.Array | None) -> FusedStage:
    """Return the stage with its pieces: ``pieces`` per query, of at most ``largest_piece`` items (None: whole queries).

    A piece that does not fit waits for the next batch, so that on average half a (length-biased) piece is missing
    from a full one.
    """
    biased = jnp.asarray(sizes.square / sizes.mean)
    if largest_piece is not None:
        biased = smaller(biased, largest_piece)
    largest = larger(stage.max_items - 0.5 * biased, 0.5 * stage.max_items)
    return FusedStage(stage, sizes.mean / pieces, pieces, largest)


def fused_saturation_items_s(fused: FusedStage) -> jax.Array:
    """Return the items per second of full batches on all instances."""
    full = time_at(fused.stage, fused.largest_items).end
    return fused.stage.servers * fused.largest_items / full


def _busy_batch_items(fused: FusedStage, items_s: jax.Array) -> jax.Array:
    """Return the mean batch of a busy instance: B = piece * h(a), where a pieces arrive between two starts.

    h(a) = a / (1 - exp(-a)), the mean of a Poisson number that is not 0, is replaced by a / 2 + sqrt(a^2 / 4 + 1) (the
    same limits and slopes, within 5 % between them), for which B / piece - piece / B = a. With the service time taken as
    the chord between one piece and the largest batch this is a quadratic equation for B.
    """
    piece, largest = fused.piece_items, fused.largest_items
    small, large = time_at(fused.stage, piece).end, time_at(fused.stage, largest).end
    slope = (large - small) / larger(largest - piece, 1e-9 * largest)
    fixed = larger(small - slope * piece, 0.0)
    share = items_s / fused.stage.servers
    rest = larger(1.0 - share * slope, 1e-9)
    batch = (share * fixed + jnp.sqrt((share * fixed) ** 2 + 4.0 * piece**2 * rest)) / (2.0 * rest)
    return clipped(batch, smaller(piece, largest), largest)


def fused_load(fused: FusedStage, sizes: Sizes, load_qps: jax.Array) -> FusedLoad:
    """Return how a fused stage behaves at a load."""
    g, items_s = fused.stage.servers, load_qps * sizes.mean
    batch = _busy_batch_items(fused, items_s)
    cycle = time_at(fused.stage, batch).end / g
    a = items_s * cycle / fused.piece_items
    rho = a / (a + jnp.exp(-a))
    full_cycle = time_at(fused.stage, fused.largest_items).end / g
    drift = larger(fused.largest_items - items_s * full_cycle, 1e-9 * fused.largest_items)
    variance = load_qps * sizes.square * full_cycle
    left = jnp.exp(-_WALK_CORRECTION * drift / jnp.sqrt(variance))
    left_rate = 2.0 * drift / variance * fused.largest_items / full_cycle
    return FusedLoad(rho, batch, cycle, waiting_probability(rho, g), left, left_rate)


def own_time_s(fused: FusedStage, load: FusedLoad, items: jax.Array, beside: jax.Array) -> jax.Array:
    """Return the service time of a batch that holds ``items`` of one's own and ``beside`` of others."""
    batch = smaller(items + beside, larger(fused.largest_items, items))
    return time_at(fused.stage, batch).at(load.rho)
