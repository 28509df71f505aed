"""The cost model's compiled programs: each is compiled once per process, whoever asks for it first.

There are two networks (``stages.PROGRAM``), and for each a program that judges schedules, one for the
gradient, one for all details of a single schedule, and one for the saturation alone. Compiling takes longer
than a search: it leaves Python's lock, so that two threads compile two programs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hercules_opt.hardware.breakdown import Breakdown, breakdown
from hercules_opt.hardware.compiling import OPTIMIZED, QUICKLY
from hercules_opt.hardware.operating_point import OperatingPoint, operating_point
from hercules_opt.hardware.packing import Pair
from hercules_opt.hardware.saturation import saturation_qps
from hercules_opt.hardware.server import serve
from hercules_opt.hardware.stages import IMPLIED, PROGRAM, Choice, service_times
from hercules_opt.hardware.throughput import (
    Bounded,
    bounded_throughput,
    objective_gradient,
    violation,
)
from hercules_opt.problem.schedule import Placement
from hercules_opt.scheduling.program_cache import kept
from hercules_opt.scheduling.space import COLUMN, FIELDS, Floats

Kind = Literal["value", "gradient", "detail", "saturation"]

#: Schedules per call of a program that maps over them.
CHUNK = 128


@dataclass(frozen=True)
class Layout:
    """How a pair lies in a row of numbers: its structure and the shapes of its arrays."""

    structure: Any
    shapes: tuple[tuple[int, ...], ...]

    def pair(self, row: jax.Array) -> Pair:
        """Return the pair that a row holds."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        parts = jnp.split(row, ends[:-1])
        leaves = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        pair: Pair = jax.tree.unflatten(self.structure, leaves)
        return pair

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return sum(int(np.prod(shape)) for shape in self.shapes)


def layout(pair: Pair) -> Layout:
    """Return the layout of a pair; pairs of one layout share their compiled programs."""
    return Layout(jax.tree.structure(pair), tuple(np.shape(leaf) for leaf in jax.tree.leaves(pair)))


def flat(pair: Pair) -> Floats:
    """Return a pair as a row of numbers."""
    return np.concatenate([np.ravel(np.asarray(leaf, dtype=np.float64)) for leaf in jax.tree.leaves(pair)])


_LOCK = Lock()
_PROGRAMS: dict[tuple[Kind, Placement, Layout, int], Future[Any]] = {}


def value_program(
    placement: Placement, layout: Layout, size: int = CHUNK
) -> Callable[[Floats, Floats, int], jax.Array]:
    """Return a function of pairs, shape (size, width), of points with a load each, and of a number of steps.

    It returns rows of throughput, excess, saturation, memory, and of the violation at the load that was
    given. The throughput is sought in so many steps; with none it is 0.
    """
    found: Callable[[Floats, Floats, int], jax.Array] = _program("value", placement, layout, size)
    return found


def gradient_program(placement: Placement, layout: Layout) -> Callable[[Floats, Floats], jax.Array]:
    """Return a function of pairs and of points with throughput, excess and saturation, to gradients."""
    found: Callable[[Floats, Floats], jax.Array] = _program("gradient", placement, layout, CHUNK)
    return found


def saturation_program(
    placement: Placement, layout: Layout, size: int
) -> Callable[[Floats, Floats], jax.Array]:
    """Return a function of one pair and of points, shape (size, 8), to their saturation."""
    found: Callable[[Floats, Floats], jax.Array] = _program("saturation", placement, layout, size)
    return found


class Detail(NamedTuple):
    """A server at a load, where a batch takes its time, ``stages.service_times``, and the share of memory."""

    point: OperatingPoint
    breakdown: Breakdown
    service_times: Floats
    memory: Floats


def detail(placement: Placement, pair: Pair, point: Floats, load_qps: float) -> Detail:
    """Return all about one schedule, a point of shape (8,), at a load."""
    program, points = as_program(placement, point[None])
    compiled = _program("detail", program, layout(pair), 1)
    with jax.enable_x64(True):
        return Detail(*jax.device_get(compiled(flat(pair), np.append(points[0], load_qps))))


