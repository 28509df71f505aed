"""Solvers that are missing, killed, hung, wrong or late: the right status every time, and no process left."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import faulty_solvers
import pytest
from provisioning_cases import medium_problem

import hercules_opt as ho
from hercules_opt.provisioning import provision
from hercules_opt.provisioning.engine.branch_and_price import Proof
from hercules_opt.provisioning.policies import hercules
from hercules_opt.provisioning.programs.program import Column, Program, Row
from hercules_opt.provisioning.solvers import SOLVERS, SolverAnswer, child

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

#: Ten servers of 100 QPS cover 1000 QPS.
PROGRAM = Program((Column("n", 0, 20, 7),), (Row("cover[m]", ((0, 100),), low=1000),))
NAN = float("nan")
PROBLEM = ho.ProvisioningProblem([[100.0]], [[7.0]], [20], [1000.0])


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Let children import the faulty solvers; be quick to call one late."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(child, "LATE_S", 0.5)


@pytest.fixture
def started(monkeypatch):
    """List the children that were started."""
    processes = []
    original = child.start_python

    def starting(*arguments):
        processes.append(original(*arguments))
        return processes[-1]

    monkeypatch.setattr(child, "start_python", starting)
    return processes


def solve(solver, time_limit_s=0.1) -> SolverAnswer:
    answer = solver.solve(PROGRAM, 0.0, time_limit_s)
    solver.close()
    return answer


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "Missing",
            "faulty-package is not installed, try 'pip install faulty-package' "
            "(No module named 'a_package_that_is_not_there')",
        ),
        ("Hangs", "hung: no answer within 0.6 s, killed"),
        ("IsKilled", "its process ended by signal 9"),
        ("Aborts", "its process ended by signal 6"),
        ("Exits", "its process ended with exit code 3"),
        ("Raises", "raised ValueError: two lines"),
        ("NoData", "raised TypeError: Object of type object is not JSON serializable"),
    ],
)
def test_a_failure_has_its_reason_and_leaves_no_process(name, reason, started):
    answer = solve(getattr(faulty_solvers, name)())
    assert answer == SolverAnswer("solver_failure", reason=reason)
    assert len(started) == 1
    assert started[0].returncode is not None


def test_a_hang_at_the_start_is_noticed(monkeypatch, started):
    monkeypatch.setattr(child, "START_S", 1.5)
    answer = solve(faulty_solvers.HangsAtStart())
    assert answer.reason == "hung: no start within 1.5 s, killed"
    assert started[0].returncode is not None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('Welcome to the solver')", "gave an answer that is no JSON"),
        ("print('[1, 2]')", "gave an answer that is no JSON object"),
        ("import os; os.write(1, bytes(range(128, 256)) + bytes([10]))", "gave an answer that is no JSON"),
        ("pass", "its process ended with exit code 0"),
        ("raise ValueError", "its process ended with exit code 1"),
        ("print('{}'); print('[')", "gave an answer that is no JSON"),
        ("print('{}'); print('{}')", "gave an unknown verdict, 'None'"),
        ("import os, time; os.close(1); time.sleep(1000)", "its process ended its output"),
    ],
)  # fmt: skip
def test_a_process_that_is_no_solver_is_a_failure(code, reason, monkeypatch, started):
    """Any command in the place of ours: garbage, silence, an early end."""
    monkeypatch.setattr(child, "_COMMAND", code)
    answer = solve(faulty_solvers.Faulty())
    assert answer == SolverAnswer("solver_failure", reason=reason)
    assert started[0].returncode is not None


def test_an_endless_line_is_cut(monkeypatch):
    monkeypatch.setattr(child, "_MOST_BYTES", 1000)
    monkeypatch.setattr(child, "_COMMAND", "while True: print('1' * 10_000, end='')")
    assert solve(faulty_solvers.Faulty()).reason == "gave an answer that is no JSON object"


@pytest.mark.parametrize("interpreter", ["/nonexistent/python", "/bin/false"])
def test_where_no_process_starts_it_is_said(interpreter, monkeypatch):
    monkeypatch.setattr(sys, "executable", interpreter)
    reason = solve(faulty_solvers.Faulty()).reason
    assert reason in (
        "its process could not be started: No such file or directory",
        "its process ended with exit code 1",
    )


def answered(monkeypatch, **reply) -> SolverAnswer:
    monkeypatch.setenv("HERCULES_OPT_TEST_ANSWER", json.dumps(reply))
    return solve(faulty_solvers.Answers())


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"verdict": "splendid"}, "gave an unknown verdict, 'splendid'"),
        ({"verdict": "solver_failure"}, "gave an unknown verdict, 'solver_failure'"),
        ({"verdict": ["optimal"]}, "gave an unknown verdict, \"['optimal']\""),
        ({"verdict": "optimal", "values": 10}, "gave an answer that is not a list of 1 values"),
        ({"verdict": "optimal", "values": [10, 0]}, "gave an answer that is not a list of 1 values"),
        ({"verdict": "optimal", "values": ["10"]}, "gave a value that is no number"),
        ({"verdict": "optimal", "values": [True]}, "gave a value that is no number"),
        ({"verdict": "optimal", "values": [float("nan")]}, "gave a value that is no number"),
        ({"verdict": "optimal", "values": [21]}, "gave a value out of its bounds, or not whole"),
        ({"verdict": "optimal", "values": [10.5]}, "gave a value out of its bounds, or not whole"),
        ({"verdict": "optimal", "values": [10], "bound": "70"}, "gave a bound that is no number"),
        ({"verdict": "optimal", "values": [10], "bound": float("inf")}, "gave a bound that is no number"),
    ],
)
def test_what_is_no_answer_is_a_failure(reply, reason, monkeypatch):
    assert answered(monkeypatch, **reply) == SolverAnswer("solver_failure", reason=reason)


ABOVE = "claimed a bound above the cost of a known answer"


def reply(verdict, values=None, bound=None) -> dict[str, object]:
    return {"verdict": verdict, "values": values, "bound": bound}


#: A server costs the child 1000.
@pytest.mark.parametrize(
    ("reply", "stopped_by", "note"),
    [
        (reply("optimal", [10], 10_000), None, None),
        (reply("optimal", [9], 9_000), "solver_failure", "gave an answer that breaks cover[model1]"),
        (
            reply("optimal", [12], 12_000),
            "solver_failure",
            "claimed a bound above the cost of a known answer",
        ),
        (reply("infeasible"), "solver_failure", "said infeasible of a program with a known answer"),
        (reply("optimal"), "solver_failure", "said optimal without an answer"),
        (reply("optimal", [10], 5_000), "solver_failure", "said optimal with a gap of 0.5"),
        (reply("time_limit", [12], 9_000), "time_limit", None),
        (reply("time_limit"), "time_limit", None),
    ],
)
def test_a_plan_of_a_named_solver_is_true_whatever_it_says(reply, stopped_by, note, monkeypatch):
    """Ten servers are known to be enough before the solver is asked: the plan has them whatever it says."""
    monkeypatch.setitem(SOLVERS, "cbc", faulty_solvers.Answers)
    monkeypatch.setenv("HERCULES_OPT_TEST_ANSWER", json.dumps(reply))
    plan = ho.provision(PROBLEM, solver="cbc", time_limit_s=20)
    assert plan.counts.tolist() == [[[10]]]
    assert plan.stopped_by == stopped_by
    assert plan.notes == (() if note is None else (f"solver cbc failed: {note}",))
    assert plan.status == ("optimal" if stopped_by is None else "feasible")
    assert plan.solver == "cbc"
    assert ho.verify(PROBLEM, plan) == []


def test_a_false_infeasible_is_found_out_without_a_start(monkeypatch):
    """Greedy does not cover here, so nothing is known beforehand; prices find a plan."""
    problem = ho.ProvisioningProblem(
        [[10.0, 10.0], [9.0, NAN]], [[10.0, 10.0], [10.0, NAN]], [1, 1], [9.0, 10.0]
    )
    assert ho.provision(problem, policy="greedy").status == "unknown"
    monkeypatch.setitem(SOLVERS, "cbc", faulty_solvers.Answers)
    monkeypatch.setenv("HERCULES_OPT_TEST_ANSWER", json.dumps({"verdict": "infeasible"}))
    plan = ho.provision(problem, solver="cbc")
    assert plan.notes == ("solver cbc failed: said infeasible of loads that a plan covers",)
    assert (plan.status, plan.stopped_by) == ("feasible", "solver_failure")
    assert ho.verify(problem, plan) == []


@pytest.mark.parametrize("name", ["Missing", "Hangs", "IsKilled", "Raises"])
def test_a_named_solver_that_fails_is_not_replaced(name, monkeypatch, started):
    """The plan is the one known before, says why, and verifies; the child is gone."""
    monkeypatch.setitem(SOLVERS, "scip", getattr(faulty_solvers, name))
    plan = ho.provision(PROBLEM, solver="scip", time_limit_s=0.5)
    assert (plan.status, plan.stopped_by, plan.bound) == ("feasible", "solver_failure", None)
    assert plan.notes[0].startswith("solver scip failed: ")
    assert ho.verify(PROBLEM, plan) == []
    assert all(process.returncode is not None for process in started)


def test_prints_do_not_end_up_in_the_answer(started):
    """Neither Python's nor those of a library on descriptor 1."""
    solver = faulty_solvers.Greedy()
    answers = [solver.solve(PROGRAM, 0.0, 1.0) for _ in range(3)]
    assert [answer.values for answer in answers] == [(20,)] * 3
    assert len(started) == 1
    solver.close()
    assert started[0].returncode is not None


