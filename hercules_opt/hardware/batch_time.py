"""Service time and memory traffic of one batch, operator by operator.

An operator of a batch of b items takes ``launches + hypot(compute, memory)``: the two limits of a roofline,
joined smoothly (a p-norm of exponent 2, assumed). Operators of one thread run one after the other. Threads
that share the memory are a closed queueing network: while some gather, others compute, so that the batch of
one of k threads takes the larger of its time alone and of the time in which the memory serves all k; again a
hypot.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.packing import Device, Host, Operators
from hercules_opt.hardware.smooth import larger

#: How sharply lookups begin to be spread over cores.
_GRAIN_NORM = 8
#: Smooth maximum: how far, relative to its scale, the transition reaches.
SOFTNESS = 0.1


class Traffic(NamedTuple):
    """Memory traffic of a batch: ``batch`` bytes whatever its size, and ``item`` bytes per item."""

    batch: jax.Array
    item: jax.Array


class HostThread(NamedTuple):
    """One of ``threads`` equal threads on a host.

    ``others`` threads of another stage draw ``others_bytes`` per item from the same memory channels.
    """

    threads: jax.Array
    cores: jax.Array
    batch_size: jax.Array
    others: jax.Array
    others_bytes: jax.Array


def soft_excess(value: jax.Array, scale: jax.Array) -> jax.Array:
    """Return max(value, 0), rounded off around 0 over a distance of ``SOFTNESS`` times ``scale``."""
    return 0.5 * (value + jnp.sqrt(value * value + (SOFTNESS * scale) ** 2))


def _hypot(a: jax.Array, b: jax.Array) -> jax.Array:
    # The tiny term keeps the derivative finite where both limits are zero (padding).
    return jnp.sqrt(a * a + b * b + 1e-40)


class _HostBytes(NamedTuple):
    cached_item: jax.Array
    stream_batch: jax.Array
    stream_item: jax.Array
    gather_item: jax.Array
    nmp_item: jax.Array
    inside: jax.Array


def _host_bytes(host: Host, ops: Operators, select: jax.Array, thread: HostThread) -> _HostBytes:
    """Return the bytes of each operator that reach DRAM (per batch, per item), and those inside DIMMs.

    Weights and activations of all threads, gathered rows that are written again among them, share the
    last-level cache; what does not fit is streamed, and ``cached_item`` passes through caches. Rows
    that the cache holds are read from it, also where there is near-memory processing, which gathers and pools
    the others; its rate is one of random rows, so that they carry no overhead.
    """
    pooled = host.has_nmp * jnp.asarray(ops.pooled)
    rewritten = host.bag_rewrite * ops.gather_bytes * (1.0 - pooled)
    # Tables are looked up one after the other: one table's rows are written and read again at a time.
    largest = jnp.max(select * (ops.activation_bytes + rewritten / larger(ops.launches, 1.0)))
    activations = thread.threads * thread.batch_size * largest
    resident = jnp.sum(select * ops.weight_bytes) + activations
    miss = resident / (resident + host.llc_bytes)
    table_miss = ops.table_bytes / (ops.table_bytes + host.table_llc_bytes)
    rows = ops.gather_bytes + ops.rows * host.row_overhead_bytes
    inside = pooled * table_miss
    cached = ops.activation_bytes + 2.0 * rewritten
    commands = inside * (ops.output_bytes + ops.rows * host.nmp_command_bytes)
    return _HostBytes(
        stream_batch=select * miss * ops.weight_bytes,
        cached_item=select * cached,
        stream_item=select * (miss * cached + commands),
        gather_item=select * table_miss * rows * (1.0 - pooled),
        nmp_item=select * ops.gather_bytes * inside,
        inside=inside,
    )


def host_batch_s(
    host: Host, ops: Operators, select: jax.Array, thread: HostThread, items: jax.Array, busy: jax.Array
) -> jax.Array:
    """Return the time of each operator of a batch in seconds, shape (len(busy), len(items), slots).

    The batch takes ``T = hypot(alone, channels, inside)``: its operators one after the other, limited by the
    thread's cores; the bytes that all threads at work move meanwhile over the channels; and those they gather
    inside the modules. Of T, an operator is charged its share of each of the three, (a_i a + c_i c + n_i n) /
    T: the shares add up to T.

    Parameters
    ----------
    select
        Share of each operator that runs here, shape (slots,): 0 or 1, or the share of cold rows of a gather.
    items
        Batch sizes, shape (n,).
    busy
        Threads of this stage that run at the same time, this one included, shape (k,).
    """
    b, k = items[None, :, None], busy[:, None, None]
    moved = _host_bytes(host, ops, select, thread)
    cores = _cores(host, ops, thread.cores, b)
    speed = cores / (1.0 + host.parallel_loss * (cores - 1.0))
    rows = b + host.half_rows * ops.rows_scale * thread.cores
    flops = ops.flops * ops.padding * (1.0 - moved.inside)
    compute = select * flops * rows / (speed * host.core_flop_s)
    vectors = ops.pooled * ops.rows / larger(ops.lookups, 1.0)
    handled = select * (ops.rows * host.row_s + vectors * host.vector_s) * (1.0 - moved.inside)
    compute += (handled + moved.cached_item * host.cache_s_per_byte) * b / speed
    streamed = moved.stream_batch + (moved.stream_item + moved.gather_item) * b
    each = host.launch_s + host.fork_s * jnp.log2(thread.cores) + ops.sparse * host.table_s
    launch = select_launches(ops, select) * each
    alone = launch + _hypot(compute, streamed / (cores * host.core_bytes_s))
    channels = streamed * _crowd(streamed, b, k, thread) / host.bytes_s
    inside = moved.nmp_item * b * k / host.nmp_bytes_s
    parts = (alone, channels, inside)
    totals = [jnp.sum(part, axis=2, keepdims=True) for part in parts]
    whole = _hypot(totals[0], _hypot(totals[1], totals[2]))
    return sum((part * total for part, total in zip(parts, totals, strict=True)), jnp.zeros(())) / whole


def _cores(host: Host, ops: Operators, cores: jax.Array, items: jax.Array) -> jax.Array:
    """Return the cores that share an operator: one for lookups that are too few to be spread.

    A step, rounded off: 1 / (1 + (grain / bytes per table)^8).
    """
    bytes_per_table = ops.gather_bytes * items / larger(ops.launches, 1.0)
    few = (ops.sparse * host.grain_bytes / larger(bytes_per_table, 1.0)) ** _GRAIN_NORM
    return 1.0 + (cores - 1.0) / (1.0 + few)


def _crowd(streamed: jax.Array, items: jax.Array, busy: jax.Array, thread: HostThread) -> jax.Array:
    """Return the threads among which the channels are shared while one of ``busy`` threads streams.

    Of another stage's n threads, at most n; and where both stages keep pace, busy x (its bytes / own bytes).
    The two are joined to 1 / hypot(1 / n, 1 / pace).
    """
    own, others = jnp.sum(streamed, axis=2, keepdims=True), thread.others_bytes * items
    return busy * (1.0 + thread.others * others / _hypot(thread.others * own, busy * others))


def select_launches(ops: Operators, select: jax.Array) -> jax.Array:
    """Return the launches of the selected operators: any share of an operator must be launched."""
    return jnp.asarray(ops.launches) * select / (select + 1e-3) * (1.0 + 1e-3)


def host_traffic(
    host: Host, ops: Operators, select: jax.Array, thread: HostThread
) -> tuple[Traffic, Traffic]:
    """Return the traffic over the memory channels, and the bytes gathered inside the DIMMs."""
    moved = _host_bytes(host, ops, select, thread)
    channels = Traffic(jnp.sum(moved.stream_batch), jnp.sum(moved.stream_item + moved.gather_item))
    return channels, Traffic(jnp.zeros(()), jnp.sum(moved.nmp_item))


class DeviceBatch(NamedTuple):
    """Time of a batch on a device, shape (len(busy), len(items)); its parts, shape (len(items), slots)."""

    total_s: jax.Array
    full_s: jax.Array
    roofline_s: jax.Array
    launch_s: jax.Array
    link_s: jax.Array


def device_batch(
    device: Device,
    ops: Operators,
    select: jax.Array,
    link_bytes: jax.Array,
    items: jax.Array,
    busy: jax.Array,
) -> DeviceBatch:
    """Return the time of a fused batch on an accelerator.

    Alone, an instance takes launches + rooflines at the occupancy of its batch + transfer. Co-located
    instances fill each other's gaps until the device, or its link, is busy all the time: then the
    full-occupancy times add up. Those of a compiled engine are joined over its compute units, its on-chip
    memory and its memory, all of which its instances use at the same time.

    Parameters
    ----------
    link_bytes
        Bytes per item that cross the host link.
    busy
        Instances at work at the same time on all devices, shape (k,).
    """
    b = items[:, None]
    rows = ops.gather_bytes + ops.rows * device.row_overhead_bytes
    moved = ops.weight_bytes + (device.spilled * ops.activation_bytes + rows) * b
    memory = select * moved / device.bytes_s
    chip = select * ops.activation_bytes * b * device.chip_s_per_byte
    compute = select * ops.flops * b / device.flop_s
    slow = select * ops.flops * (b + device.half_rows * ops.rows_scale) / device.flop_s
    roofline = _hypot(_hypot(slow, memory), chip)
    one_by_one = jnp.sum(_hypot(compute, memory), axis=1)
    compute_s, chip_s, memory_s = (jnp.sum(part, axis=1) for part in (compute, chip, memory))
    together = _hypot(_hypot(compute_s, chip_s), memory_s)
    full = device.spilled * one_by_one + (1.0 - device.spilled) * together
    launch = select_launches(ops, select) * device.launch_s
    link = items * link_bytes / device.link_bytes_s
    alone = jnp.sum(roofline, axis=1) + jnp.sum(launch) + link + device.link_s
    share = larger(busy / larger(device.count, 1.0), 1.0)[:, None]
    crowded = share * larger(full, link)
    total = alone + soft_excess(crowded - alone, alone)
    return DeviceBatch(total, full, roofline, launch, link + device.link_s)
