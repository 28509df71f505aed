"""What counts must keep to besides needs and availability: minimum servers, a cap on power."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hercules_opt.provisioning.programs.exact import Figures, Rows


@dataclass(frozen=True)
class Total:
    """A figure of every server, a row per model, and the most that those in use may add up to."""

    name: str
    figures: Figures
    most: Fraction

    def value(self, counts: Rows) -> Fraction:
        """Return what counts add up to."""
        return sum(
            (
                figure * count
                for row, taken in zip(self.figures, counts, strict=True)
                for figure, count in zip(row, taken, strict=True)
                if count
            ),
            Fraction(0),
        )

    def kept_by(self, counts: Rows) -> bool:
        """Return whether counts add up to no more than there may be."""
        return self.value(counts) <= self.most


@dataclass(frozen=True)
class Limits:
    """Limits on what is chosen beside the fixed counts.

    Parameters
    ----------
    fewest
        Least servers of each model.
    cap
        The cap on power in W, negative where the fixed counts alone draw more; ``None`` without one.
    earlier
        What more important objectives were found to be, where one after the other is minimized.
    """

    fewest: tuple[int, ...]
    cap: Total | None = None
    earlier: tuple[Total, ...] = ()

    @property
    def totals(self) -> tuple[Total, ...]:
        """All totals that are limited."""
        return self.earlier if self.cap is None else (self.cap, *self.earlier)

    def missing_servers(self, counts: Rows) -> list[int]:
        """Return how many servers each model has too few."""
        return [max(0, least - sum(row)) for least, row in zip(self.fewest, counts, strict=True)]

    def kept_by(self, counts: Rows) -> bool:
        """Return whether counts keep to all limits."""
        return not any(self.missing_servers(counts)) and all(total.kept_by(counts) for total in self.totals)
