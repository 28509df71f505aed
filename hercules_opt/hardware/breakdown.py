"""Where the time of one batch goes, operator by operator."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.batch_time import HostThread, device_batch, host_batch_s
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.stages import Choice, hit_rate
from hercules_opt.problem.schedule import Placement


class Breakdown(NamedTuple):
    """Time of every operator in one full batch, in seconds, shape (slots,); 0 where it does not run.

    ``link_s`` is the transfer to the accelerator, a scalar. Host times are at full occupation.
    """

    host_s: jax.Array
    device_s: jax.Array
    link_s: jax.Array


def breakdown(placement: Placement, pair: Pair, choice: Choice) -> Breakdown:
    """Return the times of one full split batch on the host and one of ``fused_items`` on an accelerator."""
    sparse = jnp.asarray(pair.operators.sparse)
    dense, none = 1.0 - sparse, jnp.zeros_like(sparse)
    hot = {"accelerator": jnp.ones(()), "accelerator-hot": choice.hot_share}.get(placement, jnp.zeros(()))
    hit = hit_rate(hot, pair.access_skew)
    uses_device = placement not in ("cpu", "cpu-sd")
    on_device = dense + sparse * hit if uses_device else none
    first = sparse + dense if placement == "cpu" else sparse * (1.0 - hit)
    host = _host_s(pair, first, choice.threads, choice.cores_per_thread, choice.batch_size)
    if placement == "cpu-sd":
        host += _host_s(pair, dense, choice.dense_threads, choice.dense_cores_per_thread, choice.batch_size)
    if not uses_device:
        return Breakdown(host, none, jnp.zeros(()))
    one = jnp.ones(1)
    batch = device_batch(
        pair.device, pair.operators, on_device, jnp.asarray(pair.input_bytes), choice.fused_items * one, one
    )
    return Breakdown(host, batch.roofline_s[0] + batch.launch_s, batch.link_s[0])


def _host_s(
    pair: Pair, select: jax.Array, threads: jax.Array, cores: jax.Array, batch_size: jax.Array
) -> jax.Array:
    thread = HostThread(threads, cores, batch_size, jnp.zeros(()))
    times = host_batch_s(pair.host, pair.operators, select, thread, batch_size[None], threads[None])
    return times[0, 0]
