"""Greedy provisioning that lets those choose first who would lose most."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.policies.filling import cheapest_types, drop_needless, fill
from hercules_opt.provisioning.programs.exact import ExactInterval


class GreedyPriority:
    """A stronger greedy of ours: of all models, that takes its best type next which would lose most without.

    What a model would lose by a server is its coverage times the difference in cost per unit of coverage
    between the best and the second best type that is left; a model with one type left goes first. It takes
    whole servers up to its need. What is then missing of each model, less than a server, gets the cheapest
    server that covers it; servers that a model can spare are taken back.
    """

    name: ClassVar[str] = "greedy-priority"
    solvers: ClassVar[tuple[str, ...]] = ()

    def solve(self, interval: ExactInterval, effort: Effort) -> IntervalAnswer:
        """Serve the models in the order of what is at stake."""
        left = list(interval.available)
        needs = list(interval.needs)
        rows = [[0] * len(left) for _ in needs]
        while True:
            offers = [offer for m in range(len(needs)) if (offer := _offer(interval, m, needs[m], left))]
            if not offers:
                break
            _, m, h = max(offers, key=lambda offer: (offer[0], -offer[1]))
            count = min(left[h], needs[m] // interval.rates[m][h])
            rows[m][h] += count
            left[h] -= count
            needs[m] -= count * interval.rates[m][h]
        for m in sorted(range(len(needs)), key=lambda m: -needs[m] * interval.weights[m]):
            for h, count in enumerate(fill(interval, m, needs[m], left)):
                rows[m][h] += count
            drop_needless(interval, m, rows[m], left)
        return IntervalAnswer(tuple(map(tuple, rows)))


def _offer(
    interval: ExactInterval, model: int, need: int, left: list[int]
) -> tuple[Fraction | float, int, int] | None:
    """Return what a model loses without its best type, with model and type; ``None``: no whole server."""
    types = cheapest_types(interval, model, left)
    if not types or need < interval.rates[model][types[0]]:
        return None
    rates, costs = interval.rates[model], interval.costs[model]
    best = types[0]
    if len(types) == 1:
        return float("inf"), model, best
    dearer = Fraction(costs[types[1]], rates[types[1]]) - Fraction(costs[best], rates[best])
    return dearer * rates[best], model, best
