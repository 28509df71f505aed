"""The compiled programs: the search for the load, and who compiles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from hercules_opt.hardware.throughput import LOAD_STEPS
from hercules_opt.scheduling import programs
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.programs import CHUNK, as_program, flat, layout, prepare, value_program
from hercules_opt.scheduling.space import placements, search_space


def test_the_load_found_is_the_root_from_below(pair, rng) -> None:
    """Against ten times the steps: never above, mostly to many digits, at most 0.1 % below for 98 in 100."""
    below = []
    for server, model in (("T2", "dlrm-rmc3"), ("T3", "dlrm-rmc2"), ("T1", "dien")):
        packed = pair(server, model)
        for placement in ("cpu", "cpu-sd"):
            program, points = as_program(placement, search_space(placement, packed).sample(CHUNK, rng))
            compiled = value_program(program, layout(packed))
            rows, states = np.tile(flat(packed), (CHUNK, 1)), np.column_stack([points, np.ones(CHUNK)])
            with jax.enable_x64(True):
                found, exact = (np.asarray(compiled(rows, states, n))[:, 0] for n in (LOAD_STEPS, 140))
            served = exact > 0.0
            assert (found[~served] == 0.0).all()
            below.append(1.0 - found[served] / exact[served])
    shares = np.concatenate(below)
    assert len(shares) > 500
    assert shares.min() > -1e-9
    assert np.median(shares) < 1e-9
    assert np.quantile(shares, 0.98) < 1e-3


@pytest.mark.parametrize(("server", "name"), [("T4", "dlrm-rmc2"), ("T10", "din")])
def test_saturation_alone_is_that_of_the_whole_model(pair, rng, server: str, name: str) -> None:
    """Of every placement, also where a part takes no time; it does not count as an evaluation."""
    packed = pair(server, name)
    evaluator = AnalyticalEvaluator([packed])
    for placement in placements(packed):
        points = search_space(placement, packed).sample(200, rng)
        rows = np.zeros(len(points), dtype=np.int64)
        known, _ = evaluator.violation(placement, rows, points, np.ones(len(points)))
        assert evaluator.saturation_qps(placement, 0, points) == pytest.approx(known.saturation_qps, rel=1e-7)
        for ideal in ("host", "device") if "accelerator" in placement else ("sparse", "dense"):
            assert (
                evaluator.saturation_qps(placement, 0, points, ideal) >= known.saturation_qps * 0.999
            ).all()
    assert evaluator.evaluations[0] == 0
    assert evaluator.saturation_qps("cpu", 0, points[:0]).shape == (0,)


def test_several_threads_compile_a_program_once(pair, monkeypatch) -> None:
    calls = []
    monkeypatch.delenv("HERCULES_OPT_CACHE_DIR", raising=False)
    monkeypatch.setattr(programs, "_PROGRAMS", {})
    monkeypatch.setitem(programs._COMPILE, "value", lambda *key: calls.append(key) or "program")
    each = layout(pair("T2", "dlrm-rmc3"))
    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            threads.submit(prepare, "value", "cpu-sd", each)
    assert len(calls) == 1
