"""What a plan must keep to besides loads and availability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.problem.files import parse_toml, read_text
from hercules_opt.provisioning.problem import MAX_AVAILABLE, IntArray, ProvisioningProblem

#: A server type and a model, by name.
Pair = tuple[str, str]

_KEYS = ("forbid", "pin", "fixed", "at_least", "power_cap_w")
MAX_CAP_W = 1e15


@dataclass(frozen=True)
class Requirements:
    """Restrictions on a plan, by the names of server types and models; every policy keeps to them.

    Parameters
    ----------
    forbid
        Pairs (server type, model) that get no server.
    pin
        Server type to the only model that it serves.
    fixed
        Pair (server type, model) to the servers that it gets: a number, or one per interval.
    at_least
        Model to the fewest servers, of whatever types, that serve it: a number, or one per interval. Fixed
        ones count, and a model without a load gets them too.
    power_cap_w
        Most provisioned power in W: a number, or one per interval.

    Raises
    ------
    InputError
        If an entry is malformed. Whether names and counts fit a problem is checked with the problem.
    """

    forbid: tuple[Pair, ...] = ()
    pin: Mapping[str, str] | None = None
    fixed: Mapping[Pair, int | Sequence[int]] | None = None
    at_least: Mapping[str, int | Sequence[int]] | None = None
    power_cap_w: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        """Check and copy every entry."""
        forbid = tuple(_pair("forbid", entry) for entry in _listed("forbid", self.forbid))
        pin = {_name("pin", h): _name("pin", m) for h, m in _entries("pin", self.pin)}
        fixed = {
            _pair("fixed", pair): _counts(_key("fixed", *_pair("fixed", pair)), given)
            for pair, given in _entries("fixed", self.fixed)
        }
        at_least = {
            _name("at_least", m): _counts(f"at_least, {m}", given)
            for m, given in _entries("at_least", self.at_least)
        }
        cap = None if self.power_cap_w is None else _caps(self.power_cap_w)
        values = (forbid, pin, fixed, at_least, cap)
        for name, value in zip(_KEYS, values, strict=True):
            object.__setattr__(self, name, value)

    @property
    def empty(self) -> bool:
        """Whether nothing is required."""
        return self == Requirements()

    def of_intervals(self, intervals: Sequence[int]) -> Requirements:
        """Return the requirements of some of the intervals, given by their numbers."""

        def picked(given: Any) -> Any:
            return tuple(given[t] for t in intervals) if isinstance(given, tuple) else given

        fixed = {pair: picked(given) for pair, given in _entries("fixed", self.fixed)}
        at_least = {model: picked(given) for model, given in _entries("at_least", self.at_least)}
        return replace(self, fixed=fixed, at_least=at_least, power_cap_w=picked(self.power_cap_w))

    def narrowed(self, problem: ProvisioningProblem) -> ProvisioningProblem:
        """Return the problem without the pairs that are forbidden, or pinned elsewhere.

        Raises
        ------
        InputError
            If a name is unknown, or entries contradict each other or the problem.
        """
        qps = problem.qps.copy()
        for server_type, model in self.forbid:
            h, m = _place("forbid", problem, server_type, model)
            qps[h, m] = np.nan
        for server_type, model in _entries("pin", self.pin):
            h, m = _place("pin", problem, server_type, model)
            qps[h, [other for other in range(len(problem.models)) if other != m]] = np.nan
        narrowed = problem.replace(qps=qps)
        self._check_fixed(narrowed)
        self._check_fewest(narrowed)
        self.caps_w(problem)
        return narrowed

    def fixed_counts(self, problem: ProvisioningProblem) -> IntArray:
        """Return the servers of the fixed pairs, shape (t, h, m), and -1 for all that are free."""
        counts = np.full(problem.shape, -1, dtype=np.int64)
        for (server_type, model), given in _entries("fixed", self.fixed):
            h, m = _place("fixed", problem, server_type, model)
            if isinstance(given, tuple) and len(given) != len(counts):
                rule = f"must be a number, or one per interval ({len(counts)})"
                raise InputError(
                    rule, where="requirements", key=_key("fixed", server_type, model), found=len(given)
                )
            counts[:, h, m] = given
        return counts

    def fewest_servers(self, problem: ProvisioningProblem) -> IntArray:
        """Return the fewest servers of each model, shape (t, m)."""
        fewest = np.zeros(problem.load_qps.shape, dtype=np.int64)
        for model, given in _entries("at_least", self.at_least):
            m = _model_place("at_least", problem, model)
            if isinstance(given, tuple) and len(given) != len(fewest):
                rule = f"must be a number, or one per interval ({len(fewest)})"
                raise InputError(rule, where="requirements", key=f"at_least, {model}", found=len(given))
            fewest[:, m] = given
        return fewest

    def caps_w(self, problem: ProvisioningProblem) -> tuple[float | None, ...]:
        """Return the most power of each interval in W, ``None`` where there is no limit."""
        intervals = len(problem.load_qps)
        if not isinstance(self.power_cap_w, tuple):
            return (self.power_cap_w,) * intervals  # type: ignore[return-value]
        if len(self.power_cap_w) != intervals:
            rule = f"must be a number, or one per interval ({intervals})"
            raise InputError(rule, where="requirements", key="power_cap_w", found=len(self.power_cap_w))
        return self.power_cap_w

    def to_json(self) -> dict[str, Any]:
        """Return the requirements as plain data, without what is not required."""
        data: dict[str, Any] = {}
        if self.forbid:
            data["forbid"] = [list(pair) for pair in self.forbid]
        if self.pin:
            data["pin"] = dict(self.pin)
        for (server_type, model), given in _entries("fixed", self.fixed):
            count = list(given) if isinstance(given, tuple) else given
            data.setdefault("fixed", {}).setdefault(server_type, {})[model] = count
        for model, given in _entries("at_least", self.at_least):
            data.setdefault("at_least", {})[model] = list(given) if isinstance(given, tuple) else given
        if self.power_cap_w is not None:
            data["power_cap_w"] = (
                list(self.power_cap_w) if isinstance(self.power_cap_w, tuple) else self.power_cap_w
            )
        return data

    @classmethod
    def from_json(cls, data: Any) -> Requirements:
        """Build requirements from plain data; raise ``InputError`` if it is malformed."""
        if not isinstance(data, dict):
            raise InputError("must be a table of requirements", where="requirements", found=data)
        for key in data:
            if key not in _KEYS:
                raise InputError("unknown key", where="requirements", key=key, hint=nearest_name(key, _KEYS))
        fixed: dict[Pair, Any] = {}
        for server_type, row in _entries("fixed", data.get("fixed")):
            for model, count in _entries(f"fixed.{server_type}", row):
                fixed[server_type, model] = count
        return cls(
            data.get("forbid", ()), data.get("pin"), fixed, data.get("at_least"), data.get("power_cap_w")
        )

    @classmethod
    def load(cls, path: str | Path) -> Requirements:
        """Read requirements from a TOML file."""
        try:
            return cls.from_json(parse_toml(read_text(path), where=path))
        except InputError as error:
            raise (error if error.where == path else error.located(path)) from None

    def _check_fixed(self, problem: ProvisioningProblem) -> None:
        counts = self.fixed_counts(problem)
        for t, h, m in np.argwhere((counts > 0) & ~problem.can_serve):
            key = _key("fixed", problem.server_types[h], problem.models[m])
            rule = "is fixed, but the pair cannot serve or is forbidden"
            raise InputError(rule, where="requirements", key=key, found=int(counts[t, h, m]))
        used = np.where(counts > 0, counts, 0).sum(axis=2)
        for t, h in np.argwhere(used > problem.available):
            rule = f"must be at most what is available ({int(problem.available[h])})"
            key = f"fixed, interval {t}, {problem.server_types[h]}"
            raise InputError(rule, where="requirements", key=key, found=int(used[t, h]))

    def _check_fewest(self, problem: ProvisioningProblem) -> None:
        usable = problem.available @ problem.can_serve
        for t, m in np.argwhere(self.fewest_servers(problem) > usable):
            rule = f"must be at most the servers there are that can serve it ({int(usable[m])})"
            found = int(self.fewest_servers(problem)[t, m])
            raise InputError(rule, where="requirements", key=f"at_least, {problem.models[m]}", found=found)


def _key(what: str, server_type: str, model: str) -> str:
    return f"{what}, {server_type} x {model}"


def _listed(key: str, given: Any) -> Iterable[Any]:
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise InputError("must be a list of pairs", where="requirements", key=key, found=given)
    return given


def _entries(key: str, given: Any) -> Iterable[tuple[Any, Any]]:
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise InputError("must be a table", where="requirements", key=key, found=given)
    return given.items()


def _name(key: str, given: Any) -> str:
    if not isinstance(given, str) or not given:
        raise InputError("must be a name", where="requirements", key=key, found=given)
    return given


def _pair(key: str, given: Any) -> Pair:
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 2:
        raise InputError(
            "must be a pair of server type and model", where="requirements", key=key, found=given
        )
    return _name(key, given[0]), _name(key, given[1])


def _counts(key: str, given: Any) -> int | tuple[int, ...]:
    values = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for value in values:
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or not 0 <= value <= MAX_AVAILABLE:
            rule = f"must be a whole number from 0 to {MAX_AVAILABLE}, or a list of them"
            raise InputError(rule, where="requirements", key=key, found=value)
    numbers = tuple(int(value) for value in values)
    return numbers if isinstance(given, (list, tuple)) else numbers[0]


def _caps(given: Any) -> float | tuple[float, ...]:
    values = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for value in values:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 <= value <= MAX_CAP_W:  # NaN is in no range
            rule = f"must be a number from 0 to {MAX_CAP_W:g}, or a list of them"
            raise InputError(rule, where="requirements", key="power_cap_w", found=value)
    numbers = tuple(float(value) for value in values)
    return numbers if isinstance(given, (list, tuple)) else numbers[0]


def _place(key: str, problem: ProvisioningProblem, server_type: str, model: str) -> tuple[int, int]:
    if server_type not in problem.server_types:
        hint = nearest_name(server_type, problem.server_types)
        raise InputError("unknown server type", where="requirements", key=key, found=server_type, hint=hint)
    return problem.server_types.index(server_type), _model_place(key, problem, model)


def _model_place(key: str, problem: ProvisioningProblem, model: str) -> int:
    if model not in problem.models:
        hint = nearest_name(model, problem.models)
        raise InputError("unknown model", where="requirements", key=key, found=model, hint=hint)
    return problem.models.index(model)


#: Nothing is required.
NO_REQUIREMENTS = Requirements()
