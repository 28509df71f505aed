"""The continuous relaxation: coordinates, bounds, shared cores, memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hercules_opt.scheduling.relaxation import (
    box,
    coordinates,
    points_at,
    projected,
    pulled_back,
    within_memory,
)
from hercules_opt.scheduling.space import COLUMN, Space

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=50)
PLACEMENTS = ("cpu", "cpu-sd", "cpu-accelerator", "accelerator", "accelerator-hot")


def space(placement: str, cores: int = 20) -> Space:
    return Space(placement, cores, 1024, 8, (1024, 2048, 4096))


anywhere = st.tuples(st.sampled_from(PLACEMENTS), st.integers(2, 64), st.integers(0, 2**32 - 1))


@REPEATABLE
@given(anywhere)
def test_coordinates_and_back(case) -> None:
    placement, cores, seed = case
    points = space(placement, cores).sample(20, np.random.default_rng(seed))
    assert np.allclose(points_at(coordinates(points)), points, rtol=1e-12)


@REPEATABLE
@given(anywhere)
def test_projection_keeps_bounds_and_cores(case) -> None:
    placement, cores, seed = case
    one = space(placement, cores)
    bounds = box([one] * 30)
    wild = coordinates(np.tile(one.lower, (30, 1))) + np.random.default_rng(seed).normal(0, 5, (30, 8))
    inside = projected(wild, bounds)
    assert (inside >= bounds.lower).all()
    assert (inside <= bounds.upper).all()
    assert one.used_cores(points_at(inside)).max() <= cores * (1 + 1e-12)


@REPEATABLE
@given(anywhere)
def test_projection_leaves_valid_points_alone(case) -> None:
    placement, cores, seed = case
    one = space(placement, cores)
    valid = coordinates(one.sample(30, np.random.default_rng(seed)))
    assert np.allclose(projected(valid, box([one] * 30)), valid, atol=1e-12)


def test_too_many_cores_shrink_both_stages_by_one_factor() -> None:
    """Stages of 20 and 80 cores on 50 get 10 and 40."""
    point = np.ones((1, 8))
    point[0, :4] = (5.0, 4.0, 20.0, 4.0)
    inside = points_at(projected(coordinates(point), box([space("cpu-sd", 50)])))
    assert inside[0, :2].prod() == pytest.approx(10.0, rel=1e-6)
    assert inside[0, 2:4].prod() == pytest.approx(40.0, rel=1e-6)


def test_gradient_in_coordinates_is_that_of_finite_differences(rng) -> None:
    """The chain rule through log and logit, on a function with a known gradient."""
    weights = rng.normal(size=8)
    points = space("accelerator-hot").sample(5, rng)
    at = coordinates(points)

    def value(coordinate):
        return np.sin(points_at(coordinate)) @ weights

    slope = pulled_back(np.cos(points) * weights, points)
    used = [COLUMN[name] for name in space("accelerator-hot").names]
    for column in used:
        step = np.zeros(8)
        step[column] = 1e-6
        measured = (value(at + step) - value(at - step)) / 2e-6
        assert np.allclose(slope[:, column], measured, rtol=1e-4, atol=1e-5)


def test_memory_takes_instances_first_then_hot_embeddings() -> None:
    """Twice the memory: 4 instances become 2; one instance keeps half the odds of its hot share."""
    one = space("accelerator-hot")
    points = np.array([one.lower, one.lower])
    points[:, COLUMN["instances"]] = (4.0, 1.0)
    points[:, COLUMN["hot_share"]] = 0.5
    shrunk = points_at(within_memory(coordinates(points), np.array([2.0, 2.0]), box([one, one])))
    assert shrunk[:, COLUMN["instances"]].tolist() == pytest.approx([2.0, 1.0])
    assert shrunk[:, COLUMN["hot_share"]].tolist() == pytest.approx([0.5, 1 / 3])


def test_what_fits_into_memory_is_left_alone(rng) -> None:
    one = space("accelerator-hot")
    at = coordinates(one.sample(10, rng))
    assert np.array_equal(within_memory(at, np.full(10, 0.9), box([one] * 10)), at)
