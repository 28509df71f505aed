"""Why a day cannot be covered, and what would help: the least shortfall, added servers, smaller loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import get_args

from hercules_opt.errors import InputError, check_number
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable
from hercules_opt.provisioning.answers.additions import FewestServers, Label, fewest_servers
from hercules_opt.provisioning.answers.coverable import Asked, coverable, proves_infeasible
from hercules_opt.provisioning.answers.load_cuts import LargestFactor, carries, largest_factor
from hercules_opt.provisioning.checking.check_certificate import CertificateError, proven_shortfall_qps
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.least_missing import least_missing, missed_qps
from hercules_opt.provisioning.engine.shortfall import least_shortfall_within
from hercules_opt.provisioning.plan import OPTIMAL_GAP, Plan
from hercules_opt.provisioning.problem import ProvisioningProblem, as_problem
from hercules_opt.provisioning.programs.exact import (
    ExactInterval,
    ExactProblem,
    Rows,
    exact_data,
    float_at_most,
)

Progress = Callable[[int, int], None]

#: From the best founded label to the worst.
LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True)
class Shortfall:
    """What one interval misses at least.

    Parameters
    ----------
    interval
        Which one.
    by_model
        QPS that each model is short in the counts that miss least in total; others may share it differently.
    total_qps
        Their sum, exact.
    at_least_qps
        What any counts miss, as proven by a certificate.
    label
        *proven* if the two differ by at most a millionth; else *found*.
    """

    interval: int
    by_model: dict[str, float]
    total_qps: float
    at_least_qps: float
    label: Label


@dataclass(frozen=True)
class Addition:
    """The fewest added servers with which every interval can be covered.

    Parameters
    ----------
    servers
        Servers to add by type, without the types that get none; ``None`` if no number of servers helps.
    total
        Their number; ``None`` if no number helps.
    at_least
        What any addition needs, as proven by certificates.
    label
        *proven* if fewer cannot do, as certificates show; *claimed* if a solver says so; *found* if fewer
        might do.
    """

    servers: dict[str, int] | None
    total: int | None
    at_least: int
    label: Label


@dataclass(frozen=True)
class LoadCut:
    """The largest factor on loads with which every interval can be covered.

    Parameters
    ----------
    factor
        From 0 to 1, rounded down; ``None`` if not even 0 helps.
    interval
        The interval that allows no more.
    label
        *proven*, *claimed* or *found* to be the largest, as in ``Addition``.
    """

    factor: float | None
    interval: int
    label: Label


@dataclass(frozen=True)
class Explanation:
    """Why a day cannot be covered, and what would help.

    Parameters
    ----------
    shortfalls
        Of the intervals that nothing covers.
    coverable
        Intervals that the plan does not cover, though some plan does.
    undecided
        Intervals of which neither is known.
    unserved
        Models with a load in one of these intervals that no server type can serve.
    addition
        The fewest servers over all types that repair the day; ``None`` if it was not decided, or nothing is
        to be repaired.
    by_type
        The same with servers of one type only; types that were not decided are absent.
    all_loads
        The largest common factor on all loads; ``None`` as above.
    by_model
        The largest factor on one model's load, the others as they are; models that were not decided are
        absent.
    stopped_by
        "time_limit" if time ran out, else ``None``.
    """

    shortfalls: tuple[Shortfall, ...]
    coverable: tuple[int, ...]
    undecided: tuple[int, ...]
    unserved: tuple[str, ...]
    addition: Addition | None
    by_type: dict[str, Addition]
    all_loads: LoadCut | None
    by_model: dict[str, LoadCut]
    stopped_by: str | None

    @property
    def feasible(self) -> bool:
        """Whether every interval can be covered."""
        return not self.shortfalls and not self.undecided


def explain(
    problem: Instance | ProvisioningProblem,
    table: EfficiencyTable | Plan | None = None,
    plan: Plan | None = None,
    *,
    time_limit_s: float | None = 60.0,
    progress: Progress | None = None,
) -> Explanation:
    """Say which intervals nothing covers, how many QPS they miss, and the smallest change that repairs them.

    ``explain(instance, table, plan)`` or ``explain(problem, plan)``; without a plan every interval is looked
    at, else those that it does not cover, within its requirements. Every answer is checked
    in exact arithmetic and says who vouches for it.

    Parameters
    ----------
    time_limit_s
        Limit of the whole call, ``None`` for none; each question gets a share of what is left. What is not
        reached is left out, or labelled *found*.
    progress
        Called with what is done and all there is to do, after each question.

    Raises
    ------
    InputError
        On bad input, or a plan of another problem.
    """
    if isinstance(table, Plan):
        if plan is not None:
            raise InputError("give (instance, table, plan) or (problem, plan)", where="explain")
        table, plan = None, table
    if time_limit_s is not None:
        check_number("time_limit_s", time_limit_s, 0.0, 1e9)
    data = as_problem(problem, table)
    if plan is not None and not isinstance(plan, Plan):
        raise InputError("must be a Plan", where="plan", found=type(plan).__name__)
    if plan is not None and plan.counts.shape != data.shape:
        rule = f"is a plan of another problem: its counts have shape {plan.counts.shape}, not {data.shape}"
        raise InputError(rule, where="plan")
    return _Search(data, plan, Effort.within(0.0, time_limit_s), progress).run()


#: What the questions of all servers or all loads weigh when time is shared, and those of one model's load.
_WHOLE, _CUT = 6, 2


class _Search:
    """The questions one after another; intervals that ask for no more than another are left out."""

    def __init__(
        self, problem: ProvisioningProblem, plan: Plan | None, effort: Effort, progress: Progress | None
    ) -> None:
        self.problem = problem
        self.plan = plan
        self.effort = effort
        self.progress = progress
        self.done = self.total = 0
        # Nothing is minimized but shortfalls and servers; powers may be unknown.
        self.exact = ExactProblem.of(problem, ("servers",), None if plan is None else plan.requirements)
        self.asked = [self._what_is_asked(t) for t in range(len(self.exact.intervals))]

    def _what_is_asked(self, t: int) -> Asked:
        interval = self.exact.intervals[t]
        loads = zip(self.exact.required_qps[t], interval.weights, interval.required, strict=True)
        beside = tuple(qps / unit - left for qps, unit, left in loads)
        return Asked(interval, self.exact.limits[t], beside)

    def run(self) -> Explanation:
        suspects = list(range(len(self.exact.intervals)))
        if self.plan is not None:
            suspects = [t for t, covered in enumerate(self.plan.covered) if not covered]
        _, types, models = self.problem.shape
        self.total = 2 * len(suspects) + types + _CUT * models + 2 * _WHOLE
        fine, undecided, short = self._sorted(suspects)
        self.total -= len(suspects) - len(short)
        shortfalls = [self._shortfall(t) for t in short]
        hardest = self._hardest(sorted(shortfalls, key=lambda entry: -entry.total_qps))
        # What matters most comes first, should time run out.
        addition = self._addition(hardest, range(types), _WHOLE)
        all_loads = self._cut(hardest, range(models), _WHOLE)
        by_model = {name: self._cut(hardest, [m], _CUT) for m, name in enumerate(self.problem.models)}
        by_type = {name: self._addition(hardest, [h], 1) for h, name in enumerate(self.problem.server_types)}
        addition = _fewest([addition, *by_type.values()], any(entry.at_least_qps for entry in shortfalls))
        if addition is not None and addition.servers is not None and len(addition.servers) == 1:
            by_type.update(dict.fromkeys(addition.servers, addition))  # nothing less does, of one type or all
        return Explanation(
            tuple(shortfalls), tuple(fine), tuple(undecided), tuple(self._unserved(short)), addition,
            {name: entry for name, entry in by_type.items() if entry is not None}, all_loads,
            {name: entry for name, entry in by_model.items() if entry is not None},
            "time_limit" if self.effort.expired else None,
        )  # fmt: skip

    def _sorted(self, suspects: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
        """Return the intervals that can be covered, those not decided, and those that nothing covers."""
        fine: list[int] = []
        undecided: list[int] = []
        short: list[int] = []
        known: dict[Asked, list[int]] = {}
        for t in suspects:
            asked = self.asked[t]
            if asked not in known:
                known[asked] = short
                if not self._plan_proves(t):
                    answer = coverable(asked, self._share())
                    known[asked] = fine if answer.counts else short if answer.infeasible else undecided
            known[asked].append(t)
            self._step()
        return fine, undecided, short

    def _plan_proves(self, t: int) -> bool:
        certificate = None if self.plan is None else self.plan.certificate[t]
        return certificate is not None and proves_infeasible(self.exact.intervals[t], certificate)

    def _shortfall(self, t: int) -> Shortfall:
        interval, limits, effort = self.exact.intervals[t], self.exact.limits[t], self._share()
        counts = least_shortfall_within(interval, limits, effort) or self._nothing(interval)
        missing = least_missing(interval, counts, Effort(OPTIMAL_GAP, effort.deadline_s))
        if limits.kept_by(missing.counts):
            counts = missing.counts
        missed = missed_qps(interval, counts)
        total = sum(missed, Fraction(0))
        self._step()
        try:
            at_least = proven_shortfall_qps(exact_data(interval), missing.certificate)
        except CertificateError:
            at_least = Fraction(0)
        by_model = {name: float(qps) for name, qps in zip(self.problem.models, missed, strict=True) if qps}
        close = total - at_least <= total * Fraction(repr(OPTIMAL_GAP))
        return Shortfall(t, by_model, float(total), float_at_most(at_least), "proven" if close else "found")

    @staticmethod
    def _nothing(interval: ExactInterval) -> Rows:
        return ((0,) * len(interval.available),) * len(interval.needs)

    def _hardest(self, shortfalls: Sequence[Shortfall]) -> list[int]:
        """Return the intervals of which no other one asks as much or more, in the given order."""
        short = [self.asked[entry.interval] for entry in shortfalls]
        kept: list[int] = []
        for entry in shortfalls:
            own = self.asked[entry.interval]
            more = [other for other in short if other != own and _asks_for_all(other, own)]
            if not more and own not in [self.asked[t] for t in kept]:
                kept.append(entry.interval)
        return kept

    def _unserved(self, short: Sequence[int]) -> Iterator[str]:
        for m, name in enumerate(self.problem.models):
            if not any(self.exact.rates_qps[m]) and any(self.exact.required_qps[t][m] for t in short):
                yield name

    def _addition(self, hardest: Sequence[int], types: Sequence[int], weight: int) -> Addition | None:
        intervals = [self.asked[t] for t in hardest]
        found = None
        if intervals and not self.effort.expired:
            found = fewest_servers(intervals, types, self._share(weight))
        self._step(weight)
        return None if found is None else self._named(found)

    def _named(self, found: FewestServers) -> Addition:
        if found.added is None:
            return Addition(None, None, found.at_least, found.label)
        servers = {
            name: count for name, count in zip(self.problem.server_types, found.added, strict=True) if count
        }
        return Addition(servers, sum(found.added), found.at_least, found.label)

    def _cut(self, hardest: Sequence[int], models: Sequence[int], weight: int) -> LoadCut | None:
        """Return the least of the intervals' factors; one that carries the least so far has no lower one."""
        binding: tuple[int, LargestFactor] | None = None
        effort = self._share(weight)
        self._step(weight)
        if not any(self.exact.required_qps[t][m] for t in hardest for m in models):
            return None
        for t in hardest:
            asked = self.asked[t]
            if effort.expired:
                return None
            factor = None if binding is None else binding[1].factor
            if factor is not None and carries(asked, models, factor, effort):
                continue
            found = largest_factor(asked, models, effort)
            if found.factor is None:
                binding = t, found
                break
            if factor is None or found.factor < factor:
                binding = t, found
        if binding is None:
            return None
        t, found = binding
        return LoadCut(None if found.factor is None else float_at_most(found.factor), t, found.label)

    def _share(self, weight: int = 1) -> Effort:
        """Return a share of the remaining time for the next question."""
        left_s = self.effort.remaining_s
        if left_s is None:
            return self.effort
        return Effort.within(0.0, left_s * weight / max(weight, self.total - self.done))

    def _step(self, weight: int = 1) -> None:
        self.done += weight
        if self.progress is not None:
            self.progress(self.done, self.total)


def _asks_for_all(one: Asked, other: Asked) -> bool:
    """Return whether one interval asks for all that another does, and neither has anything of its own."""
    same = (
        one.interval.rates == other.interval.rates
        and one.interval.available == other.interval.available
        and (one.limits, one.beside) == (other.limits, other.beside)
    )
    needs = zip(one.interval.required, other.interval.required, strict=True)
    return same and all(mine >= theirs for mine, theirs in needs)


def _fewest(additions: Sequence[Addition | None], infeasible: bool) -> Addition | None:
    """Return the first addition, of all types, unless one of a single type needs fewer servers.

    Where the day is proven not to be coverable as it is, one server is the fewest that can help.
    """
    known = [entry for entry in additions if entry is not None and entry.total is not None]
    if not known:
        return additions[0]
    best = min(known, key=lambda entry: entry.total or 0)
    at_least = max(0 if additions[0] is None else additions[0].at_least, int(infeasible))
    label: Label = best.label if best is additions[0] else "found"
    return replace(best, at_least=at_least, label="proven" if best.total == at_least else label)
