"""The compiled cost model, shared by all tests of a session."""

from __future__ import annotations

import pytest
from cost_programs import MODELS, SERVERS, Programs

from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.problem.catalogue import catalogue


@pytest.fixture(scope="session")
def programs() -> Programs:
    return Programs()


@pytest.fixture(scope="session")
def pairs() -> dict[tuple[str, str], Pair]:
    """All 90 pairs of the catalogue."""
    return {(s, m): pack(catalogue.servers[s], catalogue.models[m]) for s in SERVERS for m in MODELS}
