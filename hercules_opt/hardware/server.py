"""A server under load: latency tail, power and saturation of a schedule, as functions of the load."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hercules_opt.hardware.fusion import (
    FusedLoad,
    FusedStage,
    exponential_fit,
    fused_load,
    fused_saturation_items_s,
    fused_stage,
)
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.queueing import (
    Cells,
    SplitLoad,
    SplitWork,
    cells,
    makespan_s,
    split_cells,
    split_load,
    split_saturation_qps,
    split_work,
    tail,
)
from hercules_opt.hardware.smooth import clipped, larger, smaller
from hercules_opt.hardware.stages import Choice, Network, Parabola, network, time_at
from hercules_opt.problem.schedule import Placement


class Server(NamedTuple):
    """A server with a schedule; the stages that its placement does not have are ``None``."""

    pair: Pair
    network: Network
    host: SplitWork | None
    dense: SplitWork | None
    fused: FusedStage | None
    saturation_qps: jax.Array


class Load(NamedTuple):
    """Every stage of a server at one load."""

    qps: jax.Array
    host: SplitLoad | None
    dense: SplitLoad | None
    fused: FusedLoad | None


def serve(placement: Placement, pair: Pair, choice: Choice) -> Server:
    """Return the server that runs a schedule."""
    net, sizes, d = network(placement, pair, choice), pair.sizes, choice.batch_size
    host = None if net.host is None else split_work(net.host, sizes, d)
    dense = None if net.dense is None else split_work(net.dense, sizes, d)
    fused, limits = None, []
    if net.fused is not None:
        pieces = jnp.ones(()) if host is None else jnp.sum(jnp.asarray(sizes.weight) * host.pieces.count)
        fused = fused_stage(net.fused, sizes, pieces, None if host is None else d)
        limits.append(fused_saturation_items_s(fused) / sizes.mean)
    limits += [split_saturation_qps(stage, sizes) for stage in (host, dense) if stage is not None]
    return Server(pair, net, host, dense, fused, jnp.min(jnp.stack(limits)))


def at_load(server: Server, load_qps: jax.Array) -> Load:
    """Return all stages at a load below saturation."""
    sizes = server.pair.sizes
    return Load(
        load_qps,
        None if server.host is None else split_load(server.host, sizes, load_qps),
        None if server.dense is None else split_load(server.dense, sizes, load_qps),
        None if server.fused is None else fused_load(server.fused, sizes, load_qps),
    )


def unloaded_makespans_s(server: Server) -> jax.Array:
    """Return the latency of a lone query at each edge of the size density, shape (cells + 1,)."""
    last = jnp.zeros(()) if server.fused is None else _own_work(server).at_once_s(jnp.zeros(()))
    if server.host is None:
        return last
    host = _alone_s(server.host)
    if server.dense is None:
        return host + last
    dense = _alone_s(server.dense)
    return larger(host + server.dense.first_s.start, server.host.first_s.start + dense)


def _alone_s(work: SplitWork) -> jax.Array:
    return makespan_s(work, work.first_s.start, work.full_s.start, work.last_s.start)


def miss_probability(server: Server, load: Load, latency_s: jax.Array) -> jax.Array:
    """Return P(T > latency) of a query.

    In a pipeline of two split stages a query is held up by the slower of two paths: all batches through the
    first stage and the last one through the second, or the first one through the first stage and all through
    the second. Both see the same bursts, so the larger of their tails is taken, not their sum.
    """
    sizes = server.pair.sizes
    if load.fused is not None:
        return tail(_fused_law(server, load), latency_s)
    assert load.host is not None
    if load.dense is None:
        return tail(split_cells(load.host, sizes, jnp.zeros(())), latency_s)
    first = tail(split_cells(load.host, sizes, load.dense.last_s), latency_s)
    second = tail(split_cells(load.dense, sizes, load.host.last_s), latency_s)
    return larger(first, second)


def _fused_law(server: Server, load: Load) -> list[Cells]:
    fused, state = server.fused, load.fused
    assert fused is not None
    assert state is not None
    own = _own_work(server)
    full = time_at(fused.stage, fused.largest_items).end
    at_once = _after_host(server, load, own.at_once_s(state.seen))
    idle = _weighted(at_once, (1.0 - state.left) * (1.0 - state.busy))
    busy = _weighted(_shared_after_host(server, load, own.fused_s), (1.0 - state.left) * state.busy)
    behind = _weighted(_behind(server, load, larger(own.fused_s, full)), state.left)
    return [*idle, *(_widened(part, state.cycle_s) for part in [*busy, *behind])]


class _OwnWork(NamedTuple):
    """What a query alone brings to the fused stage, per edge of the size density.

    ``fused_s`` is the service of one batch that holds all of it, at full occupation; ``first_s`` that of one
    piece and ``rest_s`` that of what waits behind the first pieces, by the occupation; ``beside`` is the
    share of the other instances that the query itself occupies.
    """

    fused_s: jax.Array
    first_s: Parabola
    rest_s: Parabola
    beside: jax.Array

    def at_once_s(self, seen: jax.Array) -> jax.Array:
        """Return the time from arrival at idle instances to the end; others use a share ``seen``."""
        occupation = self.beside + (1.0 - self.beside) * seen
        return self.first_s.at(occupation) + self.rest_s.at(occupation)


def _own_work(server: Server) -> _OwnWork:
    """Return a query's own work on the fused stage.

    The host hands on the pieces that it worked on together at the same time. As many as there are instances
    start at once, one each; the rest is fused behind them.
    """
    fused, edges = server.fused, jnp.asarray(server.pair.sizes.edges)
    assert fused is not None
    stage, g = fused.stage, fused.stage.servers
    if server.host is None:
        whole = time_at(stage, edges)
        none = jnp.zeros_like(edges)
        return _OwnWork(whole.end, whole, Parabola(none, none, none), none)
    piece = smaller(edges, server.network.host.max_items) if server.network.host is not None else edges
    together = smaller(server.host.pieces.edge_count, server.host.servers)
    items = smaller(edges, together * piece)
    rest = clipped(items - g * piece, 0.0, fused.largest_items)
    behind = clipped(together - g, 0.0, 1.0)
    return _OwnWork(
        fused_s=time_at(stage, smaller(items, larger(fused.largest_items, piece))).end,
        first_s=time_at(stage, piece),
        rest_s=Parabola(*(behind * part for part in time_at(stage, rest))),
        beside=(smaller(together, g) - 1.0) / larger(g - 1.0, 1e-9),
    )


def _after_host(server: Server, load: Load, service_s: jax.Array) -> list[Cells]:
    """Return the latency with a last service per edge of the size density, after the host's stage if any."""
    sizes = server.pair.sizes
    if load.host is not None:
        return split_cells(load.host, sizes, service_s)
    return [cells(service_s, jnp.asarray(sizes.weight), jnp.zeros(()), jnp.ones(()))]


