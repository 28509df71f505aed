"""What ``measure --load`` reports: rates predicted and measured, and what the predicted schedule loses."""

from __future__ import annotations

import json

import pytest
from fake_server import FakeServer, NoNeighbours, instance_of, small

import hercules_opt as ho
from hercules_opt.cli.output import show
from hercules_opt.measurement import load_test, on_host
from hercules_opt.measurement.host_fit import MeasuredHost
from hercules_opt.measurement.largest_rate import Effort
from hercules_opt.measurement.measure import Measurement, Rate, measured_rates
from hercules_opt.measurement.this_host import ThisHost
from hercules_opt.reporting.measurement import measurement_document, measurement_page

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

HOST = ThisHost("made up", 2, 8, 32.0, 24.0, 32.0)
EFFORT = Effort(repeats=1, run_s=1.0, least_queries=100, targets=5.0)


class WideIsFaster(FakeServer):
    """A thread with two cores serves three times as fast as one with one."""

    def start(self, schedule: ho.Schedule) -> None:
        self.servers = schedule.threads or 1
        self.item_ms = 0.1 / (3.0 if (schedule.cores_per_thread or 1) > 1 else 1.0)


class FirstIsFastest(FakeServer):
    """The schedule that is measured first serves twice as fast as any other."""

    first: ho.Schedule | None = None

    def start(self, schedule: ho.Schedule) -> None:
        self.first = self.first or schedule
        self.servers = schedule.threads or 1
        self.item_ms = 0.1 if schedule == self.first else 0.2


@pytest.fixture
def measured_host() -> MeasuredHost:
    unsure = ho.load_calibration("mlperf-dlrm-host").replace(relative_error=2.0)
    return MeasuredHost(instance_of().servers["here"], unsure, ())


def rate(found: MeasuredHost, server: FakeServer, monkeypatch: pytest.MonkeyPatch, points: int = 4) -> Rate:
    monkeypatch.setattr(on_host, "HostServer", lambda model: server)
    monkeypatch.setattr(load_test, "Neighbours", NoNeighbours)
    models = {"small": small(sla_ms=50.0)}
    (one,) = measured_rates(models, found, HOST, points=points, effort=EFFORT)
    return one


def page(found: MeasuredHost, one: Rate, capsys: pytest.CaptureFixture[str]) -> str:
    whole = Measurement(HOST, found, (), (one,), False, 0.0, 0.0)
    json.dumps(measurement_document(whole), allow_nan=False)
    show(*measurement_page(whole))
    return " ".join(capsys.readouterr().out.split())


def test_a_pick_that_is_not_the_best_loses_what_turns_measure(
    measured_host: MeasuredHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = rate(measured_host, WideIsFaster(), monkeypatch)
    assert one.schedule.cores_per_thread == 1
    assert one.rival is not None
    assert one.rival.cores_per_thread == 2
    assert one.lost is not None
    assert one.lost.lower < 1.0 / 3.0 < one.lost.upper  # 2000 of 3000 queries per second
    assert len(one.measured.bisections) == 4
    assert {len(point.rate.bisections) for point in one.points} == {1, 4}
    assert one.measured.qps.value == pytest.approx(2000.0, rel=0.06)  # a short run lets a little more hold
    assert one.error == pytest.approx(one.predicted_qps / one.measured.qps.value - 1.0)
    shown = page(measured_host, one, capsys)
    assert "Lost by the schedule that the cost model picks" in shown
    assert f"{one.rival.label()} " in shown
    assert "0 of " in shown


def test_a_pick_that_is_the_best_is_measured_against_the_best_other(
    measured_host: MeasuredHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = rate(measured_host, FirstIsFastest(), monkeypatch)
    assert len(one.points) == 4
    assert one.lost is not None
    assert one.rival is not None
    assert one.rival != one.schedule
    assert one.lost.upper < 0.0  # nothing is lost
    assert len(one.measured.bisections) == 4
    assert one.rival.label() in page(measured_host, one, capsys)


def test_nothing_is_said_of_a_loss_where_no_other_schedule_is_measured(
    measured_host: MeasuredHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = rate(measured_host, FirstIsFastest(), monkeypatch, points=1)
    assert (one.rival, one.lost) == (None, None)
    assert "no other held a rate" in page(measured_host, one, capsys)


def test_nothing_is_said_of_a_loss_where_no_rate_holds(
    measured_host: MeasuredHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = rate(measured_host, FakeServer(item_ms=50.0), monkeypatch)
    assert (one.error, one.lost, one.inside) == (None, None, False)
    assert "no rate held" in page(measured_host, one, capsys)
