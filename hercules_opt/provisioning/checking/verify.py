"""Check a plan against its problem: every claim is computed again, exactly, without the solvers' code."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.provenance import KINDS
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.checking.check_certificate import (
    CertificateError,
    Grid,
    IntervalData,
    check_infeasible,
    proven_bound_w,
    proven_shortfall_qps,
)
from hercules_opt.provisioning.objectives import OBJECTIVES, UNITS, Level, objective_levels
from hercules_opt.provisioning.plan import BOUND_SOURCES, OPTIMAL_GAP, STATUSES, Plan, Status
from hercules_opt.provisioning.problem import FloatArray, ProvisioningProblem, as_problem

Code = Literal[
    "names", "negative", "pair", "availability", "coverage", "shortfall", "power", "servers", "objective",
    "bound", "certificate", "gap", "status", "provenance", "requirement",
]  # fmt: skip

#: Claimed figures are rounded to floats; they may differ from the exact ones by this share.
_ROUNDING = Fraction(1, 10**12)


@dataclass(frozen=True)
class Violation:
    """Something a plan claims that is not true; ``interval`` is ``None`` where it concerns the whole plan."""

    code: Code
    text: str
    interval: int | None = None

    def __str__(self) -> str:
        """Return the text with its place."""
        return self.text if self.interval is None else f"interval {self.interval}: {self.text}"


@dataclass(frozen=True)
class IntervalAudit:
    """What is behind one interval's bound on the (first) objective, or behind its infeasibility.

    ``label`` is "certified" where the certificate proves all that the plan claims, "solver's claim" where it
    claims more than was recomputed, and "none" where it claims nothing.
    """

    interval: int
    certified_bound: float | None
    claimed_bound: float | None
    label: Literal["certified", "solver's claim", "none"]


@dataclass(frozen=True)
class Audit:
    """All violations, and per interval what is behind the bound."""

    violations: tuple[Violation, ...]
    intervals: tuple[IntervalAudit, ...]


def verify(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | Plan | None = None,
    plan: Plan | None = None,
) -> list[Violation]:
    """Return what is wrong with a plan: ``verify(instance, table, plan)`` or ``verify(problem, plan)``.

    The list is empty when every claim about the day was recomputed and is true; who made the plan, and with
    what limits, cannot be recomputed. A bound that only a solver vouches for, and that the plan calls a
    claim, is no violation: ``audit`` names those.

    Raises
    ------
    InputError
        If the problem itself is bad; for instance if a power is unknown that the plan minimizes.
    """
    return list(audit(problem, table, plan).violations)


def audit(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | Plan | None = None,
    plan: Plan | None = None,
) -> Audit:
    """Return the violations of ``verify``, and what is behind each interval's bound."""
    if isinstance(table, Plan):
        if plan is not None:
            raise InputError("give (instance, table, plan) or (problem, plan)", where="verify")
        table, plan = None, table
    if not isinstance(plan, Plan):
        raise InputError("must be a Plan", where="plan", found=type(plan).__name__)
    data = as_problem(problem, table)
    strangers = list(_check_names(data, plan))
    if strangers:
        return Audit(tuple(strangers), ())
    try:
        narrowed = plan.requirements.narrowed(data)
    except InputError as error:
        return Audit((Violation("requirement", str(error)),), ())
    return _Check(narrowed, plan).run()


def _check_names(problem: ProvisioningProblem, plan: Plan) -> Iterator[Violation]:
    for what, ours, theirs in (
        ("server types", problem.server_types, plan.server_types),
        ("models", problem.models, plan.models),
    ):
        if ours != theirs:
            yield Violation("names", f"{what} are {', '.join(theirs)}, the problem has {', '.join(ours)}")
    if len(plan.interval_status) != len(problem.load_qps):
        found, needed = len(plan.interval_status), len(problem.load_qps)
        yield Violation("names", f"the plan has {found} intervals, the problem {needed}")
    try:
        objective_levels(plan.objective_name)
    except InputError:
        text = f"the objective is called {plan.objective_name!r}; {', '.join(OBJECTIVES)} can be recomputed"
        yield Violation("objective", text)


