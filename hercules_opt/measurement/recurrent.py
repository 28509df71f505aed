"""Recurrent units as graphs: a GRU, and DIEN's second one, whose update gate attention scales.

The runtime has an operator for the first. The second is a loop over the steps (Scan) with the product and the
gates as operators; the inputs of all its steps are projected at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hercules_opt.measurement.graphs import Builder


def gru(build: Builder, history: str, dim: int, hidden: int) -> tuple[str, str]:
    """Add a GRU over vectors, shape (items, steps, dim).

    Return the names of all states, shape (steps, items, hidden), and of the last one, shape (items, hidden).
    """
    steps = build.node("Transpose", [history], "history_by_step", perm=[1, 0, 2])
    weights = [
        build.constant(f"gru_{name}", build.matrix(width, 3 * hidden).T[None].copy())
        for name, width in (("w", dim), ("r", hidden))
    ]
    # One product of the state per step, as the second one has it: its reset gate comes after the product.
    made = build.onnx.helper.make_node(
        "GRU",
        [steps, *weights],
        ["gru_all", "gru_last"],
        name="gru",
        hidden_size=hidden,
        linear_before_reset=1,
    )
    build.nodes.append(made)
    axis = build.constant("gru_direction", np.array([1], dtype=np.int64))
    first = build.constant("gru_first", np.array([0], dtype=np.int64))
    states = build.node("Squeeze", ["gru_all", axis], "states")
    return states, build.node("Squeeze", ["gru_last", first], "last_state")


def augru(build: Builder, states: str, candidate: str, width: int, hidden: int) -> str:
    """Add attention of the states to the candidate and the recurrence over them; return its last state.

    ``candidate`` has the shape (items, 1, width).
    """
    projected = build.node("MatMul", [candidate, build.weight("attention_w", width, hidden)], "asked_alone")
    only = build.constant("only_candidate", np.array([1], dtype=np.int64))
    projected = build.node("Squeeze", [projected, only], "asked")
    compared = build.node("Mul", [states, projected], "compared")
    axis = build.constant("attention_axis", np.array([2], dtype=np.int64))
    scores = build.node("ReduceSum", [compared, axis], "attention_scores", keepdims=1)
    shares = build.node("Softmax", [scores], "attention_shares", axis=0)
    inputs = build.node("MatMul", [states, build.weight("augru_w", hidden, 3 * hidden)], "augru_inputs")
    build.weight("augru_r", hidden, 3 * hidden)
    build.constant("augru_b", np.zeros(3 * hidden, dtype=np.float32))
    build.constant("augru_split", np.full(3, hidden, dtype=np.int64))
    shape = build.node("Shape", [projected], "augru_shape")
    begin = build.node("ConstantOfShape", [shape], "augru_begin")
    return build.node("Scan", [begin, inputs, shares], "behaviour", body=_step(build.onnx), num_scan_inputs=2)


def _step(onnx: Any) -> Any:
    """Return one step as a graph: state, projected input and share in, the new state out."""
    make, floats = onnx.helper.make_node, onnx.TensorProto.FLOAT
    nodes = [
        make("Gemm", ["state", "augru_r", "augru_b"], ["step_products"]),
        make("Split", ["step_products", "augru_split"], ["update_h", "reset_h", "new_h"], axis=1),
        make("Split", ["step_inputs", "augru_split"], ["update_x", "reset_x", "new_x"], axis=1),
        make("Add", ["update_h", "update_x"], ["update_sum"]),
        make("Sigmoid", ["update_sum"], ["update_gate"]),
        make("Mul", ["update_gate", "share"], ["update"]),
        make("Add", ["reset_h", "reset_x"], ["reset_sum"]),
        make("Sigmoid", ["reset_sum"], ["reset"]),
        make("Mul", ["reset", "new_h"], ["kept"]),
        make("Add", ["kept", "new_x"], ["new_sum"]),
        make("Tanh", ["new_sum"], ["new"]),
        make("Sub", ["new", "state"], ["change"]),
        make("Mul", ["update", "change"], ["moved"]),
        make("Add", ["state", "moved"], ["next_state"]),
    ]
    info = onnx.helper.make_tensor_value_info
    inputs = [info(name, floats, None) for name in ("state", "step_inputs", "share")]
    return onnx.helper.make_graph(nodes, "step", inputs, [info("next_state", floats, None)])
