"""Parts that several policies share: fill what a model still needs, and take back what it does not."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from hercules_opt.provisioning.programs.exact import ExactInterval


def cheapest_types(interval: ExactInterval, model: int, left: Sequence[int]) -> list[int]:
    """Return the types that are left and serve a model, by cost per unit of coverage; ties in their order."""
    rates, costs = interval.rates[model], interval.costs[model]
    usable = [h for h, rate in enumerate(rates) if rate > 0 and left[h] > 0]
    return sorted(usable, key=lambda h: Fraction(costs[h], rates[h]))


def fill(interval: ExactInterval, model: int, need: int, left: list[int]) -> list[int]:
    """Take servers for a need: whole ones of the cheapest type per coverage, for a rest the cheapest one.

    ``left`` is lowered by what is taken. Where servers run out, the need stays short.
    """
    rates, costs = interval.rates[model], interval.costs[model]
    taken = [0] * len(rates)
    while need > 0:
        types = cheapest_types(interval, model, left)
        if not types:
            break
        best = types[0]
        count = min(left[best], need // rates[best])
        if count == 0:
            enough = [h for h in types if rates[h] >= need]
            best = min(enough, key=lambda h: costs[h]) if enough else best
            count = 1
        taken[best] += count
        left[best] -= count
        need -= count * rates[best]
    return taken


def drop_needless(interval: ExactInterval, model: int, counts: list[int], left: list[int]) -> None:
    """Take back servers that a model can spare, the dearest first; ``left`` grows by them."""
    rates, costs = interval.rates[model], interval.costs[model]
    spare = interval.coverage(model, counts) - interval.needs[model]
    for h in sorted(range(len(counts)), key=lambda h: -costs[h]):
        if counts[h] and rates[h] and spare >= rates[h]:
            count = min(counts[h], spare // rates[h])
            counts[h] -= count
            left[h] += count
            spare -= count * rates[h]
