"""Serving under load: latency counts from the intended arrival; a rate that the target allows is found."""

from __future__ import annotations

import numpy as np
import pytest

import hercules_opt as ho
from hercules_opt.measurement.load_test import HostServer, largest_rate
from hercules_opt.problem.models import Model
from hercules_opt.simulation.stages import Trace

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def small(sla_ms: float = 200.0) -> Model:
    return Model.model_validate(
        {
            "sla_ms": sla_ms,
            "query_size": {"distribution": "fixed", "mean_items": 10},
            "architecture": {
                "dense_features": 8,
                "top_mlp": (16, 1),
                "tables": ({"rows": 100, "dim": 4, "lookups": 2.0, "count": 2},),
            },
        }
    )


ONE = ho.Schedule(placement="cpu", threads=1, cores_per_thread=1, batch_size=4)


def trace(times_ms: list[float], items: int = 10) -> Trace:
    return Trace(np.array(times_ms), np.full(len(times_ms), items))


def test_every_query_is_answered_once_all_its_pieces_are() -> None:
    with HostServer(small(), ONE) as server:
        latency, lateness = server.latencies_ms(trace([0.0, 1.0, 5.0, 5.0]))
    assert latency.shape == (4,)
    assert np.isfinite(latency).all()
    assert (latency > 0).all()
    assert lateness >= 0.0


def test_latency_counts_from_the_intended_arrival() -> None:
    """All at once: the last of 300 queries waits for those before it, whatever the generator manages."""
    with HostServer(small(), ONE) as server:
        latency, _ = server.latencies_ms(trace([0.0] * 300, items=400))
    if np.isfinite(latency).all():
        assert latency[-1] > 20 * np.min(latency)
    else:
        assert np.isinf(latency[-1])


def test_a_server_that_falls_behind_never_answers_the_rest() -> None:
    """Far more pieces than it may let wait: the run stops, and what was not served has no end."""
    with HostServer(small(), ONE) as server:
        latency, _ = server.latencies_ms(trace([0.0] * 2000, items=4000))
        assert np.isinf(latency).any()
        again, _ = server.latencies_ms(trace([0.0, 10.0]))
    assert np.isfinite(again).all()


def test_the_largest_rate_has_an_interval() -> None:
    """A tiny model with a generous target serves a rate that its interval holds."""
    found = largest_rate(small(), ONE, 300.0, repeats=2, run_s=0.2)
    assert 75.0 <= found.qps.value <= 1200.0
    assert found.qps.lower <= found.qps.value <= found.qps.upper


def test_no_rate_holds_a_target_that_no_query_meets() -> None:
    """A target below any service time: the bisection ends at the lower end of where it looked."""
    found = largest_rate(small(sla_ms=1e-3), ONE, 300.0, repeats=1, run_s=0.2)
    assert found.qps.value < 100.0


def test_a_worker_that_fails_is_told() -> None:
    """A model without its tables cannot be computed: the error comes out, nothing waits for ever."""
    with HostServer(small(), ONE) as server:
        server._tables.clear()
        with pytest.raises(Exception, match="table_0_0"):
            server.latencies_ms(trace([0.0]))


def test_schedules_that_this_host_cannot_run() -> None:
    accelerated = ho.Schedule(placement="accelerator", instances=1, fused_items=1024)
    with pytest.raises(ho.InputError, match="placement: must run on the host alone: cpu or cpu-sd"):
        HostServer(small(), accelerated)
    with pytest.raises(ho.InputError, match=r"must take at most \d+ cores, found 4096"):
        HostServer(small(), ho.Schedule(placement="cpu", threads=1024, cores_per_thread=4, batch_size=4))


def test_a_pipeline_of_both_stages_serves() -> None:
    from hercules_opt.measurement.this_host import allowed_cores

    if len(allowed_cores()) < 2:
        pytest.skip("a pipeline needs two cores")
    split = ho.Schedule(
        placement="cpu-sd", threads=1, cores_per_thread=1, dense_threads=1, dense_cores_per_thread=1,
        batch_size=4,
    )  # fmt: skip
    with HostServer(small(), split) as server:
        latency, _ = server.latencies_ms(trace([0.0, 2.0, 4.0]))
    assert np.isfinite(latency).all()
