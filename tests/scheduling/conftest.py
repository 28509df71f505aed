"""Servers and models that the tests of the search share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hercules_opt import catalogue
from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.problem.models import Model, QuerySize
from hercules_opt.problem.servers import ServerType

#: Tight latency targets in ms.
TARGET_MS = {"dlrm-rmc1": 20, "dlrm-rmc2": 50, "dlrm-rmc3": 50, "mt-wnd": 25, "din": 50, "dien": 35}


@pytest.fixture(scope="session")
def model() -> Callable[[str], Model]:
    """A model of the catalogue with its tight target."""
    return lambda name: catalogue.models[name].replace(sla_ms=TARGET_MS[name])


@pytest.fixture(scope="session")
def host() -> Callable[[int], ServerType]:
    """A server without accelerator and with some number of cores."""
    server = catalogue.servers["T2"]
    assert server.cpu is not None
    return lambda cores: server.replace(cpu=server.cpu.replace(cores=cores))


@pytest.fixture(scope="session")
def pair(model: Callable[[str], Model]) -> Callable[[str, str], Pair]:
    """A packed pair of catalogue entries."""
    return lambda server, name: pack(catalogue.servers[server], model(name))


@pytest.fixture(scope="session")
def small_pair(model: Callable[[str], Model]) -> Callable[[str, int], Pair]:
    """A server of some cores with queries of 1 to 8 items: a lattice small enough to list."""

    def build(server: str, cores: int) -> Pair:
        kind = catalogue.servers[server]
        assert kind.cpu is not None
        sizes = QuerySize(distribution="empirical", items=tuple(range(1, 9)), weights=(1.0,) * 8, max_items=8)
        small = model("dlrm-rmc1").replace(query_size=sizes)
        return pack(kind.replace(cpu=kind.cpu.replace(cores=cores)), small)

    return build


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in each run."""
    return np.random.default_rng(7)
