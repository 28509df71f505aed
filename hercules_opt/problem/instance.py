"""An instance: server types, models, the loads of a day, and perhaps a measured efficiency table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from hercules_opt.errors import nearest_name
from hercules_opt.problem.models import Model
from hercules_opt.problem.provenance import Part
from hercules_opt.problem.servers import ServerType
from hercules_opt.problem.table import EfficiencyTable, PairEfficiency

#: Version of the instance file's layout.
FORMAT = 1

NAME_RULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,63}")

Load = Annotated[float, Field(ge=0, le=1e12)]
Loads = Annotated[tuple[Load, ...], Strict(strict=False), Field(min_length=1, max_length=100_000)]
Hours = Annotated[float, Field(gt=0, le=1e6)]
Rows = Annotated[tuple[PairEfficiency, ...], Strict(strict=False)]


class Day(Part):
    """How the loads are cut into intervals."""

    interval_h: Hours | Annotated[tuple[Hours, ...], Strict(strict=False)] = Field(
        default=1.0, description="Length of each interval; one number, or one per interval."
    )
    start_h: float = Field(default=0.0, ge=0, lt=24, description="Hour of the day at which the first one starts.")


class LoadTable(Part):
    """Queries per second of every model in every interval; a file's loads are read in."""

    file: str | None = Field(default=None, description="CSV beside the instance: interval, then a column per model.")
    qps: dict[str, Loads] = Field(default_factory=dict)


class Measured(Part):
    """An efficiency table that someone measured, in place of hardware detail."""

    file: str | None = Field(default=None, description="CSV beside the instance.")
    pairs: Rows = ()


class Instance(Part):
    """Everything the two stages need to know; immutable and checked on construction."""

    format: Literal[1] = Field(description="Version of this layout.")
    name: str
    title: str | None = None
    description: str | None = None
    day: Day = Day()
    servers: dict[str, ServerType] = Field(min_length=1, max_length=10_000)
    models: dict[str, Model] = Field(min_length=1, max_length=10_000)
    loads: LoadTable
    efficiency: Measured | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for group, names in (("server type", self.servers), ("model", self.models)):
            for name in names:
                if not NAME_RULE.fullmatch(name):
                    raise PydanticCustomError(
                        "name", "{group} names are 1 to 64 letters, digits, spaces or ._+()-, found {name}",
                        {"group": group, "name": repr(name)},
                    )  # fmt: skip
        _same_names("loads.qps", self.loads.qps, self.models)
        for name in self.models:
            if name not in self.loads.qps:
                raise PydanticCustomError("loads", "loads.qps.{name} is missing: every model needs loads", {"name": name})
        lengths = {name: len(loads) for name, loads in self.loads.qps.items()}
        if len(set(lengths.values())) > 1:
            raise PydanticCustomError(
                "loads", "loads.qps must have the same number of intervals for every model, found {lengths}",
                {"lengths": ", ".join(f"{name}: {count}" for name, count in lengths.items())},
            )  # fmt: skip
        intervals = next(iter(lengths.values()))
        if isinstance(self.day.interval_h, tuple) and len(self.day.interval_h) != intervals:
            raise PydanticCustomError(
                "interval_h", "day.interval_h must have one entry per interval ({intervals}), found {count}",
                {"intervals": intervals, "count": len(self.day.interval_h)},
            )  # fmt: skip
        for number, pair in enumerate(self.efficiency.pairs if self.efficiency else ()):
            _same_names(f"efficiency.pairs.{number}.server_type", [pair.server_type], self.servers)
            _same_names(f"efficiency.pairs.{number}.model", [pair.model], self.models)
        return self

    @property
    def load_qps(self) -> npt.NDArray[np.float64]:
        """Loads in QPS, shape (t, m), models in instance order."""
        return np.array([self.loads.qps[name] for name in self.models], dtype=np.float64).T

    @property
    def available(self) -> npt.NDArray[np.int64]:
        """Servers of each type, shape (h,)."""
        return np.array([server.available for server in self.servers.values()], dtype=np.int64)

    @property
    def over_provision(self) -> npt.NDArray[np.float64]:
        """Over-provision rate of each model, shape (m,)."""
        return np.array([model.over_provision for model in self.models.values()], dtype=np.float64)

    @property
    def duration_h(self) -> npt.NDArray[np.float64]:
        """Length of each interval in hours, shape (t,)."""
        count = len(next(iter(self.loads.qps.values())))
        lengths = self.day.interval_h
        return np.array(lengths if isinstance(lengths, tuple) else [lengths] * count, dtype=np.float64)

    @cached_property
    def table(self) -> EfficiencyTable | None:
        """The measured efficiency table, or ``None``."""
        return EfficiencyTable(self.efficiency.pairs) if self.efficiency is not None else None


def _same_names(key: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    for name in names:
        if name not in allowed:
            raise PydanticCustomError(
                "unknown_name", "{key}: unknown name {name}. {hint}",
                {"key": key, "name": repr(name), "hint": nearest_name(name, allowed)},
            )  # fmt: skip
