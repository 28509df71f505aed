"""An upper bound of the latency-bounded throughput: no schedule of a whole search space is above it.

A load that a server bears is below its saturation, which is that of its slowest stage. The saturation of each
stage is bounded by itself, as if the others took no time and moved no bytes, for all values of the variables
that it has: all threads and widths of a host stage, all fused batches and hot shares of an accelerator with
the most instances that its memory holds, and all batch sizes, which the stages share. Those are so few that
the bound takes a second or two where the space has billions of schedules. ``formulations/scheduling.md`` has
the derivation. Latency target and power budget are left out: the bound is that of loose ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hercules_opt.errors import check_type
from hercules_opt.hardware.batch_time import (
    HostThread,
    device_batch,
    host_batch_s,
    soft_excess,
)
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.hardware.packing import Host, Operators, Pair, pack
from hercules_opt.hardware.queueing import split
from hercules_opt.hardware.stages import IMPLIED, Choice, Part, Parts, completed, parts
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Placement
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.space import Floats, Space, placements, search_space

#: Rounding of sums: the bound is stated this much higher.
_ROUNDED = 1.0 + 1e-9
#: Splits of the cores per call of the compiled times.
_TOGETHER = 32


class _Nodes(NamedTuple):
    """What a stage's parabola goes through: values at no items, at half a batch and at a whole one."""

    none: Floats
    half: Floats
    whole: Floats


class _Pieces(NamedTuple):
    """The pieces of a query at some batch sizes, all of shape (n,).

    ``weights`` are those of a parabola's nodes in the mean time of all pieces of a query. ``square`` and
    ``cube`` are E[P^2] / E[P] and E[P^3] / E[P] of a piece.
    """

    batch_size: Floats
    weights: _Nodes
    square: Floats
    cube: Floats


def throughput_bound(
    server: ServerType, model: Model, *, efficiency: Efficiency = DEFAULT_EFFICIENCY
) -> float:
    """Return a throughput in queries per second that no schedule of a pair exceeds; 0 where none can serve.

    It holds for the cost model and the search space of ``optimize_schedule``, which has no threshold. It is
    infinite where ``gather_grain_kb`` makes half a batch slower than a whole one and queries have fewer items
    than about a third of the cores: nothing is claimed there.

    Raises
    ------
    InputError
        If the server has no parts, or the model no architecture, target or query sizes.
    """
    check_type("server", server, ServerType)
    check_type("model", model, Model)
    check_type("efficiency", efficiency, Efficiency)
    return max(bounds_qps(pack(server, model, efficiency)).values(), default=0.0)


def bounds_qps(pair: Pair) -> Mapping[Placement, float]:
    """Return a throughput for each placement of a pair that none of its schedules exceeds."""
    with jax.enable_x64(True):
        return {placement: _bound_qps(placement, pair) for placement in placements(pair)}


def _bound_qps(placement: Placement, pair: Pair) -> float:
    space = search_space(placement, pair)
    pieces = _pieces(pair, _values(space, "batch_size"))
    if placement == "cpu":
        best = _host_qps(pair, _part(_parts(placement, pair, 0.0), 0), space, pieces)[-1].max()
    elif placement == "cpu-sd":
        # One stage has so many cores, the other the rest.
        both = _parts(placement, pair, 0.0)
        first, second = (_host_qps(pair, _part(both, stage), space, pieces) for stage in (0, 1))
        best = np.minimum(first[:-1], second[-2::-1]).max()
    else:
        best = _offloaded_qps(pair, space, pieces)
    return float(best) * _ROUNDED


def _values(space: Space, name: str) -> Floats:
    """Return the values of a variable in a space, or the one that its placement implies."""
    grid = space.grids.get(name)
    return np.array([IMPLIED[space.placement][name]]) if grid is None else grid


def _parts(placement: Placement, pair: Pair, hot_share: float) -> Parts:
    """Return which operators run where; of the schedule, only the hot share tells."""
    one = jnp.ones(())
    choice = Choice(one, one, one, one, one, one, one, jnp.asarray(hot_share))
    return parts(placement, pair, completed(placement, choice))


