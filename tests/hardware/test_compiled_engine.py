"""Accelerators with a compiled engine: activations on the chip, shared tables, clocks within a limit."""

from __future__ import annotations

import numpy as np
import pytest
from cost_programs import Programs, model, point, server

import hercules_opt as ho
from hercules_opt.hardware.efficiency import AcceleratorEfficiency, Efficiency
from hercules_opt.hardware.packing import clock_share, pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import Accelerator, ServerType
from hercules_opt.workloads.operators import workload

CLOCKS = {"accelerator__base_clock_mhz": 700.0, "accelerator__boost_clock_mhz": 1400.0}


def engine(on_chip_gb_s: float, **updates: float) -> ServerType:
    return server("T7", accelerator__on_chip_gb_s=on_chip_gb_s, **updates)


def deep() -> Model:
    """Twelve square layers, whose activations are most of the traffic."""
    return model(dense_features=256, top_mlp=(256,) * 12)


def items_s(programs: Programs, kind: ServerType, of: Model, efficiency: Efficiency | None = None) -> float:
    pair = pack(kind, of, efficiency or Efficiency())
    found = programs.ask("accelerator", pair, point(instances=4, fused=8192))
    return float(found.saturation_qps[0]) * pair.sizes.mean


def test_activations_do_not_use_the_memory(programs: Programs) -> None:
    """Half the memory bandwidth slows operators that run one by one, and hardly an engine."""
    of = deep()
    eager = [items_s(programs, server("T7", accelerator__memory_gb_s=rate), of) for rate in (200.0, 100.0)]
    fused = [items_s(programs, engine(1e6, accelerator__memory_gb_s=rate), of) for rate in (200.0, 100.0)]
    assert eager[1] < 0.7 * eager[0]
    assert fused[1] > 0.98 * fused[0]
    assert fused[0] > eager[0]


def test_the_on_chip_memory_limits_an_engine(programs: Programs) -> None:
    """Where it is slow, the rate is its share of the bandwidth over the activations per item."""
    of = deep()
    assert of.architecture is not None
    moved, slow = workload(of.architecture).activation_bytes_per_item, 100.0
    rate = items_s(programs, engine(slow), of)
    limit = slow * 1e9 * AcceleratorEfficiency().on_chip / moved
    assert 0.9 * limit < rate <= limit


def test_instances_of_an_engine_share_tables(programs: Programs) -> None:
    """Eight streams take one copy of the tables; eight instances of a framework take eight."""
    of = ho.catalogue.models["dlrm-rmc1"]
    shape = point(instances=8, fused=1024)
    one = programs.ask("accelerator", pack(engine(1e6), of), point(instances=1, fused=1024)).memory[0]
    eight = programs.ask("accelerator", pack(engine(1e6), of), shape).memory[0]
    eager = programs.ask("accelerator", pack(server("T7"), of), shape).memory[0]
    assert one <= eight < 1.1 * one
    assert eager == pytest.approx(8 * one, rel=0.01)


def test_the_clock_is_between_what_is_vouched_for_and_the_boost_clock() -> None:
    """Headroom times the base clock far below the boost clock; the boost clock far above it."""
    accelerator = server("T7", **CLOCKS).accelerator
    assert accelerator is not None
    assert clock_share(accelerator, 0.5) == pytest.approx(0.25, rel=1e-4)
    assert clock_share(accelerator, 10.0) == pytest.approx(1.0, rel=1e-4)
    shares = [clock_share(accelerator, headroom) for headroom in np.linspace(0.5, 4.0, 50)]
    assert (np.diff(shares) > 0).all()
    assert max(shares) < 1.0


def test_a_low_clock_slows_computing(programs: Programs) -> None:
    """Half the clock, half the rate of products."""
    of = model(dense_features=4096, top_mlp=(4096, 1))
    fast = server("T7", accelerator__memory_gb_s=1e5, accelerator__link_gb_s=1e5)
    slow = server("T7", accelerator__memory_gb_s=1e5, accelerator__link_gb_s=1e5, **CLOCKS)
    constants = Efficiency.model_validate({"accelerator": {"clock_headroom": 1.0}})
    ratio = items_s(programs, slow, of, constants) / items_s(programs, fast, of, constants)
    assert ratio == pytest.approx(clock_share(slow.accelerator, 1.0), rel=0.02)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"base_clock_mhz": 700}, "boost_clock_mhz: is required beside the other clock"),
        ({"boost_clock_mhz": 700}, "base_clock_mhz: is required beside the other clock"),
        (
            {"base_clock_mhz": 1500, "boost_clock_mhz": 1400},
            r"base_clock_mhz: must be at most boost_clock_mhz \(1400\), found 1500",
        ),
        (
            {"base_clock_mhz": 700, "boost_clock_mhz": 1400, "uncapped_w": 400},
            "uncapped_w: tells what the clocks tell; give the clocks or uncapped_w, found 400",
        ),
    ],
)
def test_clocks_that_do_not_fit(keys: dict[str, float], message: str) -> None:
    accelerator = ho.catalogue.servers["T7"].accelerator
    assert isinstance(accelerator, Accelerator)
    with pytest.raises(ho.InputError, match=message):
        accelerator.replace(**keys)
