"""A recommendation model as ONNX graphs, built from its architecture: random weights, tables as inputs.

The operators are those of ``workloads.operators``. A table's lookups are a Gather and a ReduceSum, since the
runtime has no embedding bag. Tables are inputs and not weights, so that they may be of any size and that all
workers of a host share them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hercules_opt.errors import InputError
from hercules_opt.measurement import recurrent
from hercules_opt.measurement.extra import required
from hercules_opt.problem.architecture import Architecture, Tables

Floats = npt.NDArray[np.float32]
Part = Literal["whole", "sparse", "dense"]

#: Version of the operator set; old enough for every runtime that the extra allows.
OPSET = 17


@dataclass(frozen=True)
class TableSpec:
    """One embedding table: its place in the architecture, its size, and what an item looks up in it."""

    name: str
    group: int
    rows: int
    dim: int
    sequence: int
    lookups: int

    @property
    def bytes(self) -> int:
        """Size in single precision."""
        return 4 * self.rows * self.dim

    @property
    def pooled(self) -> str:
        """Name of the vectors that are gathered from it."""
        return f"vectors_{self.name}"

    @property
    def ids(self) -> str:
        """Name of the row numbers that are looked up."""
        return f"ids_{self.name}"

    @property
    def ids_shape(self) -> tuple[int, ...]:
        """Shape of an item's row numbers."""
        return (self.sequence, self.lookups) if self.lookups > 1 else (self.sequence,)


def table_specs(architecture: Architecture, scale: float = 1.0) -> list[TableSpec]:
    """Return all tables, their rows times ``scale``; at least one row each."""
    specs = []
    for number, group in enumerate(architecture.tables):
        for index in range(group.tables):
            rows = group.rows[index] if isinstance(group.rows, tuple) else group.rows
            specs.append(
                TableSpec(
                    f"{number}_{index}", number, max(1, round(rows * scale)), group.dim, group.sequence,
                    _whole_lookups(group),
                )
            )  # fmt: skip
    return specs


def _whole_lookups(group: Tables) -> int:
    if group.lookups != int(group.lookups):
        raise InputError("must be a whole number to be measured", key="tables.lookups", found=group.lookups)
    return int(group.lookups)


def graph(architecture: Architecture, part: Part, seed: int = 0) -> bytes:
    """Return an ONNX model as bytes: all of it, or one of its two stages.

    Its inputs are ``dense``, the ids of every table, and the tables; the sparse stage hands on the vectors of
    every table, which the dense stage takes.

    Raises
    ------
    InputError
        If the architecture has tables with a broken number of lookups.
    """
    builder = Builder(architecture, np.random.default_rng(seed))
    if part != "dense":
        builder.gathers()
    if part != "sparse":
        builder.dense_net(vectors_given=part == "dense")
    return builder.model(part)


