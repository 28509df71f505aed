"""A server at one load: latency percentiles, power, utilization."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.server import (
    Load,
    Server,
    at_load,
    device_power_w,
    host_power_w,
    miss_probability,
)

#: Percentiles that are reported, besides the one that the model's terms name.
PERCENTILES: tuple[float, ...] = (50.0, 90.0, 95.0, 99.0)

_LATENCY_STEPS = 40
_SHORTEST_S, _LONGEST_S = 1e-8, 1e5


class OperatingPoint(NamedTuple):
    """A schedule at one load; ``percentile_s`` in the order of ``PERCENTILES`` and then the terms'.

    Utilizations are 0 for stages that the placement does not have, and so is the mean fused batch.
    """

    percentile_s: jax.Array
    host_power_w: jax.Array
    device_power_w: jax.Array
    host_utilization: jax.Array
    dense_utilization: jax.Array
    device_utilization: jax.Array
    batch_items: jax.Array


def percentile_s(server: Server, load: Load, tails: jax.Array) -> jax.Array:
    """Return the latencies that the given shares of the queries exceed, by bisection of the logarithm."""

    def missed(latencies: jax.Array) -> jax.Array:
        return jax.vmap(lambda latency: miss_probability(server, load, latency))(latencies)

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = jnp.sqrt(low * high)
        above = missed(middle) > tails
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    start = (jnp.full_like(tails, _SHORTEST_S), jnp.full_like(tails, _LONGEST_S))
    ends: tuple[jax.Array, jax.Array] = jax.lax.fori_loop(0, _LATENCY_STEPS, halve, start)
    return ends[1]


def operating_point(server: Server, load_qps: jax.Array) -> OperatingPoint:
    """Return a server at a load below its saturation."""
    load = at_load(server, load_qps)
    tails = jnp.append(1.0 - jnp.array(PERCENTILES) / 100.0, server.pair.terms.tail)
    zero = jnp.zeros(())
    on_host = load.host if load.pipeline is None else load.pipeline
    assert on_host is not None
    busy = jnp.atleast_1d(on_host.rho)
    return OperatingPoint(
        percentile_s=percentile_s(server, load, tails),
        host_power_w=host_power_w(server, load),
        device_power_w=device_power_w(server, load),
        host_utilization=busy[0],
        dense_utilization=zero if load.pipeline is None else busy[1],
        device_utilization=zero if load.fused is None else load.fused.rho,
        batch_items=zero if load.fused is None else load.fused.batch_items,
    )