def _shared_after_host(server: Server, load: Load, service_s: jax.Array) -> list[Cells]:
    """Return the same with what others bring to the batch; of two waits, means and variances add up."""
    state = load.fused
    assert state is not None
    law = []
    for part in _after_host(server, load, service_s):
        mean = part.waits / part.rate + state.shared_s
        variance = part.waits * (2.0 - part.waits) / part.rate**2 + state.shared_variance
        waits, mean_s, rest = exponential_fit(mean, variance)
        law.append(
            part._replace(lo_s=part.lo_s + rest, hi_s=part.hi_s + rest, waits=waits, rate=1.0 / mean_s)
        )
    return law


def _behind(server: Server, load: Load, service_s: jax.Array) -> list[Cells]:
    """Return the latency of queries that a full batch left behind: that wait outlasts the one at the host."""
    assert load.fused is not None
    before = jnp.zeros(()) if load.host is None else load.host.free_s
    return [
        cells(before + service_s, jnp.asarray(server.pair.sizes.weight), jnp.ones(()), load.fused.left_rate)
    ]


def _weighted(law: list[Cells], factor: jax.Array) -> list[Cells]:
    return [part._replace(weight=part.weight * factor) for part in law]


def _widened(part: Cells, cycle_s: jax.Array) -> Cells:
    """Add the rest of a cycle, uniform in 0..cycle, to each cell: keeps mean and spread of the sum."""
    middle = 0.5 * (part.lo_s + part.hi_s + cycle_s)
    half = 0.5 * jnp.sqrt((part.hi_s - part.lo_s) ** 2 + cycle_s**2)
    return part._replace(lo_s=middle - half, hi_s=middle + half)


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
    total = jnp.asarray(host.idle_w)
    stages = ((server.network.host, server.host, load.host), (server.network.dense, server.dense, load.dense))
    for stage, work, state in stages:
        if stage is None or work is None or state is None:
            continue
        batches = jnp.sum(jnp.asarray(server.pair.sizes.weight) * work.pieces.count)
        channel = load.qps * (batches * stage.channel.batch + mean * stage.channel.item)
        inside = load.qps * mean * stage.inside.item
        total = total + host.core_w * stage.cores * stage.servers * state.rho
        total = total + host.memory_j_per_byte * (channel + (1.0 - host.nmp_saving) * inside)
        total = total + host.nmp_j_per_byte * inside
    return total


def device_power_w(server: Server, load: Load) -> jax.Array:
    """Return the power of all accelerators, whether the schedule uses them or not."""
    device = server.pair.device
    idle = jnp.asarray(device.count * device.idle_w)
    if server.fused is None or load.fused is None:
        return idle
    stage, state = server.fused.stage, load.fused
    batches_s = load.qps * server.pair.sizes.mean / state.batch_items
    full_s = Parabola(*stage.full_s).at(state.batch_items / stage.max_items)
    count = larger(device.count, 1.0)
    used = smaller(batches_s * full_s / count, 1.0)
    busy = smaller(state.rho * larger(stage.servers / count, 1.0), 1.0)
    return idle + count * device.active_w * (device.busy_power * busy + (1.0 - device.busy_power) * used)
