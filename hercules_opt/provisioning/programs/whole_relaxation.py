"""A program in whole numbers that fit into 64 bits, for solvers without fractions: a true relaxation too.

Where the exact numbers fit they stay as they are. Where they do not, a row is scaled and rounded, and its
limits are moved by the most that the rounding can change the row, so that no solution is lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hercules_opt.provisioning.programs.exact import common_unit
from hercules_opt.provisioning.programs.program import Column, Figure, Program, Row

#: Largest sum of coefficient times value, in a row or in the cost.
_LARGEST = 2**50

WholeRow = tuple[list[int], list[int], int | None, int | None]


@dataclass(frozen=True)
class WholeRelaxation:
    """The relaxed program of a program whose columns are whole.

    Parameters
    ----------
    costs
        Cost of each column.
    cost_scale
        What one unit of them stands for.
    cost_error
        Most by which rounding the costs can raise the cost of an answer.
    rows
        Columns, coefficients, lower and upper limit of each row.
    """

    costs: list[int]
    cost_scale: Fraction
    cost_error: int
    rows: list[WholeRow]

    @classmethod
    def of(cls, program: Program) -> WholeRelaxation:
        """Scale and round; every column needs whole bounds."""
        figures = [column.cost for column in program.columns]
        scale, costs = _scaled(figures, program.columns)
        _, most = _errors(figures, costs, scale, program.columns)
        return cls(costs, 1 / scale, math.ceil(most), [_whole(program, row) for row in program.rows])


def _whole(program: Program, row: Row) -> WholeRow:
    places = [index for index, _ in row.entries]
    figures = [coefficient for _, coefficient in row.entries]
    columns = [program.columns[index] for index in places]
    scale, entries = _scaled(figures, columns)
    least, most = _errors(figures, entries, scale, columns)
    low = None if row.low is None else math.ceil(row.low * scale + least)
    high = None if row.high is None else math.floor(row.high * scale + most)
    return places, entries, _clipped(low), _clipped(high)


def _scaled(figures: Sequence[Figure], columns: Sequence[Column]) -> tuple[Fraction, list[int]]:
    """Return the factor that makes figures whole, or as large as they may be, and the rounded figures."""
    unit = common_unit(Fraction(figure) for figure in figures)
    whole = [
        figure.numerator * unit.denominator // (figure.denominator * unit.numerator) for figure in figures
    ]
    reach = sum(
        abs(figure) * max(-column.low, column.low, -column.high, column.high)
        for figure, column in zip(whole, columns, strict=True)
    )
    if reach <= _LARGEST:
        return 1 / unit, whole
    scale = _LARGEST / (math.ceil(reach) * unit)
    return scale, [round(figure * scale) for figure in figures]


def _errors(
    figures: Sequence[Figure], rounded: Sequence[int], scale: Fraction, columns: Sequence[Column]
) -> tuple[Fraction, Fraction]:
    """Return the least and the most by which rounding changes the sum of figure times column."""
    least = most = Fraction(0)
    for figure, entry, column in zip(figures, rounded, columns, strict=True):
        if figure.numerator * scale.numerator == entry * figure.denominator * scale.denominator:
            continue
        error = entry - figure * scale
        least += min(error * column.low, error * column.high)
        most += max(error * column.low, error * column.high)
    return least, most


def _clipped(limit: int | None) -> int | None:
    """Return a limit within 64 bits; beyond what the row can reach it says the same."""
    return None if limit is None else min(max(limit, -2 * _LARGEST), 2 * _LARGEST)
