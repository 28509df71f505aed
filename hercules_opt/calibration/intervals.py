"""How far a prediction may be off: from the errors of what was held back from the fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

#: Share of held-back measurements that a stated interval is to hold.
CONFIDENCE = 0.9
#: From so many groups on, the interval is read off the errors themselves.
_MANY_GROUPS = 20


def half_width(left_out: Floats, groups: Sequence[str], confidence: float = CONFIDENCE) -> float:
    """Return the half width of a prediction interval, in log space, around a prediction.

    With few groups (devices, systems) the interval is Student's for one more of them, about a mean error of
    0: t (1 + 1/n)^(1/2) times the root mean square of the left-out errors. With many, the quantile of the
    absolute errors that holds for one more (split conformal prediction), which assumes no distribution.
    """
    number = len(set(groups))
    if number < 2:
        return float(np.max(np.abs(left_out)))
    size = np.abs(left_out)
    if number < _MANY_GROUPS:
        t = float(stats.t.ppf(0.5 + confidence / 2.0, number))
        return t * math.sqrt((1.0 + 1.0 / number) * float(np.mean(size**2)))
    rank = min(math.ceil((len(size) + 1) * confidence), len(size))
    return float(np.sort(size)[rank - 1])


def coverage(left_out: Floats, groups: Sequence[str], confidence: float = CONFIDENCE) -> float | None:
    """Return the share of measurements within an interval from the other groups' errors alone.

    ``None`` where there is one group only.
    """
    if len(set(groups)) < 2:
        return None
    names = np.array(groups)
    held = 0
    for group in dict.fromkeys(groups):
        mine = names == group
        others = [name for name in groups if name != group]
        held += int(np.sum(np.abs(left_out[mine]) <= half_width(left_out[~mine], others, confidence)))
    return held / len(left_out)
