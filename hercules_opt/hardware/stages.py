"""A placement turned into stages: which operators run where, for how long, and what they draw.

A stage's service time is evaluated at three batch sizes and three degrees of occupation and interpolated by a
parabola in each; these parabolas are the model, everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

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


#: Placements that are one formula, and one compiled program: the one that stands for them, with the values
#: of the variables that a placement does not have. No threads for DenseNet: it runs on those of SparseNet.
#: Nothing hot: SparseNet is the host's. All hot: nothing is left to the host, and queries are whole.
PROGRAM: dict[Placement, Placement] = {
    "cpu": "cpu-sd",
    "cpu-sd": "cpu-sd",
    "cpu-accelerator": "accelerator-hot",
    "accelerator": "accelerator-hot",
    "accelerator-hot": "accelerator-hot",
}
IMPLIED: dict[Placement, dict[str, float]] = {
    "cpu": {"dense_threads": 0.0},
    "cpu-sd": {},
    "cpu-accelerator": {"hot_share": 0.0},
    "accelerator": {"hot_share": 1.0, "threads": 1.0, "cores_per_thread": 1.0, "batch_size": 1e6},
    "accelerator-hot": {},
}

#: A batch takes at least a picosecond, so that a stage with nothing to do keeps every formula finite.
_LEAST_S = 1e-12


class Parabola(NamedTuple):
    """A function on 0..1, ``constant + linear x + square x^2``; the coefficients are arrays of one shape."""

    constant: jax.Array
    linear: jax.Array
    square: jax.Array

    def at(self, x: jax.Array) -> jax.Array:
        """Return the values at ``x``, elementwise."""
        return self.constant + x * (self.linear + x * self.square)

    @property
    def end(self) -> jax.Array:
        """The values at 1."""
        return self.constant + self.linear + self.square


def through(start: jax.Array, middle: jax.Array, end: jax.Array) -> Parabola:
    """Return the parabola with these values at 0, 1/2 and 1."""
    return Parabola(start, 4.0 * middle - 3.0 * start - end, 2.0 * (start + end) - 4.0 * middle)


class Stage(NamedTuple):
    """Equal servers with one queue.

    ``time_s`` is a parabola of the occupation (0: one server busy, 1: all) whose coefficients are parabolas
    of the batch as a share of ``max_items``. ``full_s`` is the time at a device's full rate, a parabola of
    the latter.
    """

    servers: jax.Array
    cores: jax.Array
    max_items: jax.Array
    time_s: tuple[Parabola, Parabola, Parabola]
    full_s: Parabola
    channel: Traffic
    inside: Traffic


class Network(NamedTuple):
    """The stages of a placement.

    Either ``pipeline``, two stages of split batches on the host, stacked along a leading axis; or ``host``, a
    stage of split batches, and ``fused``, one that serves what is queued. ``memory`` is a share of what there
    is.
    """

    pipeline: Stage | None
    host: Stage | None
    fused: Stage | None
    memory: jax.Array


def time_at(stage: Stage, items: jax.Array) -> Parabola:
    """Return service times in seconds as a parabola of the occupation, with the shape of ``items``."""
    share = items / stage.max_items
    return Parabola(*(part.at(share) for part in stage.time_s))


def mean_time_at(stage: Stage, items: jax.Array, variance: jax.Array) -> Parabola:
    """Return the same for batches whose sizes vary: the mean over ``items`` with this variance."""
    share, spread = items / stage.max_items, variance / stage.max_items**2
    return Parabola(*(part.at(share) + part.square * spread for part in stage.time_s))


def service_times(net: Network) -> jax.Array:
    """Return the coefficients of both stages' times, shape (2, 3, 3): powers of the occupation, of the share.

    The stages are those of the pipeline, or host and accelerator.
    """
    if net.pipeline is not None:
        return _coefficients(net.pipeline)
    assert net.host is not None
    assert net.fused is not None
    return jnp.stack([_coefficients(net.host), _coefficients(net.fused)])


def _coefficients(stage: Stage) -> jax.Array:
    return jnp.stack([jnp.stack(part, axis=-1) for part in stage.time_s], axis=-2)


def surface(times_s: jax.Array) -> tuple[Parabola, Parabola, Parabola]:
    """Return times, shape (3, 3), as a parabola of the rows (occupation) of parabolas of the columns."""
    first, second, third = (through(*(row[k] for k in range(3))) for row in through(*times_s))
    return first, second, third


#: Where service times are evaluated, as shares of the largest batch and of the servers beside one.
_NODES = np.array([0.0, 0.5, 1.0])


def _busy_nodes(count: jax.Array) -> jax.Array:
    return 1.0 + (count - 1.0) * _NODES


def _host_stage(pair: Pair, part: Part) -> Stage:
    select, thread = part
    items, busy = thread.batch_size * _NODES, _busy_nodes(thread.threads)
    times = host_batch_s(pair.host, pair.operators, select, thread, items, busy)
    channel, inside = host_traffic(pair.host, pair.operators, select, thread)
    zero = jnp.zeros(())
    return Stage(
        servers=thread.threads,
        cores=thread.cores,
        max_items=thread.batch_size,
        time_s=surface(jnp.sum(times, axis=2) + _LEAST_S),
        full_s=Parabola(zero, zero, zero),
        channel=channel,
        inside=inside,
    )


def _fused_stage(pair: Pair, offload: Offload, choice: Choice) -> Stage:
    items, busy = choice.fused_items * _NODES, _busy_nodes(choice.instances)
    batch = device_batch(pair.device, pair.operators, *offload, items, busy)
    zero = Traffic(jnp.zeros(()), jnp.zeros(()))
    return Stage(
        servers=choice.instances,
        cores=jnp.zeros(()),
        max_items=choice.fused_items,
        time_s=surface(batch.total_s),
        full_s=through(*batch.full_s),
        channel=zero,
        inside=zero,
    )


class Part(NamedTuple):
    """What runs on the threads of a host: the share of every operator, shape (slots,), and the threads."""

    select: jax.Array
    thread: HostThread


class Offload(NamedTuple):
    """What runs on an accelerator: the share of every operator, and the bytes per item over the host link."""

    select: jax.Array
    link_bytes: jax.Array


class Parts(NamedTuple):
    """Which operators run where; the fields are those of ``Network``."""

    pipeline: Part | None
    host: Part | None
    offload: Offload | None


def completed(placement: Placement, choice: Choice) -> Choice:
    """Return a schedule with the variables that its placement implies."""
    return choice._replace(**{name: jnp.asarray(value) for name, value in IMPLIED[placement].items()})


def parts(placement: Placement, pair: Pair, choice: Choice) -> Parts:
    """Return which operators run where, and on what, in a placement; ``choice`` must be ``completed``."""
    sparse = jnp.asarray(pair.operators.sparse)
    dense = 1.0 - sparse
    if PROGRAM[placement] == "cpu-sd":
        return Parts(_pipeline(pair, choice, sparse, dense), None, None)
    hit = _hit_rate(choice.hot_share, pair.access_skew)
    ids = hit * (pair.input_bytes - pair.dense_input_bytes)
    link = pair.dense_input_bytes + ids + _cold_bytes(pair, 1.0 - hit)
    none = jnp.zeros(())
    thread = HostThread(choice.threads, choice.cores_per_thread, choice.batch_size, none, none)
    return Parts(None, Part(sparse * (1.0 - hit), thread), Offload(dense + sparse * hit, link))


def _pipeline(pair: Pair, choice: Choice, sparse: jax.Array, dense: jax.Array) -> Part:
    """Return both stages on one host, each with the other's draw on the memory channels."""
    apart = jnp.where(choice.dense_threads > 0.0, 1.0, 0.0)
    select = jnp.stack([sparse + (1.0 - apart) * dense, apart * dense])
    threads = jnp.stack([choice.threads, larger(choice.dense_threads, 1.0 - apart)])
    cores = jnp.stack([choice.cores_per_thread, choice.dense_cores_per_thread])
    batch, none = jnp.stack([choice.batch_size] * 2), jnp.zeros(2)
    alone = HostThread(threads, cores, batch, none, none)
    traffic, _ = jax.vmap(host_traffic, in_axes=(None, None, 0, 0))(pair.host, pair.operators, select, alone)
    bytes_item = traffic.item + traffic.batch / batch
    return Part(select, alone._replace(others=threads[::-1], others_bytes=bytes_item[::-1]))