def _exact(figure: float) -> Fraction:
    return Fraction(figure) if isinstance(figure, int) else Fraction(repr(float(figure)))


def _same(claimed: float, true: Fraction) -> bool:
    """Whether a claimed float is the true figure, up to rounding; nothing but zero is zero."""
    if not math.isfinite(claimed):
        return False
    return abs(_exact(claimed) - true) <= _ROUNDING * abs(true)


class _Check:
    """One pass over a plan whose names fit."""

    def __init__(self, problem: ProvisioningProblem, plan: Plan) -> None:
        self.problem = problem
        self.plan = plan
        self.found: list[Violation] = []
        usable = problem.can_serve
        models = usable.shape[1]
        self.rates = _grid(problem.qps, usable)
        self.figures = [
            _grid(problem.objective_figures(level), usable) for level in objective_levels(plan.objective_name)
        ]
        self.units = [_unit([figure for row in figures for figure in row]) for figures in self.figures]
        self.weights = self._weights()
        costs = tuple(
            tuple(self._cost([figures[h][m] for figures in self.figures]) for h in range(len(self.rates)))
            for m in range(models)
        )
        over = [1 + _exact(share) for share in problem.over_provision]
        self.required_qps = [
            [factor * _exact(own) for factor, own in zip(over, load, strict=True)]
            for load in problem.load_qps
        ]
        self.fixed = plan.requirements.fixed_counts(problem)
        self.fewest = plan.requirements.fewest_servers(problem)
        self.caps_w = plan.requirements.caps_w(problem)
        self.fixed_cost = [
            sum(
                (costs[m][h] * int(self.fixed[t, h, m]) for h, m in np.argwhere(self.fixed[t] > 0)),
                Fraction(0),
            )
            for t in range(len(self.fixed))
        ]
        #: What the fixed counts draw in W; of a pair whose power is unknown nothing is counted.
        self.fixed_power = [self._drawn_by_fixed(t) for t in range(len(self.fixed))]
        #: What is left to choose beside the fixed counts; certificates are about that.
        self.data = [self._left_to_choose(t, costs) for t in range(len(self.fixed))]
        self.true_power = [self._power(t, None) for t in range(len(self.data))]
        self.values = [[self._value(figures, t) for figures in self.figures] for t in range(len(self.data))]
        #: What certificates prove of the objective (of a shortfall, in QPS), or what is wrong with them.
        self.proofs: dict[tuple[IntervalData, Certificate], tuple[Fraction | None, str | None]] = {}

    def _drawn_by_fixed(self, t: int) -> Fraction:
        power_w = self.problem.power_w
        return sum(
            (
                _exact(float(power_w[h, m])) * int(self.fixed[t, h, m])
                for h, m in np.argwhere((self.fixed[t] > 0) & ~np.isnan(power_w))
            ),
            Fraction(0),
        )

    def _left_to_choose(self, t: int, costs: Grid) -> IntervalData:
        fixed = self.fixed[t]
        taken = np.maximum(fixed, 0)
        types, models = fixed.shape
        reached = [
            sum((self.rates[h][m] * int(taken[h, m]) for h in range(types)), Fraction(0))
            for m in range(models)
        ]
        return IntervalData(
            tuple(
                tuple(self.rates[h][m] if fixed[h, m] < 0 else Fraction(0) for h in range(types))
                for m in range(models)
            ),
            costs,
            tuple(
                max(need - own, Fraction(0)) for need, own in zip(self.required_qps[t], reached, strict=True)
            ),
            tuple(
                int(most - used) for most, used in zip(self.problem.available, taken.sum(axis=1), strict=True)
            ),
        )

    def run(self) -> Audit:
        intervals = [self._interval(t) for t in range(len(self.data))]
        self._whole_plan()
        return Audit(tuple(self.found), tuple(intervals))

    def _say(self, code: Code, text: str, interval: int | None = None) -> None:
        self.found.append(Violation(code, text, interval))

    def _weights(self) -> list[int]:
        """Return by how much one unit of each objective outweighs all that the later ones can reach."""
        weights = [1]
        for figures, unit in zip(self.figures[:0:-1], self.units[:0:-1], strict=True):
            most = sum(
                int(max(row) / unit) * int(count)
                for row, count in zip(figures, self.problem.available, strict=True)
            )
            weights.insert(0, weights[0] * (most + 1))
        return weights

    def _cost(self, values: Sequence[Fraction]) -> Fraction:
        """Return the objectives as one number: the value itself, or of several the weighted whole units."""
        if len(values) == 1:
            return values[0]
        return sum(
            (
                weight * value / unit
                for value, unit, weight in zip(values, self.units, self.weights, strict=True)
            ),
            Fraction(0),
        )

    def _level_bounds(self, t: int, bound: Fraction) -> list[Fraction | None]:
        """Return what a bound on the cost proves of each objective; of later ones only behind proven ones."""
        if len(self.figures) == 1:
            return [bound]
        bounds: list[Fraction | None] = []
        rest = math.ceil(bound)
        for value, unit, weight in zip(self.values[t], self.units, self.weights, strict=True):
            whole, rest = divmod(rest, weight)
            bounds.append(max(whole, 0) * unit)
            if whole * unit != value:
                break
        return bounds + [None] * (len(self.figures) - len(bounds))

    def _value(self, figures: Grid, interval: int) -> Fraction:
        counts = self.plan.counts[interval]
        return sum((figures[h][m] * int(counts[h, m]) for h, m in np.argwhere(counts != 0)), Fraction(0))

    def _power(self, interval: int, otherwise_w: FloatArray | None) -> Fraction | None:
        """Return the power of the counts, with another figure of a type where that of a pair is unknown."""
        counts = self.plan.counts[interval]
        total = Fraction(0)
        for h, m in np.argwhere((counts != 0) & self.problem.can_serve):
            power = float(self.problem.power_w[h, m])
            if math.isnan(power) and otherwise_w is not None:
                power = float(otherwise_w[h])
            if math.isnan(power):
                return None
            total += _exact(power) * int(counts[h, m])
        return total

    def _power_bounds(self, t: int) -> None:
        for name, claimed, otherwise_w in (
            ("at least", float(self.plan.power_low_w[t]), self.problem.idle_w),
            ("at most", float(self.plan.power_high_w[t]), self.problem.peak_w),
        ):
            true = self._power(t, otherwise_w)
            if not (math.isnan(claimed) if true is None else _same(claimed, true)):
                self._say("power", f"claims {name} {claimed!r} W, should be {_number(true)}", t)

    def _interval(self, t: int) -> IntervalAudit:
        self._counts(t)
        short = self._coverage(t)
        plan = self.plan
        self._power_bounds(t)
        power, claimed = self.true_power[t], float(plan.power_w[t])
        if power is None and not math.isnan(claimed):
            self._say("power", f"claims {claimed!r} W, but that of a pair in use is unknown", t)
        elif power is not None and not _same(claimed, power):
            self._say("power", f"claims {claimed!r} W, the counts draw {float(power)!r} W", t)
        for name, true, stated in zip(
            plan.levels, self.values[t], _claims(plan, t, bounds=False), strict=True
        ):
            if not _same(stated, true):
                self._say("objective", f"{name}: claims {stated!r}, the counts make it {float(true)!r}", t)
        used = int(plan.counts[t].sum())
        if int(plan.servers[t]) != used:
            self._say("servers", f"claims {int(plan.servers[t])} servers, the counts are {used}", t)
        return self._bound(t, covered=not short and not self._too_few(t))

    def _counts(self, t: int) -> None:
        counts, problem = self.plan.counts[t], self.problem
        for h, m in np.argwhere(counts < 0):
            self._say("negative", f"{self._pair(h, m)} has {int(counts[h, m])} servers", t)
        for h, m in np.argwhere((counts != 0) & ~problem.can_serve):
            self._say("pair", f"{self._pair(h, m)} cannot serve and has {int(counts[h, m])} servers", t)
        for h, used in enumerate(counts.sum(axis=1)):
            if used > problem.available[h]:
                most = int(problem.available[h])
                text = f"{problem.server_types[h]}: {int(used)} servers used, {most} available"
                self._say("availability", text, t)
        for h, m in np.argwhere((self.fixed[t] >= 0) & (self.fixed[t] != counts)):
            wanted, found = int(self.fixed[t, h, m]), int(counts[h, m])
            self._say("requirement", f"{self._pair(h, m)} is fixed at {wanted}, has {found} servers", t)
        cap, power = self.caps_w[t], self.true_power[t]
        unavoidable = power == self.fixed_power[t] and self.plan.interval_status[t] == "infeasible"
        if cap is not None and (power is None or power > _exact(cap)) and not unavoidable:
            drawn = "an unknown power" if power is None else f"{float(power)!r} W"
            self._say("requirement", f"draws {drawn}, the cap is {cap!r} W", t)

        if self.plan.interval_status[t] in ("optimal", "feasible"):
            for m in self._too_few(t):
                wanted, found = int(self.fewest[t, m]), int(counts[:, m].sum())
                text = f"{problem.models[m]} must have at least {wanted} servers, has {found}"
                self._say("requirement", text, t)

    def _too_few(self, t: int) -> list[int]:
        """Return the models with fewer servers than they must have."""
        return [int(m) for m in np.flatnonzero(self.plan.counts[t].sum(axis=0) < self.fewest[t])]

    def _pair(self, h: int, m: int) -> str:
        return f"{self.problem.server_types[h]} x {self.problem.models[m]}"

    def _coverage(self, t: int) -> bool:
        """Check the shortfall of every model; return whether one is short."""
        counts, plan = self.plan.counts[t], self.plan
        any_short = False
        for m, name in enumerate(self.problem.models):
            reached = sum((self.rates[h][m] * int(n) for h, n in enumerate(counts[:, m])), Fraction(0))
            short = max(Fraction(0), self.required_qps[t][m] - reached)
            any_short = any_short or short > 0
            claimed = float(plan.shortfall[t, m])
            if not _same(claimed, short):
                self._say("shortfall", f"{name}: claims {claimed!r} QPS short, is {float(short)!r}", t)
            if short > 0 and plan.interval_status[t] in ("optimal", "feasible"):
                needed = float(self.required_qps[t][m])
                text = (
                    f"{name}: {plan.interval_status[t]}, but {float(short):g} of {needed:g} QPS are missing"
                )
                self._say("coverage", text, t)
        return any_short

    def _bound(self, t: int, *, covered: bool) -> IntervalAudit:
        plan = self.plan
        status, source, certificate = plan.interval_status[t], plan.bound_source[t], plan.certificate[t]
        if status not in STATUSES or source not in BOUND_SOURCES:
            self._say("status", f"unknown status {status!r} or source of the bound {source!r}", t)
        proven, infeasible = self._recomputed(t)
        infeasible = infeasible or self._fixed_above_cap(t)
        if covered and (status == "unknown" or (status == "infeasible" and not self._fixed_above_cap(t))):
            self._say("status", f"claims to be {status}, but every load is covered", t)
        if status in ("infeasible", "unknown"):
            return self._uncovered(t, infeasible)
        bounds = _claims(plan, t, bounds=True)
        first = bounds[0]
        if math.isnan(first):
            if source != "none" or status == "optimal":
                self._say("bound", f"{status} with a {source} bound, but there is no bound", t)
            if not math.isnan(plan.interval_gap[t]):
                self._say("gap", "claims a gap without a bound", t)
            return IntervalAudit(t, _number(proven), None, "none")
        if not all(math.isnan(bound) or (math.isfinite(bound) and bound >= 0) for bound in bounds):
            self._say("bound", f"{bounds!r} are no bounds", t)
            return IntervalAudit(t, _number(proven), first, "solver's claim")
        known = self._proven_levels(t, proven)
        self._bound_values(t, bounds, known, certificate)
        holds = all(
            math.isnan(bound) or (true is not None and _exact(bound) <= true)
            for bound, true in zip(bounds, known, strict=True)
        )
        return IntervalAudit(t, _number(known[0]), first, "certified" if holds else "solver's claim")

    def _proven_levels(self, t: int, proven: Fraction | None) -> list[Fraction | None]:
        return [None] * len(self.figures) if proven is None else self._level_bounds(t, proven)

    def _bound_values(
        self,
        t: int,
        bounds: Sequence[float],
        proven: Sequence[Fraction | None],
        certificate: Certificate | None,
    ) -> None:
        """Check each objective's bound, and the gap and the status that follow."""
        plan = self.plan
        source = plan.bound_source[t]
        if source == "none":
            self._say("bound", "there is a bound that nobody vouches for", t)
        gaps: list[Fraction] = []
        for name, bound, value, true in zip(plan.levels, bounds, self.values[t], proven, strict=True):
            if math.isnan(bound):
                continue
            unit = UNITS[cast(Level, name)]
            if source == "certified" and (true is None or _exact(bound) > true):
                what = (
                    "there is no certificate" if certificate is None else "the certificate does not prove it"
                )
                self._say("bound", f"{bound!r} {unit} is called certified, but {what}", t)
            if _exact(bound) > value:
                self._say("bound", f"{bound!r} {unit} is above the plan's own, {float(value)!r} {unit}", t)
            gaps.append((value - _exact(bound)) / value if value else Fraction(0))
        claimed = float(plan.interval_gap[t])
        complete = len(gaps) == len(bounds)
        if complete and not _same(claimed, max(gaps)):
            self._say("gap", f"claims {claimed!r}, values and bounds give {float(max(gaps))!r}", t)
        if not complete and not math.isnan(claimed):
            self._say("gap", "claims a gap, but an objective has no bound", t)
        fitting: Status = "optimal" if complete and max(gaps) <= _exact(OPTIMAL_GAP) else "feasible"
        if plan.interval_status[t] != fitting:
            found = f"a gap of {float(max(gaps)):g}" if complete else "an objective without a bound"
            self._say("status", f"claims {plan.interval_status[t]} with {found}", t)

    def _uncovered(self, t: int, infeasible: bool) -> IntervalAudit:
        plan = self.plan
        if not all(math.isnan(figure) for figure in (*_claims(plan, t, bounds=True), plan.interval_gap[t])):
            self._say("bound", "claims a bound or a gap for an interval that is not covered", t)
        source, is_claimed = plan.bound_source[t], plan.interval_status[t] == "infeasible"
        if is_claimed == (source == "none"):
            self._say("status", f"{plan.interval_status[t]} with a proof that is called {source!r}", t)
        if source == "certified" and not infeasible:
            self._say("certificate", "infeasibility is called certified, but it is not proven", t)
        label: Literal["certified", "solver's claim", "none"] = "none"
        if is_claimed:
            label = "certified" if infeasible else "solver's claim"
        return IntervalAudit(t, None, None, label)

    def _recomputed(self, t: int) -> tuple[Fraction | None, bool]:
        """Return the bound in W that the certificate proves, and whether it proves infeasibility."""
        certificate = self.plan.certificate[t]
        if certificate is None:
            return None, False
        key = (self._proof_data(t, certificate), certificate)
        if key not in self.proofs:
            self.proofs[key] = _proof(*key)
        proven, wrong = self.proofs[key]
        if wrong is not None:
            self._say("certificate", wrong, t)
        elif certificate.kind == "infeasible":
            if certificate.bound is not None:
                self._say("certificate", "a proof of infeasibility states a bound", t)
        elif certificate.bound is None or not math.isfinite(certificate.bound):
            self._say("certificate", f"a proof of a {certificate.kind} states none", t)
        elif proven is not None and _exact(certificate.bound) > proven:
            unit = "W" if certificate.kind == "bound" else "QPS"
            text = f"states {certificate.bound!r} {unit}, proves {float(proven)!r} {unit}"
            self._say("certificate", text, t)
        if self._is_about_power(t, certificate):
            cap = self.caps_w[t]
            above = cap is not None and proven is not None and proven + self.fixed_power[t] > _exact(cap)
            return None, above
        if certificate.kind == "bound":
            return None if proven is None else proven + self.fixed_cost[t], False
        return None, wrong is None and (proven is None or proven > 0)

    def _is_about_power(self, t: int, certificate: Certificate) -> bool:
        """Return whether a certificate is to prove that nothing covers within the cap on power."""
        under_cap = self.plan.interval_status[t] == "infeasible" and self.caps_w[t] is not None
        return certificate.kind == "bound" and under_cap

    def _proof_data(self, t: int, certificate: Certificate) -> IntervalData:
        """Return what a certificate is about: the objectives, or power alone, whatever they are."""
        if not self._is_about_power(t, certificate):
            return self.data[t]
        powers = _grid(self.problem.objective_figures("power"), self.problem.can_serve)
        return replace(self.data[t], powers_w=tuple(zip(*powers, strict=True)))

    def _fixed_above_cap(self, t: int) -> bool:
        """Return whether the fixed counts alone draw more than the power cap: nothing can keep to it."""
        cap = self.caps_w[t]
        return cap is not None and self.fixed_power[t] > _exact(cap)

    def _whole_plan(self) -> None:
        plan = self.plan
        order: tuple[Status, ...] = ("infeasible", "unknown", "feasible", "optimal")
        known = [status for status in plan.interval_status if status in order]
        worst = min(known, key=order.index, default=None)
        if plan.status != worst:
            self._say("status", f"claims {plan.status}, its intervals make it {worst}")
        covered = all(plan.covered)
        self._total(
            "objective",
            plan.objective,
            self._mean([values[0] for values in self.values]) if covered else None,
        )
        complete = covered and bool(
            np.isfinite(plan.interval_gap).all() and np.isfinite(plan.interval_bound).all()
        )
        bounds = [_exact(bound) for bound in plan.interval_bound] if complete else []
        self._total("bound", plan.bound, self._mean(bounds) if complete else None)
        gap = float(np.max(plan.interval_gap)) if complete else None
        self._total("gap", plan.gap, None if gap is None or not math.isfinite(gap) else _exact(gap))
        used = np.argwhere((plan.counts > 0).any(axis=0))
        weakest = max((self.problem.kinds[h][m] for h, m in used), key=KINDS.index, default=None)
        if plan.provenance != weakest:
            self._say("provenance", f"claims {plan.provenance}, the weakest figure used is {weakest}")

    def _total(
        self, code: Literal["objective", "bound", "gap"], claimed: float | None, true: Fraction | None
    ) -> None:
        if claimed is None or true is None:
            if (claimed is None) != (true is None):
                self._say(code, f"the plan's {code} is {claimed}, should be {_number(true)}")
        elif not _same(claimed, true):
            self._say(code, f"the plan's {code} is {claimed!r}, its intervals give {float(true)!r}")

    def _mean(self, values: list[Fraction]) -> Fraction:
        hours = [_exact(span) for span in self.problem.duration_h]
        return sum((value * span for value, span in zip(values, hours, strict=True)), Fraction(0)) / sum(
            hours
        )


