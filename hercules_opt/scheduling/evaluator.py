"""What judges schedules: one interface for every evaluator, and the analytical one.

An evaluator judges many schedules at once, each of its own (server type, model) pair, all of one placement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import jax
import numpy as np
import numpy.typing as npt

from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.stages import VARIABLES
from hercules_opt.hardware.throughput import LOAD_STEPS
from hercules_opt.problem.schedule import Placement
from hercules_opt.scheduling.programs import (
    CHUNK,
    Layout,
    as_program,
    flat,
    gradient_program,
    layout,
    saturation_program,
    value_program,
)
from hercules_opt.scheduling.space import FIELDS, Floats, Integers

#: Schedules per call where very many are judged.
LARGE_CHUNK = 1024
#: Schedules per call of the saturation alone: what they need in between fits into a core's cache.
SATURATION_CHUNK = 256
#: What a value with its gradient counts, in evaluations: the rule of thumb of reverse differentiation.
GRADIENT_COST = 3

#: How much faster an ideal part is: it takes microseconds where the real one takes seconds.
_FAST = 1e6
_HOST_RATES = ("core_flop_s", "bytes_s", "core_bytes_s", "nmp_bytes_s", "memory_bytes")
_HOST_COSTS = (
    "launch_s", "fork_s", "table_s", "row_s", "vector_s", "cache_s_per_byte",
    "core_w", "memory_j_per_byte", "nmp_j_per_byte",
)  # fmt: skip
_WORK = ("flops", "weight_bytes", "activation_bytes", "gather_bytes", "rows", "output_bytes", "launches")
_DEVICE_RATES = ("flop_s", "bytes_s", "link_bytes_s", "memory_bytes")
_DEVICE_COSTS = ("launch_s", "link_s", "chip_s_per_byte", "active_w")

#: A part that is taken to need no time: hardware, or the operators of a net.
Ideal = Literal["host", "device", "sparse", "dense"]
Compiled = Callable[[Floats, Floats], jax.Array]

Flags = npt.NDArray[np.bool_]

#: What counts as more: below this, differences are those of the search for the load.
_A_HAIR_MORE = 1.0 + 1e-7
#: Least load at which a server is looked at.
LEAST_QPS = 1e-6

#: Apart by more than any log throughput: served before not served, within memory before beyond it.
_TIER = 1e3

#: Evaluation of a schedule of which the cost model has no finite figures: the worst there is.
_UNKNOWN = (0.0, np.inf, 0.0, np.inf)


class Evaluation(NamedTuple):
    """Judged schedules; every field has shape (n,).

    ``qps`` is the latency-bounded throughput, 0 where the schedule does not fit into memory or misses a limit
    even without load. ``excess`` is the logarithm of latency over target, or power over budget, without load.
    ``memory`` is a share of what there is, infinite where the cost model has no finite figures;
    ``saturation_qps`` an upper bound of ``qps``.
    """

    qps: Floats
    excess: Floats
    saturation_qps: Floats
    memory: Floats

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Whether the schedule fits into memory and serves some load within its limits."""
        return np.asarray(self.qps > 0.0)

    @property
    def merit(self) -> Floats:
        """What a search maximizes: log QPS; below all of it, minus the excess; lowest, minus log memory."""
        served = np.log(np.where(self.qps > 0.0, self.qps, 1.0))
        missed = -_TIER - np.clip(self.excess, -100.0, 100.0)
        beyond = -2.0 * _TIER - np.log(np.maximum(self.memory, 1.0))
        return np.where(self.qps > 0.0, served, np.where(self.memory <= 1.0, missed, beyond))

    def take(self, rows: Any) -> Evaluation:
        """Return the evaluation of some schedules."""
        return Evaluation(*(column[rows] for column in self))


class Evaluator(Protocol):
    """Judges schedules and counts what it did, per pair."""

    evaluations: Integers

    def evaluate(self, placement: Placement, pair: Integers, points: Floats) -> Evaluation:
        """Return the judgement of points, shape (n, 8), of the pairs with numbers ``pair``, shape (n,)."""

    def may_beat(self, placement: Placement, pair: Integers, points: Floats, qps: Floats) -> Flags:
        """Return which points may serve more than a throughput each, at less cost than to judge them.

        An evaluator that cannot tell says that all may.
        """


