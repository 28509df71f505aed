"""Provisioning without any notion of server types: servers as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies.base import IntervalAnswer
from hercules_opt.provisioning.programs.exact import ExactInterval


@dataclass(frozen=True)
class Oblivious:
    """Models in order; each takes servers at random, whatever their type, until its load is covered.

    Every server that is left and can serve the model is as likely as any other. What a scheduler does that
    takes all servers for equal; one plan is one sample, so ``compare`` tries several seeds.

    Parameters
    ----------
    seed
        Seed of the draws; every interval begins with it.
    """

    name: ClassVar[str] = "oblivious"
    solvers: ClassVar[tuple[str, ...]] = ()

    seed: int = 0

    def __post_init__(self) -> None:
        """Check the seed."""
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise InputError("must be a whole number, at least 0", where="seed", found=self.seed)

    def solve(self, interval: ExactInterval, effort: Effort) -> IntervalAnswer:
        """Draw servers for one model after another."""
        generator = np.random.default_rng(self.seed)
        left = list(interval.available)
        rows: list[tuple[int, ...]] = []
        for m, need in enumerate(interval.needs):
            taken = self._drawn(interval.rates[m], need, left, generator)
            left = [count - drawn for count, drawn in zip(left, taken, strict=True)]
            rows.append(taken)
        return IntervalAnswer(tuple(rows))

    @staticmethod
    def _drawn(
        rates: tuple[int, ...], need: int, left: list[int], generator: np.random.Generator
    ) -> tuple[int, ...]:
        """Draw as many servers at a time as are needed at the very least, until they are enough."""
        usable = [h for h, rate in enumerate(rates) if rate > 0]
        stock = np.array([left[h] for h in usable], dtype=np.int64)
        taken = [0] * len(rates)
        while need > 0 and stock.sum() > 0:
            least = min(-(-need // max(rates)), int(stock.sum()))
            drawn = generator.multivariate_hypergeometric(stock, least)
            stock -= drawn
            for h, count in zip(usable, drawn.tolist(), strict=True):
                taken[h] += count
                need -= count * rates[h]
        return tuple(taken)
