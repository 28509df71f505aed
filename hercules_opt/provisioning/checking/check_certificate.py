"""Recompute certificates exactly, sharing no code with the solvers.

For a leaf with prices p and a box of counts, every plan n in the box that covers the needs and keeps to
availability a satisfies sum(power n) >= sum(power n) + p . (use(n) - a) >= sum over models of the least
(power + p) n - p . a. What the leaf claims as that least is checked by listing partial covers type by type,
keeping only those that no other beats and that could still end below the claim: none may remain.

A leaf may claim more: that no plan in the box is below a figure. Such a plan has covers of which each costs
its model little more than the least, and leaves few priced servers idle. All of these are listed and
combined (see ``check_listing``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from hercules_opt.provisioning.certificate import MOST_DEPTH, Branch, Certificate, CertificateKind, Leaf, Node
from hercules_opt.provisioning.checking.check_listing import ListingError, Offer, nothing_below

#: Partial covers looked at for one model at one leaf before giving up.
_MOST_STEPS = 3_000_000

Grid = tuple[tuple[Fraction, ...], ...]


class CertificateError(Exception):
    """A certificate that does not prove what it claims; the text says where."""


@dataclass(frozen=True)
class IntervalData:
    """One interval as the problem states it, in exact numbers; h server types, m models.

    Parameters
    ----------
    rates_qps, powers_w
        Rate and objective of one server, m rows of h; zero where it cannot serve. The objective is power in
        W, or whatever else is minimized.
    required_qps
        Load with over-provisioning, m.
    available
        Servers of each type, h.
    """

    rates_qps: Grid
    powers_w: Grid
    required_qps: tuple[Fraction, ...]
    available: tuple[int, ...]


@dataclass(frozen=True)
class _Range:
    low: tuple[tuple[int, ...], ...]
    high: tuple[tuple[int, ...], ...]

    def cut(self, branch: Branch, upper: bool) -> _Range:
        """Return the part of a branch."""
        model, server_type = branch.model, branch.server_type
        low, high = [list(row) for row in self.low], [list(row) for row in self.high]
        if upper:
            low[model][server_type] = max(low[model][server_type], branch.count + 1)
        else:
            high[model][server_type] = min(high[model][server_type], branch.count)
        return _Range(tuple(map(tuple, low)), tuple(map(tuple, high)))

    @property
    def empty(self) -> bool:
        return any(
            a > b
            for low, high in zip(self.low, self.high, strict=True)
            for a, b in zip(low, high, strict=True)
        )


def proven_bound_w(data: IntervalData, certificate: Certificate) -> Fraction:
    """Return the lower bound on power that a certificate proves.

    Raises
    ------
    CertificateError
        If a part is malformed, or claims more than is true.
    """
    bounds = [value for value in _leaf_values(data, certificate) if value is not None]
    if not bounds:
        raise CertificateError("every leaf is empty: it is a proof of infeasibility, not of a bound")
    unit = _unit([power for row in data.powers_w for power in row])
    return math.ceil(min(bounds) / unit) * unit


def proven_shortfall_qps(data: IntervalData, certificate: Certificate) -> Fraction:
    """Return the lower bound on the total shortfall in QPS that a certificate proves.

    Every load can be missed, so no leaf is empty but for an empty box.

    Raises
    ------
    CertificateError
        If a part is malformed, or claims more than is true.
    """
    bounds = [value for value in _leaf_values(data, certificate) if value is not None]
    if not bounds:
        raise CertificateError("every leaf is empty, but any load can be missed")
    unit = _unit([*(rate for row in data.rates_qps for rate in row), *data.required_qps])
    return max(Fraction(0), math.ceil(min(bounds) / unit) * unit)


def check_infeasible(data: IntervalData, certificate: Certificate) -> None:
    """Raise ``CertificateError`` unless a certificate proves that nothing covers the interval."""
    for value in _leaf_values(data, certificate):
        if value is not None and value <= 0:
            raise CertificateError(f"a leaf proves {float(value):g}, which is not above zero")


def _leaf_values(data: IntervalData, certificate: Certificate) -> list[Fraction | None]:
    """Return every leaf's bound, ``None`` for one whose box holds no cover."""
    models, types = len(data.required_qps), len(data.available)
    whole = _Range(((0,) * types,) * models, (data.available,) * models)
    values: list[Fraction | None] = []
    waiting: list[tuple[Node, _Range, int]] = [(certificate.root, whole, 0)]
    while waiting:
        node, box, depth = waiting.pop()
        if isinstance(node, Leaf):
            values.append(None if box.empty else _leaf_value(data, node, box, certificate.kind))
            continue
        if not (0 <= node.model < models and 0 <= node.server_type < types and node.count >= 0):
            raise CertificateError("a branch names a pair or a count that does not exist")
        if depth >= MOST_DEPTH:
            raise CertificateError(f"branches nest deeper than {MOST_DEPTH}")
        waiting.append((node.at_most, box.cut(node, upper=False), depth + 1))
        waiting.append((node.at_least, box.cut(node, upper=True), depth + 1))
    return values


