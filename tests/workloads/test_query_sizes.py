"""Query sizes: the integer distribution, its samples, and the density of cells agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hercules_opt.problem.catalogue import catalogue
from hercules_opt.problem.models import QuerySize
from hercules_opt.workloads.query_sizes import mean_items, sample_sizes, size_cells, size_distribution

RANKING = QuerySize(mean_items=179.0, sigma=0.95)
PUBLIC = QuerySize(distribution="normal", mean_items=165.0, std_items=16.0)
MLPERF = catalogue.models["mlperf-dlrm"].query_size
KINDS = {
    "ranking": RANKING,
    "public": PUBLIC,
    "mlperf": MLPERF,
    "fixed": QuerySize(distribution="fixed", mean_items=64.0),
}
each_kind = pytest.mark.parametrize("size", KINDS.values(), ids=KINDS)


def test_catalogue_default_is_what_it_says():
    """The log-normal of the catalogue has mean 165 after the cut and p95 three times that."""
    sizes = size_distribution(catalogue.models["dlrm-rmc1"].query_size)
    assert sizes.mean_items == pytest.approx(165, abs=0.5)
    assert sizes.quantile(0.95) / sizes.mean_items == pytest.approx(3.0, abs=0.05)
    assert sizes.items[-1] == 1024
    assert size_distribution(MLPERF).mean_items == pytest.approx(270)


def test_lognormal_probabilities_from_the_error_function():
    """Each size has the probability of its rounding interval, over that of 1/2 to 1024 1/2."""

    def cumulative(x):
        z = (math.log(x / 179.0) + 0.95**2 / 2) / 0.95
        return 0.5 * math.erfc(-z / math.sqrt(2))

    sizes = size_distribution(RANKING)
    total = cumulative(1024.5) - cumulative(0.5)
    for n in (5, 100, 165, 500, 1024):
        share = (cumulative(n + 0.5) - cumulative(n - 0.5)) / total
        assert sizes.weight[sizes.items == n][0] == pytest.approx(share, rel=1e-9)


def test_far_tail_keeps_its_relative_accuracy():
    """Cut far out in the tail, the normal's probabilities still fall like its density."""
    sizes = size_distribution(
        QuerySize(distribution="normal", mean_items=100.0, std_items=10.0, min_items=200)
    )
    step = sizes.weight[1] / sizes.weight[0]
    assert step == pytest.approx(math.exp(-(10.1**2 - 10.0**2) / 2 * 10 / 10), rel=0.05)
    assert sizes.items[0] == 200


@each_kind
def test_cells_are_contiguous_and_have_both_moments(size):
    """Weights sum to one; mean and mean square equal those of the integers, the latter plus 1/12."""
    sizes = size_distribution(size)
    for count in (16, 32, 64):
        cells = size_cells(size, count)
        assert len(cells.weight) == len(cells.lo_items) == len(cells.hi_items) == count
        assert cells.weight.sum() == pytest.approx(1, abs=1e-12)
        assert np.all(cells.weight >= 0)
        assert np.all(cells.hi_items > cells.lo_items)
        assert np.array_equal(cells.lo_items[1:], cells.hi_items[:-1])
        assert cells.mean_items == pytest.approx(sizes.mean_items, rel=1e-9)
        assert cells.square_items == pytest.approx(sizes.square_items + 1 / 12, rel=1e-9)


@each_kind
def test_cells_follow_the_distribution(size):
    """Between two integers the cells have the survival of the integers, closer with more cells."""
    sizes = size_distribution(size)
    items = np.arange(sizes.items[0], sizes.items[-1] + 1)
    error = [
        np.abs(size_cells(size, n).survival(items + 0.5) - sizes.survival(items)).max() for n in (16, 32, 128)
    ]
    assert error[1] < 0.004
    assert error[2] <= error[1] + 1e-12 <= error[0] + 2e-12


def test_tail_has_cells_of_its_own():
    """Several cells beyond p95, and several beyond p99."""
    cells = size_cells(RANKING)
    above = cells.survival(cells.lo_items)
    assert np.sum(above <= 0.051) >= 5
    assert np.sum(above <= 0.0101) >= 3


