"""Every solver: exact answers on random programs, the traps of each, time limits, repeatability."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
from provisioning_cases import brute_force_w, medium_problem, tiny_problem
from test_covering import least_cost, small_program

import hercules_opt as ho
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.cover import least_cover
from hercules_opt.provisioning.programs.exact import ExactProblem
from hercules_opt.provisioning.programs.interval_program import interval_program, shortfall_program
from hercules_opt.provisioning.programs.program import Column, Program, Row
from hercules_opt.provisioning.programs.whole_relaxation import WholeRelaxation
from hercules_opt.provisioning.solvers import SOLVERS, child
from hercules_opt.provisioning.solvers.cbc import reply_from_log
from hercules_opt.provisioning.solvers.covering import cover_exactly, solve_exactly
from hercules_opt.provisioning.solvers.glpk import Glpk
from hercules_opt.provisioning.solvers.mathopt import Scip

NAMES = list(SOLVERS)
EXACT = Effort(0.0)


@pytest.fixture(scope="module")
def solvers():
    """Every solver once, so that each process starts once."""
    running = {name: solver() for name, solver in SOLVERS.items()}
    yield running
    for solver in running.values():
        solver.close()


@pytest.fixture(params=NAMES)
def solver(request, solvers):
    return solvers[request.param]


def check_agreement(solvers, seeds) -> int:
    """Compare every solver and branch and price at gap 0; return how many problems are infeasible."""
    infeasible = 0
    for seed in seeds:
        problem = medium_problem(seed) if seed % 2 else tiny_problem(seed)
        interval = ExactProblem.of(problem).intervals[0]
        plan = ho.provision(problem, gap=0.0)
        assert plan.status in ("optimal", "infeasible"), seed
        infeasible += plan.status == "infeasible"
        for name, solver in solvers.items():
            found = cover_exactly(interval, EXACT, solver)
            assert found.stopped_by is None, (seed, name, found.reason)
            assert found.infeasible == (plan.status == "infeasible"), (seed, name)
            if found.counts is None:
                continue
            assert interval.solved_by(found.counts), (seed, name)
            cost_w = interval.cost(found.counts) * interval.cost_unit
            assert float(cost_w) == plan.power_w[0], (seed, name)
            assert found.bound is not None
            assert float(found.bound * interval.cost_unit) == pytest.approx(plan.power_w[0], rel=1e-6), seed
    return infeasible


def test_all_solvers_agree(solvers):
    """20 intervals; nothing covers some of them."""
    assert check_agreement(solvers, range(20)) >= 1


@pytest.mark.slow
def test_all_solvers_agree_on_many(solvers):
    """400 more, up to six types and four models."""
    assert check_agreement(solvers, range(100, 500)) > 20


def test_every_kind_of_row_is_exact(solver):
    """Signs of both kinds, limits from both sides, a part in 10^12 beside what floats tell apart."""
    for seed in range(25):
        program = small_program(seed)
        found, least = solve_exactly(program, EXACT, solver), least_cost(program)
        assert (found.stopped_by, found.reason) == (None, None), seed
        assert found.infeasible == (least is None), seed
        if least is not None:
            assert found.values is not None
            assert program.solved_by(found.values)
            assert program.cost(found.values) == least, seed


def hair_problem() -> ho.ProvisioningProblem:
    """Ten servers of 100 QPS fall short of the load by a part in 10^8; the other type is dearer."""
    return ho.ProvisioningProblem([[100.0], [37.00000001]], [[250.0], [240.0]], [20, 20], [1000 * (1 + 1e-8)])


def test_a_load_a_hair_above_takes_one_more_server(solver):
    """Each covers it exactly, whatever its tolerance."""
    problem = hair_problem()
    interval = ExactProblem.of(problem).intervals[0]
    found = cover_exactly(interval, EXACT, solver)
    assert found.counts is not None
    assert interval.solved_by(found.counts)
    assert interval.cost(found.counts) * interval.cost_unit == brute_force_w(problem)


@pytest.mark.parametrize("name", ["highs", "ortools-highs", "scip", "cbc", "glpk"])
def test_a_tolerance_alone_would_fall_short(name, solvers):
    """The trap is real: ten servers, "optimal"."""
    built = interval_program(ExactProblem.of(hair_problem()).intervals[0])
    assert built is not None
    answer = solvers[name].solve(built.program, 0.0, 60.0)
    assert answer.verdict == "optimal"
    assert answer.values == (10, 0)
    assert built.program.violated(answer.values)


def near_problem(seed: int) -> ho.ProvisioningProblem:
    """One model whose load is what a mix of servers covers, but for a part in 10^5 to 10^12."""
    random = np.random.default_rng(seed)
    types = int(random.integers(2, 5))
    qps = random.uniform(10, 500, types).round(8)
    available = random.integers(1, 9, types)
    mix = np.array([random.integers(0, count + 1) for count in available])
    hair = random.choice([-1, 1]) * 10.0 ** -random.integers(5, 13)
    load = float(np.round((qps * mix).sum() * (1 + hair), 12))
    power_w = random.integers(20, 400, (types, 1)).astype(float)
    return ho.ProvisioningProblem(qps[:, np.newaxis], power_w, available, [load])


def check_near_loads(solver, seeds) -> None:
    """Compare with the exact covering knapsack."""
    for seed in seeds:
        interval = ExactProblem.of(near_problem(seed)).intervals[0]
        types = len(interval.available)
        cover = least_cover(
            interval.rates[0], interval.costs[0], interval.needs[0], [0] * types, interval.available, 10**6
        )
        found = cover_exactly(interval, EXACT, solver)
        assert found.stopped_by is None, (seed, found.reason)
        assert found.infeasible == (cover is None), seed
        if found.counts is not None:
            assert cover is not None
            assert interval.cost(found.counts) == cover.cost == cover.bound, seed


def test_loads_near_what_servers_cover_are_covered_exactly(solver):
    """With rows scaled to 10,000 and loosened by a part in 10^9, HiGHS and CBC lose the best of some."""
    check_near_loads(solver, [*range(8), 116, 123, 157])


@pytest.mark.slow
def test_many_loads_near_what_servers_cover_are_covered_exactly(solver):
    check_near_loads(solver, range(100, 1100))


def test_costs_a_part_in_a_million_apart_are_told_apart(solver):
    """A wrapper's default gap of 1e-4 would take any of these."""
    random = np.random.default_rng(7)
    for _ in range(4):
        columns = tuple(Column(f"x{i}", 0, 3, 1_000_000 + int(random.integers(0, 90))) for i in range(8))
        entries = tuple((i, int(random.integers(40, 60))) for i in range(8))
        program = Program(columns, (Row("cover", entries, low=430),))
        found = solve_exactly(program, EXACT, solver)
        expected = solve_exactly(program, EXACT)
        assert found.values is not None
        assert expected.values is not None
        assert program.cost(found.values) == program.cost(expected.values)


