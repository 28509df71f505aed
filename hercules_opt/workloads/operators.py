"""A recommendation model as operators: what one item computes and moves, derived from the architecture.

Conventions, the same for every model:

- A fully connected layer of ``k`` inputs and ``n`` outputs is ``2 k n`` operations per vector, ``k n + n``
  parameters, and moves ``k + n`` activations. Its bias and activation function are fused into it: one launch,
  and their few operations are not counted.
- Pooling ``l`` rows of ``d`` elements is ``(l - 1) d`` additions. One launch per table.
- A sparse operator writes its pooled vectors (``output_bytes_per_item``); the dense one after it reads them.
- Every item of a query is computed in full; features that all items of a query share are not reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from hercules_opt.problem.architecture import Architecture, BehaviourUnit, Tables


@dataclass(frozen=True)
class Operator:
    """One operator, or several equal ones, of a model.

    Attributes
    ----------
    name
        Where it stands in the architecture, for example ``top_mlp.0``.
    kind
        ``gather`` (embedding lookup with pooling), ``gemm``, ``recurrent`` (a gemm per sequential step) or
        ``elementwise``.
    stage
        ``sparse`` (SparseNet) or ``dense`` (DenseNet).
    launches
        Operator launches per batch, those of all steps together.
    steps
        Steps that must run one after the other; 1 except for recurrences.
    flops_per_item
        Floating-point operations, those of all steps together.
    weight_bytes
        Parameters, tables not included; read once per batch.
    activation_bytes_per_item
        Activations read and written, without the pooled vectors that a sparse operator writes.
    input_width, output_width, vectors_per_item
        A gemm multiplies a matrix (items x ``vectors_per_item``, ``input_width``) by one of (``input_width``,
        ``output_width``); a recurrence does so at every step.
    table_bytes, gather_bytes_per_item, rows_per_item, row_bytes, output_bytes_per_item
        Of a gather: its tables, the bytes and rows it reads, the bytes of one row, the vectors it hands on.
    """

    name: str
    kind: Literal["gather", "gemm", "recurrent", "elementwise"]
    stage: Literal["sparse", "dense"]
    launches: float
    steps: int = 1
    flops_per_item: float = 0.0
    weight_bytes: float = 0.0
    activation_bytes_per_item: float = 0.0
    input_width: int = 0
    output_width: int = 0
    vectors_per_item: int = 0
    table_bytes: float = 0.0
    gather_bytes_per_item: float = 0.0
    rows_per_item: float = 0.0
    row_bytes: float = 0.0
    output_bytes_per_item: float = 0.0


@dataclass(frozen=True)
class Workload:
    """All operators of a model in order of execution, and what crosses the model's boundary."""

    operators: tuple[Operator, ...]
    id_bytes_per_item: float
    dense_input_bytes_per_item: float

    @cached_property
    def sparse(self) -> tuple[Operator, ...]:
        """Operators of the SparseNet."""
        return tuple(operator for operator in self.operators if operator.stage == "sparse")

    @cached_property
    def dense(self) -> tuple[Operator, ...]:
        """Operators of the DenseNet."""
        return tuple(operator for operator in self.operators if operator.stage == "dense")

    @cached_property
    def flops_per_item(self) -> float:
        """Floating-point operations per item."""
        return sum(operator.flops_per_item for operator in self.operators)

    @cached_property
    def gather_bytes_per_item(self) -> float:
        """Bytes of embedding rows read per item."""
        return sum(operator.gather_bytes_per_item for operator in self.operators)

    @cached_property
    def activation_bytes_per_item(self) -> float:
        """Activations that the DenseNet reads and writes per item, in bytes."""
        return sum(operator.activation_bytes_per_item for operator in self.operators)

    @cached_property
    def pooled_bytes_per_item(self) -> float:
        """Bytes that the SparseNet hands to the DenseNet per item."""
        return sum(operator.output_bytes_per_item for operator in self.operators)

    @cached_property
    def launches(self) -> float:
        """Operator launches per batch."""
        return sum(operator.launches for operator in self.operators)

    @cached_property
    def table_bytes(self) -> float:
        """Bytes of all embedding tables."""
        return sum(operator.table_bytes for operator in self.operators)

    @cached_property
    def dense_weight_bytes(self) -> float:
        """Bytes of all other parameters."""
        return sum(operator.weight_bytes for operator in self.operators)

    @property
    def footprint_bytes(self) -> float:
        """Memory that the parameters take: tables and weights."""
        return self.table_bytes + self.dense_weight_bytes

    @property
    def input_bytes_per_item(self) -> float:
        """Row indices and dense features: what a device must be sent to run the whole model."""
        return self.id_bytes_per_item + self.dense_input_bytes_per_item