def test_after_a_failure_the_next_call_starts_anew(started):
    solver = faulty_solvers.Exits()
    assert solver.solve(PROGRAM, 0.0, 1.0).reason == solver.solve(PROGRAM, 0.0, 1.0).reason
    assert len(started) == 2


def test_a_child_that_is_killed_from_outside_is_a_failure(started):
    solver = faulty_solvers.Greedy()
    assert solver.solve(PROGRAM, 0.0, 1.0).verdict == "time_limit"
    os.kill(started[0].pid, signal.SIGKILL)
    answer = solver.solve(PROGRAM, 0.0, 1.0)
    assert answer.reason == "its process ended by signal 9"
    solver.close()


def test_a_copy_has_no_process(started):
    solver = faulty_solvers.Greedy()
    solver.solve(PROGRAM, 0.0, 1.0)
    copy = pickle.loads(pickle.dumps(solver))
    assert copy.solve(PROGRAM, 0.0, 1.0).values == (20,)
    assert len(started) == 2
    copy.close()
    solver.close()


def test_a_child_ends_with_its_solver(started):
    """Nobody closed it."""
    solver = faulty_solvers.Greedy()
    solver.solve(PROGRAM, 0.0, 1.0)
    del solver
    assert started[0].returncode is not None


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Return whether a process ends within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@needs_proc
def test_what_a_solver_started_ends_with_it(tmp_path, monkeypatch):
    """As CBC, which PuLP runs in a process of its own."""
    monkeypatch.setenv(faulty_solvers.SPAWNED_VARIABLE, str(tmp_path / "spawned"))
    answer = solve(faulty_solvers.SpawnsAndHangs(), time_limit_s=0.5)
    assert answer.reason is not None
    assert answer.reason.startswith("hung")
    pids = [int(pid) for pid in (tmp_path / "spawned").read_text().split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_when_the_parent_goes_the_children_do(number, tmp_path, monkeypatch):
    """Killed, or interrupted: neither the solver nor what it started is left."""
    script = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in a shell's background
        "import faulty_solvers, test_solver_faults as here\n"
        "faulty_solvers.SpawnsAndHangs().solve(here.PROGRAM, 0.0, 1000.0)\n"
    )
    spawned = tmp_path / "spawned"
    path = os.pathsep.join([str(HERE), str(HERE.parent), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, faulty_solvers.SPAWNED_VARIABLE: str(spawned)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not spawned.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    pids = [int(pid) for pid in spawned.read_text().split()]
    parent.send_signal(number)
    _, err = parent.communicate(timeout=30)
    assert parent.returncode in (-number, 1)
    assert (b"KeyboardInterrupt" in err) == (number == signal.SIGINT)
    assert all(gone(pid) for pid in pids)


def test_auto_falls_over_and_says_so(monkeypatch):
    """Branch and price is made to find nothing, then two solvers to fail: the third answers."""
    monkeypatch.setattr(hercules, "least_power", lambda *_: Proof(None, None))
    monkeypatch.setitem(SOLVERS, "highs", faulty_solvers.IsKilled)
    monkeypatch.setitem(SOLVERS, "ortools-highs", faulty_solvers.Missing)
    plan = ho.provision(PROBLEM)
    assert (plan.status, plan.stopped_by, plan.bound_source) == ("optimal", None, ("claimed",))
    assert plan.counts.tolist() == [[[10]]]
    assert plan.notes == (
        "solver highs failed: its process ended by signal 9",
        "solver ortools-highs failed: faulty-package is not installed, try 'pip install faulty-package' "
        "(No module named 'a_package_that_is_not_there'); scip took over",
    )


def test_where_every_solver_fails_auto_says_that_too(monkeypatch):
    monkeypatch.setattr(hercules, "least_power", lambda *_: Proof(None, None))
    for name in SOLVERS:
        monkeypatch.setitem(SOLVERS, name, faulty_solvers.Exits)
    plan = ho.provision(PROBLEM)
    assert (plan.status, plan.stopped_by) == ("feasible", "solver_failure")
    assert [note.partition(" failed")[0] for note in plan.notes] == [f"solver {name}" for name in SOLVERS]
    assert ho.verify(PROBLEM, plan) == []


def test_worker_processes_keep_their_solver_running(monkeypatch):
    """Many intervals in two workers: the same plan as here."""
    monkeypatch.setattr(provision, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(provision, "_WORTH_S", 0.0)
    problem = medium_problem(3, intervals=5)
    apart, alone = (ho.provision(problem, solver="cbc", workers=workers) for workers in (2, 1))
    assert apart.counts.tolist() == alone.counts.tolist()
    assert apart.interval_bound.tolist() == alone.interval_bound.tolist()


def test_an_interrupt_ends_the_solver(started):
    """Ctrl-C between two intervals: what was found is kept, the rest is greedy's."""

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    problem = medium_problem(3, intervals=4)
    plan = ho.provision(problem, solver="scip", progress=interrupt)
    assert plan.stopped_by == "interrupt"
    assert plan.interval_status[0] in ("optimal", "infeasible")
    assert len(started) == 1
    assert started[0].returncode is not None
