"""A server under load: latency tail, power and saturation of a schedule, as functions of the load."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.fusion import (
    FusedLoad,
    FusedStage,
    exponential_fit,
    fewer_idle,
    fused_load,
    fused_saturation_items_s,
    fused_stage,
)
from hercules_opt.hardware.packing import Pair, Sizes
from hercules_opt.hardware.queueing import (
    Cells,
    SplitLoad,
    SplitWork,
    cells,
    makespan_s,
    merged,
    split_cells,
    split_load,
    split_saturation_qps,
    split_work,
    tail,
)
from hercules_opt.hardware.smooth import clipped, larger, smaller
from hercules_opt.hardware.stages import Choice, Network, Parabola, completed, network, time_at
from hercules_opt.problem.schedule import Placement


class Server(NamedTuple):
    """A server with a schedule.

    Either ``pipeline``, two stages of split batches stacked along a leading axis, or ``host`` and ``fused``;
    the others are ``None``.
    """

    pair: Pair
    network: Network
    pipeline: SplitWork | None
    host: SplitWork | None
    fused: FusedStage | None
    saturation_qps: jax.Array


class Load(NamedTuple):
    """Every stage of a server at one load."""

    qps: jax.Array
    pipeline: SplitLoad | None
    host: SplitLoad | None
    fused: FusedLoad | None


def serve(placement: Placement, pair: Pair, choice: Choice) -> Server:
    """Return the server that runs a schedule."""
    choice = completed(placement, choice)
    net, sizes, d = network(placement, pair, choice), pair.sizes, choice.batch_size
    if net.pipeline is not None:
        pipeline = jax.vmap(split_work, in_axes=(0, None, None))(net.pipeline, sizes, d)
        limits = jax.vmap(split_saturation_qps, in_axes=(0, None))(pipeline, sizes)
        return Server(pair, net, pipeline, None, None, jnp.min(limits))
    assert net.host is not None
    assert net.fused is not None
    host = split_work(net.host, sizes, d)
    fused = fused_stage(net.fused, sizes, host.pieces, d)
    saturation = smaller(fused_saturation_items_s(fused) / sizes.mean, split_saturation_qps(host, sizes))
    return Server(pair, net, None, host, fused, saturation)


def at_load(server: Server, load_qps: jax.Array) -> Load:
    """Return all stages at a load below saturation."""
    sizes = server.pair.sizes
    if server.pipeline is not None:
        each = jax.vmap(split_load, in_axes=(0, None, None))
        return Load(load_qps, each(server.pipeline, sizes, load_qps), None, None)
    assert server.host is not None
    assert server.fused is not None
    return Load(
        load_qps,
        None,
        merged(split_load(server.host, sizes, load_qps)),
        fused_load(server.fused, load_qps),
    )


def unloaded_makespans_s(server: Server) -> jax.Array:
    """Return the latency of a lone query at each edge of the size density, shape (cells + 1,)."""
    if server.pipeline is not None:
        alone = jax.vmap(_alone_s)(server.pipeline)
        paths = alone + server.pipeline.first_s.constant[::-1]
        return larger(paths[0], paths[1])
    assert server.host is not None
    return _alone_s(server.host) + _own_work(server).at_once_s(jnp.zeros(()))


def _alone_s(work: SplitWork) -> jax.Array:
    return makespan_s(work, work.first_s.constant, work.full_s.constant, work.last_s.constant)


def miss_probability(server: Server, load: Load, latency_s: jax.Array) -> jax.Array:
    """Return P(T > latency) of a query.

    In a pipeline of two split stages a query is held up by the slower of two paths: all batches through the
    first stage and the last one through the second, or the first one through the first stage and all through
    the second. Both see the same bursts, so the larger of their tails is taken, not their sum.
    """
    if load.pipeline is None:
        return tail(_fused_law(server, load), latency_s)
    other = jax.tree.map(lambda part: part[::-1], load.pipeline)
    paths = jax.vmap(_path, in_axes=(0, 0, None))(load.pipeline, other, server.pair.sizes)
    first, second = tail(paths, latency_s)
    return larger(first, second)


def _path(load: SplitLoad, other: SplitLoad, sizes: Sizes) -> Cells:
    """Return all batches through one stage and one batch through the other.

    A query that starts at once finds both as busy, by rank; one that waits finds the other in its mean state.
    """
    mean_s = other.share @ other.last_s
    mean_s += other.delayed * (other.late_s - mean_s)
    return split_cells(load, sizes, jnp.concatenate([other.last_s, mean_s[None]]))


def _fused_law(server: Server, load: Load) -> Cells:
    """Return the latency of host and accelerator in eight parts.

    Of queries that start at once on the host, and of those that wait there: those that find an idle
    instance for each of their pieces (at two degrees of occupation, or in the mean), those that find some,
    and those that find none. And those that a full batch left behind.
    """
    fused, state, host = server.fused, load.fused, load.host
    assert fused is not None
    assert state is not None
    assert host is not None
    assert server.host is not None
    own, sizes = _own_work(server), server.pair.sizes
    weight = jnp.asarray(sizes.weight)
    degrees_s = own.at_once_s(state.seen[:, None])
    degrees = host._replace(free_s=jnp.concatenate([host.free_s] * 2), share=state.share)
    at_once = split_cells(degrees, sizes, jnp.concatenate([degrees_s, (state.share @ degrees_s)[None]]))
    # Pieces beyond the idle instances start together, after the first; it runs while the host works on.
    fewer = fewer_idle(server.host.pieces.count, fused.stage.servers, state.busy)
    free = host.free_s[0]
    # Fewer are idle than it has pieces, and at least one: half as many lie between.
    idle = smaller(state.idle, larger(0.5 * own.items / own.piece, 1.0))
    beyond = clipped(own.items - idle * own.piece, 0.0, fused.largest_items)
    behind_first = larger(state.first_s - larger(free - host.last_s[0], 0.0), 0.0)
    # Others keep the rest of the instances busy then, unless the query has more pieces than there are.
    crowded = clipped(fused.stage.servers + 1.0 - own.items / own.piece, 0.0, 1.0)
    beyond_s = time_at(fused.stage, beyond).at(state.share @ state.seen * (1.0 - crowded) + crowded)
    some = split_cells(host, sizes, beyond_s + behind_first)
    shared = _shared(split_cells(host, sizes, own.fused_s), state)
    # What is left behind waits for longer there than it does at the host.
    left = cells(
        (free + larger(own.fused_s, fused.full_s))[None],
        weight[None] * state.left,
        jnp.ones((1, 1)),
        1.0 / state.left_s[None, None],
    )
    return _joined(
        _weighted(at_once, 1.0 - fewer),
        _weighted(some, fewer - state.busy),
        _weighted(shared, state.busy - state.left),
        left,
    )


def _joined(*laws: Cells) -> Cells:
    """Return a law of all these parts; those that wait come last."""
    waiting = [law.rate.shape[0] for law in laws]

    def column(parts: tuple[jax.Array, ...]) -> jax.Array:
        free = [part[:-count] for part, count in zip(parts, waiting, strict=True)]
        return jnp.concatenate([*free, *(part[-count:] for part, count in zip(parts, waiting, strict=True))])

    return Cells(*(column(parts) for parts in zip(*laws, strict=True)))


class _OwnWork(NamedTuple):
    """What a query alone brings to the fused stage, per edge of the size density.

    ``fused_s`` is the service of one batch that holds all of it, at full occupation; ``first_s`` that of one
    piece and ``rest_s`` that of what waits behind the first pieces, by the occupation; ``beside`` is the
    share of the other instances that the query itself occupies. ``items`` come together, a ``piece`` each.
    """

    fused_s: jax.Array
    first_s: Parabola
    rest_s: Parabola
    beside: jax.Array
    items: jax.Array
    piece: jax.Array

    def at_once_s(self, seen: jax.Array) -> jax.Array:
        """Return the time from arrival at idle instances to the end; others use a share ``seen``."""
        whole = Parabola(*(f + r for f, r in zip(self.first_s, self.rest_s, strict=True)))
        return whole.at(self.beside + (1.0 - self.beside) * seen)


def _own_work(server: Server) -> _OwnWork:
    """Return a query's own work on the fused stage.

    The host hands on the pieces that it worked on together at the same time, and more while the first of them
    are served. As many as there are instances start at once, one each; the rest is fused behind them.
    """
    fused, host, edges = server.fused, server.host, jnp.asarray(server.pair.sizes.edges)
    assert fused is not None
    assert host is not None
    assert server.network.host is not None
    stage, g = fused.stage, fused.stage.servers
    piece = smaller(edges, server.network.host.max_items)
    alone = time_at(stage, piece)
    meanwhile = alone.constant / host.full_s.end
    together = smaller(host.pieces.edge_count, host.servers * (1.0 + meanwhile))
    items = smaller(edges, together * piece)
    rest = clipped(items - g * piece, 0.0, fused.largest_items)
    behind = clipped(together - g, 0.0, 1.0)
    return _OwnWork(
        fused_s=time_at(stage, smaller(items, larger(fused.largest_items, piece))).end,
        first_s=alone,
        rest_s=Parabola(*(behind * part for part in time_at(stage, rest))),
        beside=(smaller(together, g) - 1.0) / larger(g - 1.0, 1e-9),
        items=items,
        piece=piece,
    )


def _shared(law: Cells, state: FusedLoad) -> Cells:
    """Return a law with what others bring to the batch; of two waits, means and variances add up."""
    free = jnp.zeros((law.weight.shape[0] - law.rate.shape[0], 1))
    mean = jnp.concatenate([free, law.waits / law.rate]) + state.shared_s
    variance = jnp.concatenate([free, law.waits * (2.0 - law.waits) / law.rate**2]) + state.shared_variance
    waits, mean_s, rest = exponential_fit(mean, variance)
    return law._replace(lo_s=law.lo_s + rest, hi_s=law.hi_s + rest, waits=waits, rate=1.0 / mean_s)


def _weighted(law: Cells, factor: jax.Array) -> Cells:
    return law._replace(weight=law.weight * factor)


def power_w(server: Server, load: Load) -> jax.Array:
    """Return the power of the server: idle parts plus parts that grow with utilization.

    Cores draw between idle and their share of the TDP as they are busy; memory in proportion to its traffic,
    less what gathering inside the modules saves; a device draws ``busy_power`` of its dynamic power as soon
    as it is busy and the rest in proportion to how well it is used.
    """
    return host_power_w(server, load) + device_power_w(server, load)


def idle_power_w(server: Server) -> jax.Array:
    """Return the power of the server without load."""
    return jnp.asarray(server.pair.host.idle_w + server.pair.device.count * server.pair.device.idle_w)


def host_power_w(server: Server, load: Load) -> jax.Array:
    """Return the power of board, processor, memory and near-memory processing."""
    host, mean = server.pair.host, server.pair.sizes.mean
    stage = server.network.host if server.network.pipeline is None else server.network.pipeline
    work = server.host if server.pipeline is None else server.pipeline
    state = load.host if load.pipeline is None else load.pipeline
    assert stage is not None
    assert work is not None
    assert state is not None
    batches = jnp.sum(jnp.asarray(server.pair.sizes.weight) * work.pieces.count, axis=-1)
    channel = load.qps * jnp.sum(batches * stage.channel.batch + mean * stage.channel.item)
    inside = load.qps * mean * jnp.sum(stage.inside.item)
    cores = jnp.sum(stage.cores * stage.servers * state.rho)
    moved = host.memory_j_per_byte * (channel + (1.0 - host.nmp_saving) * inside)
    return host.idle_w + host.core_w * cores + moved + host.nmp_j_per_byte * inside


def device_power_w(server: Server, load: Load) -> jax.Array:
    """Return the power of all accelerators, whether the schedule uses them or not."""
    device = server.pair.device
    idle = jnp.asarray(device.count * device.idle_w)
    if server.fused is None or load.fused is None:
        return idle
    stage, state = server.fused.stage, load.fused
    batches_s = load.qps * server.pair.sizes.mean / state.batch_items
    full_s = stage.full_s.at(state.batch_items / stage.max_items)
    count = larger(device.count, 1.0)
    used = smaller(batches_s * full_s / count, 1.0)
    busy = smaller(state.rho * stage.servers / count, 1.0)
    return idle + count * device.active_w * (device.busy_power * busy + (1.0 - device.busy_power) * used)
