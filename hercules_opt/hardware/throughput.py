"""Latency-bounded throughput: the largest load that meets the latency target and the power budget."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.roots import bisect, polished
from hercules_opt.hardware.server import Load, Server, at_load, miss_probability, power_w, serve
from hercules_opt.hardware.stages import Choice
from hercules_opt.problem.schedule import Placement

#: Halvings of the load; 2 ** -26 of the saturation load is below any other error.
LOAD_STEPS = 26
#: Halvings of a latency between 0 and ``LONGEST_S``, on a logarithmic scale.
LATENCY_STEPS = 40
SHORTEST_S, LONGEST_S = 1e-7, 1e5
#: Share of saturation up to which loads are evaluated: beyond it no queue is in balance.
STABLE = 1.0 - 1e-6


class Bounded(NamedTuple):
    """The latency-bounded throughput of a schedule and what goes with it; scalars.

    ``qps`` is 0 where even an unloaded server misses; ``excess`` then says by how much, as the logarithm of (latency or
    power) / (target or budget), and is negative otherwise. ``latency_qps`` and ``power_qps`` are the loads at which
    either limit alone binds, at most the saturation.
    """

    qps: jax.Array
    excess: jax.Array
    saturation_qps: jax.Array
    power_w: jax.Array
    memory: jax.Array
    cores: jax.Array


def percentile_s(server: Server, load: Load, tail: jax.Array) -> jax.Array:
    """Return the latency that a share ``tail`` of the queries exceeds."""

    def missed(log_latency: jax.Array) -> jax.Array:
        return jnp.log(tail) - jnp.log(miss_probability(server, load, jnp.exp(log_latency)) + 1e-300)

    lo, hi = jnp.log(jnp.asarray(SHORTEST_S)), jnp.log(jnp.asarray(LONGEST_S))
    return jnp.exp(polished(missed, bisect(missed, lo, hi, LATENCY_STEPS)))


def violation(server: Server, load_qps: jax.Array) -> jax.Array:
    """Return by how much a load breaks a limit; above 0 where it does, increasing with the load."""
    terms, load = server.pair.terms, at_load(server, load_qps)
    late = jnp.log(miss_probability(server, load, jnp.asarray(terms.sla_s)) + 1e-30) - jnp.log(terms.tail)
    power = (power_w(server, load) - terms.budget_w) / (terms.budget_w + 1e-9)
    return jnp.maximum(late, power)


def bounded_throughput(placement: Placement, pair: Pair, choice: Choice) -> Bounded:
    """Return the latency-bounded throughput of a schedule given as real numbers, differentiable in all of them."""
    server = serve(placement, pair, choice)
    saturation = server.saturation_qps

    def broken(share: jax.Array) -> jax.Array:
        return violation(server, share * saturation)

    tiny = jnp.asarray(1e-9)
    root = bisect(broken, tiny, jnp.asarray(STABLE), LOAD_STEPS)
    at_end = (root < 2e-8) | (root > STABLE - 1e-6)
    share = jnp.where(at_end, root, polished(broken, root))
    unloaded = at_load(server, tiny * saturation)
    terms = pair.terms
    late = jnp.log(percentile_s(server, unloaded, jnp.asarray(terms.tail)) / terms.sla_s)
    hungry = jnp.log((power_w(server, unloaded) + 1e-9) / (terms.budget_w + 1e-9))
    excess = jnp.maximum(late, hungry)
    qps = jnp.where(excess < 0.0, jnp.clip(share, tiny, STABLE) * saturation, 0.0)
    power = power_w(server, at_load(server, qps + tiny * saturation))
    return Bounded(qps, excess, saturation, power, server.network.memory, server.network.cores)