def _leaf_value(data: IntervalData, leaf: Leaf, box: _Range, kind: CertificateKind) -> Fraction | None:
    models, types = len(data.required_qps), len(data.available)
    if len(leaf.multipliers) != types or len(leaf.least) != models:
        raise CertificateError("a leaf has the wrong number of figures")
    if not all(math.isfinite(price) and price >= 0 for price in leaf.multipliers):
        raise CertificateError("a leaf has a price that is negative or not finite")
    if not all(claimed is None or math.isfinite(claimed) for claimed in (*leaf.least, leaf.listed)):
        raise CertificateError("a leaf has a least cost or a bound that is not finite")
    prices = [Fraction(repr(float(price))) for price in leaf.multipliers]
    least = [None if claimed is None else _written(claimed) for claimed in leaf.least]
    offers: list[Offer] = []
    for m in range(models):
        powers = data.powers_w[m] if kind == "bound" else (Fraction(0),) * types
        costs = tuple(power + price for power, price in zip(powers, prices, strict=True))
        offer = Offer(data.rates_qps[m], costs, data.required_qps[m], box.low[m], box.high[m])
        if kind == "shortfall":
            offer = _with_missing(offer)
        if not _none_below(offer, least[m]):
            claim = "no cover at all" if least[m] is None else f"no cover below {leaf.least[m]!r}"
            raise CertificateError(f"a leaf claims {claim} for model {m}, and there is one")
        offers.append(offer)
    paid = [figure for figure in least if figure is not None]
    if len(paid) < models:
        return None
    idle = sum((price * count for price, count in zip(prices, data.available, strict=True)), Fraction(0))
    total = sum(paid, Fraction(0)) - idle
    if kind == "shortfall" and leaf.listed is not None:
        raise CertificateError("a proof of a shortfall lists covers")
    if leaf.listed is None or total >= (listed := _written(leaf.listed)):
        return total
    # Objectives are whole multiples of a unit: the highest below the claim is what must not be reached.
    unit = _unit([power for row in data.powers_w for power in row]) if kind == "bound" else Fraction(1)
    highest = (math.ceil(listed / unit) - 1) * unit
    try:
        proven = nothing_below(highest + unit / 1000 + idle, offers, paid, prices, data.available)
    except ListingError as error:
        raise CertificateError(str(error)) from None
    if not proven:
        raise CertificateError(f"a leaf claims no plan below {leaf.listed!r}, and there is one")
    return listed


def _with_missing(offer: Offer) -> Offer:
    """Return an offer with one more type, of which each server is a piece of what may be missing."""
    if offer.need <= 0:
        return offer
    piece = _unit([*offer.rates, offer.need])
    return Offer(
        (*offer.rates, piece),
        (*offer.costs, piece),
        offer.need,
        (*offer.low, 0),
        (*offer.high, int(offer.need / piece)),
    )


def _none_below(offer: Offer, least: Fraction | None) -> bool:
    """Return whether no cover in the box costs less than ``least`` (``None``: whether there is no cover)."""
    rates, costs, need, low, high = offer.rates, offer.costs, offer.need, offer.low, offer.high
    if least is None:
        return sum((rate * count for rate, count in zip(rates, high, strict=True)), Fraction(0)) < need
    need -= sum((rate * count for rate, count in zip(rates, low, strict=True)), Fraction(0))
    least -= sum((cost * count for cost, count in zip(costs, low, strict=True)), Fraction(0))
    if need <= 0 or least <= 0:
        return least <= 0
    unit_qps, unit_cost = _unit([*rates, need]), _unit([*costs, least])
    items = sorted(
        (cost / rate, int(min(rate, need) / unit_qps), int(cost / unit_cost), top - bottom)
        for rate, cost, bottom, top in zip(rates, costs, low, high, strict=True)
        if rate > 0 and top > bottom
    )
    return _no_label_left([item[1:] for item in items], int(need / unit_qps), int(least / unit_cost))


def _no_label_left(items: list[tuple[int, int, int]], need: int, least: int) -> bool:
    """List (coverage missing, cost) type by type; return whether no label ends covered below ``least``.

    ``items`` are (rate, cost, highest count), cheapest per unit of coverage first; all are whole numbers.
    """
    labels = [(need, 0)]
    steps = 0
    for place, (rate, cost, most) in enumerate(items):
        grown: list[tuple[int, int]] = []
        for missing, paid in labels:
            count = min(most, -(-missing // rate))
            if count * rate >= missing:
                if paid + count * cost < least:
                    return False
                count -= 1
            while count >= 0:
                steps += 1
                label = (missing - count * rate, paid + count * cost)
                # Fewer of the cheapest type left only raise the fractional cost of the rest: stop at the
                # first.
                if not _can_end_below(items, place + 1, *label, least):
                    break
                grown.append(label)
                count -= 1
            if steps > _MOST_STEPS:
                raise CertificateError(f"a leaf was not checked within {_MOST_STEPS} steps")
        labels = _unbeaten(grown)
    return True


def _can_end_below(
    items: list[tuple[int, int, int]], place: int, missing: int, paid: int, least: int
) -> bool:
    """Return whether fractional servers of the types from ``place`` on cover the rest below ``least``."""
    for rate, cost, most in items[place:]:
        if rate * most >= missing:
            return paid * rate + missing * cost < least * rate
        missing -= rate * most
        paid += cost * most
    return False


def _unbeaten(labels: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out labels for which another misses no more and costs no more."""
    kept: list[tuple[int, int]] = []
    for label in sorted(labels):
        if not kept or label[1] < kept[-1][1]:
            kept.append(label)
    return kept


def _written(figure: float) -> Fraction:
    """Return the number that is written: a whole one, or the shortest decimal text of a float."""
    return Fraction(figure) if isinstance(figure, int) else Fraction(repr(float(figure)))


def _unit(values: list[Fraction]) -> Fraction:
    """Return the largest number of which all values are whole multiples."""
    scale = math.lcm(*(value.denominator for value in values))
    return Fraction(math.gcd(*(int(value * scale) for value in values)) or scale, scale)
