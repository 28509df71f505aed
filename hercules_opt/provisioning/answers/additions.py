"""The fewest servers that, added to a cluster, let it cover its loads.

A server that is added serves the whole day, so one choice has to repair every interval. The program of all
intervals together gives the candidate, which is checked exactly. Each interval alone bounds it from below:
servers that are there cost nothing, added ones cost one each, and branch and price leaves a certificate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from hercules_opt.provisioning.answers.coverable import Asked, coverable
from hercules_opt.provisioning.checking.check_certificate import CertificateError, proven_bound_w
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.branch_and_price import least_power
from hercules_opt.provisioning.problem import MAX_AVAILABLE
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, exact_data
from hercules_opt.provisioning.programs.interval_program import Labels, interval_program
from hercules_opt.provisioning.programs.program import Column, Program, Row, Values
from hercules_opt.provisioning.solvers.covering import solve_exactly

#: Who vouches for an answer: a proof that was recomputed, a solver, or nobody (the best that was found).
Label = Literal["proven", "claimed", "found"]


@dataclass(frozen=True)
class FewestServers:
    """Added servers by type; ``None`` if no number of these types does."""

    added: tuple[int, ...] | None
    at_least: int
    label: Label


def fewest_servers(intervals: Sequence[Asked], types: Sequence[int], effort: Effort) -> FewestServers | None:
    """Return the fewest added servers of some types that repair all intervals; ``None`` if not decided.

    Intervals come with the hardest first.
    """
    most = _most_useful(intervals, types)
    wider = [_wider(entry, most) for entry in intervals]
    program = _day_program(wider, most)
    if program is None:
        return FewestServers(None, 0, "proven")
    solved = solve_exactly(program, effort)
    if solved.values is None:
        if not solved.infeasible:
            return None
        proven = any(coverable(entry, effort).certificate is not None for entry in wider)
        return FewestServers(None, 0, "proven" if proven else "claimed")
    added = tuple(int(value) for value in solved.values[: len(most)])
    total, at_least = sum(added), 0
    for entry, counts in zip(intervals, _counts(wider, solved.values[len(most) :]), strict=True):
        interval = entry.interval
        at_least = max(at_least, _fewest_alone(interval, most, _split(counts, interval.available), effort))
        if at_least >= total:
            return FewestServers(added, total, "proven")
    is_claimed = solved.stopped_by is None and solved.bound is not None and solved.bound > total - 1
    return FewestServers(added, at_least, "claimed" if is_claimed else "found")


def _counts(wider: Sequence[Asked], values: Values) -> Iterator[Rows]:
    """Yield the counts of each interval out of the values behind the added servers."""
    first = 0
    for entry in wider:
        built = interval_program(entry.interval, limits=entry.limits)
        assert built is not None  # the program of the day was built from it
        yield built.counts(values[first:])
        first += len(built.pairs)


def _split(counts: Rows, available: Sequence[int]) -> Rows:
    """Return counts over the types twice: servers that are there, then added ones."""
    left = list(available)
    rows = []
    for row in counts:
        there = [min(count, rest) for count, rest in zip(row, left, strict=True)]
        left = [rest - count for rest, count in zip(left, there, strict=True)]
        rows.append((*there, *(count - kept for count, kept in zip(row, there, strict=True))))
    return tuple(rows)


def _most_useful(intervals: Sequence[Asked], types: Sequence[int]) -> tuple[int, ...]:
    """Return how many added servers of each type could be of use at most."""
    most = [0] * len(intervals[0].interval.available)
    for h in types:
        needed = max(_alone(entry, h) for entry in intervals)
        most[h] = min(needed, MAX_AVAILABLE - max(entry.interval.available[h] for entry in intervals))
    return tuple(most)


def _alone(entry: Asked, server_type: int) -> int:
    """Return how many servers of one type do all that it can do."""
    rates = [row[server_type] for row in entry.interval.rates]
    figures = zip(entry.interval.needs, rates, entry.limits.fewest, strict=True)
    return sum(max(-(-need // rate), least) for need, rate, least in figures if rate)


def _wider(entry: Asked, most: Sequence[int]) -> Asked:
    available = tuple(count + more for count, more in zip(entry.interval.available, most, strict=True))
    return replace(entry, interval=replace(entry.interval, available=available))


def _day_program(wider: Sequence[Asked], most: Sequence[int]) -> Program | None:
    """Return the program of fewest added servers; its first columns are the added servers of each type."""
    columns = [Column(f"added[type{h + 1}]", 0, count, 1) for h, count in enumerate(most)]
    rows: list[Row] = []
    for t, entry in enumerate(wider):
        labels = Labels.numbered(entry.interval)
        built = interval_program(entry.interval, labels=labels, limits=entry.limits)
        if built is None:
            return None
        first = len(columns)
        columns += [replace(column, name=f"{column.name}@{t}", cost=0) for column in built.program.columns]
        types = {f"available[{name}]": h for h, name in enumerate(labels.server_types)}
        for row in built.program.rows:
            entries = tuple((first + place, coefficient) for place, coefficient in row.entries)
            shifted = replace(row, name=f"{row.name}@{t}", entries=entries)
            if row.name in types:
                h = types[row.name]
                there = entry.interval.available[h] - most[h]
                shifted = replace(shifted, entries=(*entries, (h, -1)), high=there)
            rows.append(shifted)
    return Program(tuple(columns), tuple(rows))


def _fewest_alone(interval: ExactInterval, most: Sequence[int], known: Rows, effort: Effort) -> int:
    """Return a proven lower bound on the added servers for one interval; ``known`` are counts that cover.

    Each type stands twice in the program: as it is there, for nothing, and added, at a cost of one.
    """
    types = len(most)
    twice = replace(
        interval,
        rates=tuple((*row, *row) for row in interval.rates),
        costs=((0,) * types + (1,) * types,) * len(interval.needs),
        cost_unit=Fraction(1),
        available=(*interval.available, *most),
    )
    certificate = least_power(twice, known, Effort(0.0, effort.deadline_s)).certificate
    if certificate is None or certificate.kind != "bound":
        return 0
    try:
        return int(proven_bound_w(exact_data(twice), certificate))
    except CertificateError:
        return 0
