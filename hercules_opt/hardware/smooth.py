"""Small functions that trace to few operations: programs are large, and compiled at run time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def larger(a: ArrayLike, b: ArrayLike) -> jax.Array:
    """Return the larger of two values; its gradient is that of one of them, also where they are equal."""
    return jnp.where(jnp.asarray(a) > jnp.asarray(b), a, b)


def smaller(a: ArrayLike, b: ArrayLike) -> jax.Array:
    """Return the smaller of two values; its gradient is that of one of them, also where they are equal."""
    return jnp.where(jnp.asarray(a) < jnp.asarray(b), a, b)


def clipped(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> jax.Array:
    """Return the value, kept between two others."""
    return smaller(larger(value, low), high)


def power(base: ArrayLike, exponent: ArrayLike) -> jax.Array:
    """Return base ** exponent for a base greater than 0."""
    return jnp.exp(exponent * jnp.log(base))