def workload(architecture: Architecture) -> Workload:
    """Return the operators that an architecture consists of, in order of execution.

    Tables of one entry are one operator, and so are the equal layers of several tasks; layers of different
    shape stay apart, because how well a device runs a layer depends on its size.
    """
    size = architecture.dense_element_bytes
    operators = [_gather(architecture, group, number) for number, group in enumerate(architecture.tables)]
    operators += _mlp("bottom_mlp", architecture.dense_features, architecture.bottom_mlp, size)
    if architecture.behaviour is not None:
        operators += _behaviour(architecture, architecture.behaviour)
    operators += _interaction(architecture)
    operators += _top(architecture)
    shared = architecture.top_mlp[-1]
    operators += _mlp("task_mlp", shared, architecture.task_mlp, size, copies=architecture.tasks)
    lookups = sum(group.vectors * group.lookups for group in architecture.tables)
    return Workload(
        operators=tuple(operators),
        id_bytes_per_item=lookups * architecture.id_bytes,
        dense_input_bytes_per_item=architecture.dense_features * size,
    )


def _gather(architecture: Architecture, group: Tables, number: int) -> Operator:
    row_bytes = group.dim * architecture.table_element_bytes
    rows = group.vectors * group.lookups
    return Operator(
        name=f"tables.{group.name or number}",
        kind="gather",
        stage="sparse",
        launches=group.tables,
        flops_per_item=group.vectors * max(group.lookups - 1.0, 0.0) * group.dim,
        table_bytes=group.total_rows * row_bytes,
        gather_bytes_per_item=rows * row_bytes,
        rows_per_item=rows,
        row_bytes=row_bytes,
        output_bytes_per_item=group.vectors * group.dim * architecture.dense_element_bytes,
    )


def _layer(name: str, k: int, n: int, size: float, *, vectors: int = 1, copies: int = 1) -> Operator:
    return Operator(
        name=name,
        kind="gemm",
        stage="dense",
        launches=copies,
        flops_per_item=2.0 * k * n * vectors * copies,
        weight_bytes=(k * n + n) * size * copies,
        activation_bytes_per_item=(k + n) * vectors * size * copies,
        input_width=k,
        output_width=n,
        vectors_per_item=vectors,
    )


def _mlp(
    name: str, width: int, widths: tuple[int, ...], size: float, *, vectors: int = 1, copies: int = 1
) -> list[Operator]:
    return [
        _layer(f"{name}.{number}", k, n, size, vectors=vectors, copies=copies)
        for number, (k, n) in enumerate(pairwise((width, *widths)))
    ]


def _elementwise(name: str, *, flops: float, moved: float, launches: float = 1) -> Operator:
    return Operator(
        name=name, kind="elementwise", stage="dense", launches=launches,
        flops_per_item=flops, activation_bytes_per_item=moved,
    )  # fmt: skip


