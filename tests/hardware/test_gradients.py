"""Gradients against central finite differences, and finiteness on the whole box of valid schedules."""

from __future__ import annotations

import numpy as np
import pytest
from cost_programs import FIELDS, MODELS, Programs, point

from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.stages import PROGRAM, VARIABLES
from hercules_opt.problem.schedule import Placement

Pairs = dict[tuple[str, str], Pair]
COMPILED: tuple[Placement, ...] = tuple(dict.fromkeys(PROGRAM.values()))
PLACEMENTS: tuple[Placement, ...] = tuple(PROGRAM)

#: Differences to the left and to the right that disagree by more than this, relative to their size, straddle
#: a
#: kink (of a ceiling, or between two limits): the gradient is one-sided there, and the component is left out.
KINK = 0.02
STEP = 1e-6


def random_points(placement: Placement, cores: int, rng: np.random.Generator, count: int) -> np.ndarray:
    """Return real schedules inside the box: every variable off its ends, cores within what there is."""
    found: list[np.ndarray] = []
    while len(found) < count:
        m, o, m2, o2 = np.exp(rng.uniform(np.log(1.1), np.log(0.95 * cores), 4))
        used = m * o + (m2 * o2 if placement == "cpu-sd" else 0.0)
        if used > cores:
            continue
        batch, fused = np.exp(rng.uniform(np.log(2.0), np.log(1000.0))), 1024 * 2 ** rng.uniform(0.05, 3.9)
        instances, hot = np.exp(rng.uniform(np.log(1.1), np.log(7.9))), rng.uniform(0.02, 0.98)
        found.append(point(m, o, batch, m2, o2, instances, fused, hot))
    return np.array(found)


def servers_of(placement: Placement) -> tuple[str, ...]:
    return (
        ("T1", "T2", "T5", "T10")
        if placement.startswith("cpu") and placement != "cpu-accelerator"
        else ("T6", "T10")
    )


def moved(points: np.ndarray, column: int, step: float) -> np.ndarray:
    other = points.copy()
    other[:, column] *= 1.0 + step
    return other


