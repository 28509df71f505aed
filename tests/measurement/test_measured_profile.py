"""Profiling by measuring: the table's rows, what is refused, and going on after an interrupt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_server import FakeServer, NoNeighbours, instance_of, small

import hercules_opt as ho
from hercules_opt.measurement import load_test, measured_profile, on_host
from hercules_opt.measurement.host_server import HostServer
from hercules_opt.measurement.largest_rate import QUICK, Effort
from hercules_opt.measurement.measured_profile import profile_measured
from hercules_opt.measurement.this_host import ThisHost, this_host
from hercules_opt.measurement.timing import Neighbours
from hercules_opt.problem.models import Model
from hercules_opt.simulation.stages import Trace

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

EFFORT = Effort(repeats=2, run_s=1.0, least_queries=100, targets=5.0)
_SERVE = FakeServer.serve
SERVERS: list[FakeServer] = []


@pytest.fixture(autouse=True)
def _made_up_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with two cores whose servers need no clock, far slower than the cost model says."""
    SERVERS.clear()

    def made(model: Model) -> FakeServer:
        assert model.sla_ms == 50.0
        SERVERS.append(FakeServer(item_ms=0.1))
        return SERVERS[-1]

    monkeypatch.setattr(on_host, "HostServer", made)
    monkeypatch.setattr(load_test, "Neighbours", NoNeighbours)
    monkeypatch.setattr(measured_profile, "this_host", lambda: ThisHost("made up", 2, 8, 32.0, 24.0, 32.0))


def lines() -> tuple[list[str], Any]:
    told: list[str] = []
    return told, told.append


def test_a_row_states_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    told, tell = lines()
    table = profile_measured(instance_of(), points=2, folder=tmp_path, effort=EFFORT, progress=tell)
    (row,) = table
    assert row.qps is not None
    assert row.qps_error is not None
    assert 1600.0 < row.qps < 2200.0  # two threads of 1 ms per query
    assert row.schedule is not None
    assert row.schedule.threads == 2
    assert (row.origin("qps").kind, row.origin("power_w").kind) == ("measured", "analytic")
    assert "measured on made up, 2 cores, schedules tried: 2" in (row.source or "")
    assert row.qps_error > 0.02
    assert (row.p95_ms or 0.0) <= 50.0
    assert row.analytic_qps != row.qps
    assert any("QPS held" in line for line in told)
    table.to_csv(tmp_path / "table.csv")
    assert ho.EfficiencyTable.from_csv(tmp_path / "table.csv").get("here", "small") is not None


def test_a_host_that_is_faster_than_predicted_draws_what_it_draws_when_saturated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(on_host, "HostServer", lambda model: FakeServer(item_ms=1e-4))
    slow = instance_of()
    cpu = slow.servers["here"].cpu
    assert cpu is not None
    slow = slow.replace(servers={"here": slow.servers["here"].replace(cpu=cpu.replace(clock_ghz=1e-4))})
    (row,) = profile_measured(slow, points=1, effort=QUICK)
    assert row.qps is not None
    assert row.analytic_qps is not None
    assert row.power_w is not None
    assert row.qps > 1.5 * row.analytic_qps
    assert 10.0 < row.power_w <= 20.0


def test_one_bisection_has_no_error_to_state() -> None:
    (row,) = profile_measured(instance_of(), points=1, effort=Effort(repeats=1, run_s=1.0, targets=5.0))
    assert row.qps is not None
    assert row.qps_error is None


def test_a_disturbed_measurement_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NoNeighbours, "busy_cores", 0.7)
    (row,) = profile_measured(instance_of(), points=1, effort=EFFORT)
    assert row.beyond is not None
    assert re.fullmatch(r"others used the machine in (\d+) of \1 runs", row.beyond)


@pytest.mark.parametrize(("busy_cores", "files"), [(0.0, 1), (0.7, 0)])
def test_that_nothing_holds_is_kept_only_of_a_quiet_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy_cores: float, files: int
) -> None:
    monkeypatch.setattr(NoNeighbours, "busy_cores", busy_cores)
    monkeypatch.setattr(FakeServer, "serve", _too_late)
    (row,) = profile_measured(instance_of(), points=1, folder=tmp_path, effort=EFFORT)
    assert row.qps is None or row.qps == 0.0
    assert len(list(tmp_path.glob("measured-*.json"))) == files


def _too_late(self: FakeServer, trace: Trace, limit: Any) -> Any:
    return np.full(len(trace.items), np.inf), 0.0