def as_program(placement: Placement, points: Floats) -> tuple[Placement, Floats]:
    """Return the placement whose program is used, and the points as it reads them (``stages.PROGRAM``)."""
    completed = points.copy()
    for name, value in IMPLIED[placement].items():
        completed[:, COLUMN[name]] = value
    return PROGRAM[placement], completed


def prepare(kind: Kind, placement: Placement, layout: Layout) -> None:
    """Compile a program, unless it is there or another thread is at it."""
    _program(kind, placement, layout, 1 if kind == "detail" else CHUNK)


def _program(kind: Kind, placement: Placement, layout: Layout, size: int) -> Any:
    """Return a program; only the first caller compiles it, the others wait."""
    key = (kind, placement, layout, size)
    with _LOCK:
        mine = key not in _PROGRAMS
        future = _PROGRAMS.setdefault(key, Future())
    if mine:
        try:
            future.set_result(kept(key, partial(_COMPILE[kind], placement, layout, size)))
        except BaseException as error:
            with _LOCK:
                del _PROGRAMS[key]
            future.set_exception(error)
    return future.result()


def _compiled(function: Callable[..., Any], inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Compile a function of inputs like these."""
    with jax.enable_x64(True):
        return jax.jit(function, compiler_options=options).lower(*inputs).compile()


def _compile_value(placement: Placement, layout: Layout, size: int) -> Any:
    def value(row: jax.Array, state: jax.Array, steps: jax.Array) -> jax.Array:
        server = serve(placement, layout.pair(row), Choice(*state[: len(FIELDS)]))
        found = bounded_throughput(server, steps)
        return jnp.stack([*found, violation(server, state[len(FIELDS)])])

    inputs = np.zeros((size, layout.width)), np.zeros((size, len(FIELDS) + 1)), 0
    return _compiled(jax.vmap(value, in_axes=(0, 0, None)), inputs, OPTIMIZED)


def _compile_gradient(placement: Placement, layout: Layout, size: int) -> Any:
    def gradient(row: jax.Array, state: jax.Array) -> jax.Array:
        choice, (qps, excess, saturation) = Choice(*state[: len(FIELDS)]), state[len(FIELDS) :]
        known = Bounded(qps, excess, saturation, jnp.zeros(()))
        return jnp.stack(objective_gradient(placement, layout.pair(row), choice, known))

    inputs = np.zeros((size, layout.width)), np.zeros((size, len(FIELDS) + 3))
    return _compiled(jax.vmap(gradient), inputs, QUICKLY)


def _compile_detail(placement: Placement, layout: Layout, size: int) -> Any:
    def detail(row: jax.Array, state: jax.Array) -> tuple[Any, ...]:
        pair, choice = layout.pair(row), Choice(*state[: len(FIELDS)])
        server = serve(placement, pair, choice)
        point = operating_point(server, state[len(FIELDS)])
        net = server.network
        return point, breakdown(placement, pair, choice), service_times(net), net.memory

    return _compiled(detail, (np.zeros(layout.width), np.zeros(len(FIELDS) + 1)), QUICKLY)


def _compile_saturation(placement: Placement, layout: Layout, size: int) -> Any:
    def saturation(row: jax.Array, point: jax.Array) -> jax.Array:
        return saturation_qps(placement, layout.pair(row), Choice(*point))

    inputs = np.zeros(layout.width), np.zeros((size, len(FIELDS)))
    return _compiled(jax.vmap(saturation, in_axes=(None, 0)), inputs, OPTIMIZED)


_COMPILE: dict[Kind, Callable[[Placement, Layout, int], Any]] = {
    "value": _compile_value,
    "gradient": _compile_gradient,
    "detail": _compile_detail,
    "saturation": _compile_saturation,
}