@dataclass
class Builder:
    """Nodes and weights of a graph, in order."""

    architecture: Architecture
    rng: np.random.Generator
    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.onnx = required("onnx")
        self.specs = table_specs(self.architecture)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add an operator with one output; return its name."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def matrix(self, rows: int, columns: int) -> Floats:
        """Return a random matrix whose product keeps the size of what it is multiplied by."""
        return self.rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(np.sqrt(2.0 / rows))

    def weight(self, name: str, rows: int, columns: int) -> str:
        """Add a random matrix."""
        return self.constant(name, self.matrix(rows, columns))

    def constant(self, name: str, array: npt.NDArray[Any]) -> str:
        """Add an array; return its name."""
        self.weights.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def input(self, name: str, shape: list[Any], *, ids: bool = False) -> str:
        """Add an input; return its name."""
        types = self.onnx.TensorProto
        kind = types.INT32 if ids else types.FLOAT
        self.inputs.append(self.onnx.helper.make_tensor_value_info(name, kind, shape))
        return name

    def gathers(self) -> None:
        """Add a Gather per table, and a ReduceSum where several rows are pooled."""
        for spec in self.specs:
            table = self.input(f"table_{spec.name}", [f"rows_{spec.name}", spec.dim])
            ids = self.input(spec.ids, ["items", *spec.ids_shape], ids=True)
            if spec.lookups == 1:
                self.node("Gather", [table, ids], spec.pooled, axis=0)
                continue
            rows = self.node("Gather", [table, ids], f"rows_of_{spec.name}", axis=0)
            axis = self.constant(f"axis_{spec.name}", np.array([2], dtype=np.int64))
            self.node("ReduceSum", [rows, axis], spec.pooled, keepdims=0)

    def dense_net(self, *, vectors_given: bool) -> None:
        """Add everything after the tables."""
        of = self.architecture
        if vectors_given:
            for spec in self.specs:
                self.input(spec.pooled, ["items", spec.sequence, spec.dim])
        dense = self.input("dense", ["items", of.dense_features]) if of.dense_features else None
        if dense is not None and of.bottom_mlp:
            dense = self.mlp("bottom_mlp", dense, of.dense_features, of.bottom_mlp)
        joined = [dense] if dense is not None else []
        if of.interaction == "dot":
            top = self.dot(joined)
        else:
            joined += [self.flat(spec) for spec in self.with_role("feature", "candidate")]
            if of.behaviour is not None:
                joined.append(self.behaviours())
            top = joined[0] if len(joined) == 1 else self.node("Concat", joined, "joined", axis=1)
        self.top(top)

    def with_role(self, *roles: str) -> list[TableSpec]:
        """Return the tables that play some roles."""
        return [spec for spec in self.specs if self.architecture.tables[spec.group].role in roles]

    def flat(self, spec: TableSpec) -> str:
        """Return a table's vectors side by side."""
        shape = self.constant(f"shape_{spec.name}", np.array([0, spec.sequence * spec.dim], dtype=np.int64))
        return self.node("Reshape", [spec.pooled, shape], f"flat_{spec.name}")

    def mlp(self, name: str, source: str, width: int, widths: tuple[int, ...], *, last: bool = False) -> str:
        """Add layers; the ``last`` of a network has no activation function."""
        for number, (k, n) in enumerate(pairwise((width, *widths))):
            layer = f"{name}_{number}"
            weight = self.weight(f"{layer}_w", k, n)
            bias = self.constant(f"{layer}_b", np.zeros(n, dtype=np.float32))
            source = self.node("Gemm", [source, weight, bias], layer)
            if not (last and number == len(widths) - 1):
                source = self.node("Relu", [source], f"{layer}_relu")
        return source

    def dot(self, dense: list[str]) -> str:
        """Add the products of all pairs of vectors, beside the dense vector."""
        width = self.architecture.dot_width
        shape = self.constant("dot_shape", np.array([0, -1, width], dtype=np.int64))
        vectors = [self.node("Reshape", [name, shape], f"{name}_as_vector") for name in dense]
        vectors += [spec.pooled for spec in self.with_role("feature", "candidate")]
        if self.architecture.behaviour is not None:
            vectors.append(self.node("Reshape", [self.behaviours(), shape], "behaviours_as_vector"))
        stacked = self.node("Concat", vectors, "stacked", axis=1)
        turned = self.node("Transpose", [stacked], "stacked_t", perm=[0, 2, 1])
        product = self.node("MatMul", [stacked, turned], "products")
        count = self.architecture.dot_vectors
        row, column = np.tril_indices(count, -1)
        flat = self.constant("flat_products", np.array([0, count * count], dtype=np.int64))
        pairs = self.constant("pairs", (row * count + column).astype(np.int64))
        products = self.node("Reshape", [product, flat], "all_products")
        kept = self.node("Gather", [products, pairs], "kept_products", axis=1)
        return self.node("Concat", [*dense, kept], "joined", axis=1)

    def behaviours(self) -> str:
        """Add the unit that reads the behaviours; return the vector that goes on."""
        unit = self.architecture.behaviour
        assert unit is not None
        names = [spec.pooled for spec in self.with_role("behaviour")]
        history = names[0] if len(names) == 1 else self.node("Concat", names, "history", axis=1)
        if unit.attention_hidden is not None:
            return self.attention(history, unit.attention_hidden)
        assert unit.hidden is not None
        dim = self.with_role("behaviour")[0].dim
        states, last = recurrent.gru(self, history, dim, unit.hidden)
        if unit.unit == "gru":
            return last
        (candidate,) = self.with_role("candidate")
        return recurrent.augru(self, states, candidate.pooled, candidate.dim, unit.hidden)

    def attention(self, history: str, hidden: tuple[int, ...]) -> str:
        """Add DIN's activation unit: score every behaviour against the candidate, sum by the scores."""
        (candidate,) = self.with_role("candidate")
        length, dim = self.architecture.behaviours, candidate.dim
        product = self.node("Mul", [history, candidate.pooled], "compared")
        whole = self.node("Shape", [history], "history_shape")
        repeated = self.node("Expand", [candidate.pooled, whole], "candidates")
        features = self.node("Concat", [history, repeated, product], "features", axis=2)
        rows = self.constant("rows_shape", np.array([-1, 3 * dim], dtype=np.int64))
        source = self.node("Reshape", [features, rows], "feature_rows")
        scores = self.mlp("attention", source, 3 * dim, (*hidden, 1), last=True)
        shape = self.constant("scores_shape", np.array([-1, 1, length], dtype=np.int64))
        weights = self.node("Reshape", [scores, shape], "scores")
        summed = self.node("MatMul", [weights, history], "summed")
        flat = self.constant("summed_shape", np.array([0, dim], dtype=np.int64))
        return self.node("Reshape", [summed, flat], "behaviour")

    def top(self, source: str) -> None:
        """Add the layers that score, the factors, and the layers of each task."""
        of = self.architecture
        factors = [self.flat(spec) for spec in self.with_role("factor")]
        width = of.interaction_width
        if factors:
            product = factors[0]
            for number, other in enumerate(factors[1:]):
                product = self.node("Mul", [product, other], f"factors_{number}")
            if len(of.top_mlp) > 1:
                source = self.mlp("top_mlp", source, width, of.top_mlp[:-1])
                width = of.top_mlp[-2]
            source = self.node("Concat", [source, product], "with_factors", axis=1)
            source = self.mlp("last", source, width + of.factor_width, of.top_mlp[-1:], last=True)
        else:
            source = self.mlp("top_mlp", source, width, of.top_mlp, last=not of.task_mlp)
        if not of.task_mlp:
            self.node("Identity", [source], "scores_0")
            return
        for task in range(of.tasks):
            scored = self.mlp(f"task_{task}", source, of.top_mlp[-1], of.task_mlp, last=True)
            self.node("Identity", [scored], f"scores_{task}")

    def model(self, part: Part) -> bytes:
        """Return all that was added as a model."""
        helper, types = self.onnx.helper, self.onnx.TensorProto
        tasks = self.architecture.tasks if self.architecture.task_mlp else 1
        names = [f"scores_{task}" for task in range(tasks)]
        if part == "sparse":
            names = [spec.pooled for spec in self.specs]
        outputs = [helper.make_tensor_value_info(name, types.FLOAT, None) for name in names]
        built = helper.make_graph(self.nodes, part, self.inputs, outputs, self.weights)
        model = helper.make_model(built, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 9
        return bytes(model.SerializeToString())
