"""Check a plan against its problem: every claim is computed again, exactly, without the solvers' code."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.provenance import KINDS
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.check_certificate import (
    CertificateError,
    IntervalData,
    check_infeasible,
    proven_bound_w,
    proven_shortfall_qps,
)
from hercules_opt.provisioning.plan import BOUND_SOURCES, OPTIMAL_GAP, STATUSES, Plan, Status
from hercules_opt.provisioning.problem import FloatArray, ProvisioningProblem, as_problem

Code = Literal[
    "names", "negative", "pair", "availability", "coverage", "shortfall", "power", "servers", "objective",
    "bound", "certificate", "gap", "status", "provenance",
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
    """What is behind one interval's bound, in W, or behind its infeasibility.

    ``label`` is "certified" where the certificate proves all that the plan claims, "solver's claim" where it
    claims more than was recomputed, and "none" where it claims nothing.
    """

    interval: int
    certified_bound_w: float | None
    claimed_bound_w: float | None
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
        If the problem itself is bad; for instance if a power is unknown.
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
    data.require_power()
    strangers = list(_check_names(data, plan))
    if strangers:
        return Audit(tuple(strangers), ())
    return _Check(data, plan).run()


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
    if plan.objective_name != "power":
        text = f"the objective is called {plan.objective_name!r}; only power can be recomputed"
        yield Violation("objective", text)


def _exact(figure: float) -> Fraction:
    return Fraction(repr(float(figure)))


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
        self.powers = _grid(problem.power_w, usable)
        over = [1 + _exact(share) for share in problem.over_provision]
        self.data = [
            IntervalData(
                tuple(zip(*self.rates, strict=True)),
                tuple(zip(*self.powers, strict=True)),
                tuple(over[m] * _exact(load[m]) for m in range(models)),
                tuple(int(count) for count in problem.available),
            )
            for load in problem.load_qps
        ]
        self.true_power = [self._power(t) for t in range(len(self.data))]
        #: What certificates prove, in W (of a shortfall, in QPS), or what is wrong with them.
        self.proofs: dict[tuple[IntervalData, Certificate], tuple[Fraction | None, str | None]] = {}

    def run(self) -> Audit:
        intervals = [self._interval(t) for t in range(len(self.data))]
        self._whole_plan()
        return Audit(tuple(self.found), tuple(intervals))

    def _say(self, code: Code, text: str, interval: int | None = None) -> None:
        self.found.append(Violation(code, text, interval))

    def _power(self, interval: int) -> Fraction:
        counts = self.plan.counts[interval]
        return sum((self.powers[h][m] * int(counts[h, m]) for h, m in np.argwhere(counts != 0)), Fraction(0))

    def _interval(self, t: int) -> IntervalAudit:
        self._counts(t)
        short = self._coverage(t)
        plan = self.plan
        if not _same(plan.power_w[t], self.true_power[t]):
            claimed, true = float(plan.power_w[t]), float(self.true_power[t])
            self._say("power", f"claims {claimed!r} W, the counts draw {true!r} W", t)
        used = int(plan.counts[t].sum())
        if int(plan.servers[t]) != used:
            self._say("servers", f"claims {int(plan.servers[t])} servers, the counts are {used}", t)
        return self._bound(t, covered=not short)

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

    def _pair(self, h: int, m: int) -> str:
        return f"{self.problem.server_types[h]} x {self.problem.models[m]}"

    def _coverage(self, t: int) -> bool:
        """Check the shortfall of every model; return whether one is short."""
        counts, plan = self.plan.counts[t], self.plan
        any_short = False
        for m, name in enumerate(self.problem.models):
            reached = sum((self.rates[h][m] * int(n) for h, n in enumerate(counts[:, m])), Fraction(0))
            short = max(Fraction(0), self.data[t].required_qps[m] - reached)
            any_short = any_short or short > 0
            claimed = float(plan.shortfall[t, m])
            if not _same(claimed, short):
                self._say("shortfall", f"{name}: claims {claimed!r} QPS short, is {float(short)!r}", t)
            if short > 0 and plan.interval_status[t] in ("optimal", "feasible"):
                needed = float(self.data[t].required_qps[m])
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
        if covered and status in ("infeasible", "unknown"):
            self._say("status", f"claims to be {status}, but every load is covered", t)
        if status in ("infeasible", "unknown"):
            return self._uncovered(t, infeasible)
        bound = float(plan.interval_bound[t])
        if math.isnan(bound):
            if source != "none" or status == "optimal":
                self._say("bound", f"{status} with a {source} bound, but there is no bound", t)
            if not math.isnan(plan.interval_gap[t]):
                self._say("gap", "claims a gap without a bound", t)
            return IntervalAudit(t, _number(proven), None, "none")
        if not math.isfinite(bound) or bound < 0:
            self._say("bound", f"{bound!r} is no bound", t)
            return IntervalAudit(t, _number(proven), bound, "solver's claim")
        self._bound_value(t, _exact(bound), proven, certificate)
        holds = proven is not None and _exact(bound) <= proven
        return IntervalAudit(t, _number(proven), bound, "certified" if holds else "solver's claim")

    def _bound_value(
        self, t: int, bound: Fraction, proven: Fraction | None, certificate: Certificate | None
    ) -> None:
        plan, power = self.plan, self.true_power[t]
        source = plan.bound_source[t]
        if source == "none":
            self._say("bound", "there is a bound that nobody vouches for", t)
        if source == "certified" and (proven is None or bound > proven):
            what = "there is no certificate" if certificate is None else "the certificate does not prove it"
            self._say("bound", f"{float(bound)!r} W is called certified, but {what}", t)
        if bound > power:
            self._say("bound", f"{float(bound)!r} W is above the plan's own power, {float(power)!r} W", t)
        gap = (power - bound) / power if power else Fraction(0)
        claimed = float(plan.interval_gap[t])
        if not _same(claimed, gap):
            self._say("gap", f"claims {claimed!r}, power and bound give {float(gap)!r}", t)
        fitting: Status = "optimal" if gap <= _exact(OPTIMAL_GAP) else "feasible"
        if plan.interval_status[t] != fitting:
            self._say("status", f"claims {plan.interval_status[t]} with a gap of {float(gap):g}", t)

    def _uncovered(self, t: int, infeasible: bool) -> IntervalAudit:
        plan = self.plan
        if not (math.isnan(plan.interval_bound[t]) and math.isnan(plan.interval_gap[t])):
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
        key = (self.data[t], certificate)
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
        if certificate.kind == "bound":
            return proven, False
        return None, wrong is None and (proven is None or proven > 0)

    def _whole_plan(self) -> None:
        plan = self.plan
        order: tuple[Status, ...] = ("infeasible", "unknown", "feasible", "optimal")
        known = [status for status in plan.interval_status if status in order]
        worst = min(known, key=order.index, default=None)
        if plan.status != worst:
            self._say("status", f"claims {plan.status}, its intervals make it {worst}")
        covered = all(plan.covered)
        self._total("objective", plan.objective, self._mean(self.true_power) if covered else None)
        complete = covered and bool(np.isfinite(plan.interval_bound).all())
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


def _grid(figures: FloatArray, usable: npt.NDArray[np.bool_]) -> tuple[tuple[Fraction, ...], ...]:
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


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
