"""Models as graphs: the runtime computes what NumPy computes; both stages make the whole."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.measurement.graphs import graph, table_specs
from hercules_opt.measurement.runtime import Lookups, feeds, session, tables
from hercules_opt.problem.architecture import Architecture

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

MEASURED = ("dlrm-rmc1", "dlrm-rmc2", "dlrm-rmc3", "ncf", "wnd", "mt-wnd", "din", "dien", "mlperf-dlrm")
ITEMS = 3


def architecture(name: str) -> Architecture:
    found = ho.catalogue.models[name].architecture
    assert found is not None
    return found


def inputs(of: Architecture, scale: float) -> dict[str, Any]:
    specs = table_specs(of, scale)
    return {**tables(specs), **feeds(specs, Lookups(specs), ITEMS, of.dense_features)}


@pytest.mark.parametrize("name", MEASURED)
def test_both_stages_make_the_whole(name: str) -> None:
    """SparseNet, then DenseNet, give the scores of the whole model."""
    of = architecture(name)
    given = inputs(of, 1e-4)
    whole = session(graph(of, "whole"), 1).run(None, given)
    sparse_inputs = {key: array for key, array in given.items() if key != "dense"}
    vectors = session(graph(of, "sparse"), 1).run(None, sparse_inputs)
    handed_on = {spec.pooled: array for spec, array in zip(table_specs(of), vectors, strict=True)}
    if "dense" in given:
        handed_on["dense"] = given["dense"]
    scores = session(graph(of, "dense"), 1).run(None, handed_on)
    assert len(whole) == (of.tasks if of.task_mlp else 1)
    for one, other in zip(whole, scores, strict=True):
        assert one.shape[0] == ITEMS
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_scores_are_those_of_numpy() -> None:
    """A bottom MLP, two pooled tables, concatenation and a top MLP, by hand."""
    described = {
        "dense_features": 5,
        "bottom_mlp": (4,),
        "top_mlp": (6, 2),
        "tables": ({"rows": 50, "dim": 3, "lookups": 4.0, "count": 2},),
    }
    of = Architecture.model_validate(described)
    model, given = graph(of, "whole", seed=3), inputs(of, 1.0)
    given["dense"] = np.random.default_rng(1).random((ITEMS, 5), dtype=np.float32)
    initial = onnx.load_from_string(model).graph.initializer
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in initial}

    def layer(name: str, x: Any) -> Any:
        return x @ weights[f"{name}_w"] + weights[f"{name}_b"]

    pooled = [given[f"table_0_{n}"][given[f"ids_0_{n}"][:, 0]].sum(axis=1) for n in range(2)]
    bottom = np.maximum(layer("bottom_mlp_0", given["dense"]), 0.0)
    hidden = np.maximum(layer("top_mlp_0", np.concatenate([bottom, *pooled], axis=1)), 0.0)
    (scores,) = session(model, 1).run(None, given)
    np.testing.assert_allclose(scores, layer("top_mlp_1", hidden), rtol=1e-4)


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def recurrent(unit: str) -> Architecture:
    return Architecture.model_validate(
        {
            "top_mlp": (1,),
            "behaviour": {"unit": unit, "hidden": 4},
            "tables": (
                {"rows": 30, "dim": 3, "sequence": 5, "role": "behaviour"},
                {"rows": 30, "dim": 3, "role": "feature" if unit == "gru" else "candidate"},
            ),
        }
    )


@pytest.mark.parametrize("unit", ["gru", "gru-augru"])
def test_recurrences_are_those_of_numpy(unit: str) -> None:
    """Three gates per step, the update gate first; DIEN's second recurrence scales it by the attention."""
    of = recurrent(unit)
    model, given = graph(of, "whole", seed=5), inputs(of, 1.0)
    given = {key: 2.0 * each if key.startswith("table") else each for key, each in given.items()}
    initial = onnx.load_from_string(model).graph.initializer
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in initial}

    def step(state: Any, x: Any, r: Any, share: Any = 1.0) -> Any:
        (ux, rx, nx), (uh, rh, nh) = np.split(x, 3, axis=1), np.split(state @ r, 3, axis=1)
        # The operator keeps the share 1 - update of what is new, DIEN's paper the share update.
        update, reset = sigmoid(ux + uh), sigmoid(rx + rh)
        new = np.tanh(nx + reset * nh)
        kept = update if isinstance(share, float) else 1.0 - share * update
        return kept * state + (1.0 - kept) * new

    history = given["table_0_0"][given["ids_0_0"]]
    other = given["table_1_0"][given["ids_1_0"]][:, 0]
    states, state = [], np.zeros((ITEMS, 4))
    for number in range(5):
        state = step(state, history[:, number] @ weights["gru_w"][0].T, weights["gru_r"][0].T)
        states.append(state)
    if unit == "gru-augru":
        asked = other @ weights["attention_w"]
        scores = np.array([(one * asked).sum(axis=1) for one in states])
        shares = np.exp(scores) / np.exp(scores).sum(axis=0)
        state = np.zeros((ITEMS, 4))
        for one, share in zip(states, shares, strict=True):
            state = step(state, one @ weights["augru_w"], weights["augru_r"], share[:, None])
    (scores,) = session(model, 1).run(None, given)
    joined = np.concatenate([other, state], axis=1)
    np.testing.assert_allclose(scores, joined @ weights["top_mlp_0_w"], rtol=1e-3, atol=1e-5)


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        ho.InputError, match=r"needs onnx, which is not installed. pip install 'hercules-opt\["
    ):
        graph(architecture("ncf"), "whole")
