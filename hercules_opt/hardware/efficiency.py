"""How much of its rated figures a device class really gives: the cost model's named constants.

They describe hardware and runtime, never one instance or one model. The defaults are assumptions from first
principles; whoever has measurements replaces them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from hercules_opt.problem.provenance import Part

DeviceClass = Literal["accelerator", "host"]
Range = Annotated[tuple[float, float], Strict(strict=False)]

#: Least share or rate: below it nothing real is, and times would be beyond all bounds.
_LEAST = 1e-3
#: Largest error that is stated: such a prediction says nothing, but it says so.
MOST_RELATIVE_ERROR = 1e9


class HostEfficiency(Part):
    """Constants of a CPU, its memory and its runtime."""

    gemm: float = Field(
        default=0.7, ge=_LEAST, le=1, description="Share of peak that a large matrix product reaches."
    )
    gemm_half_rows: float = Field(
        default=4.0,
        ge=0,
        le=1e4,
        description="Rows per core at which a product of width 256 reaches half of that.",
    )
    parallel_loss: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="s in the speed-up o / (1 + s (o - 1)) of o cores on one operator.",
    )
    memory: float = Field(
        default=0.8, ge=_LEAST, le=1, description="Share of peak bandwidth that streaming reaches."
    )
    core_gb_s: float = Field(default=10.0, ge=_LEAST, le=1e3, description="Bandwidth that one core can draw.")
    row_overhead_bytes: float = Field(
        default=64.0,
        ge=0,
        le=1e4,
        description="Bytes that a gathered row costs on top of its own (random access).",
    )
    row_ns: float = Field(
        default=0.0, ge=0, le=1e6, description="Work of one core per gathered row, wherever the row is."
    )
    vector_ns: float = Field(
        default=0.0, ge=0, le=1e6, description="Work of one core per vector that is pooled from several rows."
    )
    table_cache: float = Field(
        default=1.0, ge=_LEAST, le=1, description="Share of the last-level cache that keeps rows of a table."
    )
    gather_grain_kb: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        description="Gathered bytes per table below which the lookups stay on one core.",
    )
    gemm_lanes: float = Field(
        default=1.0, ge=1, le=4096, description="Outputs of a product are computed in multiples of this."
    )
    cache_gb_s: float | None = Field(
        default=None,
        ge=_LEAST,
        le=1e5,
        description="Rate at which one core moves activations that caches hold; none: they cost nothing.",
    )
    bag_rewrite: float = Field(
        default=0.0,
        ge=0,
        le=20,
        description="Times that gathered rows are written and read again: 0 if the embedding bag is fused.",
    )
    nmp_command_bytes: float = Field(
        default=10.0, ge=0, le=1e4, description="Bytes of command that one row costs on an NMP channel."
    )
    launch_us: float = Field(default=3.0, ge=0, le=1e6, description="Cost of one operator in the runtime.")
    table_us: float = Field(
        default=0.0, ge=0, le=1e6, description="Added cost of the lookups in one table in the runtime."
    )
    fork_us: float = Field(
        default=1.0, ge=0, le=1e6, description="Added cost per operator and doubling of cores."
    )


class AcceleratorEfficiency(Part):
    """Constants of an accelerator and its runtime."""

    gemm: float = Field(
        default=0.6, ge=_LEAST, le=1, description="Share of peak that a large matrix product reaches."
    )
    gemm_half_rows: float = Field(
        default=400.0, ge=0, le=1e6, description="Rows at which a product of width 256 reaches half of that."
    )
    memory: float = Field(default=0.75, ge=_LEAST, le=1, description="Share of peak bandwidth reached.")
    on_chip: float = Field(
        default=0.1,
        ge=_LEAST,
        le=1,
        description="Share of the on-chip bandwidth that a compiled engine moves activations at.",
    )
    clock_headroom: float = Field(
        default=1.0,
        ge=_LEAST,
        le=10,
        description="Clock that the power limit leaves for this kind of work, over the vendor's base clock.",
    )
    row_overhead_bytes: float = Field(
        default=32.0, ge=0, le=1e4, description="Bytes that a gathered row costs on top of its own."
    )
    reserved_memory: float = Field(
        default=0.1, ge=0, lt=1, description="Share of memory that the runtime keeps."
    )
    busy_power: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="Share of the dynamic power that a device draws as soon as it is busy.",
    )


class Efficiency(Part):
    """All constants of the cost model."""

    host: HostEfficiency = HostEfficiency()
    accelerator: AcceleratorEfficiency = AcceleratorEfficiency()
    access_skew: float = Field(
        default=0.2,
        ge=_LEAST,
        le=1,
        description="The hottest share h of the embedding bytes answers h ** access_skew of the lookups.",
    )
    relative_error: float = Field(
        default=0.25,
        ge=0,
        le=MOST_RELATIVE_ERROR,
        description="Stated relative error of a predicted rate; assumed until the constants are calibrated.",
    )
    confidence: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Share of rates within that error, of what was held back from the fit; none: assumed.",
    )
    calibrated: DeviceClass | None = Field(
        default=None, description="What was calibrated: the constants of accelerator or host."
    )
    ranges: dict[str, Range] = Field(
        default={}, description="Least and largest of each figure that the calibration's data covers."
    )
    reserved_host_memory: float = Field(
        default=0.1, ge=0, lt=1, description="Share of host memory that is kept."
    )


DEFAULT_EFFICIENCY = Efficiency(kind="assumed", source="first principles, not calibrated")
