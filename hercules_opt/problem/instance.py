"""An instance: server types, models, the loads of a day, and perhaps a measured efficiency table."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, Strict, model_validator

from hercules_opt.errors import Named, Words, key_path, nearest_name
from hercules_opt.problem.models import Model
from hercules_opt.problem.names import Name
from hercules_opt.problem.provenance import Checked, Part
from hercules_opt.problem.servers import ServerType
from hercules_opt.problem.table import EfficiencyTable, PairEfficiency
from hercules_opt.problem.validation import broken

#: Version of the instance file's layout.
FORMAT = 1

#: Largest load of one model.
MAX_LOAD_QPS = 1e12

Load = Annotated[float, Field(ge=0, le=MAX_LOAD_QPS)]
Loads = Annotated[tuple[Load, ...], Strict(strict=False), Field(min_length=1, max_length=100_000)]
Hours = Annotated[float, Field(gt=0, le=1e6)]
HoursList = Annotated[tuple[Hours, ...], Strict(strict=False), Field(min_length=1, max_length=100_000)]
Rows = Annotated[tuple[PairEfficiency, ...], Strict(strict=False), Field(min_length=1, max_length=1_000_000)]
File = Annotated[str, Field(min_length=1, max_length=4096)]


class Day(Part):
    """How the loads are cut into intervals."""

    interval_h: Hours | HoursList = Field(
        default=1.0, description="Length of each interval; one number, or one per interval."
    )
    start_h: float = Field(
        default=0.0, ge=0, lt=24, description="Hour of the day at which the first one starts."
    )


class LoadTable(Part):
    """Queries per second of every model in every interval; a file's loads are read in."""

    file: File | None = Field(
        default=None,
        description="CSV beside the instance, in place of qps: interval, then a column per model.",
    )
    qps: dict[str, Loads] = Field(default_factory=dict, description="Model name to one load per interval.")

    @model_validator(mode="after")
    def _file_is_read(self) -> Self:
        _refuse_file(self.file)
        return self


class Measured(Part):
    """An efficiency table that someone measured, in place of hardware detail."""

    file: File | None = Field(default=None, description="CSV beside the instance, in place of pairs.")
    pairs: Rows = Field(description="One row per pair; a pair that is absent cannot be served.")

    @model_validator(mode="after")
    def _file_is_read(self) -> Self:
        _refuse_file(self.file)
        return self


class Instance(Checked):
    """Everything the two stages need to know; immutable and checked on construction."""

    format: Literal[1] = Field(description="Version of this layout.")
    name: Name = Field(description="Short name, for tables and files.")
    title: str | None = Field(default=None, description="What the instance is, in one line.")
    description: str | None = Field(default=None, description="Where it comes from, what it is for.")
    day: Day = Field(default=Day(), description="Length of the intervals, and when the first one starts.")
    servers: Annotated[dict[Name, ServerType], AfterValidator(Named)] = Field(
        min_length=1, max_length=10_000, description="Server types by name."
    )
    models: Annotated[dict[Name, Model], AfterValidator(Named)] = Field(
        min_length=1, max_length=10_000, description="Models by name; greedy policies keep their order."
    )
    loads: LoadTable = Field(description="Load of every model in every interval.")
    efficiency: Measured | None = Field(
        default=None, description="Measured efficiency table; with it, no hardware detail is needed."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_loads()
        for number, pair in enumerate(self.efficiency.pairs if self.efficiency else ()):
            row = ("efficiency", "pairs", number)
            _known((*row, "server_type"), pair.server_type, self.servers)
            _known((*row, "model"), pair.model, self.models)
            _check_power((*row, "power_w"), pair.power_w, self.servers[pair.server_type])
        self._check_pairs_once()
        return self

    def _check_pairs_once(self) -> None:
        seen: dict[tuple[str, str], int] = {}
        for number, pair in enumerate(self.efficiency.pairs if self.efficiency else ()):
            earlier = seen.setdefault((pair.server_type, pair.model), number)
            if earlier != number:
                key = ("efficiency", "pairs", number)
                raise broken("each pair may appear only once", key=key, found=Words(f"it at {earlier} too"))

    def _check_loads(self) -> None:
        for name in self.loads.qps:
            if name not in self.models:
                hint = nearest_name(name, self.models)
                raise broken("unknown model", key=("loads", "qps", name), hint=hint)
        for name in self.models:
            if name not in self.loads.qps:
                raise broken("is required: every model needs loads", key=("loads", "qps", name))
        counts = {name: len(loads) for name, loads in self.loads.qps.items()}
        first, *others = counts
        for name in others:
            if counts[name] != counts[first]:
                raise broken(
                    f"must have one load per interval, {counts[first]} as {key_path([first])} has",
                    key=("loads", "qps", name),
                    found=Words(counts[name]),
                )
        lengths = self.day.interval_h
        if isinstance(lengths, tuple) and len(lengths) != counts[first]:
            raise broken(
                f"must be one number, or one per interval ({counts[first]})",
                key=("day", "interval_h"),
                found=Words(len(lengths)),
            )

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


def _refuse_file(file: str | None) -> None:
    if file is not None:
        raise broken(
            "only an instance file can name a file: load it, or give the figures", key=("file",), found=file
        )


def _check_power(key: tuple[str | int, ...], power_w: float | None, server: ServerType) -> None:
    """Refuse a measured power that contradicts what is stated of the server type itself."""
    if power_w is None:
        return
    if server.idle_w is not None and power_w < server.idle_w:
        rule = f"must be at least idle_w of the server type ({server.idle_w:g} W)"
        raise broken(rule, key=key, found=power_w)
    if server.peak_w is not None and power_w > server.peak_w:
        rule = f"must be at most peak_w of the server type ({server.peak_w:g} W)"
        raise broken(rule, key=key, found=power_w)


def _known(key: tuple[str | int, ...], name: str, allowed: Iterable[str]) -> None:
    if name not in allowed:
        raise broken("unknown name", key=key, found=name, hint=nearest_name(name, allowed))
