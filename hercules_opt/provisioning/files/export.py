"""One interval's program as a file for other solvers: LP, MPS, or data for ``formulations/provisioning.mod``.

Figures are in W and QPS, decimals that say exactly what the problem says; the loads are rounded up to what
whole servers can reach, so that a solver's tolerance does no harm. A name in the file is the problem's, with
``_`` for what a format cannot hold; comments at the top say which names that changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from hercules_opt._version import __version__
from hercules_opt.errors import InputError, nearest_name
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.objectives import Level, objective_levels, objective_text
from hercules_opt.provisioning.problem import IntArray, ProvisioningProblem, as_problem
from hercules_opt.provisioning.programs.exact import ExactProblem, exact
from hercules_opt.provisioning.programs.limits import Limits
from hercules_opt.provisioning.programs.program import Column, Figure, Program, Row
from hercules_opt.provisioning.requirements import NO_REQUIREMENTS, Requirements

#: Most signs of a name in a file.
_LONGEST = 64


def export_program(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | None = None,
    *,
    interval: int = 0,
    form: str = "lp",
    objective: str = "power",
    requirements: Requirements | None = None,
) -> str:
    """Return the program of one interval as text.

    Parameters
    ----------
    problem, table
        As for ``provision``.
    interval
        Number of the interval, from 0.
    form
        ``"lp"`` (CPLEX LP), ``"mps"`` (free MPS) or ``"gmpl-dat"`` (data for
        ``formulations/provisioning.mod``).
    objective
        One of ``"power"``, ``"servers"`` and ``"cost"``; ``"gmpl-dat"`` has power only.
    requirements
        As for ``provision``; ``"gmpl-dat"`` can leave out pairs, and nothing else.

    Raises
    ------
    InputError
        On bad input, as ``provision`` does, or where no server type can serve any model.
    """
    if form not in FORMS:
        hint = nearest_name(str(form), FORMS)
        raise InputError("unknown format", where="form", found=form, hint=hint)
    levels = objective_levels(objective)
    if len(levels) > 1:
        raise InputError("a file has one objective", where="objective", found=objective_text(levels))
    required = NO_REQUIREMENTS if requirements is None else requirements
    if not isinstance(required, Requirements):
        raise InputError("must be Requirements", where="requirements", found=type(required).__name__)
    if form == "gmpl-dat":
        _check_gmpl(levels[0], required)
    data = required.narrowed(as_problem(problem, table))
    intervals = len(data.load_qps)
    if isinstance(interval, bool) or not isinstance(interval, int) or not 0 <= interval < intervals:
        rule = f"must be a whole number from 0 to {intervals - 1}"
        raise InputError(rule, where="interval", found=interval)
    if not data.can_serve.any():
        raise InputError("no server type can serve any model: there is no program", where="problem")
    return FORMS[form](_Figures.of(data, interval, levels[0], required))


def _check_gmpl(level: Level, required: Requirements) -> None:
    """Raise where the model in GMPL has no place for what is asked."""
    if level != "power":
        raise InputError("must be power in the format gmpl-dat", where="objective", found=level)
    for key in ("fixed", "at_least", "power_cap_w"):
        if getattr(required, key):
            raise InputError("cannot be said in the format gmpl-dat", where="requirements", key=key)


@dataclass(frozen=True)
class _Figures:
    """Exact figures of one interval and the names they have in a file.

    ``pairs`` are (server type, model), ``changed`` pairs of a name in the file and the problem's.
    """

    interval: int
    server_types: list[str]
    models: list[str]
    changed: list[tuple[str, str]]
    pairs: list[tuple[int, int]]
    level: Level
    rates_qps: Sequence[Sequence[Fraction]]
    costs: Sequence[Sequence[Fraction]]
    available: Sequence[int]
    loads_qps: list[Fraction]
    over_provision: list[Fraction]
    required_qps: list[Fraction]
    fixed: IntArray
    limits: Limits

    @classmethod
    def of(cls, problem: ProvisioningProblem, number: int, level: Level, required: Requirements) -> _Figures:
        # Fixed counts are columns of the file like all others, between equal bounds.
        exact_problem = ExactProblem.of(problem, (level,), replace(required, fixed=None))
        interval = exact_problem.intervals[number]
        names = {axis: _safe_names(getattr(problem, axis)) for axis in ("server_types", "models")}
        changed = [
            (safe, name)
            for axis, safe_names in names.items()
            for safe, name in zip(safe_names, getattr(problem, axis), strict=True)
            if safe != name
        ]
        _, types, models = problem.shape
        return cls(
            number,
            names["server_types"],
            names["models"],
            changed,
            [(h, m) for h in range(types) for m in range(models) if problem.can_serve[h, m]],
            level,
            exact_problem.rates_qps,
            exact_problem.levels[0].figures,
            interval.available,
            [exact(load) for load in problem.load_qps[number]],
            [exact(share) for share in problem.over_provision],
            [need * weight for need, weight in zip(interval.needs, interval.weights, strict=True)],
            required.fixed_counts(problem)[number],
            exact_problem.limits[number],
        )

    @property
    def objective(self) -> str:
        """Name of the objective's row, with its unit."""
        return {"power": "power_w", "servers": "servers", "cost": "cost_per_h"}[self.level]

    def head(self) -> list[str]:
        """Return the lines of comment that a file begins with."""
        return [
            f"hercules-opt {__version__}, provisioning of interval {self.interval}: {self._units()}, exact",
            "n.TYPE.MODEL: servers of a type that serve a model",
            *(f"{safe} stands for {name!a}" for safe, name in self.changed),
        ]

    def _units(self) -> str:
        units = {"power": "W and QPS", "servers": "servers and QPS", "cost": "cost per hour and QPS"}
        return units[self.level]

    def _column(self, h: int, m: int) -> Column:
        fixed = int(self.fixed[h, m])
        low, high = (0, self.available[h]) if fixed < 0 else (fixed, fixed)
        return Column(f"n.{self.server_types[h]}.{self.models[m]}", low, high, self.costs[m][h])

    def _limiting(self) -> list[Row]:
        rows = [
            Row(
                f"at_least.{self.models[m]}",
                tuple((i, 1) for i, (_, k) in enumerate(self.pairs) if k == m),
                low=least,
            )
            for m, least in enumerate(self.limits.fewest)
            if least
        ]
        for total in self.limits.totals:
            drawn = tuple((i, total.figures[m][h]) for i, (h, m) in enumerate(self.pairs))
            rows.append(Row("power_cap", drawn, high=total.most))
        return rows

    def program(self) -> Program:
        columns = tuple(self._column(h, m) for h, m in self.pairs)
        cover = [
            Row(
                f"cover.{name}",
                tuple((i, self.rates_qps[m][h]) for i, (h, k) in enumerate(self.pairs) if k == m),
                low=self.required_qps[m],
            )
            for m, name in enumerate(self.models)
        ]
        use = [
            Row(
                f"available.{name}",
                tuple((i, 1) for i, (k, _) in enumerate(self.pairs) if k == h),
                high=self.available[h],
            )
            for h, name in enumerate(self.server_types)
        ]
        rows = (*cover, *self._limiting(), *use)
        return Program(columns, tuple(row for row in rows if row.entries or row.low))


