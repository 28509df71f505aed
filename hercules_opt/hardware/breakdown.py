"""Where the time of one batch goes, operator by operator."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.batch_time import device_batch, host_batch_s
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.stages import Choice, Part, parts
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
    host, dense, offload = parts(placement, pair, choice)
    none = jnp.zeros_like(jnp.asarray(pair.operators.sparse))
    host_s = sum((_host_s(pair, part) for part in (host, dense) if part is not None), none)
    if offload is None:
        return Breakdown(host_s, none, jnp.zeros(()))
    one = jnp.ones(1)
    batch = device_batch(pair.device, pair.operators, *offload, choice.fused_items * one, one)
    return Breakdown(host_s, batch.roofline_s[0] + batch.launch_s, batch.link_s[0])


def _host_s(pair: Pair, part: Part) -> jax.Array:
    thread = part.thread
    times = host_batch_s(
        pair.host, pair.operators, part.select, thread, thread.batch_size[None], thread.threads[None]
    )
    return times[0, 0]
