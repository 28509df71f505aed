"""A placement turned into stages: which operators run where, for how long, and what they draw.

A stage's service time is evaluated at three batch sizes and three degrees of occupation and interpolated by a
parabola in each; these parabolas are the model, everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.batch_time import (
    HostThread,
    Traffic,
    device_batch,
    host_batch_s,
    host_traffic,
)
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.smooth import larger, power, smaller
from hercules_opt.problem.schedule import Placement


class Choice(NamedTuple):
    """A schedule as real numbers; those that a placement does not use are ignored."""

    threads: jax.Array
    cores_per_thread: jax.Array
    dense_threads: jax.Array
    dense_cores_per_thread: jax.Array
    batch_size: jax.Array
    instances: jax.Array
    fused_items: jax.Array
    hot_share: jax.Array


_HOST = ("threads", "cores_per_thread", "batch_size")
_DEVICE = ("instances", "fused_items")

#: The variables that each placement uses.
VARIABLES: dict[Placement, tuple[str, ...]] = {
    "cpu": _HOST,
    "cpu-sd": (*_HOST, "dense_threads", "dense_cores_per_thread"),
    "cpu-accelerator": (*_HOST, *_DEVICE),
    "accelerator": _DEVICE,
    "accelerator-hot": (*_HOST, *_DEVICE, "hot_share"),
}


#: Placements that are one formula: SparseNet on the host is an accelerator that holds no embeddings, hot
#: share 0.
PROGRAM: dict[Placement, Placement] = {
    "cpu": "cpu",
    "cpu-sd": "cpu-sd",
    "cpu-accelerator": "accelerator-hot",
    "accelerator": "accelerator",
    "accelerator-hot": "accelerator-hot",
}


class Parabola(NamedTuple):
    """A function on 0..1 by its values at 0, 1/2 and 1; the values are arrays of one shape."""

    start: jax.Array
    middle: jax.Array
    end: jax.Array

    def at(self, x: jax.Array) -> jax.Array:
        """Return the values at ``x``, elementwise."""
        rising, falling = 2.0 * x - 1.0, 1.0 - x
        return -rising * falling * self.start + 4.0 * x * falling * self.middle + x * rising * self.end


class Stage(NamedTuple):
    """Equal servers with one queue.

    ``time_s`` has shape (3, 3): rows at occupation 0, 1/2, 1 (1, (c + 1) / 2 and c of c servers busy),
    columns at 0, 1/2, 1 times ``max_items``. ``full_s``, shape (3,), is the time at a device's full rate for
    these batch sizes.
    """

    servers: jax.Array
    cores: jax.Array
    max_items: jax.Array
    time_s: jax.Array
    full_s: jax.Array
    channel: Traffic
    inside: Traffic


class Network(NamedTuple):
    """The stages of a placement. ``host`` and ``dense`` serve split batches, ``fused`` what is queued."""

    host: Stage | None
    dense: Stage | None
    fused: Stage | None
    memory: jax.Array
    cores: jax.Array


def time_at(stage: Stage, items: jax.Array) -> Parabola:
    """Return service times in seconds as a parabola of the occupation, with the shape of ``items``."""
    share = items / stage.max_items
    return Parabola(*(Parabola(row[0], row[1], row[2]).at(share) for row in stage.time_s))


def _nodes(count: jax.Array) -> tuple[jax.Array, jax.Array]:
    half = jnp.array([0.0, 0.5, 1.0])
    return half, 1.0 + (count - 1.0) * half


def _host_stage(pair: Pair, part: Part) -> Stage:
    select, thread = part
    half, busy = _nodes(thread.threads)
    times = host_batch_s(pair.host, pair.operators, select, thread, thread.batch_size * half, busy)
    channel, inside = host_traffic(pair.host, pair.operators, select, thread)
    return Stage(
        servers=thread.threads,
        cores=thread.cores,
        max_items=thread.batch_size,
        time_s=jnp.sum(times, axis=2),
        full_s=jnp.zeros(3),
        channel=channel,
        inside=inside,
    )


def _fused_stage(pair: Pair, offload: Offload, choice: Choice) -> Stage:
    half, busy = _nodes(choice.instances)
    batch = device_batch(pair.device, pair.operators, *offload, choice.fused_items * half, busy)
    zero = Traffic(jnp.zeros(()), jnp.zeros(()))
    return Stage(choice.instances, jnp.zeros(()), choice.fused_items, batch.total_s, batch.full_s, zero, zero)


class Part(NamedTuple):
    """What runs on the threads of a host: the share of every operator, shape (slots,), and the threads."""

    select: jax.Array
    thread: HostThread


class Offload(NamedTuple):
    """What runs on an accelerator: the share of every operator, and the bytes per item over the host link."""

    select: jax.Array
    link_bytes: jax.Array


class Parts(NamedTuple):
    """Which operators run where; ``None`` for stages that the placement does not have."""

    host: Part | None
    dense: Part | None
    offload: Offload | None


def parts(placement: Placement, pair: Pair, choice: Choice) -> Parts:
    """Return which operators run where, and on what, in a placement."""
    sparse, none = jnp.asarray(pair.operators.sparse), jnp.zeros(())
    dense = 1.0 - sparse
    thread = HostThread(choice.threads, choice.cores_per_thread, choice.batch_size, none, none)
    if placement == "cpu":
        return Parts(Part(sparse + dense, thread), None, None)
    if placement == "cpu-sd":
        second = HostThread(
            choice.dense_threads, choice.dense_cores_per_thread, choice.batch_size, none, none
        )
        return Parts(*_beside_each_other(pair, Part(sparse, thread), Part(dense, second)), None)
    if placement == "accelerator":
        return Parts(None, None, Offload(sparse + dense, jnp.asarray(pair.input_bytes)))
    hit = _hit_rate(_hot_share(placement, choice), pair.access_skew)
    ids = hit * (pair.input_bytes - pair.dense_input_bytes)
    link = pair.dense_input_bytes + ids + _cold_bytes(pair, 1.0 - hit)
    return Parts(Part(sparse * (1.0 - hit), thread), None, Offload(dense + sparse * hit, link))


def _beside_each_other(pair: Pair, first: Part, second: Part) -> tuple[Part, Part]:
    """Return two stages on one host, each with the other's draw on the memory channels."""
    bytes_item = []
    for part in (first, second):
        traffic, _ = host_traffic(pair.host, pair.operators, *part)
        bytes_item.append(traffic.item + traffic.batch / part.thread.batch_size)
    beside_second = first.thread._replace(others=second.thread.threads, others_bytes=bytes_item[1])
    beside_first = second.thread._replace(others=first.thread.threads, others_bytes=bytes_item[0])
    return Part(first.select, beside_second), Part(second.select, beside_first)


