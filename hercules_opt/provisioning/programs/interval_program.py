"""One interval as a program over counts: a column per (model, server type), rows for coverage and
availability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows
from hercules_opt.provisioning.programs.limits import Limits
from hercules_opt.provisioning.programs.program import Column, Figure, Program, Row


@dataclass(frozen=True)
class Labels:
    """Names of the models and the server types, for columns and rows."""

    models: Sequence[str]
    server_types: Sequence[str]

    @classmethod
    def numbered(cls, interval: ExactInterval) -> Labels:
        """Return model1, model2, ... and type1, type2, ..."""
        return cls(
            [f"model{m + 1}" for m in range(len(interval.needs))],
            [f"type{h + 1}" for h in range(len(interval.available))],
        )


@dataclass(frozen=True)
class IntervalProgram:
    """A program whose first columns are the counts of ``pairs``, each (model, server type).

    Parameters
    ----------
    program
        Costs are in units of the interval's ``cost_unit``, coverage in the unit of each model.
    pairs
        What the first columns count; other pairs get no server.
    shape
        Numbers of models and of server types.
    """

    program: Program
    pairs: tuple[tuple[int, int], ...]
    shape: tuple[int, int]

    def counts(self, values: Sequence[Figure]) -> Rows:
        """Return an answer's counts by model and type."""
        rows = [[0] * self.shape[1] for _ in range(self.shape[0])]
        for (m, h), value in zip(self.pairs, values, strict=False):
            rows[m][h] = int(value)
        return tuple(map(tuple, rows))


def interval_program(
    interval: ExactInterval,
    box: Box | None = None,
    labels: Labels | None = None,
    limits: Limits | None = None,
) -> IntervalProgram | None:
    """Return the program of least cost within a box (by default all counts that availability allows).

    ``None`` if a model that needs servers has none that could serve it.
    """
    box = box or Box.whole(interval)
    labels = labels or Labels.numbered(interval)
    pairs = _pairs(interval, box, limits)
    needy = [m for m, need in enumerate(interval.needs) if need > 0]
    if len({m for m, _ in pairs}) < len(_served(interval, limits)):
        return None
    columns = [_count_column(interval, box, labels, pair) for pair in pairs]
    places = _places(pairs)
    rows = [
        Row(
            f"cover[{labels.models[m]}]",
            # A server counts for no more than the whole need: the same whole counts, and a better bound.
            tuple((place, min(interval.rates[m][h], interval.needs[m])) for place, h in places[m]),
            low=interval.needs[m],
        )
        for m in needy
    ]
    limiting = _limiting(limits, labels, pairs, places)
    program = Program(tuple(columns), (*rows, *limiting, *_availability(interval, labels, pairs)))
    return IntervalProgram(program, pairs, (len(interval.needs), len(interval.available)))


def shortfall_program(
    interval: ExactInterval, labels: Labels | None = None, limits: Limits | None = None
) -> IntervalProgram:
    """Return the program of least total shortfall in QPS, whatever the cost.

    Behind the counts there is a column per model with a load: the share of it that is missing.
    """
    labels = labels or Labels.numbered(interval)
    box = Box.whole(interval)
    pairs = _pairs(interval, box, limits)
    loaded = [m for m, need in enumerate(interval.needs) if need > 0]
    counts = [_count_column(interval, box, labels, pair, priced=False) for pair in pairs]
    shares = [
        Column(f"short[{labels.models[m]}]", 0, 1, interval.required[m] * interval.weights[m], whole=False)
        for m in loaded
    ]
    places = _places(pairs)
    rows = []
    for share, m in enumerate(loaded, start=len(pairs)):
        load = interval.required[m]
        served: list[tuple[int, Figure]] = [
            (place, min(Fraction(interval.rates[m][h]), load)) for place, h in places.get(m, ())
        ]
        rows.append(Row(f"cover[{labels.models[m]}]", (*served, (share, load)), low=load))
    limiting = _limiting(limits, labels, pairs, places)
    program = Program((*counts, *shares), (*rows, *limiting, *_availability(interval, labels, pairs)))
    return IntervalProgram(program, pairs, (len(interval.needs), len(interval.available)))


def _served(interval: ExactInterval, limits: Limits | None) -> list[int]:
    """Return the models that need servers: for a load, or as many as they must have."""
    fewest = (0,) * len(interval.needs) if limits is None else limits.fewest
    return [m for m, need in enumerate(interval.needs) if need > 0 or fewest[m] > 0]


def _pairs(interval: ExactInterval, box: Box, limits: Limits | None) -> tuple[tuple[int, int], ...]:
    """Return the (model, server type) that can be of use: the model needs servers, the type has a rate."""
    return tuple(
        (m, h)
        for m in _served(interval, limits)
        for h, rate in enumerate(interval.rates[m])
        if rate > 0 and box.high[m][h] > 0
    )


def _count_column(
    interval: ExactInterval, box: Box, labels: Labels, pair: tuple[int, int], *, priced: bool = True
) -> Column:
    m, h = pair
    name = f"n[{labels.server_types[h]},{labels.models[m]}]"
    return Column(name, box.low[m][h], box.high[m][h], interval.costs[m][h] if priced else 0)


def _places(pairs: Sequence[tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
    """Return (column, server type) of the pairs of each model that has any."""
    places: dict[int, list[tuple[int, int]]] = {}
    for place, (m, h) in enumerate(pairs):
        places.setdefault(m, []).append((place, h))
    return places


def _limiting(
    limits: Limits | None,
    labels: Labels,
    pairs: Sequence[tuple[int, int]],
    places: dict[int, list[tuple[int, int]]],
) -> list[Row]:
    """Return the rows of minimum servers, and of totals."""
    if limits is None:
        return []
    rows = [
        Row(f"servers[{labels.models[m]}]", tuple((place, 1) for place, _ in places.get(m, ())), low=least)
        for m, least in enumerate(limits.fewest)
        if least > 0
    ]
    for total in limits.totals:
        entries = tuple((place, total.figures[m][h]) for place, (m, h) in enumerate(pairs))
        rows.append(Row(total.name, entries, high=total.most))
    return rows


def _availability(
    interval: ExactInterval, labels: Labels, pairs: Sequence[tuple[int, int]]
) -> tuple[Row, ...]:
    users: dict[int, list[tuple[int, Figure]]] = {}
    for place, (_, h) in enumerate(pairs):
        users.setdefault(h, []).append((place, 1))
    return tuple(
        Row(f"available[{labels.server_types[h]}]", tuple(entries), high=interval.available[h])
        for h, entries in sorted(users.items())
    )
