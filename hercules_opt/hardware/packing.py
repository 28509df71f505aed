"""A (server type, model) pair as arrays: what the compiled cost model reads.

Every pair has the same shapes, so one compilation serves all of them and pairs can be stacked and mapped
over. Units are SI (seconds, bytes, watts, operations).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError
from hercules_opt.hardware.efficiency import DEFAULT_EFFICIENCY, Efficiency
from hercules_opt.problem.architecture import Architecture
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import Accelerator, Nmp, ServerType
from hercules_opt.workloads.operators import Operator, Workload, workload
from hercules_opt.workloads.query_sizes import size_cells

Array = npt.NDArray[np.float64]

#: Operators per model after padding; a model with more is padded to the next multiple.
OPERATOR_SLOTS = 24
#: Cells of the query-size density.
SIZE_CELLS = 24
#: Exponent of the p-norm that joins the clock within the power limit and the boost clock.
CLOCK_NORM = 8.0
#: Width that the constants ``gemm_half_rows`` speak of.
REFERENCE_WIDTH = 256.0


class Host(NamedTuple):
    """CPU, its memory and near-memory processing; scalars."""

    cores: float
    core_flop_s: float
    parallel_loss: float
    half_rows: float
    bytes_s: float
    core_bytes_s: float
    row_overhead_bytes: float
    bag_rewrite: float
    row_s: float
    vector_s: float
    grain_bytes: float
    cache_s_per_byte: float
    llc_bytes: float
    table_llc_bytes: float
    memory_bytes: float
    launch_s: float
    fork_s: float
    table_s: float
    nmp_bytes_s: float
    nmp_command_bytes: float
    has_nmp: float
    idle_w: float
    core_w: float
    memory_j_per_byte: float
    nmp_j_per_byte: float
    nmp_saving: float


class Device(NamedTuple):
    """All accelerators of a server; scalars, per device. ``count`` is 0 where there is none.

    Of activations, the share ``spilled`` goes through the memory, and every byte takes ``chip_s_per_byte`` on
    the chip: 1 and 0 where operators run one by one; the other way round in a compiled engine.
    """

    count: float  # type: ignore[assignment]  # in place of tuple.count
    flop_s: float
    half_rows: float
    bytes_s: float
    spilled: float
    chip_s_per_byte: float
    row_overhead_bytes: float
    memory_bytes: float
    launch_s: float
    link_bytes_s: float
    link_s: float
    idle_w: float
    active_w: float
    busy_power: float


class Operators(NamedTuple):
    """Padded operators; every field has shape (slots,). A vector is pooled from ``lookups`` rows.

    A host computes ``padding`` times the operations.
    """

    flops: Array
    weight_bytes: Array
    activation_bytes: Array
    gather_bytes: Array
    rows: Array
    lookups: Array
    table_bytes: Array
    output_bytes: Array
    launches: Array
    rows_scale: Array
    padding: Array
    sparse: Array
    pooled: Array


class Sizes(NamedTuple):
    """Query sizes as cells of uniform density.

    ``lo``, ``hi``, ``middle`` and ``weight`` have shape (cells,). ``edges`` has shape (cells + 1,); around
    each edge, ``around_lo`` .. ``around_hi`` reaches to the middles of the cells beside it. ``rank`` holds
    the weights of the edges that interpolate the model's percentile.
    """

    lo: Array
    hi: Array
    middle: Array
    weight: Array
    edges: Array
    around_lo: Array
    around_hi: Array
    rank: Array
    mean: float
    square: float


class Terms(NamedTuple):
    """What the server must hold to."""

    sla_s: float
    tail: float
    budget_w: float


class Pair(NamedTuple):
    """One (server type, model) pair."""

    host: Host
    device: Device
    operators: Operators
    sizes: Sizes
    terms: Terms
    input_bytes: float
    dense_input_bytes: float
    table_bytes: float
    access_skew: float


def pack(server: ServerType, model: Model, efficiency: Efficiency = DEFAULT_EFFICIENCY) -> Pair:
    """Return a pair as arrays.

    Raises
    ------
    InputError
        If the server has no CPU, or the model no architecture, latency target or query sizes.
    """
    if server.cpu is None:
        raise InputError(
            "a server type needs its parts (cpu) to be scheduled", where="server type", key="cpu"
        )
    for key in ("architecture", "sla_ms", "query_size"):
        if getattr(model, key) is None:
            raise InputError("is required to schedule a model", where="model", key=key)
    assert model.architecture is not None
    assert model.sla_ms is not None
    load = workload(model.architecture)
    host, device = _scaled_power(
        server, host_figures(server, efficiency), _device(server.accelerator, efficiency)
    )
    return Pair(
        host=host,
        device=device,
        operators=_operators(load, model.architecture, efficiency.host.gemm_lanes),
        sizes=_sizes(model),
        terms=Terms(model.sla_ms / 1e3, 1.0 - model.sla_percentile / 100.0, power_budget_w(server)),
        input_bytes=load.input_bytes_per_item,
        dense_input_bytes=load.dense_input_bytes_per_item,
        table_bytes=load.table_bytes,
        access_skew=efficiency.access_skew,
    )


def power_budget_w(server: ServerType) -> float:
    """Return the power a server may draw: its budget, or by default all that it can draw."""
    return server.power_budget_w if server.power_budget_w is not None else rated_power_w(server)


def rated_power_w(server: ServerType) -> float:
    """Return the most power that a server with a CPU can draw: what is stated, or the sum of its parts."""
    _, high = server.power_range_w
    assert high is not None
    return high


def _scaled_power(server: ServerType, host: Host, device: Device) -> tuple[Host, Device]:
    """Return the parts with powers that add up to what the server type states of the whole.

    Idle powers and what is added under load are scaled alike for all parts: nothing is known of each.
    """
    parts_low, parts_high = server.parts_w
    low, high = server.power_range_w
    assert parts_low is not None
    assert parts_high is not None
    assert low is not None
    assert high is not None
    if (low, high) == (parts_low, parts_high):
        return host, device
    idle = low / parts_low if parts_low else 0.0
    active = (high - low) / (parts_high - parts_low) if parts_high > parts_low else 0.0
    return (
        host._replace(
            idle_w=host.idle_w * idle if parts_low else low,
            core_w=host.core_w * active,
            memory_j_per_byte=host.memory_j_per_byte * active,
            nmp_j_per_byte=host.nmp_j_per_byte * active,
        ),
        device._replace(idle_w=device.idle_w * idle, active_w=device.active_w * active),
    )


def host_figures(server: ServerType, efficiency: Efficiency) -> Host:
    """Return the host of a server type that has a CPU."""
    assert server.cpu is not None
    cpu, nmp, known = server.cpu, server.nmp, efficiency.host
    cores = cpu.sockets * cpu.cores
    peak_bytes_s = cpu.sockets * cpu.memory_gb_s * 1e9
    idle_w = server.board_w + cpu.sockets * cpu.idle_w + cpu.memory_idle_w + (nmp.idle_w if nmp else 0.0)
    return Host(
        cores=float(cores),
        core_flop_s=cpu.clock_ghz * 1e9 * cpu.flops_per_cycle * known.gemm,
        parallel_loss=known.parallel_loss,
        half_rows=known.gemm_half_rows,
        bytes_s=peak_bytes_s * known.memory,
        core_bytes_s=known.core_gb_s * 1e9,
        row_overhead_bytes=known.row_overhead_bytes,
        bag_rewrite=known.bag_rewrite,
        row_s=known.row_ns * 1e-9,
        vector_s=known.vector_ns * 1e-9,
        grain_bytes=known.gather_grain_kb * 1e3,
        cache_s_per_byte=0.0 if known.cache_gb_s is None else 1e-9 / known.cache_gb_s,
        llc_bytes=cpu.sockets * cpu.llc_mb * 2.0**20,
        table_llc_bytes=cpu.sockets * cpu.llc_mb * 2.0**20 * known.table_cache,
        memory_bytes=cpu.memory_gb * 1e9 * (1.0 - efficiency.reserved_host_memory),
        launch_s=known.launch_us * 1e-6,
        fork_s=known.fork_us * 1e-6,
        table_s=known.table_us * 1e-6,
        nmp_bytes_s=_nmp_bytes_s(nmp, peak_bytes_s),
        nmp_command_bytes=known.nmp_command_bytes,
        has_nmp=float(nmp is not None),
        idle_w=idle_w,
        core_w=(cpu.tdp_w - cpu.idle_w) * cpu.sockets / max(cores, 1),
        memory_j_per_byte=cpu.memory_active_w / peak_bytes_s,
        nmp_j_per_byte=nmp.active_w / _nmp_bytes_s(nmp, peak_bytes_s) if nmp else 0.0,
        nmp_saving=nmp.energy_saving if nmp else 0.0,
    )


def _nmp_bytes_s(nmp: Nmp | None, peak_bytes_s: float) -> float:
    """Ranks gather side by side, each at the rate of a whole channel."""
    return peak_bytes_s * nmp.ranks_per_channel * nmp.rank_efficiency if nmp else peak_bytes_s


def clock_share(accelerator: Accelerator, headroom: float = 1.0) -> float:
    """Return the share of the rated clock that the power limit leaves.

    ``headroom`` times the base clock, never above the boost clock (a p-norm; exponent assumed). Without
    clocks, power grows with the third power of the clock.
    """
    if accelerator.base_clock_mhz is not None and accelerator.boost_clock_mhz is not None:
        allowed = headroom * accelerator.base_clock_mhz / accelerator.boost_clock_mhz
        return float((1.0 + allowed**-CLOCK_NORM) ** (-1.0 / CLOCK_NORM))
    if accelerator.uncapped_w is None:
        return 1.0
    return float(min(1.0, (accelerator.tdp_w / accelerator.uncapped_w) ** (1.0 / 3.0)))


def _device(accelerator: Accelerator | None, efficiency: Efficiency) -> Device:
    known = efficiency.accelerator
    if accelerator is None:
        return Device(
            0.0, 1e12, known.gemm_half_rows, 1e12, 1.0, 0.0, 0.0, 0.0, 0.0, 1e12, 0.0, 0.0, 0.0, 0.0
        )
    clock, on_chip = clock_share(accelerator, known.clock_headroom), accelerator.on_chip_gb_s
    return Device(
        count=float(accelerator.count),
        flop_s=accelerator.peak_tflop_s * 1e12 * known.gemm * clock,
        half_rows=known.gemm_half_rows,
        bytes_s=accelerator.memory_gb_s * 1e9 * known.memory,
        spilled=1.0 if on_chip is None else 0.0,
        chip_s_per_byte=0.0 if on_chip is None else 1.0 / (on_chip * 1e9 * known.on_chip * clock),
        row_overhead_bytes=known.row_overhead_bytes,
        memory_bytes=accelerator.memory_gb * 1e9 * (1.0 - known.reserved_memory),
        launch_s=accelerator.launch_us * 1e-6,
        link_bytes_s=accelerator.link_gb_s * 1e9,
        link_s=accelerator.link_us * 1e-6,
        idle_w=accelerator.idle_w,
        active_w=accelerator.tdp_w - accelerator.idle_w,
        busy_power=known.busy_power,
    )


def _operators(load: Workload, architecture: Architecture, lanes: float) -> Operators:
    count = len(load.operators)
    slots = OPERATOR_SLOTS * max(1, -(-count // OPERATOR_SLOTS))

    def column(values: list[float]) -> Array:
        return np.array(values + [0.0] * (slots - count), dtype=np.float64)

    operators = load.operators
    narrower = architecture.dense_element_bytes / architecture.table_element_bytes
    lookups = [_lookups(op) * narrower for op in operators]
    return Operators(
        flops=column([op.flops_per_item for op in operators]),
        weight_bytes=column([op.weight_bytes for op in operators]),
        activation_bytes=column([op.activation_bytes_per_item for op in operators]),
        gather_bytes=column([op.gather_bytes_per_item for op in operators]),
        rows=column([op.rows_per_item for op in operators]),
        lookups=column(lookups),
        table_bytes=column([op.table_bytes for op in operators]),
        output_bytes=column([op.output_bytes_per_item for op in operators]),
        launches=column([float(op.launches) for op in operators]),
        rows_scale=column([_rows_scale(op) for op in operators]),
        padding=column([_padding(op, lanes) for op in operators]),
        sparse=column([float(op.stage == "sparse") for op in operators]),
        pooled=column([float(number > 1.0 + 1e-9) for number in lookups]),
    )  # fmt: skip


def _lookups(operator: Operator) -> float:
    """Return the rows per pooled vector, were both of equal elements."""
    return operator.gather_bytes_per_item / max(operator.output_bytes_per_item, 1e-300)


def _padding(operator: Operator, lanes: float) -> float:
    """Return what a host computes over what the product asks for: its outputs come in whole ``lanes``."""
    width = operator.output_width
    return -(-width // lanes) * lanes / width if operator.kind in ("gemm", "recurrent") else 1.0


def _rows_scale(operator: Operator) -> float:
    """Return how many items' worth of rows ``gemm_half_rows`` means here: wide products need fewer."""
    if operator.kind not in ("gemm", "recurrent"):
        return 0.0
    width = float(np.sqrt(operator.input_width * operator.output_width))
    return REFERENCE_WIDTH / width / max(operator.vectors_per_item, 1)


