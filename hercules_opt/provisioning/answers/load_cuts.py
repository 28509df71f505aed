"""How far loads must fall to be covered: the largest factor on some models' loads, the others as they are.

HiGHS proposes counts, exact arithmetic says which factor they carry; then no counts may carry any more, which
is a question of coverage: every load just above what the factor asks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hercules_opt.provisioning.answers.additions import Label
from hercules_opt.provisioning.answers.coverable import Asked, Coverable, coverable
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.programs.exact import Rows
from hercules_opt.provisioning.programs.interval_program import interval_program
from hercules_opt.provisioning.programs.program import Column, Figure, Program, Row
from hercules_opt.provisioning.solvers.scipy_highs import SciPyHighs

_GAP = 1e-9
_MOST_STEPS = 60


@dataclass(frozen=True)
class LargestFactor:
    """The largest factor from 0 to 1; ``None`` if not even 0 lets the interval be covered."""

    factor: Fraction | None
    label: Label


def largest_factor(asked: Asked, models: Sequence[int], effort: Effort) -> LargestFactor:
    """Return the largest factor on the loads of ``models`` at which an interval can be covered.

    Where that is not decided, it is the largest that was found.
    """
    loaded = [m for m in models if asked.interval.needs[m] > 0]
    nothing = coverable(_scaled(asked, loaded, Fraction(0)), effort)
    if nothing.counts is None:
        return LargestFactor(None, _label(nothing))
    factor = _carried(asked, loaded, nothing.counts)
    proposed = _proposed(asked, loaded, effort)
    if proposed is not None:
        factor = max(factor, _carried(asked, loaded, proposed))
    for _ in range(_MOST_STEPS):
        if factor >= 1 or effort.expired:
            break
        more = coverable(_above(asked, loaded, factor), effort)
        if more.counts is None:
            return LargestFactor(factor, _label(more))
        factor = _carried(asked, loaded, more.counts)
    return LargestFactor(factor, "proven" if factor >= 1 else "found")


def carries(asked: Asked, models: Sequence[int], factor: Fraction, effort: Effort) -> bool:
    """Return whether an interval is known to be coverable with the loads of ``models`` at a factor."""
    return coverable(_scaled(asked, models, factor), effort).counts is not None


def _scaled(asked: Asked, models: Sequence[int], factor: Fraction) -> Asked:
    needs = list(asked.interval.needs)
    for m in models:
        needs[m] = max(0, math.ceil(asked.load(m) * factor - asked.beside[m]))
    return asked.with_needs(needs)


def _above(asked: Asked, models: Sequence[int], factor: Fraction) -> Asked:
    """Return the interval with every load of ``models`` as any larger factor would at least need."""
    needs = list(asked.interval.needs)
    for m in models:
        needs[m] = max(0, math.floor(asked.load(m) * factor - asked.beside[m]) + 1)
    return asked.with_needs(needs)


def _carried(asked: Asked, models: Sequence[int], counts: Rows) -> Fraction:
    """Return the factor that counts carry; 0 if another model is not covered."""
    if any(m not in models for m in asked.interval.short_models(counts)):
        return Fraction(0)
    reached = [(asked.interval.coverage(m, counts[m]) + asked.beside[m]) / asked.load(m) for m in models]
    return min([Fraction(1), *reached])


def _proposed(asked: Asked, models: Sequence[int], effort: Effort) -> Rows | None:
    """Return the solver's counts for the largest factor, to its tolerance."""
    built = interval_program(asked.interval, limits=asked.limits)
    if built is None:
        return None
    names = {f"cover[model{m + 1}]": m for m in models}
    columns = [Column(column.name, column.low, column.high) for column in built.program.columns]
    share = len(columns)
    rows = []
    for row in built.program.rows:
        if row.name in names:
            m = names[row.name]
            size = asked.load(m) / 10_000
            entries: list[tuple[int, Figure]] = [(place, entry / size) for place, entry in row.entries]
            row = Row(row.name, (*entries, (share, -10_000)), low=-asked.beside[m] / size)
        rows.append(row)
    program = Program((*columns, Column("factor", 0, 1, -1, whole=False)), tuple(rows))
    answer = SciPyHighs().solve(program, _GAP, effort.remaining_s)
    counts = None if answer.values is None else built.counts(answer.values)
    fits = counts is not None and asked.interval.fits(counts) and asked.limits.kept_by(counts)
    return counts if fits else None


def _label(answer: Coverable) -> Label:
    if not answer.infeasible:
        return "found"
    return "claimed" if answer.certificate is None else "proven"
