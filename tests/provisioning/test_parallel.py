"""Worker processes: same answers as without, and nothing left behind whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from provisioning_cases import medium_problem

import hercules_opt as ho
from hercules_opt.provisioning import parallel, provision
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.policies.hercules import Hercules
from hercules_opt.provisioning.programs.exact import ExactProblem

ROOT = Path(__file__).parents[2]
EFFORT = Effort.within(1e-6, None)


@pytest.fixture
def impatient(monkeypatch):
    """Start workers right after the first interval."""
    monkeypatch.setattr(provision, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(provision, "_WORTH_S", 0.0)


@pytest.fixture
def started(monkeypatch):
    """List the worker processes that were started."""
    processes = []
    original = parallel._start_process

    def starting():
        processes.append(original())
        return processes[-1]

    monkeypatch.setattr(parallel, "_start_process", starting)
    return processes


def test_the_plan_does_not_depend_on_the_number_of_workers(impatient, started):
    """Counts, bounds and certificates are equal; progress counts up; the workers are gone."""
    problem = medium_problem(3, intervals=7)
    alone = ho.provision(problem, workers=1)
    assert started == []
    seen = []
    apart = ho.provision(problem, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)
    assert apart.counts.tolist() == alone.counts.tolist()
    assert apart.certificate == alone.certificate
    assert apart.interval_bound.tolist() == alone.interval_bound.tolist()
    assert seen == [(number, 7) for number in range(1, 8)]


def test_quick_problems_start_no_worker(started):
    """The tiny instance is solved in the process."""
    assert ho.provision(ho.load_instance("tiny"), workers=8).status == "optimal"
    assert started == []


def test_where_no_worker_starts_the_intervals_are_solved_here(impatient, monkeypatch):
    """An interpreter that does not exist, and one that ends at once."""
    problem = medium_problem(5, intervals=3)
    expected = ho.provision(problem, workers=1)
    for interpreter in ("/nonexistent/python", "/bin/false"):
        monkeypatch.setattr(sys, "executable", interpreter)
        plan = ho.provision(problem, workers=2)
        assert plan.counts.tolist() == expected.counts.tolist()
        assert plan.certificate == expected.certificate


def test_a_worker_that_dies_loses_no_interval(started):
    """Killed while the answers come in, the rest is solved here."""
    intervals = ExactProblem.of(medium_problem(7, intervals=6)).intervals
    found = {}
    for interval, answer in parallel.solve_apart(Hercules(), intervals, EFFORT, 1):
        found[interval] = answer
        started[0].kill()
    assert found == {interval: Hercules().solve(interval, EFFORT) for interval in intervals}


def test_an_interrupt_keeps_what_was_found_and_ends_the_workers(impatient, started):
    """Ctrl-C while workers run: two intervals are kept, the rest is greedy's, no process is left."""

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    problem = medium_problem(3, intervals=6)
    plan = ho.provision(problem, workers=2, progress=interrupt)
    assert plan.stopped_by == "interrupt"
    assert sum(status == "optimal" for status in plan.interval_status) >= 2
    assert ho.verify(problem, plan) == []
    assert all(process.returncode is not None for process in started)


def test_no_time_left_is_no_error_with_workers(impatient):
    """Every interval is answered and every claim is true."""
    problem = medium_problem(1, intervals=4)
    assert ho.verify(problem, ho.provision(problem, workers=2, time_limit_s=0.0)) == []


def test_a_script_without_a_main_guard_runs_once():
    """Workers import the package only, so a script on standard input works and prints once."""
    script = (
        "import hercules_opt as ho\n"
        "from hercules_opt.provisioning import provision as p\n"
        "p._PATIENCE_S = p._WORTH_S = 0.0\n"
        "problem = ho.ProvisioningProblem([[10.0]], [[30.0]], [9], [[10.0], [20.0], [70.0]])\n"
        "print(ho.provision(problem, workers=2).power_w.tolist())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout == "[30.0, 60.0, 210.0]\n"
    assert run.stderr == ""


def test_a_worker_loads_the_solvers_only():
    """Its start counts: neither pandas nor JAX nor the instance format."""
    code = "import sys, hercules_opt.provisioning.worker; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert not {"pandas", "jax", "numba", "matplotlib", "pydantic"} & set(run.stdout.split())


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "2"])
def test_bad_numbers_of_workers_are_refused(workers):
    with pytest.raises(ho.InputError, match="workers: must be a whole number, at least 1"):
        ho.provision(ho.load_instance("tiny"), workers=workers)