class GradientEvaluator(Evaluator, Protocol):
    """An evaluator whose throughput can be differentiated."""

    def gradient(self, placement: Placement, pair: Integers, points: Floats, at: Evaluation) -> Floats:
        """Return the gradient of log QPS (of minus the excess where none is served), shape (n, 8)."""

    def memory(self, placement: Placement, pair: Integers, points: Floats) -> Floats:
        """Return the share of memory that points take, shape (n,); no evaluation, since no load is sought."""


class AnalyticalEvaluator:
    """The differentiable cost model, compiled once per placement and layout of a pair.

    Parameters
    ----------
    pairs
        The pairs as ``packing.pack`` returns them.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.evaluations: Integers = np.zeros(len(pairs), dtype=np.int64)
        layouts = [layout(pair) for pair in pairs]
        self._pairs = tuple(pairs)
        self._layouts = tuple(dict.fromkeys(layouts))
        self._layout_of = np.array([self._layouts.index(each) for each in layouts], dtype=np.int64)
        self._tables: dict[tuple[int, Ideal | None], Floats] = {}

    def evaluate(self, placement: Placement, pair: Integers, points: Floats) -> Evaluation:
        """Return the judgement of points, shape (n, 8), of the pairs with numbers ``pair``, shape (n,)."""
        np.add.at(self.evaluations, pair, 1)
        found, _ = self._values(placement, pair, points, np.ones(len(points)), LOAD_STEPS)
        return found

    def gradient(self, placement: Placement, pair: Integers, points: Floats, at: Evaluation) -> Floats:
        """Return the gradient of log QPS (of minus the excess where none is served), shape (n, 8)."""
        np.add.at(self.evaluations, pair, GRADIENT_COST - 1)
        used = np.isin(FIELDS, VARIABLES[placement])
        placement, points = as_program(placement, points)
        state = np.column_stack([points, at.qps, at.excess, at.saturation_qps])
        slope = self._run(partial(gradient_program, placement), pair, state)
        return np.where(used, slope, 0.0)

    def memory(self, placement: Placement, pair: Integers, points: Floats) -> Floats:
        """Return the share of memory that points take, shape (n,); it does not count as an evaluation."""
        return self.violation(placement, pair, points, np.ones(len(points)))[0].memory

    def may_beat(self, placement: Placement, pair: Integers, points: Floats, qps: Floats) -> Flags:
        """Return which points serve a hair more than a throughput each; counts as an evaluation."""
        return self.serves(placement, pair, points, qps * _A_HAIR_MORE)

    def serves(
        self,
        placement: Placement,
        pair: Integers,
        points: Floats,
        load_qps: Floats,
        ideal: Ideal | None = None,
        size: int = CHUNK,
    ) -> Flags:
        """Return which points fit into memory and meet all limits at a load each, shape (n,).

        Parameters
        ----------
        ideal
            A part that is taken to need no time and no power under load.
        size
            Points per call of the compiled program.
        """
        if not len(points):
            return np.zeros(0, dtype=np.bool_)
        np.add.at(self.evaluations, pair, 1)
        at, violated = self._values(placement, pair, points, load_qps, 0, size, ideal)
        met = (violated <= 0.0) & (at.excess < 0.0) & (at.saturation_qps > load_qps) & (at.memory <= 1.0)
        return np.asarray(met)

    def saturation_qps(
        self, placement: Placement, pair: int, points: Floats, ideal: Ideal | None = None
    ) -> Floats:
        """Return the saturation of points of one pair, whether they fit into memory or not, shape (n,).

        It does not count as an evaluation, of which it is a small part.
        """
        if not len(points):
            return np.zeros(0)
        program, completed = as_program(placement, points)
        number = int(self._layout_of[pair])
        compiled = saturation_program(program, self._layouts[number], SATURATION_CHUNK)
        row = self._table(number, ideal)[pair]
        with jax.enable_x64(True):
            parts = [compiled(row, part) for part in _chunks(completed, SATURATION_CHUNK)]
            return np.concatenate([np.asarray(part) for part in parts])[: len(points)]

    def violation(
        self, placement: Placement, pair: Integers, points: Floats, load_qps: Floats
    ) -> tuple[Evaluation, Floats]:
        """Return all of an evaluation but the throughput, and by how much a load each breaks a limit.

        The latter is ``throughput.violation``. It does not count as an evaluation: many are needed for one.
        """
        return self._values(placement, pair, points, load_qps, 0)

    def _values(
        self,
        placement: Placement,
        pair: Integers,
        points: Floats,
        load_qps: Floats,
        steps: int,
        size: int = CHUNK,
        ideal: Ideal | None = None,
    ) -> tuple[Evaluation, Floats]:
        """Return evaluations, the throughput sought in some steps, and the violation at a load each."""
        placement, points = as_program(placement, points)
        state = np.column_stack([points, np.maximum(load_qps, LEAST_QPS)])

        def compiled(layout: Layout) -> Compiled:
            program = value_program(placement, layout, size)
            return lambda rows, states: program(rows, states, steps)

        found = self._run(compiled, pair, state, size, ideal)
        *judged, violated = found.T
        # NaN compares as neither better nor worse, and would win where the largest of several is looked for.
        known = np.isfinite(judged).all(axis=0)
        qps, excess, saturation, memory = (
            np.where(known, column, unknown) for column, unknown in zip(judged, _UNKNOWN, strict=True)
        )
        return Evaluation(np.where(memory <= 1.0, qps, 0.0), excess, saturation, memory), violated

    def _run(
        self,
        compiled: Callable[[Layout], Compiled],
        pair: Integers,
        inputs: Floats,
        size: int = CHUNK,
        ideal: Ideal | None = None,
    ) -> Floats:
        """Return the program's outputs, one row per input, each with the program of its pair's layout."""
        of_row = self._layout_of[pair]
        present = np.unique(of_row)
        parts = [
            _in_chunks(
                compiled(self._layouts[number]), self._table(number, ideal), pair[rows], inputs[rows], size
            )
            for number, rows in ((number, np.flatnonzero(of_row == number)) for number in present.tolist())
        ]
        order = np.argsort(of_row, kind="stable")
        found = np.empty((len(inputs), parts[0].shape[1]))
        found[order] = np.concatenate(parts)
        return found

    def _table(self, number: int, ideal: Ideal | None) -> Floats:
        """Return the pairs of a layout as rows of numbers; rows of other pairs are left 0."""
        if (number, ideal) not in self._tables:
            mine = np.flatnonzero(self._layout_of == number)
            parts = [self._pairs[row] for row in mine]
            rows = np.stack([flat(part if ideal is None else _idealized(part, ideal)) for part in parts])
            table = np.zeros((len(self._pairs), rows.shape[1]))
            table[mine] = rows
            self._tables[number, ideal] = table
        return self._tables[number, ideal]


def _idealized(pair: Pair, part: Ideal) -> Pair:
    """Return a pair one part of which takes no time and draws no power under load."""
    if part == "host":
        host = pair.host
        fast = {name: getattr(host, name) * _FAST for name in _HOST_RATES}
        free = dict.fromkeys(_HOST_COSTS, 0.0)
        return pair._replace(host=host._replace(**fast, **free))
    if part in ("sparse", "dense"):
        kept = pair.operators.sparse if part == "dense" else 1.0 - pair.operators.sparse
        less = {name: getattr(pair.operators, name) * kept for name in _WORK}
        return pair._replace(operators=pair.operators._replace(**less))
    device = pair.device
    fast = {name: getattr(device, name) * _FAST for name in _DEVICE_RATES}
    return pair._replace(device=device._replace(**fast, **dict.fromkeys(_DEVICE_COSTS, 0.0)))


def _in_chunks(program: Compiled, rows: Floats, pair: Integers, inputs: Floats, size: int) -> Floats:
    """Return the program's outputs, called on ``size`` rows at a time."""
    chunks = zip(_chunks(pair, size), _chunks(inputs, size), strict=True)
    with jax.enable_x64(True):
        parts = [program(rows[part], inputs) for part, inputs in chunks]
        return np.concatenate([np.asarray(part) for part in parts])[: len(pair)]


def _chunks(rows: npt.NDArray[Any], size: int) -> Iterator[npt.NDArray[Any]]:
    """Yield rows, ``size`` at a time; the last one is repeated where they are fewer."""
    for begin in range(0, len(rows), size):
        yield rows[np.minimum(np.arange(begin, begin + size), len(rows) - 1)]