def _lp(figures: _Figures) -> str:
    """Return the program in CPLEX's LP format."""
    program = figures.program()
    names = [column.name for column in program.columns]
    lines = [f"\\ {line}" for line in figures.head()]
    lines += ["Minimize", f" {figures.objective}:"]
    lines += [f"  + {decimal_text(column.cost)} {column.name}" for column in program.columns]
    lines.append("Subject To")
    for row in program.rows:
        lines.append(f" {row.name}:")
        entries = row.entries or ((0, 0),)  # a load that nothing serves: the format wants a column
        lines += [f"  + {decimal_text(figure)} {names[place]}" for place, figure in entries]
        limit = f">= {decimal_text(row.low)}" if row.low is not None else f"<= {decimal_text(row.high or 0)}"
        lines.append(f"  {limit}")
    lines.append("Bounds")
    for column in program.columns:
        lines.append(f" {decimal_text(column.low)} <= {column.name} <= {decimal_text(column.high)}")
    lines += ["General", *(f" {name}" for name in names), "End", ""]
    return "\n".join(lines)


def _mps(figures: _Figures) -> str:
    """Return the program in the free MPS format."""
    program = figures.program()
    lines = [f"* {line}" for line in figures.head()]
    lines += ["NAME provisioning FREE", "ROWS", f" N {figures.objective}"]
    lines += [f" {'L' if row.low is None else 'G'} {row.name}" for row in program.rows]
    lines += ["COLUMNS", " MARKER 'MARKER' 'INTORG'"]
    entries: list[list[str]] = [[] for _ in program.columns]
    for row in program.rows:
        for place, figure in row.entries:
            entries[place].append(f" {program.columns[place].name} {row.name} {decimal_text(figure)}")
    for column, below in zip(program.columns, entries, strict=True):
        lines += [f" {column.name} {figures.objective} {decimal_text(column.cost)}", *below]
    lines += [" MARKER 'MARKER' 'INTEND'", "RHS"]
    for row in program.rows:
        limit = row.high if row.low is None else row.low
        lines.append(f" RHS {row.name} {decimal_text(limit or 0)}")
    lines.append("BOUNDS")
    for column in program.columns:
        lines.append(f" LO BOUND {column.name} {decimal_text(column.low)}")
        lines.append(f" UP BOUND {column.name} {decimal_text(column.high)}")
    return "\n".join([*lines, "ENDATA", ""])


