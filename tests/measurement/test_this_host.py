"""What a host lets a process use: fewer cores than it shows, and power counters that may be unreadable."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hercules_opt.measurement import this_host as module
from hercules_opt.measurement import timing
from hercules_opt.measurement.this_host import measured_power_w, this_host, usable_cores
from hercules_opt.measurement.timing import (
    MOST_CALLS,
    Call,
    Neighbours,
    Timing,
    disturbed_share,
    timed_in_turns,
)

LIMITS = [
    ("max 100000", 4),
    ("200000 100000", 2),
    ("150000 100000", 1),
    ("50000 100000", 1),
    ("9999999 1", 4),
]


@pytest.mark.parametrize(("limit", "cores"), LIMITS)
def test_a_quota_leaves_fewer_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, cores: int
) -> None:
    monkeypatch.setattr(module, "allowed_cores", lambda: [0, 1, 2, 3])
    (tmp_path / "cpu.max").write_text(limit + "\n", encoding="utf-8")
    assert usable_cores(tmp_path / "cpu.max") == cores


def test_affinity_leaves_fewer_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a control group, the cores that the process may run on."""
    monkeypatch.setattr(module, "allowed_cores", lambda: [3])
    assert usable_cores(tmp_path / "none") == 1
    found = this_host()
    assert found.cores <= found.cores_shown == os.cpu_count()
    assert found.memory_gb >= found.available_gb > 0
    assert found.llc_mb > 0


def test_power_of_all_packages(tmp_path: Path) -> None:
    """Counters that stand still: no watts. One that cannot be read, or none at all: not measured."""
    for number in range(2):
        zone = tmp_path / f"intel-rapl:{number}"
        zone.mkdir()
        (zone / "energy_uj").write_text("5000000\n", encoding="utf-8")
        (zone / "name").write_text(f"package-{number}\n", encoding="utf-8")
    assert measured_power_w(0.01, tmp_path) == 0.0
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("no number\n", encoding="utf-8")
    assert measured_power_w(0.01, tmp_path) is None
    assert measured_power_w(0.01, tmp_path / "none") is None


def test_power_while_something_is_done_without_what_is_counted_twice(tmp_path: Path) -> None:
    """A package that takes 3 J meanwhile; the counter of the whole platform holds them too."""
    for number, name in enumerate(("package-0", "psys")):
        zone = tmp_path / f"intel-rapl:{number}"
        zone.mkdir()
        (zone / "name").write_text(f"{name}\n", encoding="utf-8")
        (zone / "energy_uj").write_text("0\n", encoding="utf-8")

    def work(seconds: float) -> None:
        time.sleep(seconds)
        for zone in tmp_path.iterdir():
            (zone / "energy_uj").write_text("3000000\n", encoding="utf-8")

    found = measured_power_w(0.1, tmp_path, work)
    assert found is not None
    assert 3.0 / 0.4 < found <= 3.0 / 0.1


@pytest.mark.parametrize(("limit", "most"), [("1000000000", 1.0), ("max", None), (None, None)])
def test_a_control_group_leaves_less_memory(tmp_path: Path, limit: str | None, most: float | None) -> None:
    path = tmp_path / "memory.max"
    if limit is not None:
        path.write_text(limit + "\n", encoding="utf-8")
    whole, available = module._memory_gb(path)
    free = module._memory_gb(tmp_path / "none")
    assert whole == (free[0] if most is None else most)
    assert 0.0 < available <= whole


def test_what_a_control_group_has_taken_is_not_available(tmp_path: Path) -> None:
    """Of 2 GB it has taken 1.5, of which 0.25 are files that it would give back."""
    for name, text in {
        "memory.max": "2000000000\n",
        "memory.current": "1500000000\n",
        "memory.stat": "anon 1\ninactive_file 250000000\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert module._memory_gb(tmp_path / "memory.max") == (2.0, pytest.approx(0.75))


def test_calls_take_turns_in_rounds_and_the_fastest_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = [0.0], list[tuple[str, int]]()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def slow_at_first(name: str, seconds: float) -> Call:
        def call(number: int) -> None:
            now[0] += seconds * (3.0 if now[0] < 40.0 else 1.0)
            told.append((name, number))

        return call

    first, second = timed_in_turns([slow_at_first("a", 1.0), slow_at_first("b", 2.0)], 10.0)
    assert (first.seconds, second.seconds) == (pytest.approx(1.0), pytest.approx(2.0))
    assert (first.repeats, second.repeats) == (8, 5)
    assert [name for name, number in told if number == -1] == ["a", "b"] * 5
    numbers = [number for name, number in told if name == "a" and number >= 0]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < MOST_CALLS


def test_times_that_differ_are_disturbed() -> None:
    calm, shaky = Timing(1.0, 0.1, 5), Timing(1.0, 0.5, 5)
    assert (calm.disturbed, shaky.disturbed) == (False, True)
    assert disturbed_share([calm, calm, calm, shaky]) == 0.25
    assert disturbed_share([]) == 0.0


def test_neighbours_are_what_is_busy_beside_us(tmp_path: Path) -> None:
    """Many more seconds of busy cores in no time: others are busy; an unreadable file: not known."""
    stat = tmp_path / "stat"
    stat.write_text("cpu 1000 0 0 5000 0 0 0 0 0 0\n", encoding="utf-8")
    found = Neighbours(stat)
    stat.write_text("cpu 1000000 0 0 5000 0 0 0 0 0 0\n", encoding="utf-8")
    cores = found.cores()
    assert cores is not None
    assert cores > 1.0
    assert Neighbours(tmp_path / "none").cores() is None