def _pieces(pair: Pair, batch_size: Floats) -> _Pieces:
    """Return the pieces of a query at each batch size: the same moments that the cost model has."""
    found = jax.vmap(split, in_axes=(None, 0))(pair.sizes, jnp.asarray(batch_size))
    count, last, square, cube = (np.asarray(part) for part in found[:4])
    weight, size = pair.sizes.weight, batch_size[:, None]
    nodes = _node_weights(last / size, square / size**2)
    mean = pair.sizes.mean
    return _Pieces(
        batch_size=batch_size,
        weights=_Nodes(nodes.none @ weight, nodes.half @ weight, (count - 1.0 + nodes.whole) @ weight),
        square=((count - 1.0) * size**2 + square) @ weight / mean,
        cube=((count - 1.0) * size**3 + cube) @ weight / mean,
    )


def _node_weights(mean: Floats, square: Floats) -> _Nodes:
    """Return the weights of the nodes in the mean of a parabola over shares with these two moments."""
    return _Nodes(1.0 - 3.0 * mean + 2.0 * square, 4.0 * (mean - square), 2.0 * square - mean)


def _least(weights: _Nodes, least: _Nodes, shrinking: float = 1.0) -> Floats:
    """Return a lower bound of the weighted sum of times of which only lower bounds are known.

    More items take no less time, and twice as many at most twice of it: none <= half <= whole <= 2 half. A
    negative weight moves along that chain, which lowers the sum; the weights that are left are not negative,
    and each time is at least its bound. ``shrinking`` is how much longer half a batch may take than a whole
    one, where it is spread over fewer cores.
    """
    none, whole = np.maximum(weights.none, 0.0), np.maximum(weights.whole, 0.0)
    half = weights.half + 2.0 * np.minimum(weights.whole, 0.0) + np.minimum(weights.none, 0.0)
    whole = whole + shrinking * np.minimum(half, 0.0)
    total = none * least.none + np.maximum(half, 0.0) * least.half + whole * least.whole
    return np.where(whole >= 0.0, total, 0.0)


def _part(both: Parts, stage: int) -> Part:
    """Return what runs on a stage of the host."""
    if both.host is not None:
        return both.host
    assert both.pipeline is not None
    return both.pipeline._replace(select=both.pipeline.select[stage])