def _sizes(model: Model) -> Sizes:
    assert model.query_size is not None
    cells = size_cells(model.query_size, SIZE_CELLS)
    lo, hi, weight = cells.lo_items, cells.hi_items, np.asarray(cells.weight, dtype=np.float64)
    middle, edges = (lo + hi) / 2.0, np.append(lo, hi[-1])
    return Sizes(
        lo=lo,
        hi=hi,
        middle=middle,
        weight=weight,
        edges=edges,
        around_lo=np.append(lo[0], middle),
        around_hi=np.append(middle, hi[-1]),
        rank=_rank_weights(weight, model.sla_percentile / 100.0),
        mean=float(weight @ middle),
        square=float(weight @ (lo**2 + lo * hi + hi**2) / 3.0),
    )


def _rank_weights(weight: Array, rank: float) -> Array:
    """Return weights of the cell edges whose sum interpolates a quantile linearly inside its cell."""
    ranks = np.append(0.0, np.cumsum(weight))
    cell = int(np.clip(np.searchsorted(ranks, rank, side="left") - 1, 0, len(weight) - 1))
    share = np.clip((rank - ranks[cell]) / max(weight[cell], 1e-300), 0.0, 1.0)
    weights = np.zeros(len(weight) + 1)
    weights[cell], weights[cell + 1] = 1.0 - share, share
    return weights
