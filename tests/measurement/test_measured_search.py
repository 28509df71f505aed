"""The measured search: few schedules, measurements decide, every one is kept, and it goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import hercules_opt as ho
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.measurement.largest_rate import Effort, LargestRate
from hercules_opt.measurement.measured_points import MeasuredPoint, PointFile, measurement_key
from hercules_opt.measurement.measured_search import measured_search
from hercules_opt.measurement.this_host import ThisHost
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.optimize import optimize_schedule
from hercules_opt.simulation.intervals import Interval

HOST = ThisHost("made up", 4, 8, 32.0, 24.0, 32.0)


def rate(qps: float) -> LargestRate:
    half = {50.0: Interval(2.0, 1.0, 3.0), 99.0: Interval(9.0, 8.0, float("inf"))}
    return LargestRate(Interval(qps, qps / 1.1, qps * 1.1), (qps,), half, 0.1, None, 7, 0)


@pytest.fixture(scope="module")
def server() -> ServerType:
    made = ho.catalogue.servers["T2"]
    assert made.cpu is not None
    return made.replace(cpu=made.cpu.replace(cores=4))


@pytest.fixture(scope="module")
def pair(server: ServerType) -> Pair:
    return pack(server, ho.catalogue.models["dlrm-rmc3"])


@pytest.fixture(scope="module")
def pick(server: ServerType) -> ho.Schedule:
    found = optimize_schedule(server, ho.catalogue.models["dlrm-rmc3"]).schedule
    assert found is not None
    return found


def searched(pair: Pair, pick: ho.Schedule, qps: Callable[[ho.Schedule], float], most: int):  # type: ignore[no-untyped-def]
    expected: dict[ho.Schedule, float] = {}

    def measure(schedule: ho.Schedule, guess: float) -> LargestRate:
        expected[schedule] = guess
        return rate(qps(schedule))

    return measured_search(pair, pick, measure, most, 0.5), expected


def test_the_cost_model_s_pick_is_first_and_no_schedule_is_measured_twice(
    pair: Pair, pick: ho.Schedule
) -> None:
    found, _ = searched(pair, pick, lambda schedule: 100.0, 6)
    labels = [point.schedule.label() for point in found]
    assert labels[0] == pick.label()
    assert len(labels) == len(set(labels)) == 6


def test_another_division_of_the_cores_is_tried_and_followed_where_it_serves_more(
    pair: Pair, pick: ho.Schedule
) -> None:
    """Wide threads, which the cost model does not pick, serve twice as much: the search goes on there."""

    def qps(schedule: ho.Schedule) -> float:
        return 100.0 * (2.0 if (schedule.cores_per_thread or 1) > 1 else 1.0)

    assert pick.cores_per_thread == 1
    found, _ = searched(pair, pick, qps, 8)
    best = max(found, key=lambda point: point.rate.qps.value)
    assert (best.schedule.cores_per_thread or 1) > 1
    assert [point.schedule.cores_per_thread for point in found].count(1) < 6


def test_a_measurement_begins_where_others_ended_and_not_where_the_model_is_wrong(
    pair: Pair, pick: ho.Schedule
) -> None:
    """Everything serves a tenth of what is predicted: from the second on, that is expected."""
    found, expected = searched(pair, pick, lambda schedule: 1e-3, 3)
    first, second, third = (expected[point.schedule] for point in found)
    assert first > 1.0
    assert max(second, third) < 2e-3


def test_schedules_far_below_the_pick_are_not_measured(pair: Pair, pick: ho.Schedule) -> None:
    within = measured_search(pair, pick, lambda schedule, guess: rate(100.0), 1000, 0.05)
    wider = measured_search(pair, pick, lambda schedule, guess: rate(100.0), 1000, 0.5)
    assert 1 <= len(within) < len(wider) < 1000


def key(**changes: object) -> str:
    given = {"host": HOST, "model": ho.catalogue.models["ncf"], "row_scale": 1.0, "effort": Effort()}
    return measurement_key(**{**given, **changes})  # type: ignore[arg-type]


def test_points_are_kept_exactly_and_read_back(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    one = MeasuredPoint(ho.Schedule(placement="cpu", threads=2, cores_per_thread=1, batch_size=7), rate(12.5))
    two = MeasuredPoint(ho.Schedule(placement="cpu", threads=1, cores_per_thread=1, batch_size=7), rate(0.1))
    for point in (one, two):
        PointFile(tmp_path, key()).put(point)
    again = PointFile(tmp_path, key())
    assert (again.get(one.schedule), again.get(two.schedule)) == (one, two)
    assert again.get(one.schedule.replace(batch_size=8)) is None
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]  # nothing half written is left


def test_what_was_measured_under_other_conditions_does_not_count() -> None:
    pytest.importorskip("onnxruntime")
    smaller = ThisHost("made up", 2, 8, 32.0, 24.0, 32.0)
    others = [
        key(host=smaller), key(row_scale=0.5), key(effort=Effort(repeats=5)),
        key(model=ho.catalogue.models["ncf"].replace(sla_ms=7.0)), key(model=ho.catalogue.models["wnd"]),
    ]  # fmt: skip
    assert len({key(), *others}) == 6
    assert key() == key(host=ThisHost("made up", 4, 64, 30.0, 11.0, 32.0))  # what is free now does not count


ROW = """{"key": "KEY", "points": [{"schedule": {"placement": "cpu"}, "qps": [1, 1, 1], "bisections": [1],
"latency_ms": LATENCY, "lateness_ms": 0, "busy_cores": null, "runs": RUNS, "disturbed_runs": 0}]}"""


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", '{"key": 3}', '{"key": "KEY", "points": [{"schedule": 3}]}',
        ROW.replace("LATENCY", "[]").replace("RUNS", "1"),
        ROW.replace("LATENCY", "{}").replace("RUNS", '"many"'),
    ],
)  # fmt: skip
def test_a_file_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / f"measured-{key()[:16]}.json"
    path.write_text(text.replace("KEY", key()))
    with pytest.raises(ho.InputError, match=r"does not hold what was measured\. Move it away"):
        PointFile(tmp_path, key())
    assert path.read_text() == text.replace("KEY", key())


def test_points_are_plain_json(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    schedule = ho.Schedule(placement="cpu", threads=2, cores_per_thread=1, batch_size=7)
    PointFile(tmp_path, key()).put(MeasuredPoint(schedule, rate(12.5)))
    (path,) = tmp_path.iterdir()
    (row,) = json.loads(path.read_text())["points"]
    assert row["qps"] == [12.5, 12.5 / 1.1, 12.5 * 1.1]
    assert row["latency_ms"]["99"] == [9.0, 8.0, None]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ho.InputError, match="cannot be made a folder"):
        PointFile(tmp_path / "taken", "0" * 64)
