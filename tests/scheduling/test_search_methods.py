"""The search itself, on an evaluator whose optimum is known: any evaluator will do."""

from __future__ import annotations

import numpy as np
import pytest

from hercules_opt.scheduling.evaluator import Evaluation
from hercules_opt.scheduling.gradient import Found, best_rows, gradient_search, polish, starts
from hercules_opt.scheduling.lattice import lattice_search
from hercules_opt.scheduling.moves import neighbours
from hercules_opt.scheduling.random_search import random_search
from hercules_opt.scheduling.relaxation import box, points_at
from hercules_opt.scheduling.space import COLUMN, FIELDS, Space, Tasks

PLACEMENTS = ("cpu", "cpu-sd", "cpu-accelerator", "accelerator", "accelerator-hot")
FUSED = (64, 76, 91, 108, 128)


class Hill:
    """A smooth hill in the logarithm of every variable; its top is given per pair.

    More than ``fitting`` instances do not fit into memory; below ``floor`` a schedule serves nothing.
    """

    def __init__(self, tops: np.ndarray, *, fitting: float = np.inf, floor: float = -np.inf) -> None:
        self.tops_at, self.widest = tops, 0.0
        self.tops, self.fitting, self.floor = np.log(tops), fitting, floor
        self.evaluations = np.zeros(len(tops), dtype=np.int64)

    def height(self, pair, points):
        return 5.0 - ((np.log(points) - self.tops[pair]) ** 2).sum(axis=1)

    def may_beat(self, placement, pair, points, qps):
        return self.evaluate(placement, pair, points).qps > qps

    def memory(self, placement, pair, points):
        return points[:, COLUMN["instances"]] / self.fitting

    def evaluate(self, placement, pair, points) -> Evaluation:
        np.add.at(self.evaluations, pair, 1)
        self.widest = max(self.widest, points[:, COLUMN["cores_per_thread"]].max(initial=0.0))
        height = self.height(pair, points)
        memory = self.memory(placement, pair, points)
        served = (height > self.floor) & (memory <= 1.0)
        qps = np.where(served, np.exp(height), 0.0)
        return Evaluation(qps, self.floor - height, 2.0 * np.exp(height), memory)

    def gradient(self, placement, pair, points, at):
        np.add.at(self.evaluations, pair, 2)
        return -2.0 * (np.log(points) - self.tops[pair]) / points


def tasks_for(placement: str, count: int) -> Tasks:
    space = Space(placement, 8, 60, 8, FUSED)
    return Tasks(placement, np.arange(count), (space,) * count)


def highest(hill: Hill, task: Tasks, number: int) -> float:
    """Return the height of the best lattice point, by looking at all of them."""
    space = task.spaces[number]
    grids = np.meshgrid(*space.grids.values(), indexing="ij")
    rest = np.tile(space.lower, (grids[0].size, 1))
    for name, values in zip(space.grids, grids, strict=True):
        rest[:, COLUMN[name]] = values.ravel()
    best = -np.inf
    for split in space.splits:
        rest[:, list(space.split_columns)] = split
        at = hill.evaluate(space.placement, np.full(len(rest), number), rest)
        best = max(best, at.merit.max())
    return float(best)


def top_of(placement: str) -> np.ndarray:
    """A point of the small space with room on every side: 6 of 8 cores."""
    space = tasks_for(placement, 1).spaces[0]
    wanted = {"threads": 3, "cores_per_thread": 1, "dense_threads": 1, "dense_cores_per_thread": 3,
              "batch_size": 23, "instances": 5, "fused_items": 91, "hot_share": 0.35}  # fmt: skip
    top = np.ones((1, len(FIELDS)))
    for name in space.names:
        top[0, COLUMN[name]] = wanted[name]
    assert space.contains(top).all()
    return top


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_lattice_search_finds_the_top_of_one_hill(placement) -> None:
    """One hill whose top is on the lattice: the point itself, with a small part of the space looked at."""
    hill = Hill(top_of(placement))
    task = tasks_for(placement, 1)
    found = lattice_search(hill, task)
    assert np.array_equal(found.points, hill.tops_at)
    assert found.evaluation.merit[0] == pytest.approx(highest(Hill(top_of(placement)), task, 0))
    assert hill.evaluations[0] < max(0.2 * task.spaces[0].size, 60)


def test_lattice_search_stops_widening_threads_when_it_no_longer_helps() -> None:
    """The hill falls from two cores per thread on: threads of four and more are never looked at."""
    top = top_of("cpu")
    top[0, COLUMN["cores_per_thread"]], top[0, COLUMN["threads"]] = 2.0, 4.0
    hill = Hill(top)
    found = lattice_search(hill, tasks_for("cpu", 1))
    assert np.array_equal(found.points, top)
    assert hill.widest == 3.0


def test_random_search_takes_the_best_of_what_its_seed_draws() -> None:
    hill, task = Hill(np.full((2, 8), 2.5)), tasks_for("cpu-sd", 2)
    found = random_search(hill, task, seed=5, points=200)
    drawn = task.spaces[0].sample(200, np.random.default_rng(5))
    best = drawn[hill.height(np.zeros(200, dtype=int), drawn).argmax()]
    assert np.array_equal(found.points, [best, best])
    assert hill.evaluations.tolist() == [200, 200]
    other = random_search(Hill(np.full((2, 8), 2.5)), task, seed=6, points=200)
    assert not np.array_equal(other.points, found.points)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("search", [lattice_search, random_search])
