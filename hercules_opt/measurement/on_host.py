"""One model on this host: what the cost model picks for it, and schedules measured, each kept at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hercules_opt.errors import InputError, Words
from hercules_opt.hardware.efficiency import Efficiency
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.measurement.extra import required
from hercules_opt.measurement.graphs import graph
from hercules_opt.measurement.host_server import HostServer
from hercules_opt.measurement.largest_rate import Effort, LargestRate, bisected, largest_rate
from hercules_opt.measurement.load_test import LoadRun
from hercules_opt.measurement.measured_points import MeasuredPoint, PointFile, measurement_key
from hercules_opt.measurement.measured_search import measured_search
from hercules_opt.measurement.service_time import row_scale, scaled
from hercules_opt.measurement.this_host import ThisHost
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.optimize import ScheduleResult, optimize_schedule

Tell = Callable[[str], None]


@dataclass(frozen=True)
class HostModel:
    """A model as it runs on this host, and what the cost model picks for it.

    Attributes
    ----------
    model, row_scale
        The model with its tables' rows times the scale; below 1 where they would not fit into memory.
    pair, picked
        The model on this host for the cost model, and its answer.
    """

    name: str
    model: Model
    row_scale: float
    pair: Pair
    picked: ScheduleResult
    efficiency: Efficiency


def check_measurable(name: str, model: Model) -> None:
    """Raise ``InputError`` if the extra is missing or a model cannot be built."""
    required("onnxruntime")
    if model.architecture is None:
        raise InputError("is required to measure a model", where=name, key="architecture")
    try:
        graph(model.architecture, "whole")
    except InputError as error:
        raise InputError(
            error.rule, where=name, key=f"architecture.{error.key}", found=error.found, hint=error.hint
        ) from None


def check_this_host(name: str, server: ServerType, host: ThisHost) -> None:
    """Raise ``InputError`` if a server type is not this host."""
    rule, hint = "is not this host, and only this host can be measured", None
    found = f"a server with {server.accelerator.name or 'an accelerator'}" if server.accelerator else None
    if server.nmp is not None:
        found = "a server with near-memory processing"
    elif server.cpu is None or server.cpu.name != host.name:
        found = found or (None if server.cpu is None else server.cpu.name) or "another processor"
        hint = f"This host is {host.name}; 'hercules-opt measure --out FOLDER' writes its entry, host.toml"
    elif server.cpu.cores > host.cores:
        rule = f"must have at most the {host.cores} cores that may be used here"
        found = f"{server.cpu.cores}"
    if found is not None:
        raise InputError(rule, where=f"servers.{name}", found=Words(found), hint=hint)


def host_model(
    name: str, model: Model, server: ServerType, efficiency: Efficiency, host: ThisHost
) -> HostModel:
    """Return a model as it runs on this host."""
    assert model.architecture is not None
    scale = row_scale(model.architecture, host.available_gb)
    smaller = scaled(model, scale)
    picked = optimize_schedule(server, smaller, efficiency=efficiency)
    return HostModel(name, smaller, scale, pack(server, smaller, efficiency), picked, efficiency)


class OnHost:
    """Measures schedules of one model; a context that ends the processes which serve it.

    Parameters
    ----------
    folder
        Where every measured schedule is kept at once, and read from; ``None``: nowhere.
    """

    def __init__(
        self, one: HostModel, host: ThisHost, *, effort: Effort, folder: Path | None = None, tell: Tell
    ) -> None:
        self._one, self._effort, self._tell = one, effort, tell
        self._file = PointFile(folder, measurement_key(host, one.model, one.row_scale, effort))
        self._stack, self._server = ExitStack(), list[HostServer]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def search(self, most: int) -> list[MeasuredPoint]:
        """Return the schedules measured by a search from the cost model's pick, the pick first."""
        pick = self._one.picked.schedule
        if pick is None:
            return []
        return measured_search(self._one.pair, pick, self.measure, most, self._one.efficiency.relative_error)

    def measure(self, schedule: Schedule, expected_qps: float) -> LargestRate:
        """Return the largest rate of a schedule; one that was kept is not measured again."""
        kept = self._file.get(schedule)
        label = f"{self._one.name}, {schedule.label()}"
        if kept is None:
            self._tell(f"{label}: {expected_qps:.4g} QPS expected")
            server = self.started(schedule)
            rate = largest_rate(
                server, self._one.model, expected_qps, effort=self._effort, progress=self._tell
            )
            kept = MeasuredPoint(schedule, rate)
            # That nothing holds, while others use the machine, is no fact about the schedule.
            if rate.qps.value > 0.0 or not rate.disturbed:
                self._file.put(kept)
        self._tell(f"{label}: {_line(kept.rate)}")
        return kept.rate

    def bisected(
        self, schedule: Schedule, begin_qps: float, step: float, seed: int
    ) -> tuple[float, list[LoadRun]]:
        """Return what one bisection of a schedule finds now, and its runs; nothing is kept."""
        server = self.started(schedule)
        return bisected(server, self._one.model, begin_qps, step, effort=self._effort, seed=seed)

    def started(self, schedule: Schedule) -> HostServer:
        """Return the model served by a schedule; tables are made once."""
        if not self._server:
            self._tell(f"{self._one.name}: making its tables")
            self._server.append(self._stack.enter_context(HostServer(self._one.model)))
        self._server[0].start(schedule)
        return self._server[0]


def _line(rate: LargestRate) -> str:
    disturbed = f", disturbed in {rate.disturbed_runs} of {rate.runs} runs" if rate.disturbed else ""
    ends = f" ({rate.qps.lower:.4g} to {rate.qps.upper:.4g})" if math.isfinite(rate.qps.upper) else ""
    return f"{rate.qps.value:.4g} QPS{ends}{disturbed}"