def _grid(figures: FloatArray, usable: npt.NDArray[np.bool_]) -> Grid:
    types, models = usable.shape
    return tuple(
        tuple(_exact(figures[h, m]) if usable[h, m] else Fraction(0) for m in range(models))
        for h in range(types)
    )


def _proof(data: IntervalData, certificate: Certificate) -> tuple[Fraction | None, str | None]:
    """Return the bound a certificate proves, in W or QPS, or what is wrong with it."""
    try:
        if certificate.kind == "bound":
            return proven_bound_w(data, certificate), None
        if certificate.kind == "shortfall":
            return proven_shortfall_qps(data, certificate), None
        check_infeasible(data, certificate)
    except CertificateError as error:
        return None, str(error)
    return None, None


def _claims(plan: Plan, interval: int, *, bounds: bool) -> list[float]:
    """Return what a plan says of each objective in an interval: its value, or the bound on it."""
    first = plan.interval_bound if bounds else plan.interval_objective
    later = plan.later_bound if bounds else plan.later_objective
    return [float(first[interval]), *map(float, later[interval])]


def _unit(values: Sequence[Fraction]) -> Fraction:
    """Return the largest number of which all values are whole multiples; 1 where all are zero."""
    scale = math.lcm(*(value.denominator for value in values))
    return Fraction(math.gcd(*(int(value * scale) for value in values)) or scale, scale)


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