def _gmpl(figures: _Figures) -> str:
    """Return the data of ``formulations/provisioning.mod``."""
    types, models = ([f"'{name}'" for name in axis] for axis in (figures.server_types, figures.models))

    def listed(names: list[str], values: Sequence[Figure]) -> list[str]:
        return [f" {name} {decimal_text(value)}" for name, value in zip(names, values, strict=True)]

    lines = [f"# {line}" for line in figures.head()]
    lines += ["data;", f"set SERVER_TYPES := {' '.join(types)};", f"set MODELS := {' '.join(models)};"]
    lines.append("param : PAIRS : rate power :=")
    for h, m in figures.pairs:
        rate, power = decimal_text(figures.rates_qps[m][h]), decimal_text(figures.costs[m][h])
        lines.append(f" {types[h]} {models[m]} {rate} {power}")
    tables: dict[str, list[str]] = {
        "available": listed(types, figures.available),
        "load": listed(models, figures.loads_qps),
        "over_provision": listed(models, figures.over_provision),
        "required": listed(models, figures.required_qps),
    }
    for name, rows in tables.items():
        lines += [";", f"param {name} :=", *rows]
    return "\n".join([*lines, ";", "end;", ""])


#: Formats by name.
FORMS: dict[str, Callable[[_Figures], str]] = {"lp": _lp, "mps": _mps, "gmpl-dat": _gmpl}


def decimal_text(value: Figure) -> str:
    """Return a number that has a finite decimal expansion as that expansion, without an exponent."""
    fraction = Fraction(value)
    digits = 0
    while fraction.denominator != 1:
        if fraction.denominator % 2 and fraction.denominator % 5:
            raise ValueError(f"{value} has no finite decimal expansion")
        fraction *= 10
        digits += 1
    text = str(abs(fraction.numerator)).rjust(digits + 1, "0")
    sign = "-" if fraction < 0 else ""
    return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)


def _safe_names(names: Sequence[str]) -> list[str]:
    """Return names of letters, digits and ``_``, each once; a number is added where two would be equal."""
    safe: list[str] = []
    seen: set[str] = set()
    for name in names:
        base = re.sub(r"[^A-Za-z0-9_]", "_", name)[:_LONGEST]
        candidate, number = base, 1
        while candidate in seen:
            number += 1
            candidate = f"{base}_{number}"
        seen.add(candidate)
        safe.append(candidate)
    return safe
