"""Hercules provisioning: least power that covers every load, with a proof."""

from __future__ import annotations

from typing import ClassVar

from hercules_opt.provisioning.box import Box
from hercules_opt.provisioning.cover import least_cover
from hercules_opt.provisioning.covering import Covering, cover_exactly
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.exact import ExactInterval, Rows, exact
from hercules_opt.provisioning.highs import least_shortfall
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.policies.greedy import Greedy
from hercules_opt.provisioning.proof import prove_bound, prove_infeasible


class Hercules:
    """The integer program of each interval, solved by HiGHS and checked exactly; the bound is proven without
    it.

    Where nothing covers, the counts are those of the least total shortfall, at the least power that reaches
    the same coverage.
    """

    name: ClassVar[str] = "hercules"
    solvers: ClassVar[tuple[str, ...]] = ("highs",)

    def solve(self, interval: ExactInterval, effort: Effort) -> IntervalAnswer:
        """Solve one interval."""
        alone = _each_alone(interval)
        if alone is not None and interval.fits(alone):  # the models do not compete
            answer = _with_bound(
                interval, alone, Covering(alone, None, infeasible=False, stopped_by=None), effort
            )
            if _reached(interval, answer, effort):
                return answer
        greedy = Greedy().solve(interval, effort).counts
        found = cover_exactly(interval, effort, greedy if interval.solved_by(greedy) else None)
        if found.counts is not None:
            return _with_bound(interval, found.counts, found, effort)
        if found.infeasible:
            return _least_short(interval, greedy, found, effort)
        return IntervalAnswer(greedy, stopped_by=found.stopped_by)


def _each_alone(interval: ExactInterval) -> Rows | None:
    """Return each model's cheapest cover as if it had all servers; ``None`` if even that does not cover."""
    whole = Box.whole(interval)
    counts = []
    for m, need in enumerate(interval.needs):
        cover = least_cover(interval.rates[m], interval.costs[m], need, whole.low[m], whole.high[m])
        if cover is None or cover.counts is None:
            return None
        counts.append(cover.counts)
    return tuple(counts)


def _with_bound(interval: ExactInterval, counts: Rows, found: Covering, effort: Effort) -> IntervalAnswer:
    proof = prove_bound(interval, counts, effort)
    assert proof.counts is not None
    claimed = None if found.bound is None else found.bound * interval.cost_unit
    return IntervalAnswer(proof.counts, claimed, proof.certificate, stopped_by=found.stopped_by)


def _reached(interval: ExactInterval, answer: IntervalAnswer, effort: Effort) -> bool:
    cost_w = interval.cost(answer.counts) * interval.cost_unit
    bound_w = answer.certificate.bound if answer.certificate is not None else None
    return bound_w is not None and exact(bound_w) >= cost_w * (1 - exact(effort.gap))


def _least_short(interval: ExactInterval, greedy: Rows, found: Covering, effort: Effort) -> IntervalAnswer:
    """Answer an interval of which the solver says that nothing covers it; do not take its word."""
    counts = least_shortfall(interval, effort.remaining_s)
    if counts is not None and interval.solved_by(counts):
        return _with_bound(interval, counts, found, effort)
    proof = prove_infeasible(interval, effort)
    if proof.counts is not None:
        return _with_bound(interval, proof.counts, found, effort)
    counts = greedy if counts is None else counts
    reached = [min(need, interval.coverage(m, counts[m])) for m, need in enumerate(interval.needs)]
    cheaper = cover_exactly(interval.with_needs(reached), effort, counts)
    assert cheaper.counts is not None
    return IntervalAnswer(
        cheaper.counts, certificate=proof.certificate, infeasible=True, stopped_by=cheaper.stopped_by
    )
