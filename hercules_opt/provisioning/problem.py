"""The provisioning problem as arrays: all that stage 2 needs to know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError, Words, nearest_name
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.provenance import KINDS, Kind
from hercules_opt.problem.table import EfficiencyTable, PairEfficiency
from hercules_opt.provisioning.objectives import Level

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Largest rate and largest load, in QPS.
MAX_QPS = 1e12
#: Largest power of one server, in W.
MAX_POWER_W = 1e9
#: Largest cost of one server and hour.
MAX_COST_PER_H = 1e9
#: Most servers of one type.
MAX_AVAILABLE = 1_000_000
#: Largest over-provision rate.
MAX_OVER_PROVISION = 100.0
#: Longest interval.
MAX_DURATION_H = 1e6


@dataclass(frozen=True, eq=False, init=False)
class ProvisioningProblem:
    """Rates, powers, availability and loads; h server types, m models, t intervals.

    Parameters
    ----------
    qps
        Rate of one server, shape (h, m); NaN where the type cannot serve the model.
    power_w
        Power of one server at that rate, shape (h, m); NaN where it is unknown.
    available
        Servers of each type, shape (h,).
    load_qps
        Load of each model, shape (t, m), or (m,) for a single interval.
    over_provision
        Share of the load that is provisioned on top of it, a number or shape (m,).
    duration_h
        Length of the intervals in hours: ``None`` (one hour each), a number, or shape (t,).
    server_types, models
        Names; by default type1, type2, ... and model1, model2, ...
    kinds
        Provenance of each pair's figures, h tuples of m kinds; "assumed" by default.
    cost_per_h
        Cost of one server and hour, shape (h,); NaN (the default) where it is unknown.
    idle_w, peak_w
        Least and most power of one server of each type, shape (h,); NaN (the default) where it is unknown.
        They bound a plan's power where that of a pair is unknown; they are never minimized.

    Raises
    ------
    InputError
        On a wrong shape, a figure out of range (a rate of zero is one), or a name that appears twice.
    """

    qps: FloatArray
    power_w: FloatArray
    available: IntArray
    load_qps: FloatArray
    over_provision: FloatArray
    duration_h: FloatArray
    server_types: tuple[str, ...]
    models: tuple[str, ...]
    kinds: tuple[tuple[Kind, ...], ...]
    cost_per_h: FloatArray
    idle_w: FloatArray
    peak_w: FloatArray

    def __init__(
        self,
        qps: npt.ArrayLike,
        power_w: npt.ArrayLike,
        available: npt.ArrayLike,
        load_qps: npt.ArrayLike,
        over_provision: npt.ArrayLike = 0.0,
        duration_h: npt.ArrayLike | None = None,
        server_types: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        kinds: Sequence[Sequence[Kind]] | None = None,
        cost_per_h: npt.ArrayLike | None = None,
        idle_w: npt.ArrayLike | None = None,
        peak_w: npt.ArrayLike | None = None,
    ) -> None:
        """Check and copy everything; the parameters are described with the class."""
        rates = _numbers("qps", qps)
        if rates.ndim != 2 or 0 in rates.shape:
            allowed = f"must have shape (server types, models), none of them 0, not {rates.shape}"
            raise InputError(allowed, where="qps")
        types, services = rates.shape
        loads = _numbers("load_qps", load_qps)
        loads = loads[np.newaxis, :] if loads.ndim == 1 else loads
        if loads.ndim != 2 or loads.shape[1] != services or len(loads) == 0:
            allowed = f"must have shape (intervals, {services}) or ({services},), not {np.shape(load_qps)}"
            raise InputError(allowed, where="load_qps")
        spread = {
            "over_provision": _spread("over_provision", over_provision, services),
            "duration_h": _spread("duration_h", 1.0 if duration_h is None else duration_h, len(loads)),
        }
        names = {
            "server_types": _names("server_types", server_types, types, "type"),
            "models": _names("models", models, services, "model"),
        }
        arrays = {
            "qps": rates,
            "power_w": _shaped("power_w", power_w, (types, services)),
            "available": _counts("available", available, types),
            "cost_per_h": _spread("cost_per_h", np.nan if cost_per_h is None else cost_per_h, types),
            "idle_w": _spread("idle_w", np.nan if idle_w is None else idle_w, types),
            "peak_w": _spread("peak_w", np.nan if peak_w is None else peak_w, types),
            "load_qps": loads,
            **spread,
        }
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        for name, labels in names.items():
            object.__setattr__(self, name, labels)
        object.__setattr__(self, "kinds", _kinds(kinds, types, services))
        self._check_ranges()

    def _check_ranges(self) -> None:
        pair = [[f"{h} x {m}" for m in self.models] for h in self.server_types]
        _in_range(
            "qps",
            self.qps,
            pair,
            above=0.0,
            most=MAX_QPS,
            unknown="NaN where the type cannot serve the model",
        )
        _in_range(
            "power_w", self.power_w, pair, above=0.0, most=MAX_POWER_W, unknown="NaN where it is unknown"
        )
        _in_range("available", self.available, self.server_types, least=0.0, most=MAX_AVAILABLE)
        cells = [[f"interval {t}, {m}" for m in self.models] for t in range(len(self.load_qps))]
        _in_range("load_qps", self.load_qps, cells, least=0.0, most=MAX_QPS)
        _in_range("over_provision", self.over_provision, self.models, least=0.0, most=MAX_OVER_PROVISION)
        for name, most in (("cost_per_h", MAX_COST_PER_H), ("idle_w", MAX_POWER_W), ("peak_w", MAX_POWER_W)):
            array = getattr(self, name)
            _in_range(name, array, self.server_types, least=0.0, most=most, unknown="NaN where it is unknown")
        for h in np.flatnonzero(self.idle_w > self.peak_w):
            rule = f"must be at most peak_w, {float(self.peak_w[h]):g}"
            raise InputError(rule, where="idle_w", key=self.server_types[h], found=float(self.idle_w[h]))
        spans = [f"interval {t}" for t in range(len(self.load_qps))]
        _in_range("duration_h", self.duration_h, spans, above=0.0, most=MAX_DURATION_H)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of intervals, server types and models."""
        return len(self.load_qps), *cast(tuple[int, int], self.qps.shape)

    @property
    def can_serve(self) -> npt.NDArray[np.bool_]:
        """Which type can serve which model, shape (h, m)."""
        return ~np.isnan(self.qps)

    @property
    def power_known(self) -> bool:
        """Whether the power of every pair that can serve is known."""
        return not bool((self.can_serve & np.isnan(self.power_w)).any())

    def require_power(self) -> None:
        """Raise ``InputError`` naming the first pair that can be used but whose power is unknown."""
        unknown = np.argwhere(self.can_serve & np.isnan(self.power_w))
        if len(unknown):
            h, m = unknown[0]
            raise InputError(
                "must be known where power is minimized or compared",
                where="power_w",
                key=f"{self.server_types[h]} x {self.models[m]}",
                found=Words("an unknown power"),
                hint=f"{len(unknown)} such pair(s): give their power or leave the pairs out.",
            )

    def objective_figures(self, level: Level) -> FloatArray:
        """Return what one server adds to an objective, shape (h, m).

        Raises
        ------
        InputError
            If the figure of a server that could be used is unknown.
        """
        if level == "power":
            self.require_power()
            return self.power_w
        if level == "servers":
            return np.ones_like(self.qps)
        unknown = np.flatnonzero(self.can_serve.any(axis=1) & np.isnan(self.cost_per_h))
        if len(unknown):
            raise InputError(
                "must be known where cost is minimized",
                where="cost_per_h",
                key=self.server_types[unknown[0]],
                found=Words("an unknown cost"),
                hint=f"{len(unknown)} such server type(s): give cost_per_h, 0 for what is free.",
            )
        return np.broadcast_to(self.cost_per_h[:, np.newaxis], self.qps.shape)

    def replace(self, **changes: Any) -> ProvisioningProblem:
        """Return a checked copy with some parameters changed."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in changes:
            if name not in given:
                raise InputError(
                    "unknown parameter", where="replace", found=name, hint=nearest_name(name, given)
                )
        return ProvisioningProblem(**{**given, **changes})

    @classmethod
    def from_instance(cls, instance: Instance, table: EfficiencyTable | None = None) -> ProvisioningProblem:
        """Build the problem of an instance; without a table the instance's own is used.

        Raises
        ------
        InputError
            If there is no table, or the table names a server type or model that the instance does not have.
        """
        if not isinstance(instance, Instance):
            raise InputError("must be an Instance", where="instance", found=type(instance).__name__)
        if table is not None and not isinstance(table, EfficiencyTable):
            raise InputError("must be an EfficiencyTable", where="table", found=type(table).__name__)
        if table is None:
            table = instance.table
        if table is None:
            raise InputError(
                "needs an efficiency table",
                where=instance.name,
                hint="Give one, or compute it with profile().",
            )
        types = {name: index for index, name in enumerate(instance.servers)}
        models = {name: index for index, name in enumerate(instance.models)}
        qps = np.full((len(types), len(models)), np.nan)
        power_w = np.full_like(qps, np.nan)
        kinds: list[list[Kind]] = [["assumed"] * len(models) for _ in types]
        for pair in table:
            h = _position("server type", pair.server_type, types)
            m = _position("model", pair.model, models)
            if pair.qps is not None:
                qps[h, m] = pair.qps
                power_w[h, m] = np.nan if pair.power_w is None else pair.power_w
                kinds[h][m] = _weaker_kind(pair)
        low, high = zip(*(server.power_bounds_w for server in instance.servers.values()), strict=True)
        return cls(
            qps, power_w, instance.available, instance.load_qps, instance.over_provision, instance.duration_h,
            tuple(types), tuple(models), kinds,
            _known([server.cost_per_h for server in instance.servers.values()]), _known(low), _known(high),
        )  # fmt: skip


def _known(figures: Sequence[float | None]) -> list[float]:
    return [np.nan if figure is None else figure for figure in figures]


def as_problem(
    source: Instance | ProvisioningProblem, table: EfficiencyTable | None = None
) -> ProvisioningProblem:
    """Return the problem itself, or the one of an instance and a table."""
    if isinstance(source, Instance):
        return ProvisioningProblem.from_instance(source, table)
    if not isinstance(source, ProvisioningProblem):
        raise InputError(
            "must be an Instance or a ProvisioningProblem", where="problem", found=type(source).__name__
        )
    if table is not None:
        raise InputError("a ProvisioningProblem has its rates and takes no table", where="table")
    return source


def _numbers(where: str, given: npt.ArrayLike) -> FloatArray:
    if np.ma.isMaskedArray(given):
        raise InputError("must not be a masked array: use NaN where a pair cannot be served", where=where)
    try:
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"must be an array of numbers ({error})", where=where) from None


def _shaped(where: str, given: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    array = _numbers(where, given)
    if array.shape != shape:
        raise InputError(f"must have shape {shape}, not {array.shape}", where=where)
    return array


def _spread(where: str, given: npt.ArrayLike, length: int) -> FloatArray:
    array = _numbers(where, given)
    return np.full(length, array) if array.ndim == 0 else _shaped(where, array, (length,))


def _counts(where: str, given: npt.ArrayLike, length: int) -> IntArray:
    array = _shaped(where, given, (length,))
    whole = np.isfinite(array) & (array == np.rint(array)) & (np.abs(array) <= MAX_AVAILABLE)
    if not whole.all():
        rule = f"must be whole numbers from 0 to {MAX_AVAILABLE}"
        raise InputError(rule, where=where, found=float(array[~whole][0]))
    return array.astype(np.int64)


def _names(where: str, given: Sequence[str] | None, length: int, default: str) -> tuple[str, ...]:
    if given is None:
        return tuple(f"{default}{number}" for number in range(1, length + 1))
    if not _is_listed(given) or not all(isinstance(name, str) and name for name in given):
        raise InputError("must be non-empty texts", where=where, found=given)
    if len(given) != length:
        raise InputError(f"must be {length} names", where=where, found=len(given))
    twice = sorted({name for name in given if list(given).count(name) > 1})
    if twice:
        raise InputError("a name may appear only once", where=where, found=twice[0])
    return tuple(given)


def _is_listed(given: object) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))


def _kinds(given: Sequence[Sequence[Kind]] | None, types: int, models: int) -> tuple[tuple[Kind, ...], ...]:
    if given is None:
        unknown: Kind = "assumed"
        return ((unknown,) * models,) * types
    if not _is_listed(given) or not all(map(_is_listed, given)):
        raise InputError(f"must be {types} rows of {models} kinds", where="kinds", found=given)
    kinds: tuple[tuple[Kind, ...], ...] = tuple(tuple(row) for row in given)
    if len(kinds) != types or any(len(row) != models for row in kinds):
        raise InputError(f"must be {types} rows of {models} kinds", where="kinds")
    for row in kinds:
        for kind in row:
            if kind not in KINDS:
                raise InputError(
                    "unknown kind", where="kinds", found=kind, hint=nearest_name(str(kind), KINDS)
                )
    return kinds


def _in_range(
    where: str,
    array: npt.NDArray[Any],
    labels: Sequence[Any],
    *,
    most: float,
    least: float | None = None,
    above: float | None = None,
    unknown: str | None = None,
) -> None:
    """Raise on the first entry out of range; NaN passes only where it has a meaning."""
    floor = array >= least if least is not None else array > above
    good = floor & (array <= most) | (np.isnan(array) if unknown else np.zeros(array.shape, dtype=bool))
    if good.all():
        return
    place = tuple(int(i) for i in np.argwhere(~good)[0])
    label: Any = labels
    for index in place:
        label = label[index]
    start = f"at least {least:g}" if least is not None else f"above {above:g}"
    rule = f"must be {start} and at most {most:g}" + (f", or {unknown}" if unknown else "")
    raise InputError(rule, where=where, key=str(label), found=float(array[place]))


def _position(what: str, name: str, positions: dict[str, int]) -> int:
    if name not in positions:
        hint = nearest_name(name, positions)
        raise InputError(f"unknown {what}", where="efficiency table", found=name, hint=hint)
    return positions[name]


def _weaker_kind(pair: PairEfficiency) -> Kind:
    keys = ["qps"] if pair.power_w is None else ["qps", "power_w"]
    return max((pair.origin(key).kind for key in keys), key=KINDS.index)
