"""Roots whose gradient is exact: found by bisection, differentiated by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

Function = Callable[[jax.Array], jax.Array]


def bisect(increasing: Function, lo: jax.Array, hi: jax.Array, steps: int) -> jax.Array:
    """Return the root of an increasing scalar function between ``lo`` and ``hi``, without a gradient.

    Where the function has one sign throughout, the nearer end is returned.
    """

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        above = increasing(middle) > 0.0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, steps, halve, (jnp.asarray(lo), jnp.asarray(hi)))
    return jax.lax.stop_gradient(0.5 * (low + high))


def polished(function: Function, root: jax.Array) -> jax.Array:
    """Return a root after one Newton step; its gradient is that of the exact root.

    ``function`` may close over parameters: with x* fixed and f(x*, p) = 0, ``x* - f(x*, p) / f_x`` has the derivative
    -f_p / f_x, which is what the implicit function theorem gives.
    """
    fixed = jax.lax.stop_gradient(root)
    value = function(fixed)
    slope = jax.lax.stop_gradient(jax.jvp(function, (fixed,), (jnp.ones_like(fixed),))[1])
    safe = jnp.where(jnp.abs(slope) > 1e-300, slope, 1.0)
    return fixed - jnp.where(jnp.abs(slope) > 1e-300, value / safe, 0.0)