def _host_qps(pair: Pair, part: Part, space: Space, pieces: _Pieces) -> Floats:
    """Return the saturation of a host stage on at most 1, 2, ... cores, shape (cores, batch sizes)."""
    splits = np.array([(m, o) for m in range(1, space.cores + 1) for o in range(1, space.cores // m + 1)])
    times = _full_times_s(pair, part, splits.astype(np.float64), pieces.batch_size)
    shrinking = float(pair.host.cores) if pair.host.grain_bytes else 1.0
    ops, threads = pair.operators, splits[:, :1]
    copy = pair.table_bytes + float(np.sum(ops.weight_bytes))
    workspace = threads * pieces.batch_size * float(np.sum(ops.activation_bytes + ops.output_bytes))
    fits = copy + workspace <= pair.host.memory_bytes
    with np.errstate(divide="ignore"):
        qps = np.where(fits, threads / _least(pieces.weights, times, shrinking), 0.0)
    best = np.zeros((space.cores, len(pieces.batch_size)))
    np.maximum.at(best, splits.prod(axis=1) - 1, qps)
    return np.maximum.accumulate(best)


def _full_times_s(pair: Pair, part: Part, splits: Floats, batch_size: Floats) -> _Nodes:
    """Return the times of a batch with all threads at work, each of shape (splits, batch sizes)."""
    count = -(-len(splits) // _TOGETHER) * _TOGETHER
    filled = np.resize(splits, (count, 2)).reshape(-1, _TOGETHER, 2)
    found = [
        np.asarray(_batch_times_s(pair.host, pair.operators, part.select, each, batch_size))
        for each in filled
    ]
    return _Nodes(*np.moveaxis(np.concatenate(found)[: len(splits)], 2, 0))


@jax.jit
@partial(jax.vmap, in_axes=(None, None, None, 0, None))
@partial(jax.vmap, in_axes=(None, None, None, None, 0))
def _batch_times_s(
    host: Host, operators: Operators, select: jax.Array, split: jax.Array, batch_size: jax.Array
) -> jax.Array:
    """Return the times of no items, half a batch and a whole one, of one of so many threads at work."""
    none = jnp.zeros(())
    thread = HostThread(split[0], split[1], batch_size, none, none)
    items = batch_size * jnp.array([0.0, 0.5, 1.0])
    times: jax.Array = host_batch_s(host, operators, select, thread, items, split[:1]).sum(axis=(0, 2))
    return times


def _offloaded_qps(pair: Pair, space: Space, pieces: _Pieces) -> float:
    """Return the saturation at best of a host before accelerators, over all hot shares."""
    shares = _values(space, "hot_share")
    both = [_parts(space.placement, pair, share) for share in shares.tolist()]
    device = [
        _device_qps(pair, each, pieces, space, share)
        for each, share in zip(both, shares.tolist(), strict=True)
    ]
    best = 0.0
    # The host is looked at only where the device alone would do better than what both do elsewhere.
    for number in np.argsort([-limits.max() for limits in device]).tolist():
        limits = device[number].max(axis=0)
        if limits.max() <= best:
            break
        if shares[number] < 1.0:
            limits = np.minimum(limits, _host_qps(pair, _part(both[number], 0), space, pieces)[-1])
        best = max(best, float(limits.max()))
    return best


def _device_qps(pair: Pair, both: Parts, pieces: _Pieces, space: Space, hot_share: float) -> Floats:
    """Return the saturation of the accelerators at best, shape (fused batches, batch sizes).

    Of g instances, the time of a batch over g is least with as many as fit into the memory; at the device's
    full rate, or the link's, it does not depend on them. A full batch lacks the piece that does not fit.
    """
    offload = both.offload
    assert offload is not None
    fused, device = np.array(space.fused_items, dtype=np.float64), pair.device
    instances = np.minimum(_instances(pair, fused, hot_share), space.max_instances)
    full = np.maximum(fused[:, None] - 0.5 * pieces.square, 0.5 * fused[:, None])
    spread = np.maximum(pieces.cube / 3.0 - 0.25 * pieces.square**2, 0.0)
    share = full / fused[:, None]

    def least(items: Floats) -> Floats:
        one = jnp.ones(1)
        batch = device_batch(device, pair.operators, *offload, jnp.asarray(items), one)
        link_s = np.asarray(batch.link_s)
        alone_s = np.asarray(jnp.sum(batch.roofline_s, axis=1) + jnp.sum(batch.launch_s)) + link_s
        own_s = alone_s / np.maximum(instances, 1.0)
        busy_s = np.maximum(np.asarray(batch.full_s), link_s - device.link_s) / device.count
        batch_s: Floats = own_s + np.asarray(soft_excess(busy_s - own_s, own_s))
        return batch_s[:, None]

    weights = _node_weights(share, share**2 + spread / fused[:, None] ** 2)
    batch_s = _least(weights, _Nodes(least(0.0 * fused), least(0.5 * fused), least(fused)))
    return np.where(instances[:, None] >= 1.0, full / (batch_s * pair.sizes.mean), 0.0)


def _instances(pair: Pair, fused: Floats, hot_share: float) -> Floats:
    """Return how many instances the memory of all accelerators holds, per fused batch; 0 where not one."""
    device, ops = pair.device, pair.operators
    copy = hot_share * pair.table_bytes + float(np.sum(ops.weight_bytes))
    workspace = fused * float(np.max(ops.activation_bytes + ops.output_bytes))
    left = device.memory_bytes - (1.0 - device.spilled) * copy
    per_device = left / (device.spilled * copy + workspace)
    return np.where(per_device >= 1.0, np.floor(device.count * per_device * _ROUNDED), 0.0)