def market_split(seed: int = 0) -> Program:
    """Five equations in forty yes-or-no columns with slacks to pay: hours of work for any solver."""
    random = np.random.default_rng(seed)
    equations, choices = 5, 40
    matrix = random.integers(0, 100, (equations, choices))
    columns = [Column(f"x{j}", 0, 1) for j in range(choices)]
    columns += [Column(f"{sign}{k}", 0, 4000, 1) for sign in ("over", "under") for k in range(equations)]
    rows = tuple(
        Row(
            f"split{k}",
            (
                *((j, int(matrix[k, j])) for j in range(choices)),
                (choices + k, -1),
                (choices + equations + k, 1),
            ),
            low=int(matrix[k].sum()) // 2,
            high=int(matrix[k].sum()) // 2,
        )
        for k in range(equations)
    )
    return Program(tuple(columns), rows)


def test_at_a_time_limit_the_best_answer_counts_and_the_verdict_says_so(solver):
    """Answers break nothing, bounds are none or true, and nobody says "optimal"."""
    program = market_split()
    assert solver.capabilities.time_limit
    begin = time.monotonic()
    answer = solver.solve(program, 0.0, 0.7)
    took_s = time.monotonic() - begin
    limits = ("time_limit", "node_limit") if solver.capabilities.node_limit else ("time_limit",)
    assert answer.verdict in limits
    assert took_s < 10
    assert answer.values is not None
    assert program.solved_by(answer.values)
    if solver.capabilities.bound:
        assert answer.bound is not None
        assert answer.bound <= program.cost(answer.values)
    else:
        assert answer.bound is None


def test_pulp_would_say_optimal_after_a_time_limit():
    """The trap is real: status and solution status both claim what CBC's log denies."""
    script = (
        "import pulp, sys; from test_solvers import market_split; program = market_split()\n"
        "from hercules_opt.provisioning.solvers.cbc import _solver\n"
        "x = [pulp.LpVariable(f'x{i}', c.low, c.high, 'Integer') for i, c in enumerate(program.columns)]\n"
        "p = pulp.LpProblem('p', pulp.LpMinimize)\n"
        "p += pulp.lpSum(c.cost * v for c, v in zip(program.columns, x))\n"
        "for row in program.rows: p += pulp.lpSum(a * x[i] for i, a in row.entries) == row.low\n"
        "p.solve(_solver(timeLimit=0.7)); print(pulp.LpStatus[p.status])\n"
    )
    assert output_of(script) == "Optimal\n"


