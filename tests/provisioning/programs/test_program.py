"""The exact program and its relaxation in floats: nothing true is cut off, nothing false is let through."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from provisioning_cases import medium_problem, tiny_problem

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies import Hercules
from hercules_opt.provisioning.programs.exact import ExactProblem
from hercules_opt.provisioning.programs.interval_program import Labels, interval_program, shortfall_program
from hercules_opt.provisioning.programs.program import Column, Program, Row
from hercules_opt.provisioning.programs.relaxation import Relaxation


def test_a_row_says_how_far_it_is_from_holding():
    row = Row("row", ((0, 3), (1, Fraction(-1, 2))), low=4, high=6)
    assert row.missing((2, 2)) == 0
    assert row.missing((1, 2)) == 2
    assert row.missing((3, 2)) == -2


def test_bounds_and_wholeness_are_checked():
    program = Program((Column("whole", 0, 5), Column("share", 0, 1, whole=False)), ())
    assert program.within_bounds((5, Fraction(1, 3)))
    assert not program.within_bounds((6, 0))
    assert not program.within_bounds((Fraction(1, 2), 0))
    assert not program.within_bounds((1,))
    narrowed = program.narrowed([(0, 2, 3)])
    assert not narrowed.within_bounds((5, 0))
    assert program.within_bounds((5, 0))


def test_names_say_what_a_column_and_a_row_are():
    """With the problem's names, or numbers."""
    interval = ExactProblem.of(medium_problem(4)).intervals[0]
    numbered = interval_program(interval)
    assert numbered is not None
    assert numbered.program.columns[0].name == "n[type1,model1]"
    assert [row.name for row in numbered.program.rows][:1] == ["cover[model1]"]
    assert numbered.program.rows[-1].name.startswith("available[type")
    types, models = [f"T{h}" for h in range(9)], [f"m{m}" for m in range(9)]
    named = interval_program(interval, labels=Labels(models, types))
    assert named is not None
    assert named.program.columns[0].name == "n[T0,m0]"


def test_every_plan_of_an_interval_solves_its_program_and_the_relaxation():
    """On random problems: the optimal counts break no exact row, and no relaxed one either."""
    checked = 0
    for seed in range(60):
        interval = ExactProblem.of(tiny_problem(seed)).intervals[0]
        answer = Hercules().solve(interval, Effort(1e-6))
        built = interval_program(interval)
        if answer.infeasible:
            assert built is None or not built.program.solved_by([answer.counts[m][h] for m, h in built.pairs])
            continue
        assert built is not None
        values = [answer.counts[m][h] for m, h in built.pairs]
        assert built.counts(values) == answer.counts
        assert built.program.solved_by(values)
        assert built.program.cost(values) == interval.cost(answer.counts)
        relaxed = Relaxation.of(built.program)
        sums = relaxed.rows @ np.array(values, dtype=float)
        assert (sums >= relaxed.row_low).all()
        assert (sums <= relaxed.row_high).all()
        checked += 1
    assert checked > 30


def test_small_whole_rows_stay_as_they_are():
    program = Program((Column("a", 0, 9, 4), Column("b", 0, 9, 2)), (Row("row", ((0, 1), (1, 7)), high=9),))
    relaxed = Relaxation.of(program)
    assert relaxed.rows.toarray().tolist() == [[1.0, 7.0]]
    assert (relaxed.row_low.tolist(), relaxed.row_high.tolist()) == ([-np.inf], [9.0])
    assert relaxed.costs.tolist() == [1000.0, 500.0]
    assert relaxed.cost_scale == Fraction(4, 1000)


def test_large_rows_are_scaled_and_small_coefficients_allowed_for():
    """A coefficient of a part in 10^13 is left out; the limit is lower by a hair and what it could add."""
    large = 10**14
    row = Row("row", ((0, large // 2), (1, 3)), low=large)
    relaxed = Relaxation.of(Program((Column("a", 0, 4), Column("b", 0, 10**6)), (row,)))
    assert relaxed.rows.toarray().tolist() == [[50.0, 0.0]]
    assert relaxed.row_low[0] == pytest.approx(100 * (1 - 1e-6) - 3e-12 * 10**6, abs=1e-12)


def test_a_shortfall_takes_any_counts_within_availability():
    """With all of a load missing, no server at all solves the program."""
    interval = ExactProblem.of(medium_problem(2)).intervals[0]
    built = shortfall_program(interval)
    shares = len(built.program.columns) - len(built.pairs)
    nothing = (0,) * len(built.pairs) + (1,) * shares
    assert built.program.solved_by(nothing)
    loads = [load * weight for load, weight in zip(interval.required, interval.weights, strict=True)]
    assert built.program.cost(nothing) == sum(loads)
