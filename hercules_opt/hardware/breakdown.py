"""Where the time of one batch goes, operator by operator."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.batch_time import device_batch, host_batch_s
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.stages import Choice, Part, completed, parts
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
    choice = completed(placement, choice)
    pipeline, host, offload = parts(placement, pair, choice)
    if pipeline is not None:
        on_host = jax.vmap(_host_s, in_axes=(None, 0))(pair, pipeline)
        return Breakdown(jnp.sum(on_host, axis=0), jnp.zeros_like(on_host[0]), jnp.zeros(()))
    assert host is not None
    assert offload is not None
    one = jnp.ones(1)
    batch = device_batch(pair.device, pair.operators, *offload, choice.fused_items * one, one)
    return Breakdown(_host_s(pair, host), batch.roofline_s[0] + batch.launch_s, batch.link_s[0])


def _host_s(pair: Pair, part: Part) -> jax.Array:
    thread = part.thread
    times = host_batch_s(
        pair.host, pair.operators, part.select, thread, thread.batch_size[None], thread.threads[None]
    )
    return times[0, 0]