def output_of(script: str) -> str:
    """Run a script that can import the tests' modules; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True).stdout


LOG = "Welcome to the CBC MILP Solver\n\nResult - {}\n\n{}Enumerated nodes:               7\n"


@pytest.mark.parametrize(
    ("result", "figures", "reply"),
    [
        (
            "Optimal solution found",
            "Objective value:                121.50000000\n",
            {"verdict": "optimal", "bound": 121.5},
        ),
        (
            "Optimal solution found (within gap tolerance)",
            "Objective value:                121.50000000\nLower bound:                    120.250\n",
            {"verdict": "optimal", "bound": 120.2495},
        ),
        (
            "Stopped on time limit",
            "Objective value:                23000.00000000\nLower bound:          -0.500\nGap:      inf\n",
            {"verdict": "time_limit", "bound": -0.5005},
        ),
        (
            "Stopped on time limit",
            "No feasible solution found\nLower bound:                    17.000\n",
            {"verdict": "time_limit", "bound": 16.9995},
        ),
        (
            "Stopped on time limit",
            "Lower bound:                    -inf\n",
            {"verdict": "time_limit", "bound": None},
        ),
        ("Stopped on node limit", "", {"verdict": "node_limit", "bound": None}),
        (
            "Problem proven infeasible",
            "No feasible solution found\n",
            {"verdict": "infeasible", "bound": None},
        ),
        ("Linear relaxation infeasible", "", {"verdict": "infeasible", "bound": None}),
    ],
)
def test_the_log_of_cbc_says_what_pulp_does_not(result, figures, reply):
    assert reply_from_log(LOG.format(result, figures)) == pytest.approx(reply)


@pytest.mark.parametrize(
    "line", ["Problem is infeasible - 0.00 seconds", "Pre-processing says infeasible or unbounded"]
)
def test_cbc_may_end_before_its_result(line):
    assert reply_from_log(f"Welcome\n{line}\nTotal time\n") == {"verdict": "infeasible", "bound": None}


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (LOG.format("Difficulties with the model", ""), "CBC's result is 'Difficulties with the model'"),
        ("Welcome\n", "CBC's log has no result"),
    ],
)
def test_a_log_that_says_nothing_known_is_a_failure(log, message):
    with pytest.raises(ValueError, match=message):
        reply_from_log(log)


def test_equal_calls_give_equal_answers(solver):
    """Many optima, one answer."""
    columns = tuple(Column(f"x{i}", 0, 5, 3) for i in range(12))
    program = Program(columns, (Row("cover", tuple((i, 7) for i in range(12)), low=100),))
    first = solver.solve(program, 0.0, 60.0)
    assert first.verdict == "optimal"
    assert solver.solve(program, 0.0, 60.0) == first


def test_continuous_columns_where_the_solver_takes_them(solver):
    """The least total shortfall; CP-SAT refuses, as its capabilities say."""
    interval = ExactProblem.of(
        ho.ProvisioningProblem([[10.0, 4.0]], [[50.0, 50.0]], [3], [25.0, 30.0])
    ).intervals[0]
    built = shortfall_program(interval)
    answer = solver.solve(built.program, 1e-9, 60.0)
    if not solver.capabilities.continuous:
        assert (answer.verdict, answer.reason) == ("solver_failure", "takes whole columns only")
        return
    assert answer.values is not None
    assert built.counts(answer.values) == ((3,), (0,))
    assert float(built.program.cost(answer.values)) == pytest.approx(30.0)


def test_a_program_without_columns_needs_no_solver(solver):
    assert solve_exactly(Program((), ()), EXACT, solver).values == ()
    impossible = solve_exactly(Program((), (Row("row", (), low=1),)), EXACT, solver)
    assert impossible.infeasible


def test_a_column_that_nothing_names_has_a_value(solver):
    """PuLP leaves it out of the program."""
    program = Program((Column("a", 0, 9, 2), Column("b", 3, 9)), (Row("row", ((0, 1),), low=4),))
    answer = solver.solve(program, 0.0, 60.0)
    assert answer.values is not None
    assert answer.values[0] == 4
    assert 3 <= answer.values[1] <= 9


def test_whole_numbers_that_fit_stay_as_they_are():
    program = Program(
        (Column("a", 0, 4, Fraction(1, 2)), Column("b", 0, 4, Fraction(3, 4))),
        (Row("row", ((0, Fraction(1, 3)), (1, 2)), low=Fraction(7, 2), high=10),),
    )
    relaxed = WholeRelaxation.of(program)
    assert (relaxed.costs, relaxed.cost_scale, relaxed.cost_error) == ([2, 3], Fraction(1, 4), 0)
    assert relaxed.rows == [([0, 1], [1, 6], 11, 30)]


def test_scaling_to_64_bits_loses_no_solution():
    """Numbers of 30 digits: every solution stays one, sums stay small, costs are wrong by less than said."""
    random = np.random.default_rng(3)

    def long_number(low: int) -> int:
        return int(random.integers(low, 10**9)) * 10**21 + int(random.integers(0, 10**9))

    for _ in range(20):
        columns = tuple(Column(f"x{i}", -2, 6, long_number(1)) for i in range(6))
        values = tuple(int(value) for value in random.integers(-2, 7, 6))
        entries = tuple((i, long_number(-(10**9))) for i in range(6))
        activity = Row("row", entries).activity(values)
        program = Program(columns, (Row("low", entries, low=activity), Row("high", entries, high=activity)))
        relaxed = WholeRelaxation.of(program)
        for places, figures, low, high in relaxed.rows:
            total = sum(figure * values[place] for place, figure in zip(places, figures, strict=True))
            assert low is None or total >= low
            assert high is None or total <= high
            assert sum(abs(figure) * 6 for figure in figures) < 2**62
        cost = sum(cost * value for cost, value in zip(relaxed.costs, values, strict=True))
        exact_cost = program.cost(values) / relaxed.cost_scale
        assert cost - relaxed.cost_error <= exact_cost
        assert cost == pytest.approx(float(exact_cost), rel=1e-6)
        assert math.isclose(relaxed.cost_error, 0, abs_tol=100)


def test_figures_beyond_64_bits_reach_cp_sat(solvers):
    """Costs of 30 digits: exact counts, exact optimum."""
    large = 10**28 + 1
    columns = (Column("a", 0, 9, 3 * large), Column("b", 0, 9, 2 * large + 1))
    program = Program(columns, (Row("row", ((0, 5 * large), (1, 3 * large)), low=14 * large + 1),))
    found = solve_exactly(program, EXACT, solvers["cp-sat"])
    assert found.stopped_by is None
    assert found.values is not None
    assert Fraction(program.cost(found.values)) == least_cost(program)


def misuse(solver: type[child.ChildSolver], **changes: object) -> str:
    """Send what no program is to a solver's process; return what its failure says."""
    request = {"costs": [1.0], "low": [0.0], "high": [1.0], "whole": [1], "rows": [], "gap": 0.0}
    process = child.Child(solver.__module__, solver.__name__)
    try:
        process.receive(60.0, "start")
        process.send({**request, "time_limit_s": 1.0, **changes})
        with pytest.raises(child.SolverFailureError) as raised:
            process.receive(60.0, "answer")
    finally:
        process.end()
    return str(raised.value)


