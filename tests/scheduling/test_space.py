"""The search space: counts by hand, membership, moves that stay inside and reach everything."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hercules_opt import catalogue
from hercules_opt.hardware.packing import pack
from hercules_opt.scheduling.moves import distant, neighbours, surroundings
from hercules_opt.scheduling.space import COLUMN, FIELDS, HOT_SHARES, Space, placements, search_space

PLACEMENTS = ("cpu", "cpu-sd", "cpu-accelerator", "accelerator", "accelerator-hot")
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=40)

spaces = st.builds(
    Space,
    placement=st.sampled_from(PLACEMENTS),
    cores=st.integers(2, 9),
    max_batch=st.integers(1, 30),
    max_instances=st.integers(3, 8),
    fused_items=st.just((30, 60, 120)),
    devices=st.integers(1, 3),
)


def small(placement, **changes) -> Space:
    given = {"cores": 3, "max_batch": 4, "max_instances": 2, "fused_items": (4, 8, 16)}
    return Space(placement, **{**given, **changes})


def listed(space: Space) -> np.ndarray:
    """Return the lattice of three cores by loops over all values, with no help of the package."""
    counts = range(1, space.cores + 1)
    free = {
        "batch_size": range(1, space.max_batch + 1),
        "instances": [
            n for n in range(1, space.max_instances + 1) if n < space.devices or n % space.devices == 0
        ],
        "fused_items": space.fused_items,
        "hot_share": [k / 20 for k in range(1, 20)],
    }
    values = []
    for name in FIELDS:
        if name not in space.names:
            values.append([1])
        else:
            values.append(list(free.get(name, counts)))
    points = []
    for point in product(*values):
        m, o, m2, o2 = point[:4]
        used = (m * o if "threads" in space.names else 0) + (m2 * o2 if "dense_threads" in space.names else 0)
        if used <= space.cores:
            points.append(point)
    return np.array(points, dtype=float)


def test_three_cores_can_be_divided_in_five_ways() -> None:
    """1x1, 1x2, 1x3, 2x1, 3x1; and for two stages 1x1 beside 1x1, 1x2, 2x1, and the last two turned round."""
    splits = small("cpu").splits
    assert sorted(map(tuple, splits)) == [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]
    pipeline = sorted(map(tuple, small("cpu-sd").splits))
    assert pipeline == [(1, 1, 1, 1), (1, 1, 1, 2), (1, 1, 2, 1), (1, 2, 1, 1), (2, 1, 1, 1)]


@pytest.mark.parametrize(
    ("placement", "count"),
    [
        ("cpu", 5 * 4),
        ("cpu-sd", 5 * 4),
        ("cpu-accelerator", 5 * 4 * 2 * 3),
        ("accelerator", 2 * 3),
        ("accelerator-hot", 5 * 4 * 2 * 3 * 19),
    ],
)
def test_size_by_hand(placement, count) -> None:
    """Divisions of the cores, times batch sizes, instances, fused batches and hot shares."""
    space = small(placement)
    assert space.size == count
    points = listed(space)
    assert len(points) == count
    assert space.contains(points).all()


@REPEATABLE
@given(spaces)
def test_size_counts_the_divisions_of_the_cores(space) -> None:
    """The closed form agrees with the list of divisions."""
    grids = np.prod([len(grid) for grid in space.grids.values()])
    assert space.size == len(space.splits) * grids
    assert len(np.unique(space.splits, axis=0)) == len(space.splits)


def test_size_of_a_large_server_takes_no_list() -> None:
    """The divisions of 512 cores among two stages are counted, not listed."""
    space = small("cpu-sd", cores=512)
    divisors = np.array([0, *(sum(n % k == 0 for k in range(1, n + 1)) for n in range(1, 512))])
    below = np.cumsum(divisors)
    assert space.size == 4 * sum(int(divisors[a] * below[512 - a]) for a in range(1, 512))
    assert "splits" not in vars(space)


@REPEATABLE
@given(spaces, st.integers(0, 2**32 - 1))
def test_samples_are_of_the_lattice_and_repeatable(space, seed) -> None:
    points = space.sample(50, np.random.default_rng(seed))
    assert space.contains(points).all()
    assert np.array_equal(points, space.sample(50, np.random.default_rng(seed)))
    assert (points >= space.lower).all()
    assert (points <= space.upper).all()


def test_samples_reach_every_point_equally_often(rng) -> None:
    """20 points, 20,000 draws: each comes 1000 times, give or take five standard deviations."""
    _, counts = np.unique(small("cpu").sample(20_000, rng), axis=0, return_counts=True)
    assert len(counts) == 20
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threads": 4.0},
        {"threads": 2.0, "cores_per_thread": 2.0},
        {"threads": 0.0},
        {"threads": 1.5},
        {"batch_size": 5.0},
        {"instances": 2.0},
    ],
)
def test_points_outside_are_told_apart(wrong) -> None:
    """Too many cores, no thread, half a thread, too large a batch, a variable that is not used."""
    point = np.ones((1, len(FIELDS)))
    assert small("cpu").contains(point).all()
    for name, value in wrong.items():
        point[0, COLUMN[name]] = value
    assert not small("cpu").contains(point).any()


@REPEATABLE
@given(spaces, st.integers(0, 2**32 - 1))
def test_a_point_is_a_schedule_and_back(space, seed) -> None:
    for point in space.sample(5, np.random.default_rng(seed)):
        schedule = space.schedule(point)
        assert np.array_equal(space.point(schedule), point)
        given_keys = {name for name in FIELDS if getattr(schedule, name) is not None}
        assert given_keys == set(space.names)


@REPEATABLE
@given(spaces, st.integers(0, 2**32 - 1))
def test_moves_stay_on_the_lattice_and_leave_the_point(space, seed) -> None:
    for point in space.sample(3, np.random.default_rng(seed)):
        for moves in (neighbours, distant):
            found = moves(space, point)
            assert space.contains(found).all()
            assert not (found == point).all(axis=1).any()
            assert len(np.unique(found, axis=0)) == len(found)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_moves_reach_the_whole_lattice(placement) -> None:
    """From any corner, neighbours of neighbours cover every point: no part of the lattice is cut off."""
    space = small(placement)
    everything = {tuple(point) for point in listed(space)}
    begin = next(iter(everything))
    reached, waiting = {begin}, [begin]
    while waiting:
        for point in map(tuple, neighbours(space, np.array(waiting.pop()))):
            if point not in reached:
                reached.add(point)
                waiting.append(point)
    assert reached == everything


@REPEATABLE
@given(spaces, st.integers(0, 2**32 - 1))
def test_surroundings_bracket_a_real_point(space, seed) -> None:
    """Every rounding is within one step of the grid, and there is always one."""
    rng = np.random.default_rng(seed)
    low, high = space.sample(2, rng)
    real = low**0.6 * high**0.4
    found = surroundings(space, real)
    if space.used_cores(np.floor(real)[None])[0] <= space.cores:
        assert len(found)
    assert space.contains(found).all()
    for number, name in enumerate(FIELDS):
        if name in space.grids:
            grid = space.grids[name]
            ranks = np.searchsorted(grid, found[:, number])
            assert np.abs(ranks - np.searchsorted(grid, real[number])).max() <= 1
        else:
            assert np.abs(found[:, number] - real[number]).max() < 1.0


def test_a_lattice_point_surrounds_itself() -> None:
    for placement in PLACEMENTS:
        for point in listed(small(placement))[::7]:
            assert np.array_equal(surroundings(small(placement), point), point[None])


def test_search_space_of_a_pair(pair) -> None:
    """Bounds come from the server and the largest query; the fused batch grows to 16 queries."""
    space = search_space("accelerator-hot", pair("T7", "dlrm-rmc1"))
    assert (space.cores, space.max_batch, space.max_instances) == (20, 1024, 8)
    assert space.fused_items[0] == 1024
    assert space.fused_items[-1] == 16 * 1024
    ratios = np.divide(space.fused_items[1:], space.fused_items[:-1])
    assert np.abs(ratios - 2**0.25).max() < 1e-3
    assert HOT_SHARES[0] == 0.05
    assert HOT_SHARES[-1] == 0.95


def test_a_batch_is_never_larger_than_the_largest_query(small_pair) -> None:
    space = search_space("cpu-accelerator", small_pair("T7", 3))
    assert space.max_batch == 8
    assert space.fused_items[0] == 8


def test_placements_follow_from_the_parts(pair, model, host) -> None:
    assert placements(pair("T2", "dlrm-rmc1")) == ("cpu", "cpu-sd")
    with_device = {"cpu", "cpu-sd", "cpu-accelerator", "accelerator", "accelerator-hot"}
    assert set(placements(pair("T7", "dlrm-rmc1"))) == with_device
    assert placements(pack(host(1), model("din"))) == ("cpu",)
    assert placements(pack(host(0), model("din"))) == ()


def test_a_model_too_large_for_the_device_leaves_only_its_hot_part_there(model) -> None:
    small_device = catalogue.servers["T7"]
    assert small_device.accelerator is not None
    shrunk = small_device.replace(accelerator=small_device.accelerator.replace(memory_gb=2))
    assert "accelerator" not in placements(pack(shrunk, model("dlrm-rmc1")))
    assert "accelerator-hot" in placements(pack(shrunk, model("dlrm-rmc1")))
