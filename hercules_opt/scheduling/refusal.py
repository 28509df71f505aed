"""Why a pair serves nothing, and the smallest change that would help."""

from __future__ import annotations

import math

from hercules_opt.hardware.packing import Pair
from hercules_opt.scheduling.evaluator import Evaluation

#: What helps is stated with this much to spare.
_MARGIN = 1.001


def no_figures() -> str:
    """Return the reason where the cost model cannot compute a figure."""
    return "the cost model has no finite figures for a server and a model as extreme as these"


def no_core() -> str:
    """Return the reason of a server whose processor has no core."""
    return "the processor has no cores; at least one is needed"


def refusal(pair: Pair, nearest: Evaluation) -> str:
    """Return why the schedule that comes nearest serves nothing, and what would help it.

    ``nearest`` is the best evaluation found, with arrays of shape (1,): the least excess of those that fit
    into memory, or the least memory where none does.
    """
    memory = float(nearest.memory[0])
    if not math.isfinite(memory):
        return no_figures()
    if memory > 1.0:
        return (
            f"the model does not fit: it takes {memory:.3g} times the memory that there is; "
            f"{memory * _MARGIN:.3g} times as much memory would fit"
        )
    idle_w = float(pair.host.idle_w + pair.device.count * pair.device.idle_w)
    # Within the target when idle, and still without a load that it serves: what is missing is power.
    if idle_w >= pair.terms.budget_w or float(nearest.excess[0]) < 0.0:
        above = "not" if idle_w >= pair.terms.budget_w else "hardly"
        return (
            f"the power budget of {pair.terms.budget_w:.4g} W is {above} above the idle power of "
            f"{idle_w:.4g} W; "
            f"a budget above {idle_w * _MARGIN:.4g} W would help"
        )
    needed_ms = pair.terms.sla_s * math.exp(float(nearest.excess[0])) * 1e3
    percentile = 100.0 * (1.0 - pair.terms.tail)
    return (
        f"p{percentile:g} of an idle server is {needed_ms:.4g} ms at best, above the target of "
        f"{pair.terms.sla_s * 1e3:.4g} ms; a target above {needed_ms * _MARGIN:.4g} ms would help"
    )