def test_a_search_without_gradient_never_leaves_the_lattice(placement, search, rng) -> None:
    """Rugged judgements, nothing served below a floor, and memory for three instances."""
    task = tasks_for(placement, 4)
    tops = np.exp(3.0 * rng.random((4, len(FIELDS))))
    found = search(Hill(tops, fitting=3.0, floor=2.0), task)
    for number, space in enumerate(task.spaces):
        assert space.contains(found.points[number : number + 1]).all()
        assert found.evaluation.qps[number] == 0.0 or found.points[number, COLUMN["instances"]] <= 3.0


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_gradient_search_finds_the_top(placement, rng) -> None:
    """Tops anywhere in the box, some of them beyond the cores: the best lattice point is found."""
    task = tasks_for(placement, 6)
    span = task.spaces[0].upper / task.spaces[0].lower
    tops = task.spaces[0].lower * span ** rng.random((6, len(FIELDS)))
    hill = Hill(tops)
    found = gradient_search(hill, task)
    for number, space in enumerate(task.spaces):
        assert space.contains(found.points[number : number + 1]).all()
        # Cores couple the variables, and a search may end beside the best division of them.
        assert found.evaluation.merit[number] >= highest(hill, task, number) - 2e-3


def test_the_search_goes_down_to_what_fits_into_memory() -> None:
    """The hill's top has 8 instances, of which 3 fit."""
    top = np.ones((1, 8))
    top[0, COLUMN["instances"]], top[0, COLUMN["fused_items"]] = 8.0, 91.0
    found = gradient_search(Hill(top, fitting=3.0), tasks_for("accelerator", 1))
    assert found.points[0, COLUMN["instances"]] == 3.0
    assert found.evaluation.valid.all()


def test_where_nothing_is_served_the_search_comes_as_near_as_it_can() -> None:
    top = np.ones((1, 8))
    top[0, COLUMN["batch_size"]], top[0, COLUMN["threads"]] = 50.0, 4.0
    found = gradient_search(Hill(top, floor=6.0), tasks_for("cpu", 1))
    assert not found.evaluation.valid.any()
    assert found.points[0, COLUMN["batch_size"]] == 50.0
    assert found.evaluation.excess[0] == pytest.approx(1.0)


def test_same_seed_same_path_and_evaluations_are_counted() -> None:
    tops = np.full((3, 8), 2.5)
    first, second = Hill(tops), Hill(tops)
    one = gradient_search(first, tasks_for("cpu-sd", 3), seed=4)
    two = gradient_search(second, tasks_for("cpu-sd", 3), seed=4)
    assert np.array_equal(one.points, two.points)
    assert np.array_equal(first.evaluations, second.evaluations)
    assert (first.evaluations > 100).all()


def test_a_pair_does_not_see_the_others(rng) -> None:
    """Searching six pairs together, in any order, gives what each gives alone."""
    tops = 1.0 + 9.0 * rng.random((6, 8))
    together = gradient_search(Hill(tops), tasks_for("cpu-sd", 6))
    order = rng.permutation(6)
    shuffled = gradient_search(Hill(tops[order]), tasks_for("cpu-sd", 6))
    assert np.array_equal(shuffled.points, together.points[order])
    alone = gradient_search(Hill(tops[2:3]), tasks_for("cpu-sd", 1))
    assert np.array_equal(alone.points, together.points[2:3])


def test_starts_are_valid_and_differ() -> None:
    """Every start lies within bounds and cores, and another seed gives other ones."""
    for placement in PLACEMENTS:
        space = tasks_for(placement, 1).spaces[0]
        begun = points_at(starts(box([space]), 12, 0))
        assert space.used_cores(begun).max() <= space.cores * (1 + 1e-12)
        assert (begun >= space.lower * (1 - 1e-9)).all()
        assert (begun <= space.upper * (1 + 1e-9)).all()
        other = points_at(starts(box([space]), 12, 1))
        assert not np.array_equal(begun, other)


def test_polish_ends_where_no_neighbour_is_better(rng) -> None:
    task = tasks_for("cpu", 4)
    hill = Hill(np.full((4, 8), 3.3))
    points = task.spaces[0].sample(4, rng)
    rows = np.arange(4)
    begun = Found(points, hill.evaluate("cpu", rows, points))
    ended = polish(hill, task, rows, begun)
    assert (ended.evaluation.merit >= begun.evaluation.merit).all()
    for number in range(4):
        around = neighbours(task.spaces[number], ended.points[number])
        merit = hill.evaluate("cpu", np.full(len(around), number), around).merit
        assert merit.max() <= ended.evaluation.merit[number]


def test_best_rows_by_hand() -> None:
    """Two best of each group, ties in order."""
    rows = np.array([0, 0, 0, 1, 1, 2])
    merit = np.array([1.0, 3.0, 3.0, 5.0, 6.0, -1.0])
    assert best_rows(rows, merit, 2).tolist() == [1, 2, 4, 3, 5]


def test_merit_ranks_served_before_missed_before_too_large() -> None:
    """One query an hour is better than none at all; those that serve none come by how near they are."""
    qps = np.array([1 / 3600, 0.0, 0.0, 0.0, 0.0])
    excess = np.array([-1.0, 0.1, 2.0, -1.0, -1.0])
    memory = np.array([0.5, 0.5, 0.5, 1.1, 3.0])
    merit = Evaluation(qps, excess, np.ones(5), memory).merit
    assert (np.diff(merit) < 0).all()
