"""How long a call takes, and whether something else was using the machine meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_PROC = Path("/proc")
_STAT = _PROC / "stat"
#: Most repetitions, and the rounds in which calls take turns.
MOST_CALLS, _ROUNDS = 400, 5
#: Spread of the middle half, relative to the median, from which a time counts as disturbed.
DISTURBED = 0.25


#: What is timed; it is told its number.
Call = Callable[[int], object]


@dataclass(frozen=True)
class Timing:
    """Times of one call.

    Attributes
    ----------
    seconds
        The median of the fastest round: what the machine takes while nothing disturbs it.
    spread
        Width of the middle half of all times, relative to their median.
    repeats
        How often it was called.
    """

    seconds: float
    spread: float
    repeats: int

    @property
    def disturbed(self) -> bool:
        """Whether the times differ so much that something else must have run."""
        return self.spread > DISTURBED


def timed_in_turns(calls: Sequence[Call], budget_s: float) -> list[Timing]:
    """Return the times of several calls, each repeated within a budget.

    They take turns in rounds: what disturbs the machine for seconds, such as the neighbours of a virtual one,
    or what it does once after memory was taken, then meets some rounds of each. Two calls at the begin of a
    round, with numbers of their own, are not timed.
    """
    rounds: list[list[list[float]]] = [[] for _ in calls]
    for number in range(_ROUNDS):
        for call, mine in zip(calls, rounds, strict=True):
            call(-1)
            call(-2)
            mine.append(_round(call, number * MOST_CALLS // _ROUNDS, budget_s / _ROUNDS))
    return [_summary(mine) for mine in rounds]


def _round(call: Call, first: int, budget_s: float) -> list[float]:
    """Return the times of one round, whose calls have numbers from the first on."""
    times: list[float] = []
    begin = time.perf_counter()
    while not times or (time.perf_counter() - begin < budget_s and len(times) < MOST_CALLS // _ROUNDS):
        start = time.perf_counter()
        call(first + len(times))
        times.append(time.perf_counter() - start)
    return times


def _summary(rounds: Sequence[Sequence[float]]) -> Timing:
    every = np.concatenate(rounds)
    low, middle, high = np.percentile(every, [25, 50, 75])
    fastest = min(float(np.median(times)) for times in rounds)
    return Timing(fastest, float((high - low) / middle), len(every))


def disturbed_share(timings: Sequence[Timing]) -> float:
    """Return the share of times that were disturbed."""
    return float(np.mean([one.disturbed for one in timings])) if timings else 0.0


class Neighbours:
    """What others use of the machine, from when this is made.

    Parameters
    ----------
    own_s
        Returns the processor time of processes that are ours, beside this one.
    """

    def __init__(self, stat: Path = _STAT, own_s: Callable[[], float] = lambda: 0.0) -> None:
        self._stat, self._begin, self._clock = stat, _busy_s(stat), time.perf_counter()
        self._processes_s = own_s
        self._own = _own_s() + own_s()

    def cores(self) -> float | None:
        """Return the cores that others kept busy on average; ``None`` where the system does not say."""
        now, elapsed = _busy_s(self._stat), time.perf_counter() - self._clock
        if self._begin is None or now is None or elapsed <= 0.0:
            return None
        return max(0.0, (now - self._begin - (_own_s() + self._processes_s() - self._own)) / elapsed)


def _own_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def process_s(pid: int, root: Path = _PROC) -> float:
    """Return the processor time that a process took so far; 0 where the system does not say."""
    try:
        fields = (root / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (float(fields[11]) + float(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def _busy_s(stat: Path) -> float | None:
    """Return the seconds that all cores were busy since the system started, stolen ones included."""
    try:
        fields = stat.read_text(encoding="utf-8").splitlines()[0].split()
        ticks = [float(field) for field in fields[1:9]]
    except (OSError, IndexError, ValueError):
        return None
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = ticks
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
