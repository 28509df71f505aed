"""Whether a prediction lies within what its constants were calibrated on."""

from __future__ import annotations

from hercules_opt.hardware.efficiency import DeviceClass, Efficiency
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType
from hercules_opt.workloads.operators import workload

#: Relative distance beyond the ends of a range that is rounding.
_ROUNDING = 1e-9


def features(server: ServerType, model: Model, device_class: DeviceClass) -> dict[str, float]:
    """Return the figures that decide which calibration fits: of the device, and of the model per item."""
    found: dict[str, float] = {}
    if device_class == "accelerator" and server.accelerator is not None:
        keys = ("peak_tflop_s", "memory_gb_s", "tdp_w")
        found = {f"accelerator.{key}": float(getattr(server.accelerator, key)) for key in keys}
    if device_class == "host" and server.cpu is not None:
        keys = ("cores", "flops_per_cycle", "memory_gb_s")
        found = {f"cpu.{key}": float(getattr(server.cpu, key)) for key in keys}
    if model.architecture is not None:
        work = workload(model.architecture)
        found["model.flops_per_item"] = work.flops_per_item
        found["model.gather_bytes_per_item"] = work.gather_bytes_per_item
    return found


def outside(efficiency: Efficiency, server: ServerType | None, model: Model) -> tuple[str, ...]:
    """Return why the stated error does not speak for a prediction, one sentence each; empty where it does."""
    if efficiency.calibrated is None:
        return ("the constants are assumed, not calibrated",)
    if server is None:
        return ()
    if getattr(server, _PART[efficiency.calibrated]) is None:
        return (f"the calibration is of the {efficiency.calibrated}, which this server does not have",)
    found = features(server, model, efficiency.calibrated)
    reasons = []
    for name, (low, high) in efficiency.ranges.items():
        value = found.get(name)
        if value is None or not low * (1.0 - _ROUNDING) <= value <= high * (1.0 + _ROUNDING):
            shown = "is not known" if value is None else f"is {value:g}"
            reasons.append(f"{name} {shown}, calibrated {_span(low, high)}")
    return tuple(reasons)


_PART: dict[DeviceClass, str] = {"accelerator": "accelerator", "host": "cpu"}


def _span(low: float, high: float) -> str:
    return f"at {low:g}" if low == high else f"from {low:g} to {high:g}"
