"""What a runtime costs beside the hardware: each constant alone, by hand; by default none of them counts."""

from __future__ import annotations

import numpy as np
import pytest
from cost_programs import gathering, ideal, model, server
from test_effects import host_s

from hercules_opt.hardware.packing import Pair, pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType

#: Memory and caches that cost nothing, so that the work of the cores is all there is.
FREE = {"cpu__memory_gb_s": 1e5, "cpu__llc_mb": 1e5}


def host(**updates: float) -> ServerType:
    return server("T2", **{**FREE, **updates})


def pair(of: Model, kind: ServerType | None = None, **constants: float) -> Pair:
    return pack(kind or host(), of, ideal(constants))


def added_s(of: Model, cores: float = 1, items: float = 64, **constants: float) -> float:
    """Return what constants add to the time of a batch."""
    return float(
        host_s(pair(of, **constants), 1, cores, items).sum() - host_s(pair(of), 1, cores, items).sum()
    )


def test_rows_and_vectors_cost_their_work() -> None:
    """64 items of 100 rows in one vector: 6,400 rows, 64 vectors; two cores halve the time."""
    of = gathering(lookups=100)
    assert added_s(of, row_ns=1e4) == pytest.approx(6400e-5, rel=0.01)
    assert added_s(of, vector_ns=1e6) == pytest.approx(64e-3, rel=0.01)
    assert added_s(of, cores=2, row_ns=1e4, parallel_loss=0.0) == pytest.approx(3200e-5, rel=0.01)


def test_single_rows_are_no_pooled_vectors() -> None:
    assert added_s(gathering(lookups=1), vector_ns=1e6) == pytest.approx(0.0, abs=1e-9)


def test_a_table_has_a_cost_of_its_own() -> None:
    """Three tables, 50 us each; layers have none of it."""
    of = model(tables=({"rows": 10, "dim": 4, "count": 3},))
    assert added_s(of, table_us=50.0) == pytest.approx(150e-6, rel=1e-6)


def test_few_lookups_stay_on_one_core() -> None:
    """Far below the grain two cores are as one; far above it they share the work."""
    of = gathering(dim=64, lookups=100)
    for items, speed_up in ((1, 1.0), (400, 2.0)):
        one, two = (
            host_s(pair(of, row_ns=1e4, gather_grain_kb=1000.0, parallel_loss=0.0), 1, cores, items).sum()
            for cores in (1, 2)
        )
        assert one / two == pytest.approx(speed_up, rel=0.01)


def test_outputs_come_in_whole_lanes() -> None:
    """36 outputs of 16 lanes are computed as 48; 32 as they are."""
    for width, padding in ((36, 48 / 36), (32, 1.0)):
        of = model(dense_features=4096, top_mlp=(width,))
        plain, padded = (host_s(pair(of, gemm_lanes=lanes), 1, 1, 512)[2] for lanes in (1.0, 16.0))
        assert padded / plain == pytest.approx(padding, rel=1e-3)


def test_activations_pass_through_caches() -> None:
    """With a rate of the caches, rows written again cost their bytes twice, though none is streamed."""
    of = gathering(dim=64, lookups=100, rows=10)
    moved = 64 * 2 * 100 * 64 * 4
    rate = added_s(of, cache_gb_s=0.1, bag_rewrite=1.0) - added_s(of, cache_gb_s=0.1)
    assert rate == pytest.approx(moved / 1e8, rel=0.01)


def test_tables_may_see_less_of_the_cache() -> None:
    """A tenth of the cache for rows: a table of the cache's size is missed in 10 of 11 lookups, not half."""
    rows = int(27.5 * 2**20 / 256)
    half, most = (
        host_s(pack(server("T2"), gathering(rows=rows), ideal({"table_cache": share})), 20, 1, 4)[0]
        for share in (1.0, 0.1)
    )
    assert most / half == pytest.approx((10 / 11) / 0.5, rel=0.05)


def test_by_default_none_of_them_counts() -> None:
    """The figures of the library's instances are without them."""
    figures = pack(server("T2"), gathering()).host
    assert (figures.row_s, figures.vector_s, figures.grain_bytes, figures.table_s) == (0.0,) * 4
    assert figures.cache_s_per_byte == 0.0
    assert figures.table_llc_bytes == figures.llc_bytes
    assert np.all(pack(server("T2"), model(dense_features=8, top_mlp=(36,))).operators.padding[:3] == 1.0)
