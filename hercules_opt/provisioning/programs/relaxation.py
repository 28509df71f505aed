"""A program in floating point, for solvers that work to tolerances: a true relaxation of the exact one.

Rows are scaled to a size at which an absolute tolerance means little, coefficients too small for a solver are
left out and allowed for, and every limit that floats cannot name exactly is a hair looser. So an answer is a
candidate, and a bound a claim; others check them exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from hercules_opt.provisioning.programs.program import Figure, Program, Row

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray, IntArray

#: Whole coefficients up to this stay as they are.
_PLAIN = 100
#: Largest figure of any other row. Solvers' tolerances are absolute, 1e-6 in a row and in a whole number:
#: where figures are much larger, what is whole within tolerance may break its row when rounded, and is lost.
_ROW_SCALE = 100
#: Share by which a limit is loosened. HiGHS and CBC lose true answers where whole counts miss a limit by
#: about their tolerance. Loads that servers cover to the last digit are common, loads that they miss by just
#: a millionth are not; and what falls short within the hair is split away.
_HAIR = 1e-6
#: The same for a program with columns that are not whole, whose answers cannot be split.
_FINE_HAIR = 1e-9
#: Coefficients below this are left out; HiGHS itself drops those below 1e-9.
_SMALL = 1e-8
#: Cost of the dearest column.
_COST_SCALE = 1_000


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Arrays of the relaxed program; ``rows`` is sparse, and a limit that is none is infinite.

    ``cost_scale`` is what one unit of ``costs`` stands for in the exact program.
    """

    costs: FloatArray
    cost_scale: Fraction
    low: FloatArray
    high: FloatArray
    whole: IntArray
    rows: Any
    row_low: FloatArray
    row_high: FloatArray

    @classmethod
    def of(cls, program: Program) -> Relaxation:
        """Build the arrays."""
        dearest = max((abs(Fraction(column.cost)) for column in program.columns), default=Fraction(0))
        cost_scale = dearest / _COST_SCALE if dearest else Fraction(1)
        hair = _HAIR if program.whole else _FINE_HAIR
        relaxed = [_relaxed(program, row, hair) for row in program.rows]
        place = [number for number, (entries, _, _) in enumerate(relaxed) for _ in entries]
        column = [index for entries, _, _ in relaxed for index, _ in entries]
        coefficient = [entry for entries, _, _ in relaxed for _, entry in entries]
        return cls(
            costs=np.array([_scaled(column.cost, 1 / cost_scale) for column in program.columns]),
            cost_scale=cost_scale,
            low=np.array([float(column.low) for column in program.columns]),
            high=np.array([float(column.high) for column in program.columns]),
            whole=np.array([int(column.whole) for column in program.columns], dtype=np.int64),
            rows=sparse.csr_array(
                (np.array(coefficient, dtype=np.float64), (place, column)),
                shape=(len(program.rows), len(program.columns)),
            ),
            row_low=np.array([low for _, low, _ in relaxed], dtype=np.float64),
            row_high=np.array([high for _, _, high in relaxed], dtype=np.float64),
        )


def _relaxed(program: Program, row: Row, hair: float) -> tuple[list[tuple[int, float]], float, float]:
    """Return a row's entries and limits."""
    low, high = row.low, row.high
    limits = [limit for limit in (low, high) if limit is not None]
    figures: list[Figure] = [coefficient for _, coefficient in row.entries] + limits
    if _is_plain(row):
        entries = [(index, float(coefficient)) for index, coefficient in row.entries]
        return entries, -np.inf if low is None else float(low), np.inf if high is None else float(high)
    size = max((abs(Fraction(figure)) for figure in figures), default=Fraction(0)) or Fraction(1)
    scale = _ROW_SCALE / size
    slack = hair * _ROW_SCALE
    relaxed_low = -np.inf if low is None else _scaled(low, scale) - slack
    relaxed_high = np.inf if high is None else _scaled(high, scale) + slack
    entries = []
    for index, coefficient in row.entries:
        entry = _scaled(coefficient, scale)
        if abs(entry) >= _SMALL:
            entries.append((index, entry))
            continue
        column = program.columns[index]
        ends = (entry * float(column.low), entry * float(column.high))
        relaxed_low -= max(ends)
        relaxed_high -= min(ends)
    return entries, relaxed_low, relaxed_high


def _scaled(figure: Figure, scale: Fraction) -> float:
    """Return a figure times a scale, rounded once; faster than by a product of fractions."""
    return figure.numerator * scale.numerator / (figure.denominator * scale.denominator)


def _is_plain(row: Row) -> bool:
    """Return whether floats say a row as it is, and solvers take it so: whole and small."""
    limits = [limit for limit in (row.low, row.high) if limit is not None]
    whole = all(isinstance(figure, int) for figure in (*limits, *(entry for _, entry in row.entries)))
    small = all(-_PLAIN <= entry <= _PLAIN for _, entry in row.entries)
    return whole and small and all(-(2**53) < limit < 2**53 for limit in limits)
