"""Operators derived from the architecture, against sums by hand and a forward pass that counts itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hercules_opt.problem.architecture import Architecture
from hercules_opt.problem.catalogue import catalogue
from hercules_opt.workloads.operators import Workload, workload

FP32 = 4


def of(name: str) -> Workload:
    architecture = catalogue.models[name].architecture
    assert architecture is not None
    return workload(architecture)


def named(load: Workload, name: str):
    return next(operator for operator in load.operators if operator.name == name)


def test_dlrm_rmc1_by_hand():
    """8 tables x 80 rows of 32; 128-64-32; 8 pooled vectors and the dense one make 288; 288-256-64-1."""
    load = of("dlrm-rmc1")
    pooling = 8 * 79 * 32
    macs = 128 * 64 + 64 * 32 + 288 * 256 + 256 * 64 + 64 * 1
    assert load.flops_per_item == pooling + 2 * macs == 221_056
    assert load.gather_bytes_per_item == 8 * 80 * 32 * FP32 == 81_920
    assert load.pooled_bytes_per_item == 8 * 32 * FP32
    assert load.table_bytes == 8 * 4_000_000 * 32 * FP32 == 4_096_000_000
    weights = (128 * 64 + 64) + (64 * 32 + 32) + (288 * 256 + 256) + (256 * 64 + 64) + (64 + 1)
    assert load.dense_weight_bytes == weights * FP32
    assert load.footprint_bytes == 4_096_000_000 + weights * FP32
    assert load.launches == 8 + 2 + 1 + 3
    layers = (128 + 64) + (64 + 32) + (288 + 256) + (256 + 64) + (64 + 1)
    assert load.activation_bytes_per_item == (layers + 2 * 288) * FP32
    assert load.input_bytes_per_item == 8 * 80 * 4 + 128 * FP32


def test_dlrm_rmc2_by_hand():
    """32 tables x 120 rows of 64; 256-128-64; 33 vectors of 64 make 2112; 2112-128-64-1."""
    load = of("dlrm-rmc2")
    macs = 256 * 128 + 128 * 64 + 2112 * 128 + 128 * 64 + 64
    assert load.flops_per_item == 32 * 119 * 64 + 2 * macs
    assert load.gather_bytes_per_item == 32 * 120 * 64 * FP32 == 983_040
    assert load.table_bytes == 32 * 500_000 * 64 * FP32
    assert load.launches == 32 + 2 + 1 + 3


def test_dlrm_rmc3_by_hand():
    """10 tables x 20 rows of 32; 2560-1024-256-32; 11 vectors of 32 make 352; 352-512-256-1."""
    load = of("dlrm-rmc3")
    macs = 2560 * 1024 + 1024 * 256 + 256 * 32 + 352 * 512 + 512 * 256 + 256
    assert load.flops_per_item == 10 * 19 * 32 + 2 * macs
    assert load.gather_bytes_per_item == 10 * 20 * 32 * FP32
    assert load.table_bytes == 10 * 2_000_000 * 32 * FP32
    assert load.dense_input_bytes_per_item == 2560 * FP32
    assert load.launches == 10 + 3 + 1 + 3


def test_ncf_by_hand():
    """Two vectors of 64 make 128 for the MLP; the product of two others joins before the last layer."""
    load = of("ncf")
    macs = 128 * 256 + 256 * 256 + 256 * 128 + 128 * 64 + (64 + 64) * 64
    assert load.flops_per_item == 2 * macs + 64
    assert load.gather_bytes_per_item == 4 * 64 * FP32
    assert load.table_bytes == 2 * (140_000 + 28_000) * 64 * FP32
    assert load.launches == 4 + 1 + 5 + 2


def test_wnd_by_hand():
    """27 vectors of 32 and 512 dense features make 1376; 1376-1024-512-256-1."""
    load = of("wnd")
    macs = 1376 * 1024 + 1024 * 512 + 512 * 256 + 256
    assert load.flops_per_item == 2 * macs
    assert load.gather_bytes_per_item == 27 * 32 * FP32
    assert load.table_bytes == 27 * 1_000_000 * 32 * FP32
    assert load.launches == 27 + 1 + 4


def test_mt_wnd_by_hand():
    """43 vectors of 32 and 512 dense features make 1888; 1888-1024-512, then five times 512-256-128."""
    load = of("mt-wnd")
    shared, task = 1888 * 1024 + 1024 * 512, 512 * 256 + 256 * 128
    assert load.flops_per_item == 2 * (shared + 5 * task)
    weights = (1888 * 1024 + 1024) + (1024 * 512 + 512) + 5 * ((512 * 256 + 256) + (256 * 128 + 128))
    assert load.dense_weight_bytes == weights * FP32
    assert load.table_bytes == (41 * 500_000 + 2 * 5_000_000) * 32 * FP32
    assert load.launches == 43 + 1 + 2 + 5 * 2


def test_din_by_hand():
    """250 behaviours, each [behaviour, candidate, product] of 96 through 96-36-1, then the weighted sum."""
    load = of("din")
    pooling = (1 + 250 + 1 + 1) * 2 * 32
    attention = 250 * (32 + 2 * (96 * 36 + 36) + 2 * 32)
    top = 2 * (128 * 200 + 200 * 80 + 80 * 2)
    assert load.flops_per_item == pooling + attention + top
    assert load.gather_bytes_per_item == (1 + 250 + 1 + 1) * 3 * 32 * FP32
    assert load.pooled_bytes_per_item == (1 + 250 + 1 + 1) * 32 * FP32  # the behaviours stay apart
    assert load.table_bytes == (1_000_000 + 100_000 + 2 * 10_000_000) * 32 * FP32
    assert load.launches == 4 + (2 + 2 + 1) + 1 + 3
    assert named(load, "attention.mlp.0").vectors_per_item == 250


def test_dien_by_hand():
    """40 behaviours pass two recurrences of width 64 with three gates; 64 + 3 x 32 = 160; 160-200-80-2."""
    load = of("dien")
    first = 40 * 2 * (32 * 192 + 64 * 192)
    attention = 2 * 32 * 64 + 40 * 2 * 64
    second = 40 * 2 * (64 * 192 + 64 * 192)
    top = 2 * (160 * 200 + 200 * 80 + 80 * 2)
    assert load.flops_per_item == first + attention + second + top
    assert load.gather_bytes_per_item == 43 * 32 * FP32
    assert load.table_bytes == (41 * 500_000 + 2 * 5_000_000) * 32 * FP32
    sequential = [operator for operator in load.operators if operator.kind == "recurrent"]
    assert [operator.steps for operator in sequential] == [40, 40]
    assert [operator.launches for operator in sequential] == [80, 80]
    assert load.launches == 43 + (1 + 80) + (1 + 2) + (1 + 80) + 1 + 3


def test_mlperf_dlrm_by_hand():
    """26 rows of 128; 13-512-256-128; the full product of 27 vectors; 479-1024-1024-512-256-1; int8."""
    load = of("mlperf-dlrm")
    bottom = 13 * 512 + 512 * 256 + 256 * 128
    top = 479 * 1024 + 1024 * 1024 + 1024 * 512 + 512 * 256 + 256
    assert load.flops_per_item == 2 * (bottom + top) + 2 * 27 * 27 * 128
    assert load.gather_bytes_per_item == 26 * 128
    assert load.table_bytes == 187_767_399 * 128  # about 24 GB
    assert load.launches == 26 + 3 + 2 + 5


def test_mlperf_dlrm_reproduces_the_published_estimate():
    """About 4.8 MFLOP and 11.7 KB per item: each pair counted once, and gather and interaction fused."""
    load = of("mlperf-dlrm")
    twice = 2 * 27 * 27 * 128 - 2 * (27 * 26 // 2) * 128
    assert load.flops_per_item - twice == pytest.approx(4.8e6, rel=0.01)
    layers = sum(operator.activation_bytes_per_item for operator in load.operators if "mlp" in operator.name)
    fused = load.gather_bytes_per_item + layers + 479 + load.input_bytes_per_item
    assert fused == 3328 + 7789 + 479 + 117
    assert fused == pytest.approx(11.7e3, rel=0.005)


@pytest.mark.parametrize("name", list(catalogue.models))
def test_every_model_fits_the_cost_model(name):
    """At most 14 operators; every gather is sparse and nothing else is; all figures finite, none negative."""
    load = of(name)
    assert len(load.operators) <= 14
    assert [operator.kind == "gather" for operator in load.operators] == [
        operator.stage == "sparse" for operator in load.operators
    ]
    for operator in load.operators:
        figures = [value for value in vars(operator).values() if isinstance(value, int | float)]
        assert np.all(np.isfinite(figures))
        assert min(figures) >= 0
        assert operator.launches >= operator.steps >= 1
        assert (operator.input_width > 0) == (operator.kind in ("gemm", "recurrent"))


def test_sparse_and_dense_split_all_operators():
    load = of("dien")
    assert (*load.sparse, *load.dense) == load.operators


class CountingForward:
    """A forward pass in NumPy that counts its own operations and the bytes of what it reads and writes."""

    def __init__(self, rng: np.random.Generator, items: int) -> None:
        self.rng, self.items = rng, items
        self.flops = self.activations = self.gathered = self.weights = 0

    def gather(self, rows: int, dim: int, lookups: int) -> np.ndarray:
        table = self.rng.random((rows, dim), dtype=np.float32)
        picked = table[self.rng.integers(rows, size=(self.items, lookups))]
        self.gathered += picked.nbytes
        self.flops += self.items * (lookups - 1) * dim
        return picked.sum(axis=1, dtype=np.float32)

    def layer(self, x: np.ndarray, width: int) -> np.ndarray:
        matrix, bias = self.rng.random((x.shape[1], width), dtype=np.float32), np.zeros(width, np.float32)
        with np.errstate(invalid="ignore"):  # small products read beyond their ends on some processors
            y = np.maximum(x @ matrix + bias, 0)
        self.flops += 2 * x.shape[0] * matrix.size
        self.weights += matrix.nbytes + bias.nbytes
        self.activations += x.nbytes + y.nbytes
        return y

    def join(self, vectors: list[np.ndarray]) -> np.ndarray:
        joined = np.concatenate(vectors, axis=1)
        self.activations += sum(vector.nbytes for vector in vectors) + joined.nbytes
        return joined

    def dot(self, vectors: list[np.ndarray], dense: np.ndarray | None) -> np.ndarray:
        stacked = np.stack(vectors, axis=1)
        product = np.einsum("bik,bjk->bij", stacked, stacked)
        self.flops += 2 * product.size * stacked.shape[2]
        self.activations += stacked.nbytes + product.nbytes
        pairs = product[:, *np.tril_indices(len(vectors), -1)]
        return self.join([pairs] if dense is None else [dense, pairs])


widths = st.lists(st.integers(1, 24), min_size=1, max_size=3)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    dim=st.integers(1, 16),
    groups=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=3),
    dense_features=st.integers(0, 20),
    bottom=widths,
    top=widths,
    interaction=st.sampled_from(["concat", "dot"]),
    tasks=st.integers(1, 3),
)
def test_counts_equal_those_of_a_real_forward_pass(
    dim, groups, dense_features, bottom, top, interaction, tasks
):
    """Operations, bytes and parameters of random DLRM-like models equal what a forward pass really does."""
    if interaction == "dot" and sum(count for count, _ in groups) + (dense_features > 0) < 2:
        interaction = "concat"
    bottom = [*bottom, dim] if dense_features else []
    architecture = Architecture.model_validate(
        {
            "tables": [
                {"count": count, "rows": 7, "dim": dim, "lookups": lookups} for count, lookups in groups
            ],
            "dense_features": dense_features,
            "bottom_mlp": bottom,
            "interaction": interaction,
            "top_mlp": top,
            "tasks": tasks,
            "task_mlp": [5, 1],
        }
    )
    run = CountingForward(np.random.default_rng(0), items=3)
    dense = np.ones((run.items, dense_features), np.float32) if dense_features else None
    for width in bottom:
        dense = run.layer(dense, width)
    vectors = [] if dense is None else [dense]
    vectors += [run.gather(7, dim, lookups) for count, lookups in groups for _ in range(count)]
    hidden = run.dot(vectors, dense) if interaction == "dot" else run.join(vectors)
    assert hidden.shape[1] == architecture.interaction_width
    for width in top:
        hidden = run.layer(hidden, width)
    for _ in range(tasks):
        run.layer(run.layer(hidden, 5), 1)

    load = workload(architecture)
    assert load.flops_per_item * run.items == run.flops
    assert load.gather_bytes_per_item * run.items == run.gathered
    assert load.activation_bytes_per_item * run.items == run.activations
    assert load.dense_weight_bytes == run.weights


def test_gru_counts_equal_those_of_a_real_recurrence():
    """Operations and parameters of a GRU that is run step by step, gates kept apart, both biases as one."""
    width, hidden, steps = 6, 4, 5
    architecture = Architecture.model_validate(
        {
            "tables": [{"rows": 9, "dim": width, "sequence": steps, "role": "behaviour"}],
            "behaviour": {"unit": "gru", "hidden": hidden},
            "top_mlp": [1],
        }
    )
    rng = np.random.default_rng(1)
    state, flops, products = np.zeros(hidden), 0, 0
    inputs, states = rng.random((3, width, hidden)), rng.random((3, hidden, hidden))
    for x in rng.random((steps, width)):
        gates = [x @ w + state @ u for w, u in zip(inputs[:2], states[:2], strict=True)]
        flops += 3 * 2 * (width * hidden + hidden * hidden)
        products += 1
        reset, update = (1 / (1 + np.exp(-gate)) for gate in gates)
        candidate = np.tanh(x @ inputs[2] + reset * (state @ states[2]))
        state = (1 - update) * candidate + update * state
    load = workload(architecture)
    unit = [operator for operator in load.operators if operator.name.startswith("gru")]
    assert sum(operator.flops_per_item for operator in unit) == flops
    assert (
        sum(operator.weight_bytes for operator in unit) == (inputs.size + states.size + 2 * 3 * hidden) * FP32
    )
    assert named(load, "gru.recurrence").steps == products
    assert named(load, "top_mlp.0").input_width == state.size


def base() -> dict:
    return {
        "tables": [{"count": 2, "rows": 1000, "dim": 8, "lookups": 5}],
        "dense_features": 4,
        "top_mlp": [16, 1],
    }


def test_rows_change_the_footprint_only():
    small, large = base(), base()
    large["tables"][0]["rows"] = 20_000
    a, b = (workload(Architecture.model_validate(data)) for data in (small, large))
    assert b.table_bytes == 20 * a.table_bytes
    assert [replace(x, table_bytes=0.0) for x in a.operators] == [
        replace(x, table_bytes=0.0) for x in b.operators
    ]


def test_element_bytes_scale_what_they_name():
    """Int8 tables shrink rows and tables, not the pooled vectors; int8 activations shrink the rest."""
    full = workload(Architecture.model_validate(base()))
    tables = workload(Architecture.model_validate({**base(), "table_element_bytes": 1}))
    dense = workload(Architecture.model_validate({**base(), "dense_element_bytes": 1}))
    assert tables.table_bytes == full.table_bytes / 4
    assert tables.gather_bytes_per_item == full.gather_bytes_per_item / 4
    assert tables.pooled_bytes_per_item == full.pooled_bytes_per_item
    assert tables.dense_weight_bytes == full.dense_weight_bytes
    assert dense.table_bytes == full.table_bytes
    assert dense.pooled_bytes_per_item == full.pooled_bytes_per_item / 4
    assert dense.activation_bytes_per_item == full.activation_bytes_per_item / 4
    assert dense.dense_weight_bytes == full.dense_weight_bytes / 4
    assert tables.flops_per_item == dense.flops_per_item == full.flops_per_item


def test_a_list_of_rows_equals_separate_entries():
    """One entry with a list of rows has the totals of one entry per table."""
    together, apart = base(), base()
    together["tables"] = [{"rows": [10, 20, 30], "dim": 8, "lookups": 2}]
    apart["tables"] = [{"rows": rows, "dim": 8, "lookups": 2} for rows in (10, 20, 30)]
    a, b = (workload(Architecture.model_validate(data)) for data in (together, apart))
    for total in (
        "flops_per_item",
        "gather_bytes_per_item",
        "table_bytes",
        "launches",
        "input_bytes_per_item",
    ):
        assert getattr(a, total) == getattr(b, total)


def test_fractional_and_rare_lookups():
    """Average lookups may be fractional; below one, nothing is pooled, no operation is negative."""
    data = base()
    data["tables"][0]["lookups"] = 0.5
    gather = workload(Architecture.model_validate(data)).operators[0]
    assert gather.rows_per_item == 2 * 0.5
    assert gather.flops_per_item == 0
