"""Latency-bounded throughput: the largest load that meets the latency target and the power budget.

The load is found by Dekker's method; its gradient by the implicit function theorem: where
``violation(x, load)`` is 0, d load / d x = -(d violation / d x) / (d violation / d load).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.server import (
    Server,
    at_load,
    idle_power_w,
    miss_probability,
    power_w,
    serve,
    unloaded_makespans_s,
)
from hercules_opt.hardware.smooth import clipped, larger
from hercules_opt.hardware.stages import VARIABLES, Choice
from hercules_opt.problem.schedule import Placement

#: Evaluations in the search for the load: first halvings, then secants.
HALVINGS, LOAD_STEPS = 4, 14
#: Shares of saturation between which the load is sought: at the upper end no queue would be in balance.
LEAST, MOST = 1e-7, 1.0 - 1e-6
#: What the violation is taken to be at the ends of the bracket, where it is not evaluated.
_FAR = 30.0


class Bounded(NamedTuple):
    """The latency-bounded throughput of a schedule and what goes with it; scalars.

    ``qps`` is 0 where even an unloaded server misses. ``excess`` says by how much it does: the logarithm of
    (latency or power) / (target or budget) without load, below 0 where both are met. ``memory`` is
    a share of what there is; above 1 the schedule is not valid.
    """

    qps: jax.Array
    excess: jax.Array
    saturation_qps: jax.Array
    memory: jax.Array


def violation(server: Server, load_qps: jax.Array) -> jax.Array:
    """Return by how much a load breaks a limit: above 0 where it does, and growing with the load."""
    terms, load = server.pair.terms, at_load(server, load_qps)
    late = jnp.log(miss_probability(server, load, jnp.asarray(terms.sla_s)) + 1e-30) - jnp.log(terms.tail)
    power = power_w(server, load) / (terms.budget_w + 1e-9) - 1.0
    return larger(late, power)


def unloaded_latency_s(server: Server) -> jax.Array:
    """Return the latency percentile of the model's terms without load: that of a query size."""
    return jnp.sum(jnp.asarray(server.pair.sizes.rank) * unloaded_makespans_s(server))


def unloaded_excess(server: Server) -> jax.Array:
    """Return the logarithm of how far an unloaded server is above its latency target or power budget."""
    terms = server.pair.terms
    late = jnp.log(unloaded_latency_s(server) / terms.sla_s)
    return larger(late, jnp.log((idle_power_w(server) + 1e-9) / (terms.budget_w + 1e-9)))


class _Bracket(NamedTuple):
    """A root lies between ``low`` and ``high``; ``last`` and ``before`` are the points evaluated last.

    ``width`` and ``older`` are the widths that the bracket had one and two steps ago.
    """

    low: jax.Array
    high: jax.Array
    last: jax.Array
    at_last: jax.Array
    before: jax.Array
    at_before: jax.Array
    width: jax.Array
    older: jax.Array


def _share(server: Server, steps: ArrayLike) -> jax.Array:
    """Return the largest share of saturation that breaks no limit.

    Secants through the last two points (Dekker's method), since these close in from both sides; a halving
    where a secant leaves the bracket, or two steps did not halve it.
    """

    def narrow(step: jax.Array, ends: _Bracket) -> _Bracket:
        low, high = ends.low, ends.high
        rise = ends.at_last - ends.at_before
        secant = ends.last - ends.at_last * (ends.last - ends.before) / jnp.where(rise == 0.0, 1.0, rise)
        trusted = (step >= HALVINGS) & (secant > low) & (secant < high) & (high - low <= 0.5 * ends.older)
        point = jnp.where(trusted, secant, 0.5 * (low + high))
        value = clipped(violation(server, point * server.saturation_qps), -_FAR, _FAR)
        above = value > 0.0
        return _Bracket(
            low=jnp.where(above, low, point),
            high=jnp.where(above, point, high),
            last=point,
            at_last=value,
            before=ends.last,
            at_before=ends.at_last,
            width=high - low,
            older=ends.width,
        )

    low, high, far = jnp.asarray(LEAST), jnp.asarray(MOST), jnp.asarray(_FAR)
    wide = jnp.asarray(4.0)
    start = _Bracket(low, high, high, far, low, -far, wide, wide)
    found: _Bracket = jax.lax.fori_loop(0, steps, narrow, start)
    return found.low


def bounded_throughput(server: Server, steps: ArrayLike = LOAD_STEPS) -> Bounded:
    """Return the latency-bounded throughput of a server, sought in so many steps; with none it is 0."""
    excess = unloaded_excess(server)
    share = _share(server, steps)
    met = (excess < 0.0) & (share > 2.0 * LEAST)
    qps = jnp.where(met, share * server.saturation_qps, 0.0)
    return Bounded(qps, excess, server.saturation_qps, server.network.memory)


def objective(bounded: Bounded) -> jax.Array:
    """Return what a search maximizes: log throughput, or minus the excess where no load meets the limits."""
    return jnp.where(bounded.qps > 0.0, jnp.log(larger(bounded.qps, 1e-300)), -bounded.excess)


def objective_gradient(placement: Placement, pair: Pair, choice: Choice, bounded: Bounded) -> Choice:
    """Return the gradient of ``objective`` with respect to the schedule; 0 for variables that are not used.

    ``bounded`` is the bounded throughput of the same schedule: at its load the violation is zero, so that
    d log load / d x = -(d violation / d x) / (d violation / d log load).
    """
    met, names = bounded.qps > 0.0, VARIABLES[placement]
    load = larger(bounded.qps, LEAST * bounded.saturation_qps)

    def limits(moved: jax.Array, log_load: jax.Array) -> jax.Array:
        at = choice._replace(**{name: moved[i] for i, name in enumerate(names)})
        server = serve(placement, pair, at)
        return jnp.where(met, violation(server, jnp.exp(log_load)), unloaded_excess(server) + log_load)

    here = jnp.stack([getattr(choice, name) for name in names])
    by_choice, by_load = jax.grad(limits, argnums=(0, 1))(here, jnp.log(load))
    toward = -by_choice / larger(by_load, 1e-12)
    zero = jnp.zeros_like(load)
    return Choice(*(toward[names.index(name)] if name in names else zero for name in Choice._fields))
