"""A box: lowest and highest server counts; what every branching step narrows."""

from __future__ import annotations

from dataclasses import dataclass

from hercules_opt.provisioning.programs.exact import ExactInterval, Rows


@dataclass(frozen=True)
class Box:
    """Lowest and highest count of each (model, server type), both included."""

    low: Rows
    high: Rows

    @classmethod
    def whole(cls, interval: ExactInterval) -> Box:
        """Return the box of every count that availability allows."""
        return cls(
            tuple((0,) * len(interval.available) for _ in interval.needs),
            (interval.available,) * len(interval.needs),
        )

    def at_most(self, model: int, server_type: int, count: int) -> Box:
        """Return the part with at most ``count`` servers of one pair."""
        return Box(self.low, _with(self.high, model, server_type, count))

    def at_least(self, model: int, server_type: int, count: int) -> Box:
        """Return the part with at least ``count`` servers of one pair."""
        return Box(_with(self.low, model, server_type, count), self.high)


def _with(rows: Rows, model: int, server_type: int, count: int) -> Rows:
    row = rows[model]
    changed = (*row[:server_type], count, *row[server_type + 1 :])
    return (*rows[:model], changed, *rows[model + 1 :])