def test_a_second_call_goes_on_where_the_first_was_interrupted(tmp_path: Path) -> None:
    """Ctrl-C in the second schedule: the first is kept, and only what is missing is measured again."""
    runs = 0

    def interrupting(self: FakeServer, trace: Trace, limit: Any) -> Any:
        nonlocal runs
        runs += 1
        if runs == first_runs + 3:
            raise KeyboardInterrupt
        return _SERVE(self, trace, limit)

    profile_measured(instance_of(), points=1, folder=tmp_path / "one", effort=EFFORT)
    first_runs = len(SERVERS[0].traces)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FakeServer, "serve", interrupting)
        with pytest.raises(KeyboardInterrupt):
            profile_measured(instance_of(), points=3, folder=tmp_path / "cut", effort=EFFORT)
    SERVERS.clear()
    resumed = profile_measured(instance_of(), points=3, folder=tmp_path / "cut", effort=EFFORT)
    resumed_runs = sum(len(server.traces) for server in SERVERS)
    SERVERS.clear()
    whole = profile_measured(instance_of(), points=3, folder=tmp_path / "whole", effort=EFFORT)
    assert resumed == whole
    assert sum(len(server.traces) for server in SERVERS) == resumed_runs + first_runs
    SERVERS.clear()
    assert profile_measured(instance_of(), points=3, folder=tmp_path / "cut", effort=EFFORT) == whole
    assert SERVERS == []  # all is kept: nothing is started


def test_a_model_that_meets_its_target_at_no_rate_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_host, "HostServer", lambda model: FakeServer(item_ms=50.0))
    (row,) = profile_measured(instance_of(), points=2, effort=EFFORT)
    assert row.qps is None
    assert row.reason == "none of 2 measured schedules meets the latency target at any rate"


def test_a_model_that_cannot_meet_its_target_is_not_measured() -> None:
    day = instance_of()
    hopeless = day.replace(models={"small": small(sla_ms=1e-6)})
    (row,) = profile_measured(hopeless, points=2, effort=EFFORT)
    assert row.reason is not None
    assert "p95 of an idle server is" in row.reason
    assert SERVERS == []


def test_server_types_that_are_not_this_host_are_refused() -> None:
    with pytest.raises(
        ho.InputError, match=r"servers\.here: is not this host, .* found other\. This host is made up; 'herc"
    ):
        profile_measured(instance_of(name="other"))
    with pytest.raises(ho.InputError, match="must have at most the 2 cores that may be used here, found 3"):
        profile_measured(instance_of(cores=3))
    with pytest.raises(ho.InputError, match=r"is not this host, .* found a server with NVIDIA"):
        profile_measured(instance_of(accelerator=ho.catalogue.servers["T7"].accelerator))
    with pytest.raises(ho.InputError, match="found a server with near-memory processing"):
        profile_measured(instance_of(nmp=ho.catalogue.servers["T3"].nmp))
    assert SERVERS == []


def test_models_that_cannot_be_built_are_refused_before_anything_is_measured() -> None:
    architecture = small().architecture
    assert architecture is not None
    half = architecture.replace(tables=(architecture.tables[0].replace(lookups=2.5),))
    day = instance_of()
    with pytest.raises(
        ho.InputError, match=r"models\.small, architecture\.tables\.lookups: must be a whole number.* 2\.5"
    ):
        profile_measured(day.replace(models={"small": day.models["small"].replace(architecture=half)}))


@pytest.mark.parametrize("points", [0, 2.5, True, "many"])
def test_points_must_be_a_number(points: Any) -> None:
    with pytest.raises(ho.InputError, match="points: must be a whole number from 1 on"):
        profile_measured(instance_of(), points=points)


def test_without_the_extra_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ho.InputError, match=r"needs onnxruntime.*pip install 'hercules-opt\[measure\]'"):
        profile_measured(instance_of())


def test_this_host_is_measured_for_real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Real processes, a tiny model, a target that a loaded machine meets too."""
    here = this_host()
    monkeypatch.setattr(on_host, "HostServer", HostServer)
    monkeypatch.setattr(load_test, "Neighbours", Neighbours)
    monkeypatch.setattr(measured_profile, "this_host", lambda: here)
    day = instance_of(cores=1, name=here.name)
    day = day.replace(models={"small": small(sla_ms=500.0, mean_items=100.0)})
    (row,) = profile_measured(day, points=1, effort=QUICK, folder=tmp_path)
    assert row.qps is not None, row.reason
    assert row.qps > 1.0
    assert len(list(tmp_path.iterdir())) == 1
