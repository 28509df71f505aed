"""Measured schedules of one pair, and the file that keeps each as soon as it is measured."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hercules_opt.errors import InputError
from hercules_opt.measurement.largest_rate import Effort, LargestRate
from hercules_opt.measurement.this_host import ThisHost
from hercules_opt.problem.files import checked_path, read_text, write_text
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.simulation.intervals import Interval

#: Version of the file's layout.
_SCHEMA = 1


@dataclass(frozen=True)
class MeasuredPoint:
    """One schedule, and the largest rate that it holds."""

    schedule: Schedule
    rate: LargestRate


def measurement_key(host: ThisHost, model: Model, row_scale: float, effort: Effort) -> str:
    """Return a digest of all that a measured rate depends on besides its schedule."""
    from importlib.metadata import version

    assert model.architecture is not None
    assert model.query_size is not None
    parts = (
        _SCHEMA, version("onnxruntime"), host.name, host.cores, row_scale, asdict(effort),
        model.architecture.model_dump(mode="json"), model.query_size.model_dump(mode="json"),
        model.sla_ms, model.sla_percentile,
    )  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class PointFile:
    """The measured schedules of one key, kept in a file of a folder where one is given.

    Raises
    ------
    InputError
        If the folder cannot be made, or its file is not one of ours.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        self._key, self._points = key, dict[str, MeasuredPoint]()
        self._path = None if folder is None else made_folder(folder) / f"measured-{key[:16]}.json"
        if self._path is not None and self._path.exists():
            self._points = _read(self._path, key)

    def get(self, schedule: Schedule) -> MeasuredPoint | None:
        """Return what was measured of a schedule, ``None`` where nothing was."""
        return self._points.get(schedule.label())

    def put(self, point: MeasuredPoint) -> None:
        """Keep a point; the file is replaced as a whole."""
        self._points[point.schedule.label()] = point
        if self._path is not None:
            rows = [_row(each) for each in self._points.values()]
            write_text(self._path, json.dumps({"key": self._key, "points": rows}, indent=1) + "\n")


def made_folder(folder: Path) -> Path:
    """Return a folder for measured schedules, made where there is none.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    try:
        checked_path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made a folder: {error.strerror or error}", where=folder) from None
    return folder


def _read(path: Path, key: str) -> dict[str, MeasuredPoint]:
    try:
        kept = json.loads(read_text(path))
        points = [_point(row) for row in kept["points"] if kept["key"] == key]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        hint = "Move it away; then everything is measured again."
        raise InputError("does not hold what was measured", where=path, hint=hint) from None
    return {point.schedule.label(): point for point in points}


def _row(point: MeasuredPoint) -> dict[str, Any]:
    rate = point.rate
    return {
        "schedule": point.schedule.model_dump(mode="json", exclude_none=True),
        "qps": _ends(rate.qps),
        "bisections": list(rate.bisections),
        "latency_ms": {f"{percentile:g}": _ends(found) for percentile, found in rate.latency_ms.items()},
        "lateness_ms": rate.lateness_ms,
        "busy_cores": rate.busy_cores,
        "runs": rate.runs,
        "disturbed_runs": rate.disturbed_runs,
    }


def _point(row: dict[str, Any]) -> MeasuredPoint:
    rate = LargestRate(
        qps=_interval(row["qps"]),
        bisections=tuple(float(each) for each in row["bisections"]),
        latency_ms={float(name): _interval(ends) for name, ends in row["latency_ms"].items()},
        lateness_ms=float(row["lateness_ms"]),
        busy_cores=None if row["busy_cores"] is None else float(row["busy_cores"]),
        runs=int(row["runs"]),
        disturbed_runs=int(row["disturbed_runs"]),
    )
    return MeasuredPoint(Schedule.model_validate(row["schedule"]), rate)


def _ends(interval: Interval) -> list[float | None]:
    """Return an interval as JSON has it: an infinite end is null."""
    ends = (interval.value, interval.lower, interval.upper)
    return [end if math.isfinite(end) else None for end in ends]


def _interval(ends: list[float | None]) -> Interval:
    value, lower, upper = (math.inf if end is None else float(end) for end in ends)
    return Interval(value, lower, upper)