def network(placement: Placement, pair: Pair, choice: Choice) -> Network:
    """Return the stages of a schedule, with the memory it takes as a share of what there is.

    Threads on a host share tables and weights, and so do the instances of a compiled engine. Other co-located
    instances on an accelerator do not: each holds its copy.
    """
    choice = completed(placement, choice)
    pipeline, host, offload = parts(placement, pair, choice)
    if pipeline is not None:
        stages = jax.vmap(_host_stage, in_axes=(None, 0))(pair, pipeline)
        threads = choice.threads + choice.dense_threads
        return Network(stages, None, None, _host_memory(pair, choice.batch_size, threads))
    assert host is not None
    assert offload is not None
    on_host = jnp.where(choice.hot_share < 1.0, _host_memory(pair, choice.batch_size, choice.threads), 0.0)
    memory = larger(on_host, _device_memory(pair, choice))
    return Network(None, _host_stage(pair, host), _fused_stage(pair, offload, choice), memory)


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


def _device_memory(pair: Pair, choice: Choice) -> jax.Array:
    ops = pair.operators
    copy = choice.hot_share * pair.table_bytes + jnp.sum(ops.weight_bytes)
    workspace = choice.fused_items * jnp.max(ops.activation_bytes + ops.output_bytes)
    per_device = larger(choice.instances / larger(pair.device.count, 1.0), 1.0)
    copies = 1.0 + pair.device.spilled * (per_device - 1.0)
    return (copies * copy + per_device * workspace) / larger(pair.device.memory_bytes, 1.0)
