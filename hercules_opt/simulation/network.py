"""Run a trace of queries through the stages of a server, in chunks, so that memory follows the backlog."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hercules_opt.errors import InputError
from hercules_opt.simulation.stages import FloatArray, IntArray, Stage, Trace, check_network, random_stream

if TYPE_CHECKING:
    from hercules_opt.simulation.kernels import Line, Service

#: Pieces handed to the kernels at once: few enough that the queues stay in a core's cache.
CHUNK_PIECES = 8192
#: Random streams 0 and 1 draw gaps and sizes.
FIRST_STAGE_STREAM = 2
#: A clock of floating-point numbers is fine enough if its steps are below this share of the fastest service.
CLOCK_SHARE = 1e-3


@dataclass(frozen=True)
class StageUse:
    """What one stage did inside the observed window.

    Attributes
    ----------
    utilization
        Mean share of the servers that were busy.
    mean_queue
        Mean number of pieces that waited.
    mean_batch_items, mean_batch_pieces
        Items and pieces per batch started; NaN when none was.
    """

    name: str
    utilization: float
    mean_queue: float
    mean_batch_items: float
    mean_batch_pieces: float


@dataclass(frozen=True, eq=False)
class NetworkRun:
    """When each query of a trace was done, shape (queries,), and the use of each stage."""

    done_ms: FloatArray
    stages: tuple[StageUse, ...]


def run_network(
    stages: Sequence[Stage],
    trace: Trace,
    *,
    batch_items: int | None = None,
    seed: int = 0,
    window_ms: tuple[float, float] = (-math.inf, math.inf),
) -> NetworkRun:
    """Simulate ``trace`` from an empty server until its last query is done.

    Parameters
    ----------
    stages
        In the order in which every piece passes them.
    batch_items
        Largest piece that a query is split into; None: queries stay whole.
    seed
        For stages with exponential service: each has a random stream of its own, one draw per piece.
    window_ms
        Beginning and end of the time over which the use of the stages is counted.
    """
    stages, piece = check_network(stages, batch_items, int(trace.items.max()))
    _check_clock(stages, trace, piece)
    return _Network(stages, seed, window_ms).run(trace, piece)


def _check_clock(stages: tuple[Stage, ...], trace: Trace, piece: int) -> None:
    """Refuse times so far from zero that their rounding would swallow the latencies."""
    last_ms = max(abs(float(trace.times_ms[0])), abs(float(trace.times_ms[-1])))
    fastest_ms = sum(float(stage.table_ms[:, 1 : piece + 1].min()) for stage in stages)
    step_ms = float(np.spacing(last_ms))
    if step_ms > CLOCK_SHARE * fastest_ms:
        raise InputError(
            f"must be so close to 0 that the steps of the clock there, {step_ms:.3g} ms, are below "
            f"{CLOCK_SHARE:g} of the fastest service of {fastest_ms:.3g} ms",
            where="Trace",
            key="arrival_ms",
            found=last_ms,
            hint="Let a trace begin at 0 ms; ask for a higher load, or for fewer queries.",
        )


class _Network:
    """The state of a run: a line before each stage and one behind the last."""

    def __init__(self, stages: tuple[Stage, ...], seed: int, window_ms: tuple[float, float]) -> None:
        # Imported here, so that importing this module does not load numba.
        from hercules_opt.simulation import kernels

        self.kernels = kernels
        self.stages = stages
        self.window_ms = (float(window_ms[0]), float(window_ms[1]))
        self.lines = [self._new_line(2 * CHUNK_PIECES) for _ in range(len(stages) + 1)]
        self.services = [self._new_service(stage.servers) for stage in stages]
        self.scratch = [np.zeros((stage.servers, 2), dtype=np.int64) for stage in stages]
        self.totals = np.zeros((len(stages), 5))
        self.draws = [random_stream(seed, FIRST_STAGE_STREAM + i) for i in range(len(stages))]
        self.drawn = [0] * len(stages)

    def run(self, trace: Trace, batch_items: int) -> NetworkRun:
        times, sizes = trace.times_ms, trace.items
        done_ms = np.empty(times.size)
        largest = -(-int(sizes.max()) // batch_items)
        first = 0
        while first < times.size:
            self._reserve(0, CHUNK_PIECES + largest)
            first = self.kernels.split_queries(times, sizes, first, batch_items, CHUNK_PIECES, self.lines[0])
            self._advance(float(times[first]) if first < times.size else math.inf, done_ms)
        observed_ms = min(self.window_ms[1], float(done_ms.max())) - max(self.window_ms[0], float(times[0]))
        return NetworkRun(done_ms, tuple(self._use(i, observed_ms) for i in range(len(self.stages))))

    def _advance(self, horizon_ms: float, done_ms: FloatArray) -> None:
        for i, stage in enumerate(self.stages):
            service = self.services[i]
            self._reserve(i + 1, _kept(self.lines[i]))
            if stage.variability == "exponential":
                self._draw_factors(i)
            self.kernels.advance(
                self.lines[i],
                service,
                stage.table_ms,
                stage.fuse_items or 0,
                stage.variability == "exponential",
                self.scratch[i],
                horizon_ms,
                self.window_ms,
                self.totals[i],
                self.lines[i + 1],
            )
        self.kernels.note_ends(self.lines[-1], done_ms)

    def _draw_factors(self, index: int) -> None:
        """Give each piece that has newly reached a line its draw, in the order of arrival."""
        line, size = self.lines[index], self.lines[index].time_ms.size
        while self.drawn[index] < line.ends[1]:
            at = self.drawn[index] & (size - 1)
            count = min(int(line.ends[1]) - self.drawn[index], size - at)
            self.draws[index].standard_exponential(out=line.factor[at : at + count])
            self.drawn[index] += count

    def _reserve(self, index: int, more: int) -> None:
        """Double a line's rings until ``more`` further pieces fit."""
        line = self.lines[index]
        kept = _kept(line)
        if kept + more <= line.time_ms.size:
            return
        larger = self._new_line(kept + more)
        numbers = np.arange(line.ends[2], line.ends[1])
        source, to = numbers & (line.time_ms.size - 1), numbers & (larger.time_ms.size - 1)
        larger.time_ms[to] = line.time_ms[source]
        larger.query[to] = line.query[source]
        larger.items[to] = line.items[source]
        larger.factor[to] = line.factor[source]
        larger.ends[:] = line.ends
        self.lines[index] = larger

    def _new_line(self, pieces: int) -> Line:
        size = _power_of_two(pieces)
        empty: IntArray = np.zeros(size, dtype=np.int64)
        return self.kernels.Line(
            np.zeros(size), empty, empty.copy(), np.ones(size), np.zeros(3, dtype=np.int64)
        )

    def _new_service(self, servers: int) -> Service:
        size = _power_of_two(servers)
        empty: IntArray = np.zeros(size, dtype=np.int64)
        return self.kernels.Service(np.zeros(size), empty, empty.copy(), np.zeros(2, dtype=np.int64))

    def _use(self, index: int, observed_ms: float) -> StageUse:
        stage, totals, k = self.stages[index], self.totals[index], self.kernels
        batches = totals[k.BATCHES] or math.nan
        observed_ms = observed_ms if observed_ms > 0 else math.nan
        return StageUse(
            name=stage.name,
            utilization=float(totals[k.BUSY_MS] / (observed_ms * stage.servers)),
            mean_queue=float(totals[k.WAITED_MS] / observed_ms),
            mean_batch_items=float(totals[k.ITEMS] / batches),
            mean_batch_pieces=float(totals[k.PIECES] / batches),
        )


def _kept(line: Line) -> int:
    """Return how many pieces of a line are still needed: those that wait and those in service."""
    return int(line.ends[1] - line.ends[2])


def _power_of_two(at_least: int) -> int:
    return 1 << max(at_least - 1, 1).bit_length()
