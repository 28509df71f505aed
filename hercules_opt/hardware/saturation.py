"""The saturation of a schedule alone: the load at which a stage is busy all the time.

The same figure as ``server.serve`` has, at a small part of the cost: of a stage's times only those with all
servers at work are needed, and no queue is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from hercules_opt.hardware.batch_time import device_batch, host_batch_s
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.queueing import Pieces, split
from hercules_opt.hardware.smooth import larger, smaller
from hercules_opt.hardware.stages import Choice, Offload, Parabola, Part, completed, parts, through
from hercules_opt.problem.schedule import Placement

#: Shares of the largest batch through whose times a stage's parabola goes.
_NODES = np.array([0.0, 0.5, 1.0])


def saturation_qps(placement: Placement, pair: Pair, choice: Choice) -> jax.Array:
    """Return the load at which the slowest stage of a schedule is busy all the time, whatever its memory."""
    choice = completed(placement, choice)
    pipeline, host, offload = parts(placement, pair, choice)
    pieces = split(pair.sizes, choice.batch_size)
    if pipeline is not None:
        each = jax.vmap(_host_qps, in_axes=(None, 0, None))(pair, pipeline, pieces)
        return smaller(each[0], each[1])
    assert host is not None
    assert offload is not None
    return smaller(_device_qps(pair, offload, choice, pieces), _host_qps(pair, host, pieces))


def _host_qps(pair: Pair, part: Part, pieces: Pieces) -> jax.Array:
    thread, weight = part.thread, jnp.asarray(pair.sizes.weight)
    size = thread.batch_size
    times = host_batch_s(pair.host, pair.operators, part.select, thread, size * _NODES, thread.threads[None])
    time_s = through(*jnp.sum(times, axis=(0, 2)))
    last = _mean_s(time_s, pieces.last_items / size, pieces.last_square / size**2)
    return thread.threads / jnp.sum(weight * ((pieces.count - 1.0) * time_s.end + last))


def _device_qps(pair: Pair, offload: Offload, choice: Choice, pieces: Pieces) -> jax.Array:
    sizes, largest, size = pair.sizes, choice.fused_items, choice.batch_size
    weight, whole = jnp.asarray(sizes.weight), pieces.count - 1.0
    square = jnp.sum(weight * (whole * size**2 + pieces.last_square)) / sizes.mean
    cube = jnp.sum(weight * (whole * size**3 + pieces.last_cube)) / sizes.mean
    full = larger(largest - 0.5 * square, 0.5 * largest)
    spread = larger(cube / 3.0 - 0.25 * square**2, 0.0)
    instances = choice.instances[None]
    batch = device_batch(pair.device, pair.operators, *offload, largest * _NODES, instances)
    share = full / largest
    full_s = _mean_s(through(*batch.total_s[0]), share, share**2 + spread / largest**2)
    return choice.instances * full / (full_s * sizes.mean)


def _mean_s(time_s: Parabola, mean: jax.Array, square: jax.Array) -> jax.Array:
    """Return the mean of a parabola over shares with these two moments."""
    return time_s.constant + time_s.linear * mean + time_s.square * square
