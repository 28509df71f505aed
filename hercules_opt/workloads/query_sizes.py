"""Query sizes: the integer distribution that a simulator draws from, and the density of a smooth model.

A query ranks an integer number of items. The density spreads size ``n`` evenly over ``n - 1/2`` to
``n + 1/2``: a continuous size rounds to the integer it stands for, both have the same mean, and the variance
of the density is larger by 1/12.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError

if TYPE_CHECKING:
    from hercules_opt.problem.models import QuerySize

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Probability that is left out at each end of the distribution: far below what any simulation sees.
_NEGLIGIBLE = 1e-10

#: Steps for matching the moments; it takes two or three.
_NEWTON_STEPS = 20

#: Quantiles at which the density of the cells always has an edge, so that the tail is not one cell.
_TAIL_QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998)


@dataclass(frozen=True)
class SizeDistribution:
    """Integer query sizes and their probabilities.

    Attributes
    ----------
    items
        Sizes in ascending order, shape (n,).
    weight
        Their probabilities, shape (n,); they sum to 1.
    """

    items: Integers
    weight: Floats

    @property
    def mean_items(self) -> float:
        """Mean query size."""
        return float(self.items @ self.weight)

    @property
    def square_items(self) -> float:
        """Mean of the squared query size."""
        return float(self.items.astype(np.float64) ** 2 @ self.weight)

    def quantile(self, probability: float) -> int:
        """Return the smallest size that is not exceeded with at least this probability."""
        index = int(np.searchsorted(np.cumsum(self.weight), probability - 1e-12))
        return int(self.items[min(index, len(self.items) - 1)])

    def survival(self, items: Floats | Integers) -> Floats:
        """Return the probability that a query is larger than ``items``."""
        above = np.append(np.cumsum(self.weight[::-1])[::-1], 0.0)
        return np.asarray(above[np.searchsorted(self.items, items, side="right")], dtype=np.float64)


@dataclass(frozen=True)
class SizeCells:
    """A piecewise uniform density of query sizes.

    Attributes
    ----------
    lo_items, hi_items
        Edges of the cells, shape (count,); each cell begins where the one before ends.
    weight
        Probability of each cell, shape (count,); they sum to 1.
    """

    lo_items: Floats
    hi_items: Floats
    weight: Floats

    @property
    def mean_items(self) -> float:
        """Mean of the density."""
        return float(0.5 * (self.lo_items + self.hi_items) @ self.weight)

    @property
    def square_items(self) -> float:
        """Mean square of the density."""
        return float(_square_means(self.lo_items, self.hi_items) @ self.weight)

    def survival(self, items: Floats) -> Floats:
        """Return the probability of more than ``items``: linear within each cell."""
        edges = np.append(self.lo_items, self.hi_items[-1])
        above = np.append(np.cumsum(self.weight[::-1])[::-1], 0.0)
        return np.asarray(np.interp(items, edges, above), dtype=np.float64)


def size_distribution(query_size: QuerySize) -> SizeDistribution:
    """Return the integer distribution: cut to ``min_items`` .. ``max_items`` and scaled to 1.

    A normal or log-normal size is rounded to the nearest integer; what lies outside is left out, not piled up
    at the ends. Sizes of negligible probability at both ends are left out too.

    Raises
    ------
    InputError
        If no size between ``min_items`` and ``max_items`` has any probability.
    """
    kind = query_size.distribution
    if kind == "fixed":
        items, weight = np.array([query_size.mean_items]), np.ones(1)
    elif kind == "empirical":
        items, weight = np.array(query_size.items), np.array(query_size.weights, dtype=np.float64)
        order = np.argsort(items)
        items, weight = items[order], weight[order]
    else:
        items = np.arange(query_size.min_items, query_size.max_items + 1)
        weight = _rounded(query_size, items)
    return _trimmed(items.astype(np.int64), weight / weight.sum())


def sizes_between(query_size: QuerySize, least: int, most: int) -> QuerySize:
    """Return the sizes of those queries that have at least and at most so many items."""
    if query_size.distribution != "empirical":
        low, high = max(least, query_size.min_items), min(most, query_size.max_items)
        return query_size.replace(min_items=low, max_items=high)
    listed = zip(query_size.items or (), query_size.weights or (), strict=True)
    items, weights = zip(*((size, weight) for size, weight in listed if least <= size <= most), strict=True)
    return query_size.replace(items=items, weights=weights)


def mean_items(query_size: QuerySize) -> float:
    """Return the mean number of items per query, after the cut."""
    return size_distribution(query_size).mean_items


def sample_sizes(query_size: QuerySize, rng: np.random.Generator, n: int) -> Integers:
    """Return ``n`` independent query sizes, shape (n,); each takes one uniform number, in order."""
    sizes = size_distribution(query_size)
    levels = np.cumsum(sizes.weight)
    index = np.searchsorted(levels, rng.random(n) * levels[-1], side="right")
    return np.asarray(sizes.items[np.minimum(index, len(sizes.items) - 1)], dtype=np.int64)


def size_cells(query_size: QuerySize, count: int = 32) -> SizeCells:
    """Return the density as ``count`` cells whose mean and mean square are those of the exact density.

    Edges lie between integers: first at quantiles of the tail, then, one at a time, where a cell departs most
    from the exact distribution. Last, the weights are changed a little so that both moments are exact.

    Raises
    ------
    InputError
        If ``count`` is below 16.
    """
    if count < 16:
        raise InputError("must be at least 16", where="size_cells", key="count", found=count)
    sizes = size_distribution(query_size)
    edges, levels = _exact_levels(sizes)
    knots = _knots(edges, levels, count)
    lo, hi, weight = edges[knots[:-1]], edges[knots[1:]], np.diff(levels[knots])
    lo, hi, weight = _split_widest(lo, hi, weight, count)
    weight = _moments_matched(lo, hi, weight, sizes)
    return SizeCells(lo_items=lo, hi_items=hi, weight=weight)


def _rounded(query_size: QuerySize, items: Integers) -> Floats:
    """Return the probability of each rounded size; the upper tail by its complement: nothing cancels."""
    from scipy.special import ndtr

    mean = cast(float, query_size.mean_items)
    edges = np.append(items - 0.5, items[-1] + 0.5)
    if query_size.distribution == "lognormal":
        sigma = cast(float, query_size.sigma)
        scores = (np.log(edges / mean) + 0.5 * sigma**2) / sigma
    else:
        scores = (edges - mean) / cast(float, query_size.std_items)
    below, above = ndtr(scores), ndtr(-scores)
    weight = np.where(scores[:-1] > 0, above[:-1] - above[1:], below[1:] - below[:-1])
    if not weight.sum() > 0:
        raise InputError(
            f"min_items to max_items ({items[0]} to {items[-1]}) must hold some of the distribution, "
            f"which has a mean of {mean:g} items",
            key="query_size",
        )
    return np.asarray(weight, dtype=np.float64)


def _trimmed(items: Integers, weight: Floats) -> SizeDistribution:
    below = np.cumsum(weight)
    above = np.cumsum(weight[::-1])[::-1]
    kept = (below > _NEGLIGIBLE) & (above > _NEGLIGIBLE)
    items, weight = items[kept], weight[kept] / weight[kept].sum()
    items.setflags(write=False)
    weight.setflags(write=False)
    return SizeDistribution(items, weight)


def _exact_levels(sizes: SizeDistribution) -> tuple[Floats, Floats]:
    """Return the corners of the exact continuous distribution function, which is linear between them."""
    edges = np.unique(np.concatenate((sizes.items - 0.5, sizes.items + 0.5)))
    mass = np.zeros(len(edges) - 1)
    mass[np.searchsorted(edges, sizes.items - 0.5)] = sizes.weight
    levels = np.append(0.0, np.cumsum(mass))
    levels[-1] = 1.0
    return edges, levels


def _knots(edges: Floats, levels: Floats, count: int) -> Integers:
    """Return at most ``count + 1`` corners that describe the distribution function best, ends included."""
    last = len(edges) - 1
    tail = np.searchsorted(levels, _TAIL_QUANTILES)
    start = np.unique(np.clip(np.concatenate(([0], tail, [last])), 0, last))
    parts = [_departure(edges, levels, int(a), int(b)) for a, b in pairwise(start)]
    while len(parts) < count:
        worst = max(range(len(parts)), key=lambda number: parts[number][0])
        departure, a, middle, b = parts[worst]
        if departure <= 1e-12:
            break
        halves = ((a, middle), (middle, b))
        parts[worst : worst + 1] = [_departure(edges, levels, *half) for half in halves]
    return np.array([part[1] for part in parts] + [last])


def _departure(edges: Floats, levels: Floats, a: int, b: int) -> tuple[float, int, int, int]:
    """Return how far one uniform cell between two corners departs, and where most: (departure, a, corner, b).

    The departure is the area between both distribution functions over the square root of the size: between
    errors of the distribution (which tell most at small sizes) and of the mean (which tell at large ones).
    """
    inner = slice(a, b + 1)
    straight = np.interp(edges[inner], edges[[a, b]], levels[[a, b]])
    gap = np.abs(levels[inner] - straight)
    area = float(0.5 * (gap[1:] + gap[:-1]) @ np.diff(edges[inner]))
    return area / float(np.sqrt(edges[a] + edges[b])), a, a + int(np.argmax(gap)), b


def _split_widest(lo: Floats, hi: Floats, weight: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    """Halve the heaviest cells until there are ``count``; the density stays the same."""
    cells = list(zip(lo.tolist(), hi.tolist(), weight.tolist(), strict=True))
    while len(cells) < count:
        heaviest = max(range(len(cells)), key=lambda number: cells[number][2])
        a, b, mass = cells[heaviest]
        middle = 0.5 * (a + b)
        cells[heaviest : heaviest + 1] = [(a, middle, 0.5 * mass), (middle, b, 0.5 * mass)]
    table = np.array(cells)
    return table[:, 0], table[:, 1], table[:, 2]


def _square_means(lo: Floats, hi: Floats) -> Floats:
    return (lo**2 + lo * hi + hi**2) / 3.0


def _moments_matched(lo: Floats, hi: Floats, weight: Floats, sizes: SizeDistribution) -> Floats:
    """Return the weights times ``exp(a + b x + c x^2)``, so that total, mean and mean square are exact.

    Of all weights with these moments they are the closest in relative entropy, and none is negative. Newton's
    method on the dual, a convex function of (b, c); moments are centred and scaled to condition it well.
    """
    wanted = np.array([sizes.mean_items, sizes.square_items + 1.0 / 12.0])
    moments = np.stack([0.5 * (lo + hi), _square_means(lo, hi)]) - wanted[:, None]
    moments /= np.maximum(np.sqrt(moments**2 @ weight), 1e-300)[:, None]
    tilt = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        tilted = weight * np.exp(tilt @ moments)
        tilted /= tilted.sum()
        gradient = moments @ tilted
        if np.abs(gradient).max() < 1e-14:
            break
        hessian = (moments * tilted) @ moments.T - np.outer(gradient, gradient)
        tilt -= np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
    return np.asarray(tilted, dtype=np.float64)