@each_kind
@pytest.mark.parametrize("batch", [16, 100, 256])
def test_expected_splits(size, batch):
    """E[ceil(S/d)] from the cells, as sum over k of P(S > k d + 1/2), is within 0.5 % of the exact one."""
    sizes, cells = size_distribution(size), size_cells(size)
    exact = float(np.ceil(sizes.items / batch) @ sizes.weight)
    steps = np.arange(0, sizes.items[-1] // batch + 1)
    assert cells.survival(steps * batch + 0.5).sum() == pytest.approx(exact, rel=0.005)


def test_fixed_is_one_unit_wide():
    cells = size_cells(KINDS["fixed"], 16)
    assert (cells.lo_items[0], cells.hi_items[-1]) == (63.5, 64.5)
    assert cells.weight == pytest.approx(np.full(16, 1 / 16))


def test_listed_sizes_are_exact():
    """Few listed sizes are represented exactly, with nothing between them."""
    cells = size_cells(MLPERF)
    inside = np.abs((cells.lo_items + cells.hi_items) / 2 - 100 * np.round(cells.hi_items / 100)) < 0.5
    assert cells.weight[~inside].sum() == pytest.approx(0, abs=1e-12)
    assert cells.weight[np.abs(cells.lo_items - 200) < 0.6].sum() == pytest.approx(0.59)


@each_kind
def test_samples_follow_the_distribution(size):
    """Mean and p95 of 200,000 samples are within four standard errors; all sizes are possible ones."""
    sizes = size_distribution(size)
    drawn = sample_sizes(size, np.random.default_rng(7), 200_000)
    spread = math.sqrt(max(sizes.square_items - sizes.mean_items**2, 0.0))
    assert abs(drawn.mean() - sizes.mean_items) <= 4 * spread / math.sqrt(len(drawn)) + 1e-9
    for quantile in (0.5, 0.95):
        value = sizes.quantile(quantile)
        assert np.mean(drawn > value) <= 1 - quantile + 0.004
        assert np.mean(drawn >= value) >= 1 - quantile - 0.004
    assert set(np.unique(drawn)) <= set(sizes.items)


def test_samples_are_the_same_for_a_seed():
    draws = [sample_sizes(RANKING, np.random.default_rng(3), 50) for _ in range(2)]
    assert np.array_equal(*draws)
    assert sample_sizes(RANKING, np.random.default_rng(3), 0).shape == (0,)


def test_survival_of_integers():
    sizes = size_distribution(
        QuerySize(distribution="empirical", items=(30, 10, 20), weights=(1.0, 2.0, 1.0))
    )
    assert sizes.survival(np.array([0, 9, 10, 25, 30])) == pytest.approx([1, 1, 0.5, 0.25, 0])
    assert sizes.mean_items == mean_items(
        QuerySize(distribution="empirical", items=(10, 20, 30), weights=(4.0, 2.0, 2.0))
    )


def test_too_few_cells_are_refused():
    with pytest.raises(ValueError, match="count: must be at least 16, found 4"):
        size_cells(RANKING, 4)


def test_distribution_outside_the_cut_is_refused():
    size = QuerySize(distribution="normal", mean_items=1e5, std_items=1.0, max_items=10)
    with pytest.raises(ValueError, match=r"\(1 to 10\) must hold some of the distribution, which has"):
        size_distribution(size)


any_size = st.one_of(
    st.builds(
        lambda mean, sigma, top: QuerySize(mean_items=mean, sigma=sigma, max_items=top),
        st.floats(1, 2000), st.floats(0.05, 2.5), st.integers(50, 4000),
    ),
    st.builds(
        lambda mean, std: QuerySize(distribution="normal", mean_items=mean, std_items=std, max_items=3000),
        st.floats(1, 2500), st.floats(0.1, 800),
    ),
    st.dictionaries(st.integers(1, 1024), st.floats(0.01, 10), min_size=1, max_size=60).map(
        lambda table: QuerySize(distribution="empirical", items=tuple(table), weights=tuple(table.values()))
    ),
)  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=150)
@given(size=any_size, count=st.sampled_from([16, 32, 48]))
def test_cells_of_any_distribution_are_proper(size, count):
    """Whatever the distribution: contiguous, no negative weight, both moments, survival falls from 1 to 0."""
    try:
        sizes = size_distribution(size)
    except ValueError:
        return
    cells = size_cells(size, count)
    assert len(cells.weight) == count
    assert np.all(cells.weight >= 0)
    assert np.array_equal(cells.lo_items[1:], cells.hi_items[:-1])
    assert cells.mean_items == pytest.approx(sizes.mean_items, rel=1e-8)
    assert cells.square_items == pytest.approx(sizes.square_items + 1 / 12, rel=1e-8)
    survival = cells.survival(np.append(cells.lo_items, cells.hi_items[-1]))
    assert survival[0] == pytest.approx(1)
    assert survival[-1] == 0
    assert np.all(np.diff(survival) <= 1e-15)
