"""An integer program in exact numbers that no solver has shaped: columns, rows, and a cost to minimize.

All that a backend, a file format or an explanation needs to know. Checking an answer is exact, whatever the
solver's arithmetic was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

#: An exact number.
Figure = int | Fraction
#: One value per column.
Values = tuple[Figure, ...]


@dataclass(frozen=True)
class Column:
    """A variable: its bounds, both included, its cost, and whether it is a whole number."""

    name: str
    low: Figure
    high: Figure
    cost: Figure = 0
    whole: bool = True


@dataclass(frozen=True)
class Row:
    """A constraint: the sum of coefficient times column is at least ``low`` and at most ``high``.

    ``entries`` are (column, coefficient); a limit of ``None`` is none.
    """

    name: str
    entries: tuple[tuple[int, Figure], ...]
    low: Figure | None = None
    high: Figure | None = None

    def activity(self, values: Sequence[Figure]) -> Figure:
        """Return the sum of coefficient times value."""
        return sum(coefficient * values[column] for column, coefficient in self.entries)

    def missing(self, values: Sequence[Figure]) -> Figure:
        """Return how far the sum is below the lower limit (positive) or above the upper one (negative)."""
        activity = self.activity(values)
        if self.low is not None and activity < self.low:
            return self.low - activity
        if self.high is not None and activity > self.high:
            return self.high - activity
        return 0


@dataclass(frozen=True)
class Program:
    """Minimize the columns' cost subject to the rows."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def whole(self) -> bool:
        """Whether every column is a whole number."""
        return all(column.whole for column in self.columns)

    def cost(self, values: Sequence[Figure]) -> Figure:
        """Return the cost of an answer."""
        return sum(column.cost * value for column, value in zip(self.columns, values, strict=True) if value)

    def violated(self, values: Sequence[Figure]) -> list[Row]:
        """Return the rows that an answer breaks."""
        return [row for row in self.rows if row.missing(values)]

    def within_bounds(self, values: Sequence[Figure]) -> bool:
        """Return whether every value is inside its column's bounds, and whole where it must be."""
        return len(values) == len(self.columns) and all(
            column.low <= value <= column.high and not (column.whole and value != int(value))
            for column, value in zip(self.columns, values, strict=True)
        )

    def solved_by(self, values: Sequence[Figure]) -> bool:
        """Return whether an answer breaks neither a bound nor a row."""
        return self.within_bounds(values) and not self.violated(values)

    def narrowed(self, bounds: Iterable[tuple[int, Figure, Figure]]) -> Program:
        """Return the program with other bounds on some columns, as (column, low, high)."""
        columns = list(self.columns)
        for index, low, high in bounds:
            columns[index] = replace(columns[index], low=low, high=high)
        return replace(self, columns=tuple(columns))
