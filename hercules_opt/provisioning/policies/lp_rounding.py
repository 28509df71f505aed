"""Provisioning by the linear relaxation, rounded down and filled up."""

from __future__ import annotations

import math
from typing import ClassVar

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.multipliers import lp_counts
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.policies.filling import drop_needless, fill
from hercules_opt.provisioning.programs.exact import ExactInterval

#: Share of a server below a whole one that is rounding of the solver.
_ROUNDING = 1e-6


class LpRounding:
    """Servers in fractions at least cost, rounded down; the rest of each model is filled up by whole servers.

    The models with most left to cover are filled first, each by the cheapest types per unit of coverage that
    are left; servers that a model can spare are taken back.
    """

    name: ClassVar[str] = "lp-rounding"
    solvers: ClassVar[tuple[str, ...]] = ("highs",)

    def solve(self, interval: ExactInterval, effort: Effort) -> IntervalAnswer:
        """Round one interval's linear program."""
        fractions = lp_counts(interval)
        left = list(interval.available)
        rows = [[0] * len(left) for _ in interval.needs]
        for m, row in enumerate(rows):
            for h in range(len(row)):
                row[h] = min(left[h], math.floor(float(fractions[m, h]) + _ROUNDING))
                left[h] -= row[h]
        missing = [need - interval.coverage(m, rows[m]) for m, need in enumerate(interval.needs)]
        for m in sorted(range(len(rows)), key=lambda m: -missing[m] * interval.weights[m]):
            for h, count in enumerate(fill(interval, m, missing[m], left)):
                rows[m][h] += count
            drop_needless(interval, m, rows[m], left)
        return IntervalAnswer(tuple(map(tuple, rows)))