def test_glpk_aborts_its_process_not_ours():
    """It does not return errors: a column that is not there ends the process."""
    assert misuse(Glpk, rows=[[[7], [1.0], 1.0, None]]) == "its process ended by signal 6"


def test_an_error_of_mathopt_is_a_failure():
    """It may be an AttributeError about MathOpt's own error, as in OR-Tools 9.15."""
    assert misuse(Scip, costs=[float("nan")]).startswith("raised ")


def test_one_process_may_load_every_solver_after_the_users_own():
    """PuLP imported before us and OR-Tools after: ours are in a child, theirs do not matter."""
    script = (
        "import pulp\n"
        "import hercules_opt as ho\n"
        "problem = ho.ProvisioningProblem([[10.0]], [[30.0]], [9], [25.0])\n"
        "for name in ('auto', 'highs', 'ortools-highs', 'scip', 'cp-sat', 'cbc'):\n"
        "    plan = ho.provision(problem, solver=name); assert plan.status == 'optimal', (name, plan.notes)\n"
        "import sys; assert not any(name.startswith('ortools') for name in sys.modules)\n"
    )
    assert output_of(script) == ""


OBJECTIVES = (["power"], ["servers"], ["servers", "power"], ["power", "servers"])


@pytest.mark.parametrize("name", ["highs", pytest.param("cp-sat", marks=pytest.mark.slow)])
def test_named_solvers_keep_to_objectives_and_requirements(name):
    """Forbidden and fixed pairs, several objectives: as by branch and price, and verified."""
    compared = 0
    for seed in range(40):
        problem = medium_problem(seed) if seed % 2 else tiny_problem(seed)
        pairs = [
            (problem.server_types[h], problem.models[m], int(problem.available[h]))
            for h, m in np.argwhere(problem.can_serve)
        ]
        if len(pairs) < 2:
            continue
        (server_type, model, most), forbidden = pairs[0], pairs[-1][:2]
        required = ho.Requirements(forbid=(forbidden,), fixed={(server_type, model): min(1, most)})
        plan, other = (
            ho.provision(problem, objective=OBJECTIVES[seed % 4], requirements=required, solver=solver)
            for solver in ("auto", name)
        )
        assert other.status == plan.status, seed
        assert other.objective == plan.objective, seed
        assert ho.verify(problem, other) == [], seed
        compared += plan.status == "optimal"
    assert compared > 12