def network(placement: Placement, pair: Pair, choice: Choice) -> Network:
    """Return the stages of a schedule, with the memory it takes as a share of what there is.

    Threads on a host share tables and weights. Co-located instances on an accelerator do not: each holds its
    copy.
    """
    host, dense, offload = parts(placement, pair, choice)
    memory = cores = jnp.zeros(())
    on_host = [part.thread for part in (host, dense) if part is not None]
    if on_host:
        threads = sum((thread.threads for thread in on_host), cores)
        cores = sum((thread.threads * thread.cores for thread in on_host), cores)
        memory = _host_memory(pair, choice.batch_size, threads)
    if offload is not None:
        memory = larger(memory, _device_memory(pair, _hot_share(placement, choice), choice))
    return Network(
        None if host is None else _host_stage(pair, host),
        None if dense is None else _host_stage(pair, dense),
        None if offload is None else _fused_stage(pair, offload, choice),
        memory,
        cores,
    )


def _hot_share(placement: Placement, choice: Choice) -> jax.Array:
    """Return the share of the embedding bytes that an accelerator holds."""
    known = {"accelerator": jnp.ones(()), "accelerator-hot": choice.hot_share}
    return known.get(placement, jnp.zeros(()))


def _hit_rate(hot_share: jax.Array, skew: float) -> jax.Array:
    """Return the share of lookups that the hot embeddings answer: 0 where nothing is hot."""
    return jnp.where(hot_share > 0.0, power(jnp.where(hot_share > 0.0, hot_share, 1.0), skew), 0.0)


def _cold_bytes(pair: Pair, cold: jax.Array) -> jax.Array:
    """Return pooled bytes per item that the host sends: a vector is sent if any of its rows is cold."""
    ops = pair.operators
    lookups = larger(ops.lookups, 1.0)
    # log1p(-cold) at cold = 1 would be infinite: all vectors are sent then, and so they are at 1 - 1e-12.
    return jnp.sum(ops.output_bytes * -jnp.expm1(lookups * jnp.log1p(-smaller(cold, 1.0 - 1e-12))))


def _host_memory(pair: Pair, batch: jax.Array, threads: jax.Array) -> jax.Array:
    ops = pair.operators
    workspace = threads * batch * jnp.sum(ops.activation_bytes + ops.output_bytes)
    return (pair.table_bytes + jnp.sum(ops.weight_bytes) + workspace) / pair.host.memory_bytes


def _device_memory(pair: Pair, hot_share: jax.Array, choice: Choice) -> jax.Array:
    ops = pair.operators
    copy = hot_share * pair.table_bytes + jnp.sum(ops.weight_bytes)
    workspace = choice.fused_items * jnp.max(ops.activation_bytes + ops.output_bytes)
    per_device = choice.instances / larger(pair.device.count, 1.0)
    return larger(per_device, 1.0) * (copy + workspace) / larger(pair.device.memory_bytes, 1.0)
