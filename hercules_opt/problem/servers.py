"""Server types as parts: CPU, near-memory processing, accelerator, power."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from hercules_opt.problem.provenance import Part
from hercules_opt.problem.validation import LEAST, broken


class Cpu(Part):
    """The host processor and its memory; figures are per socket unless the name says otherwise."""

    name: str | None = Field(default=None, description="Name of the processor.")
    sockets: int = Field(default=1, ge=1, le=8, description="Processors per server.")
    cores: int = Field(ge=0, le=1024, description="Physical cores per socket.")
    clock_ghz: float = Field(ge=LEAST, le=10, description="Clock with all cores busy on vector code.")
    flops_per_cycle: float = Field(
        ge=LEAST, le=1e5, description="Single-precision operations per cycle and core."
    )
    llc_mb: float = Field(ge=LEAST, le=1e5, description="Last-level cache per socket.")
    memory_gb_s: float = Field(ge=LEAST, le=1e5, description="Peak memory bandwidth per socket.")
    memory_gb: float = Field(ge=LEAST, le=1e6, description="Memory of the whole server.")
    tdp_w: float = Field(ge=LEAST, le=1e4, description="Thermal design power per socket.")
    idle_w: float = Field(ge=0, le=1e4, description="Power of an idle socket.")
    memory_idle_w: float = Field(ge=0, le=1e4, description="Idle power of all memory modules.")
    memory_active_w: float = Field(ge=0, le=1e4, description="Added power of the memory at full bandwidth.")

    @model_validator(mode="after")
    def _idle_below_rated(self) -> Self:
        _check_idle(self.idle_w, self.tdp_w)
        return self


class Nmp(Part):
    """Near-memory processing: memory modules that gather and pool embedding rows by themselves."""

    ranks_per_channel: int = Field(ge=1, le=64, description="Ranks that gather in parallel on each channel.")
    rank_efficiency: float = Field(
        default=0.6, ge=LEAST, le=1, description="Share of ranks x channel bandwidth that a gather reaches."
    )
    idle_w: float = Field(default=0.0, ge=0, le=1e4, description="Idle power of the processing units.")
    active_w: float = Field(default=0.0, ge=0, le=1e4, description="Added power when all ranks gather.")
    energy_saving: float = Field(
        default=0.0, ge=0, lt=1, description="Share of a gathered byte's memory energy that is saved."
    )


class Accelerator(Part):
    """An accelerator with its own memory behind a host link; figures are per device."""

    name: str | None = Field(default=None, description="Name of the device.")
    count: int = Field(default=1, ge=1, le=64, description="Devices per server.")
    peak_tflop_s: float = Field(ge=LEAST, le=1e6, description="Peak rate at the precision the model runs in.")
    memory_gb_s: float = Field(ge=LEAST, le=1e6, description="Peak memory bandwidth.")
    memory_gb: float = Field(ge=LEAST, le=1e5, description="Memory capacity.")
    tdp_w: float = Field(ge=LEAST, le=1e4, description="Board power limit.")
    idle_w: float = Field(ge=0, le=1e4, description="Power of an idle board.")
    uncapped_w: float | None = Field(
        default=None,
        ge=LEAST,
        le=1e5,
        description="Power the board would draw at its rated clock; above tdp_w the clock falls.",
    )
    launch_us: float = Field(default=5.0, ge=0, le=1e6, description="Cost of one operator launch.")
    base_clock_mhz: float | None = Field(
        default=None,
        ge=LEAST,
        le=1e5,
        description="Clock that the vendor vouches for within the power limit.",
    )
    boost_clock_mhz: float | None = Field(
        default=None, ge=LEAST, le=1e5, description="Clock that peak_tflop_s is stated at."
    )
    on_chip_gb_s: float | None = Field(
        default=None,
        ge=LEAST,
        le=1e7,
        description="Bandwidth of the memory inside the compute units, at the boost clock. Where given, the "
        "model runs as a compiled engine, which keeps activations there and whose instances share tables.",
    )
    link_gb_s: float = Field(ge=LEAST, le=1e5, description="Host link, bandwidth in practice.")
    link_us: float = Field(default=10.0, ge=0, le=1e6, description="Host link, latency of one transfer.")

    @model_validator(mode="after")
    def _idle_below_rated(self) -> Self:
        _check_idle(self.idle_w, self.tdp_w)
        return self

    @model_validator(mode="after")
    def _clocks_fit(self) -> Self:
        base, boost = self.base_clock_mhz, self.boost_clock_mhz
        if (base is None) != (boost is None):
            missing = "base_clock_mhz" if base is None else "boost_clock_mhz"
            raise broken("is required beside the other clock", key=(missing,))
        if base is None or boost is None:
            return self
        if base > boost:
            raise broken(f"must be at most boost_clock_mhz ({boost:g})", key=("base_clock_mhz",), found=base)
        if self.uncapped_w is not None:
            rule = "tells what the clocks tell; give the clocks or uncapped_w"
            raise broken(rule, key=("uncapped_w",), found=self.uncapped_w)
        return self


def _check_idle(idle_w: float, tdp_w: float) -> None:
    if idle_w > tdp_w:
        raise broken(f"must be at most tdp_w ({tdp_w:g} W)", key=("idle_w",), found=idle_w)


class ServerType(Part):
    """A kind of server, how many there are, and what one costs."""

    catalogue: str | None = Field(
        default=None, description="Name in the catalogue that this entry starts from."
    )
    title: str | None = Field(default=None, description="Name for people.")
    available: int = Field(default=0, ge=0, le=1_000_000, description="Servers of this type.")
    cost_per_h: float | None = Field(default=None, ge=0, le=1e9, description="Cost per server and hour.")
    power_budget_w: float | None = Field(
        default=None, ge=0, le=1e6, description="Power one server may draw; by default the sum of its parts."
    )
    idle_w: float | None = Field(
        default=None,
        ge=0,
        le=1e6,
        description="Power of one idle server; by default the sum of its parts. Where given, what the parts "
        "draw is scaled to it.",
    )
    peak_w: float | None = Field(
        default=None,
        ge=LEAST,
        le=1e6,
        description="Most power of one server; by default its parts at their thermal design power, within "
        "its power budget. Where given, what the parts draw is scaled to it.",
    )
    board_w: float = Field(
        default=0.0, ge=0, le=1e4, description="Fans, board, disks, network: always drawn."
    )
    cpu: Cpu | None = Field(default=None, description="Host processor and memory; or its catalogue name.")
    nmp: Nmp | None = Field(default=None, description="NMP memory; or its catalogue name.")
    accelerator: Accelerator | None = Field(default=None, description="Accelerator; or its catalogue name.")

    @model_validator(mode="after")
    def _idle_below_peak(self) -> Self:
        low, high = self.power_range_w
        if low is None or high is None or low <= high:
            return self
        if self.idle_w is None:
            rule = f"must be at least the idle power of its parts ({low:g} W)"
            raise broken(rule, key=("peak_w",), found=self.peak_w)
        most = "its parts at their thermal design power" if self.peak_w is None else "peak_w"
        raise broken(f"must be at most {most} ({high:g} W)", key=("idle_w",), found=self.idle_w)

    @property
    def power_range_w(self) -> tuple[float | None, float | None]:
        """Power of an idle server and the most it can draw, by its keys or else by its parts."""
        low, high = self.parts_w
        return (low if self.idle_w is None else self.idle_w, high if self.peak_w is None else self.peak_w)

    @property
    def power_bounds_w(self) -> tuple[float | None, float | None]:
        """Least and most power of one server, ``None`` where neither a key nor its parts tell."""
        low, high = self.power_range_w
        if self.peak_w is None and self.power_budget_w is not None:
            high = self.power_budget_w if low is None else max(self.power_budget_w, low)  # idle come what may
        return low, high

    @property
    def parts_w(self) -> tuple[float | None, float | None]:
        """The sum of the parts when idle, and at their rated power; ``None`` without a processor."""
        if self.cpu is None:
            return None, None
        cpu, nmp, accelerator = self.cpu, self.nmp, self.accelerator
        low = self.board_w + cpu.sockets * cpu.idle_w + cpu.memory_idle_w
        high = self.board_w + cpu.sockets * cpu.tdp_w + cpu.memory_idle_w + cpu.memory_active_w
        if nmp is not None:
            gathering = nmp.ranks_per_channel * nmp.rank_efficiency * (1.0 - nmp.energy_saving)
            low += nmp.idle_w
            high += nmp.idle_w + nmp.active_w + gathering * cpu.memory_active_w
        if accelerator is not None:
            low += accelerator.count * accelerator.idle_w
            high += accelerator.count * accelerator.tdp_w
        return low, high