def slopes(
    programs: Programs,
    placement: Placement,
    pairs: list[Pair],
    points: np.ndarray,
    loads: np.ndarray,
    column: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return left and right differences of the violation (of the excess at load 0) by a log variable."""
    field = "violation" if loads[0] > 0 else "unloaded_excess"
    low, here, high = (
        getattr(programs.ask(placement, pairs, moved(points, column, step), loads + (loads == 0)), field)
        for step in (-STEP, 0.0, STEP)
    )
    return (here - low) / STEP, (high - here) / STEP


def load_slopes(
    programs: Programs, placement: Placement, pairs: list[Pair], points: np.ndarray, loads: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    low, here, high = (
        programs.ask(placement, pairs, points, loads * (1.0 + step)).violation for step in (-STEP, 0.0, STEP)
    )
    return (here - low) / STEP, (high - here) / STEP


def smooth(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.abs(right - left) <= KINK * np.maximum(np.abs(left) + np.abs(right), 1e-3)


@pytest.mark.parametrize("placement", COMPILED)
def test_gradient_equals_central_differences(programs: Programs, pairs: Pairs, placement: Placement) -> None:
    """d log load / d log x at constant violation, for every variable, at random interior points and loads."""
    rng = np.random.default_rng(11)
    names = [(s, m) for s in servers_of(placement) for m in rng.choice(MODELS, 4, replace=False)]
    asked = [pairs[name] for name in names for _ in range(2)]
    points = np.concatenate([random_points(placement, int(pairs[name].host.cores), rng, 2) for name in names])
    first = programs.ask(placement, asked, points)
    loads = first.saturation_qps * rng.uniform(0.2, 0.95, len(points))
    gradient = programs.ask(placement, asked, points, loads).gradient * points
    by_load = load_slopes(programs, placement, asked, points, loads)
    compared = skipped = 0
    for name in VARIABLES[placement]:
        column = FIELDS.index(name)
        left, right = slopes(programs, placement, asked, points, loads, column)
        usable = smooth(left, right) & smooth(*by_load) & (by_load[0] > 1e-3)
        expected = -(left + right) / (by_load[0] + by_load[1])
        error = np.abs(gradient[:, column] - expected)
        worst = np.max(np.where(usable, error - 1e-3 * np.abs(expected), 0.0))
        assert worst < 1e-4, (name, worst)
        compared += int(usable.sum())
        skipped += int((~usable).sum())
    assert skipped <= 0.1 * compared, (skipped, compared)


@pytest.mark.parametrize("placement", COMPILED)
def test_gradient_of_a_missed_limit(programs: Programs, pairs: Pairs, placement: Placement) -> None:
    """Where no load meets the limits, the gradient is that of minus the excess of an unloaded server."""
    rng = np.random.default_rng(12)
    names = [(servers_of(placement)[0], m) for m in MODELS]
    asked = [pairs[name] for name in names]
    points = np.concatenate([random_points(placement, int(pairs[name].host.cores), rng, 1) for name in names])
    none = np.zeros(len(points))
    gradient = programs.ask(placement, asked, points, none).gradient * points
    compared = skipped = 0
    for name in VARIABLES[placement]:
        column = FIELDS.index(name)
        left, right = slopes(programs, placement, asked, points, none, column)
        usable = smooth(left, right)
        error = np.abs(gradient[:, column] + 0.5 * (left + right))
        assert np.max(np.where(usable, error - 1e-3 * np.abs(left), 0.0)) < 1e-4, name
        compared, skipped = compared + int(usable.sum()), skipped + int((~usable).sum())
    assert skipped <= 0.1 * compared


def polished_qps(programs: Programs, placement: Placement, pair: Pair, points: np.ndarray) -> np.ndarray:
    """Return the bounded throughput, refined by Newton's method on the violation."""
    load = programs.ask(placement, pair, points).qps
    for _ in range(2):
        here, above = (
            programs.ask(placement, pair, points, load * scale).violation for scale in (1.0, 1 + STEP)
        )
        load = load * (1.0 - np.where(load > 0, here * STEP / (above - here), 0.0))
    return load


@pytest.mark.parametrize("placement", COMPILED)
def test_gradient_of_the_throughput_itself(programs: Programs, pairs: Pairs, placement: Placement) -> None:
    """At the bounded load the implicit gradient is the slope of log throughput; and that load is on the
    safe side.
    """
    rng = np.random.default_rng(13)
    name = (servers_of(placement)[-1], "dlrm-rmc3")
    points = random_points(placement, int(pairs[name].host.cores), rng, 10)
    here = programs.ask(placement, pairs[name], points)
    points = points[(here.qps > 0) & (here.qps < 0.999 * here.saturation_qps)]
    reported, centre = (
        programs.ask(placement, pairs[name], points).qps,
        polished_qps(programs, placement, pairs[name], points),
    )
    assert len(points) >= 6
    assert (reported <= centre * (1 + 1e-9)).all()
    assert reported == pytest.approx(centre, rel=1e-3)
    gradient = programs.ask(placement, pairs[name], points, centre).gradient * points
    compared = 0
    for variable in VARIABLES[placement]:
        column, step = FIELDS.index(variable), 1e-4
        low, high = (
            polished_qps(programs, placement, pairs[name], moved(points, column, s)) for s in (-step, step)
        )
        left, right = np.log(centre / low) / step, np.log(high / centre) / step
        usable = smooth(left, right)
        error = np.abs(gradient[:, column] - 0.5 * (left + right))
        assert np.all(error[usable] < 1e-3 + 0.01 * np.abs(left[usable])), variable
        compared += int(usable.sum())
    assert compared >= 0.8 * len(points) * len(VARIABLES[placement])


def box_points(placement: Placement, cores: int, rng: np.random.Generator) -> np.ndarray:
    """Return corners of the box of valid schedules, a random choice of them, and random points inside."""
    splits = [(1, 1, 1, 1), (cores, 1, 1, 1), (1, cores, 1, 1), (2, cores // 2, 1, 1)]
    if placement == "cpu-sd":
        splits = [
            (1, 1, 1, 1),
            (cores - 1, 1, 1, 1),
            (1, 1, cores - 1, 1),
            (1, cores - 1, 1, 1),
            (1, 1, 1, cores - 1),
        ]
    corners = [
        point(m, o, batch, m2, o2, instances, fused, hot)
        for m, o, m2, o2 in splits
        for batch, hot in ((1, 1e-6), (1024, 1 - 1e-9), (1, 1 - 1e-9), (1024, 1e-6))
        for instances in (1, 8)
        for fused in (1024, 16384)
    ]
    picked = rng.choice(len(corners), 8, replace=False)
    return np.concatenate([np.array(corners)[picked], random_points(placement, cores, rng, 2)])


@pytest.mark.parametrize("placement", COMPILED)
def test_finite_on_the_whole_box(programs: Programs, pairs: Pairs, placement: Placement) -> None:
    """No NaN, no infinity, in values and gradients: nine models, ten server types, corners and inside."""
    rng = np.random.default_rng(14)
    asked: list[Pair] = []
    points: list[np.ndarray] = []
    for pair in pairs.values():
        if pair.device.count or placement in ("cpu", "cpu-sd"):
            points.append(box_points(placement, int(pair.host.cores), rng))
            asked += [pair] * len(points[-1])
    everywhere = np.concatenate(points)
    found = programs.ask(placement, asked, everywhere)
    at_bound = programs.ask(placement, asked, everywhere, np.maximum(found.qps, 0.0))
    for name, values in (*found._asdict().items(), ("gradient at the bound", at_bound.gradient)):
        assert np.isfinite(values).all(), name
    assert (found.saturation_qps > 0).all()
    assert (found.qps >= 0).all()
    assert (found.qps <= found.saturation_qps).all()
    assert (found.memory >= 0).all()
