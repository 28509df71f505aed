"""Where nothing covers, and that is allowed: the least total shortfall, then the objective."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.branch_and_price import least_power
from hercules_opt.provisioning.engine.least_missing import least_missing, missed_qps
from hercules_opt.provisioning.plan import OPTIMAL_GAP
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, exact
from hercules_opt.provisioning.programs.interval_program import shortfall_program
from hercules_opt.provisioning.programs.program import Program, Row
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs

_GAP = 1e-9


def shortfall_first(interval: ExactInterval, answer: IntervalAnswer, effort: Effort) -> IntervalAnswer:
    """Return an answer that misses least, with the proof, for an interval that nothing covers.

    That nothing of the same total shortfall is better is the solver's word; the shortfall is proven.
    """
    missing = least_missing(interval, answer.counts, Effort(OPTIMAL_GAP, effort.deadline_s))
    counts = _cheapest(interval, missing.counts, missing.qps, effort)
    reached = [min(need, interval.coverage(m, counts[m])) for m, need in enumerate(interval.needs)]
    cheaper = least_power(interval.with_needs(reached), counts, effort).counts or counts
    stopped_by = None
    if missing.bound_qps < missing.qps * (1 - exact(OPTIMAL_GAP)):
        stopped_by = "time_limit" if effort.expired else "node_limit"
    certificate = missing.certificate if missing.bound_qps > 0 else answer.certificate
    return replace(answer, counts=cheaper, certificate=certificate, stopped_by=stopped_by)


def _cheapest(interval: ExactInterval, counts: Rows, qps: Fraction, effort: Effort) -> Rows:
    """Return the solver's cheapest counts that miss no more than ``qps``, or the given ones."""
    built = shortfall_program(interval)
    if not built.pairs or effort.expired:
        return counts
    priced = [
        replace(column, cost=interval.costs[m][h])
        for column, (m, h) in zip(built.program.columns, built.pairs, strict=False)
    ]
    shares = built.program.columns[len(priced) :]
    missed = tuple((place, share.cost) for place, share in enumerate(shares, start=len(priced)))
    free = [replace(share, cost=0) for share in shares]
    program = Program((*priced, *free), (*built.program.rows, Row("missed", missed, high=qps)))
    answer = SciPyHighs().solve(program, _GAP, effort.remaining_s)
    found = None if answer.values is None else built.counts(answer.values)
    if found is None or not interval.fits(found) or sum(missed_qps(interval, found), Fraction(0)) > qps:
        return counts
    return found if interval.cost(found) < interval.cost(counts) else counts
