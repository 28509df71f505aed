"""Microbenchmarks of this host: products, lookups, launches and streams, each through the runtime."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any, Literal

import numpy as np

from hercules_opt.measurement.extra import required
from hercules_opt.measurement.graphs import OPSET, TableSpec
from hercules_opt.measurement.runtime import MEMORY_SHARE, Array, Lookups, run_in_turn, session
from hercules_opt.measurement.timing import MOST_CALLS, Call, Timing, timed_in_turns

Kind = Literal["gemm", "gather", "launch", "tables", "stream", "weights"]

#: Products of a matrix of some items by one of this shape.
GEMM_SHAPES = ((32, 32), (128, 64), (96, 36), (256, 256), (512, 512), (1024, 512), (2560, 1024))
#: Rows that are pooled into a vector, their width, and the rows of the table.
GATHER_SHAPES = ((1, 32), (3, 32), (20, 32), (80, 32), (80, 64))
GATHER_ROWS = (10_000, 100_000, 400_000, 4_000_000)
#: So many tables take turns where they are too large for caches: a model has many, and the addresses of their
#: pages are not all at hand. Together they take at most so many bytes.
TURNS, _TURNS_BYTES = 8, 4_294_967_296
BATCHES = (4, 16, 64, 256)
#: Operators of the chain, and tables, whose launches are timed.
CHAIN, TABLES = 20, 32
#: Elements of a stream that caches hold, and of one that they do not.
CACHED, STREAMED = 1_000_000, 20_000_000
#: Constants that are read off and not fitted are timed for longer.
_LONGER = 3.0
#: A product whose weights come from memory: enough copies in turn that no cache holds them.
WEIGHTS, COPIES = (1024, 512), 32


@dataclass(frozen=True)
class Sample:
    """One microbenchmark: what it was, and how long it took.

    Attributes
    ----------
    shape
        Inputs and outputs of a product; lookups, width and rows of a table; else the number of things.
    items
        Items of a batch.
    """

    kind: Kind
    shape: tuple[int, ...]
    items: int
    threads: int
    timing: Timing

    @property
    def label(self) -> str:
        """What it was, for people."""
        shape = " x ".join(str(size) for size in self.shape)
        return f"{self.kind} {shape}, {self.items} items, {self.threads} threads"


def microbenchmarks(
    cores: int,
    *,
    available_gb: float,
    budget_s: float = 0.2,
    quick: bool = False,
    progress: Callable[[str], None] | None = None,
) -> list[Sample]:
    """Run all microbenchmarks with one thread, and with as many as there are cores.

    Parameters
    ----------
    available_gb
        Memory: larger tables than half of it are left out.
    budget_s
        Time for each of them.
    quick
        Fewer shapes: a run of seconds, whose figures mean little.
    """
    tell = progress or (lambda line: None)
    samples: list[Sample] = []
    gathers = partial(_gathers, most_bytes=MEMORY_SHARE * available_gb * 1e9)
    for threads in sorted({1, cores}):
        for kind, run in (("products", _gemms), ("lookups", gathers), ("launches and streams", _others)):
            tell(f"{kind}, {threads} of {cores} cores")
            samples += run(threads, budget_s, quick)
    return samples


def keep_busy(cores: int, seconds: float) -> None:
    """Multiply matrices on some cores for some time: for the power that it takes."""
    k, n = GEMM_SHAPES[-1]
    one, inputs = session(_gemm(k, n), cores), {"x": np.ones((BATCHES[-1], k), dtype=np.float32)}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        one.run(None, inputs)


def _model(nodes: list[Any], inputs: list[Any], output: str, weights: list[Any]) -> bytes:
    onnx = required("onnx")
    made = onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph(nodes, "microbenchmark", inputs, [made], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


def _input(name: str, shape: list[Any], *, ids: bool = False) -> Any:
    onnx = required("onnx")
    kind = onnx.TensorProto.INT32 if ids else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def _gemm(k: int, n: int) -> bytes:
    onnx = required("onnx")
    weight = np.random.default_rng(0).random((k, n), dtype=np.float32)
    weights = [
        onnx.numpy_helper.from_array(weight, "w"),
        onnx.numpy_helper.from_array(np.zeros(n, dtype=np.float32), "b"),
    ]
    nodes = [
        onnx.helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
        onnx.helper.make_node("Relu", ["z"], ["y"]),
    ]
    return _model(nodes, [_input("x", ["items", k])], "y", weights)


def _gemms(threads: int, budget_s: float, quick: bool) -> Iterator[Sample]:
    calls: dict[tuple[tuple[int, int], int], Call] = {}
    for k, n in GEMM_SHAPES[3:5] if quick else GEMM_SHAPES:
        one = session(_gemm(k, n), threads)
        for items in (1, *BATCHES):
            calls[(k, n), items] = partial(run_in_turn, one, [{"x": np.ones((items, k), dtype=np.float32)}])
    for (shape, items), timing in zip(calls, timed_in_turns(list(calls.values()), budget_s), strict=True):
        yield Sample("gemm", shape, items, threads, timing)


def _gather(lookups: int) -> bytes:
    onnx = required("onnx")
    nodes = [onnx.helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0)]
    weights = []
    if lookups > 1:
        weights = [onnx.numpy_helper.from_array(np.array([2], dtype=np.int64), "axis")]
        nodes.append(onnx.helper.make_node("ReduceSum", ["rows", "axis"], ["pooled"], keepdims=0))
    shape = ["items", 1, lookups] if lookups > 1 else ["items", 1]
    inputs = [_input("table", ["all", "dim"]), _input("ids", shape, ids=True)]
    return _model(nodes, inputs, "pooled" if lookups > 1 else "rows", weights)


def _gathers(threads: int, budget_s: float, quick: bool, *, most_bytes: float) -> Iterator[Sample]:
    shapes, sizes = (GATHER_SHAPES[2:4], GATHER_ROWS[:2]) if quick else (GATHER_SHAPES, GATHER_ROWS)
    for dim in dict.fromkeys(dim for _, dim in shapes):
        for rows in sizes:
            spec = TableSpec("0_0", 0, rows, dim, 1, 0)
            if spec.bytes > most_bytes:
                continue
            turns = min(TURNS, max(int(min(most_bytes, _TURNS_BYTES) / spec.bytes), 1))
            held = [
                np.ones((rows, dim), dtype=np.float32) for _ in range(turns if rows == GATHER_ROWS[-1] else 1)
            ]
            specs = [replace(spec, lookups=count) for count, width in shapes if width == dim]
            yield from _gathers_of(specs, held, threads, budget_s)


def _gathers_of(
    specs: Sequence[TableSpec], held: Sequence[Array], threads: int, budget_s: float
) -> Iterator[Sample]:
    """Time lookups of several numbers of rows in tables of one size, which take turns."""
    lookups = Lookups(specs)
    calls: dict[tuple[int, int], Call] = {}
    for spec in specs:
        one = session(_gather(spec.lookups), threads)
        for items in BATCHES:
            ids = [lookups.ids(spec, items) for _ in range(MOST_CALLS)]
            inputs = [{"table": table, "ids": each} for each, table in zip(ids, cycle(held), strict=False)]
            calls[spec.lookups, items] = partial(run_in_turn, one, inputs)
    timings = timed_in_turns(list(calls.values()), budget_s)
    for (count, items), timing in zip(calls, timings, strict=True):
        yield Sample("gather", (count, specs[0].dim, specs[0].rows), items, threads, timing)


def _others(threads: int, budget_s: float, quick: bool) -> Iterator[Sample]:
    calls: dict[tuple[Kind, tuple[int, ...], int], Call] = {}
    four = {"x": np.ones((4, 4), dtype=np.float32)}
    for count in (1, CHAIN):
        calls["launch", (count,), 4] = partial(run_in_turn, session(_chain(count), threads), [four])
    for count in (1, TABLES):
        one = session(_many_tables(count), threads)
        calls["tables", (count,), 1] = partial(run_in_turn, one, [_table_inputs(count)])
    square = session(_square(), threads)
    for count in (CACHED, STREAMED // 10 if quick else STREAMED):
        calls["stream", (count,), 1] = partial(run_in_turn, square, [{"x": np.ones(count, dtype=np.float32)}])
    copies = [session(_gemm(*WEIGHTS), threads) for _ in range(COPIES)]
    row = {"x": np.ones((1, WEIGHTS[0]), dtype=np.float32)}
    calls["weights", WEIGHTS, 1] = lambda number: copies[number % COPIES].run(None, row)
    timings = timed_in_turns(list(calls.values()), _LONGER * budget_s)
    for (kind, shape, items), timing in zip(calls, timings, strict=True):
        yield Sample(kind, shape, items, threads, timing)


def _chain(count: int) -> bytes:
    """Return operators that each do next to nothing, one after the other."""
    onnx = required("onnx")
    names = ["x", *(f"y{number}" for number in range(count))]
    nodes = [
        onnx.helper.make_node(("Neg", "Abs")[number % 2], [names[number]], [names[number + 1]])
        for number in range(count)
    ]
    return _model(nodes, [_input("x", ["items", 4])], names[-1], [])


def _many_tables(count: int) -> bytes:
    """Return lookups of two rows in each of many tables, whose rows are all in the caches."""
    onnx = required("onnx")
    nodes, inputs = [], []
    for number in range(count):
        inputs += [_input(f"t{number}", ["all", 32]), _input(f"i{number}", ["items", 1, 2], ids=True)]
        nodes += [
            onnx.helper.make_node("Gather", [f"t{number}", f"i{number}"], [f"r{number}"], axis=0),
            onnx.helper.make_node("ReduceSum", [f"r{number}", "axis"], [f"p{number}"], keepdims=0),
        ]
    nodes.append(onnx.helper.make_node("Concat", [f"p{n}" for n in range(count)], ["y"], axis=1))
    axis = onnx.numpy_helper.from_array(np.array([2], dtype=np.int64), "axis")
    return _model(nodes, inputs, "y", [axis])


def _table_inputs(count: int) -> dict[str, Any]:
    table, ids = np.ones((100, 32), dtype=np.float32), np.zeros((1, 1, 2), dtype=np.int32)
    return {f"t{n}": table for n in range(count)} | {f"i{n}": ids for n in range(count)}


def _square() -> bytes:
    onnx = required("onnx")
    return _model([onnx.helper.make_node("Mul", ["x", "x"], ["y"])], [_input("x", ["all"])], "y", [])
