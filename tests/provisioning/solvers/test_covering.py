"""Exact answers over any solver: hairs are split away, wrong answers are called so."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.programs.program import Column, Program, Row
from hercules_opt.provisioning.solvers.base import Capabilities, SolverAnswer, whole_values
from hercules_opt.provisioning.solvers.covering import Solved, solve_exactly
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs

EFFORT = Effort(0.0)


def small_program(seed: int) -> Program:
    """Whole columns, coefficients of both signs, limits from below and above, numbers at a hair."""
    random = np.random.default_rng(seed)
    columns = tuple(
        Column(f"x{i}", int(random.integers(-2, 1)), int(random.integers(1, 4)), int(random.integers(-3, 9)))
        for i in range(int(random.integers(1, 5)))
    )
    rows = []
    for number in range(int(random.integers(1, 4))):
        entries = [(i, int(random.integers(-5, 9)) * 10**12) for i in range(len(columns))]
        limit = int(random.integers(-4, 15)) * 10**12 + int(random.integers(-1, 2))
        low, high = (limit, None) if random.random() < 0.6 else (None, limit)
        rows.append(Row(f"r{number}", tuple(entries), low, high))
    return Program(columns, tuple(rows))


def least_cost(program: Program) -> Fraction | None:
    ranges = (range(int(column.low), int(column.high) + 1) for column in program.columns)
    return min(
        (Fraction(program.cost(values)) for values in product(*ranges) if not program.violated(values)),
        default=None,
    )


def test_rows_of_any_kind_match_brute_force():
    """Loads and caps, signs of both kinds, limits a part in 10^12 beside what floats tell apart."""
    infeasible = 0
    for seed in range(150):
        program = small_program(seed)
        found, least = solve_exactly(program, EFFORT), least_cost(program)
        assert found.stopped_by is None, seed
        assert found.infeasible == (least is None), seed
        if least is not None:
            assert found.values is not None
            assert program.solved_by(found.values)
            assert program.cost(found.values) == least, seed
        infeasible += found.infeasible
    assert 20 < infeasible < 130


def test_continuous_columns_cannot_be_split():
    program = Program((Column("share", 0, 1, whole=False),), ())
    with pytest.raises(ValueError, match="only a program of whole columns"):
        solve_exactly(program, EFFORT)


class Scripted:
    """Answers what it is told to."""

    name = "scripted"
    capabilities: Capabilities = SciPyHighs.capabilities

    def __init__(self, answer: SolverAnswer) -> None:
        self.answer = answer

    def solve(self, program: Program, gap: float, time_limit_s: float | None) -> SolverAnswer:
        return self.answer


PROGRAM = Program((Column("n", 0, 20, 7),), (Row("cover[m]", ((0, 100),), low=1000),))


def scripted(answer: SolverAnswer, **known: tuple[int, ...]) -> Solved:
    return solve_exactly(PROGRAM, EFFORT, Scripted(answer), **known)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (SolverAnswer("optimal", (9,), Fraction(63)), "gave an answer that breaks cover[m]"),
        (SolverAnswer("optimal", (21,), Fraction(70)), "gave an answer outside the bounds"),
        (SolverAnswer("optimal", (Fraction(21, 2),), Fraction(70)), "gave an answer outside the bounds"),
        (SolverAnswer("optimal", (10, 3), Fraction(70)), "gave an answer outside the bounds"),
        (SolverAnswer("optimal", None, Fraction(70)), "said optimal without an answer"),
        (SolverAnswer("optimal", (10,), Fraction(71)), "claimed a bound above the cost of its own answer"),
    ],
)
def test_a_wrong_answer_is_a_failure_with_its_reason(answer, reason):
    found = scripted(answer)
    assert found.stopped_by == "solver_failure"
    assert found.reason == reason
    assert found.values is None
    assert found.bound is None
    assert not found.infeasible


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (SolverAnswer("infeasible"), "said infeasible of a program with a known answer"),
        (SolverAnswer("optimal", (12,), Fraction(84)), "claimed a bound above the cost of a known answer"),
        (SolverAnswer("time_limit", None, Fraction(80)), "claimed a bound above the cost of a known answer"),
    ],
)
def test_a_known_answer_exposes_a_wrong_claim(answer, reason):
    """Ten servers are known to be enough; the answer known is kept."""
    found = scripted(answer, known=(11,) if answer.values is None and answer.bound is None else (10,))
    assert (found.stopped_by, found.reason) == ("solver_failure", reason)
    assert found.values in ((10,), (11,))
    assert found.bound is None


def test_a_bound_may_exceed_the_cost_by_a_tolerance():
    found = scripted(SolverAnswer("optimal", (10,), Fraction("70.00001")))
    assert found == Solved((10,), Fraction(70), False, None)


def test_a_claim_is_worth_no_more_than_floating_point_can_tell():
    """Costs that differ in the 16th digit: "optimal" of the dearer, with its cost as bound, proves less."""
    large = 10**15
    program = Program(
        (Column("a", 0, 10, large + 1), Column("b", 0, 10, large)), (Row("cover", ((0, 1), (1, 1)), low=10),)
    )
    cost = 10 * large + 10
    found = solve_exactly(program, EFFORT, Scripted(SolverAnswer("optimal", (10, 0), Fraction(cost))))
    assert found.values == (10, 0)
    assert found.bound is not None
    assert cost * (1 - Fraction(1, 10**7)) < found.bound <= 10 * large


def test_costs_are_whole_so_a_bound_is_the_next_whole_number():
    found = scripted(SolverAnswer("time_limit", (12,), Fraction("69.3")))
    assert found == Solved((12,), Fraction(70), False, "time_limit")


def test_an_answer_without_a_bound_has_none():
    """A best answer at the time limit of a solver that tells no bound; nothing is made up."""
    found = scripted(SolverAnswer("time_limit", (12,), None))
    assert found == Solved((12,), None, False, "time_limit")


def test_no_time_is_no_answer():
    found = solve_exactly(PROGRAM, Effort.within(0.0, 0.0))
    assert found == Solved(None, None, False, "time_limit")


def test_rounding_repairs_a_tolerance_and_no_more():
    assert whole_values(PROGRAM, [10.000001]) == (10,)
    assert whole_values(PROGRAM, [-0.000001]) == (0,)
    assert whole_values(PROGRAM, [10.5]) is None
    assert whole_values(PROGRAM, [21.0]) is None
    assert whole_values(PROGRAM, [float("nan")]) is None
