"""Hercules provisioning: least power that covers every load, with a proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.branch_and_price import Proof, least_power, prove_infeasible
from hercules_opt.provisioning.engine.cover import least_cover
from hercules_opt.provisioning.engine.shortfall import least_shortfall
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.policies.greedy import Greedy
from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, exact
from hercules_opt.provisioning.solvers import SOLVERS
from hercules_opt.provisioning.solvers.falling_over import first_that_works

_START_NODES = 5_000


@dataclass(frozen=True)
class Start:
    """An earlier answer to begin an interval at.

    Parameters
    ----------
    counts
        Its counts; they may fall short, or use more than there is.
    prices
        Prices of the server types that its proof rests on; ``None`` if there are none.
    """

    counts: Rows
    prices: tuple[float, ...] | None


def start_prices(certificate: Certificate | None) -> tuple[float, ...] | None:
    """Return the prices of a certificate's first leaf; good ones to begin a similar interval with."""
    if certificate is None or certificate.kind != "bound":
        return None
    return next(certificate.leaves()).multipliers


class Hercules:
    """The integer program of each interval, by branch and price with HiGHS for its linear and integer
    programs.

    It ends at the gap, at the time limit, or after a fixed number of nodes. Where it finds no plan at all,
    HiGHS solves the program as a whole, checked exactly, and the next solver if HiGHS fails; the bound is
    named a claim. Where nothing covers,
    the counts are those of the least total shortfall, at the least power that reaches the same coverage.
    """

    name: ClassVar[str] = "hercules"
    solvers: ClassVar[tuple[str, ...]] = ("branch-and-price", *SOLVERS)

    def __init__(self, starts: Mapping[ExactInterval, Start] | None = None) -> None:
        """Begin at an earlier answer where there is one."""
        self._starts = dict(starts or {})

    def solve(self, interval: ExactInterval, effort: Effort) -> IntervalAnswer:
        """Solve one interval."""
        greedy = Greedy().solve(interval, effort).counts
        earlier = self._starts.get(interval)
        start = covering_start(interval, greedy)
        if earlier is not None and interval.solved_by(earlier.counts):
            known = [earlier.counts, *([] if start is None else [start])]
            start = min(known, key=interval.cost)
        if start is None:
            proof = prove_infeasible(interval, effort)
            if proof.certificate is not None:
                return least_short(interval, greedy, proof, effort)
            start = proof.counts
        proof = least_power(interval, start, effort, None if earlier is None else earlier.prices)
        if proof.counts is None and proof.certificate is not None and proof.certificate.kind == "infeasible":
            return least_short(interval, greedy, proof, effort)
        if proof.counts is None:
            return _as_a_whole(interval, greedy, proof, effort)
        stopped_by = None
        if not _reached(interval, proof.counts, proof, effort):
            stopped_by = "time_limit" if effort.expired else "node_limit"
        return IntervalAnswer(proof.counts, certificate=proof.certificate, stopped_by=stopped_by)


def covering_start(interval: ExactInterval, greedy: Rows) -> Rows | None:
    """Return counts that cover: each model's cheapest cover if they fit together, else greedy's."""
    whole = Box.whole(interval)
    alone = []
    for m, need in enumerate(interval.needs):
        cover = least_cover(
            interval.rates[m], interval.costs[m], need, whole.low[m], whole.high[m], _START_NODES
        )
        if cover is None or cover.counts is None:
            break
        alone.append(cover.counts)
    else:
        if interval.fits(tuple(alone)):
            return tuple(alone)
    return greedy if interval.solved_by(greedy) else None


def _reached(interval: ExactInterval, counts: Rows, proof: Proof, effort: Effort) -> bool:
    bound_w = proof.certificate.bound if proof.certificate is not None else None
    cost_w = interval.cost(counts) * interval.cost_unit
    return bound_w is not None and exact(bound_w) >= cost_w * (1 - exact(effort.gap))


def _as_a_whole(interval: ExactInterval, greedy: Rows, proof: Proof, effort: Effort) -> IntervalAnswer:
    """Let the solvers solve the program as a whole; where one fails the next takes over."""
    found, notes = first_that_works(interval, effort)
    if found.counts is None and found.infeasible:
        counts = least_shortfall(interval, effort.remaining_s)
        if counts is None or not interval.solved_by(counts):
            return least_short(interval, greedy, Proof(None, None), effort)
        return IntervalAnswer(counts, certificate=proof.certificate, notes=notes)
    if found.counts is None:
        return IntervalAnswer(greedy, stopped_by=found.stopped_by, notes=notes)
    claimed = None if found.bound is None else found.bound * interval.cost_unit
    return IntervalAnswer(found.counts, claimed, proof.certificate, stopped_by=found.stopped_by, notes=notes)


def least_short(interval: ExactInterval, greedy: Rows, proof: Proof, effort: Effort) -> IntervalAnswer:
    """Answer an interval that nothing covers, as proven or as the solver claims."""
    counts = least_shortfall(interval, effort.remaining_s) or greedy
    reached = [min(need, interval.coverage(m, counts[m])) for m, need in enumerate(interval.needs)]
    cheaper = least_power(interval.with_needs(reached), counts, effort)
    assert cheaper.counts is not None
    return IntervalAnswer(cheaper.counts, certificate=proof.certificate, infeasible=True)
