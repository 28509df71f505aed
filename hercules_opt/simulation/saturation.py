"""The rate at which a server completes queries when all of its servers are busy all the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hercules_opt.simulation.stages import IntArray, Stage, Trace, check_network


def saturation_of_trace(stages: Sequence[Stage], trace: Trace, batch_items: int | None = None) -> float:
    """Return the saturation rate in queries per second for the query sizes of a trace.

    With an endless queue every service starts with all servers busy, and fusion fills every batch as far
    as the order of the pieces allows. A stage then completes servers / (mean batch time x batches per
    query), and the slowest stage sets the rate. A load below it is stable, since the backlog shrinks
    whenever it is large.
    """
    sizes = trace.items
    stages, piece = check_network(stages, batch_items, int(sizes.max()))
    return min(1000.0 * stage.servers * sizes.size / _total_ms(stage, sizes, piece) for stage in stages)


def _total_ms(stage: Stage, sizes: IntArray, piece: int) -> float:
    """Return the mean service time that all queries together need at one stage, every server busy."""
    busy_ms = stage.table_ms[-1]
    if stage.fuse_items is None:
        counts = np.bincount(sizes)
        full, rest = np.divmod(np.arange(counts.size), piece)
        # Column 0 of a table has no meaning, and no remainder has no piece.
        query_ms = full * busy_ms[piece] + np.where(rest > 0, busy_ms[rest], 0.0)
        return float(counts @ query_ms)
    # Imported here, so that importing this module does not load numba.
    from hercules_opt.simulation import kernels

    return float(kernels.fused_total_ms(busy_ms, sizes, piece, stage.fuse_items))