def _behaviour(architecture: Architecture, unit: BehaviourUnit) -> list[Operator]:
    dim, length = architecture.of_role("behaviour")[0].dim, architecture.behaviours
    size = architecture.dense_element_bytes
    if unit.attention_hidden is not None:
        return _attention(dim, length, unit.attention_hidden, size)
    hidden = architecture.behaviour_width
    operators = _gru("gru", dim, hidden, length, size)
    if unit.unit == "gru-augru":
        candidate = architecture.of_role("candidate")[0].dim
        # A bilinear score per state: the candidate is projected once, then multiplied with each state.
        operators.append(_layer("attention.candidate", candidate, hidden, size))
        moved = (length * hidden + hidden + length) * size
        flops = 2.0 * length * hidden
        operators.append(_elementwise("attention.scores", flops=flops, moved=moved, launches=2))
        operators += _gru("augru", hidden, hidden, length, size)
    return operators


def _attention(dim: int, length: int, hidden: tuple[int, ...], size: float) -> list[Operator]:
    """DIN's activation unit (Zhou et al., KDD 2018, figure 2), all behaviours of an item in one operator."""
    # Read behaviour and candidate and write their product; then read all three and write them side by side.
    moved = (2 + 1 + 3 + 3) * length * dim * size
    features = _elementwise("attention.features", flops=float(length * dim), moved=moved, launches=2)
    scores = _mlp("attention.mlp", 3 * dim, (*hidden, 1), size, vectors=length)
    moved = (length * dim + length + dim) * size
    return [features, *scores, _elementwise("attention.sum", flops=2.0 * length * dim, moved=moved)]


def _gru(name: str, width: int, hidden: int, length: int, size: float) -> list[Operator]:
    """Three gates; the inputs of all steps are projected at once, the states one step after the other.

    Each step is two launches: the product of the state (reads h, writes 3 h), and the gates (read both
    products and the state, write the new state).
    """
    recurrence = Operator(
        name=f"{name}.recurrence",
        kind="recurrent",
        stage="dense",
        launches=2 * length,
        steps=length,
        flops_per_item=2.0 * hidden * 3 * hidden * length,
        weight_bytes=(3 * hidden * hidden + 3 * hidden) * size,
        activation_bytes_per_item=(hidden + 3 * hidden + 7 * hidden + hidden) * length * size,
        input_width=hidden,
        output_width=3 * hidden,
        vectors_per_item=1,
    )
    return [_layer(f"{name}.input", width, 3 * hidden, size, vectors=length), recurrence]


def _interaction(architecture: Architecture) -> list[Operator]:
    size, joined = architecture.dense_element_bytes, architecture.interaction_width
    if architecture.interaction == "concat":
        return [_elementwise("interaction.concat", flops=0.0, moved=2.0 * joined * size)]
    count, dim = architecture.dot_vectors, architecture.dot_width
    # The full product of all vectors with all, as a batched gemm does it, although only one triangle is kept.
    product = Operator(
        name="interaction.dot",
        kind="gemm",
        stage="dense",
        launches=1,
        flops_per_item=2.0 * count * count * dim,
        activation_bytes_per_item=(count * dim + count * count) * size,
        input_width=dim,
        output_width=count,
        vectors_per_item=count,
    )
    return [product, _elementwise("interaction.concat", flops=0.0, moved=2.0 * joined * size)]


def _top(architecture: Architecture) -> list[Operator]:
    size, factor = architecture.dense_element_bytes, architecture.factor_width
    layers = _mlp("top_mlp", architecture.interaction_width, architecture.top_mlp, size)
    if not factor:
        return layers
    vectors = sum(group.vectors for group in architecture.of_role("factor"))
    moved = (vectors + 1) * factor * size
    product = _elementwise("factors.product", flops=(vectors - 1.0) * factor, moved=moved)
    width = layers[-1].input_width + factor
    join = _elementwise("factors.concat", flops=0.0, moved=2.0 * width * size)
    last = _layer(layers[-1].name, width, architecture.top_mlp[-1], size)
    return [product, *layers[:-1], join, last]
