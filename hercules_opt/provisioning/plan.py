"""A plan: server counts per interval, and all that is claimed of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from hercules_opt._version import __version__
from hercules_opt.errors import InputError
from hercules_opt.problem.provenance import Kind
from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.requirements import NO_REQUIREMENTS, Requirements

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Status = Literal["optimal", "feasible", "infeasible", "unknown"]
#: Who vouches for an interval's bound (or infeasibility): a certificate that can be recomputed, a solver,
#: nobody.
BoundSource = Literal["certified", "claimed", "none"]

STATUSES: tuple[Status, ...] = get_args(Status)
#: Why a search may end early.
StopReason = Literal["time_limit", "node_limit", "solver_failure", "interrupt"]

BOUND_SOURCES: tuple[BoundSource, ...] = get_args(BoundSource)

#: Largest relative gap of a plan that is called optimal.
OPTIMAL_GAP = 1e-6


@dataclass(frozen=True, eq=False)
class Plan:
    """Server counts for t intervals, h server types and m models; arrays are read-only.

    Parameters
    ----------
    server_types, models
        Names along the axes of ``counts``.
    status
        The worst of the intervals': *infeasible* if one is proven so, else *unknown* if one is not covered,
        else *feasible* if one lacks a proven gap of at most 1e-6, else *optimal*.
    interval_status
        Status of each interval.
    counts
        Servers, shape (t, h, m). Those of an uncovered interval fall short, as ``shortfall`` says; where the
        interval is infeasible they have the least total shortfall, to the solver's tolerance.
    power_w, servers
        Provisioned power and activated servers per interval, shape (t,); power is NaN where that of a pair in
        use is unknown.
    power_low_w, power_high_w
        Bounds on the power, shape (t,): the power itself where it is known, else with every server of unknown
        power idle, or at its peak; NaN where a type in use has no such figure.
    shortfall
        QPS that are missing to the required load, shape (t, m).
    objective
        Mean of the first of the objectives (power in W, servers, or cost per hour), weighted by the length of
        the intervals; ``None`` if one is not covered.
    interval_objective, interval_bound
        Its value in each interval and the lower bound on it, shape (t,); the bound is NaN where there is
        none.
    later_objective, later_bound
        The same of the later objectives, shape (t, k); a bound is one for plans that are optimal in all
        objectives before.
    interval_gap
        The largest (value - bound) / value of the interval's objectives, shape (t,); NaN where one has no
        bound or the interval is not covered.
    bound, gap
        Lower bound on the objective, and the worst interval's gap; ``None`` if an interval has none.
    bound_source
        Per interval, who vouches for the bound, or for the infeasibility.
    certificate
        Per interval, a proof that ``verify`` recomputes, or ``None``. It may prove less than a claimed bound.
    policy, solver, objective_name
        What was asked for; ``solver`` is "none" where the policy needs none, and several objectives have ", "
        between them.
    requested_gap, time_limit_s
        The gap at which the search could stop, and its time limit.
    runtime_s
        Time the call took.
    stopped_by
        Why it ended early: "time_limit", "node_limit", "solver_failure", "interrupt"; ``None`` if it did not.
    requirements
        What the plan keeps to besides loads and availability.
    provenance
        Weakest kind among the (server type, model) pairs that are used; ``None`` if none is.
    notes
        What went wrong on the way: which solver failed, why, and which took over.
    version
        Version of hercules_opt that made the plan.
    """

    server_types: tuple[str, ...]
    models: tuple[str, ...]
    status: Status
    interval_status: tuple[Status, ...]
    counts: IntArray
    power_w: FloatArray
    power_low_w: FloatArray
    power_high_w: FloatArray
    servers: IntArray
    shortfall: FloatArray
    objective: float | None
    interval_objective: FloatArray
    interval_bound: FloatArray
    later_objective: FloatArray
    later_bound: FloatArray
    interval_gap: FloatArray
    bound: float | None
    gap: float | None
    bound_source: tuple[BoundSource, ...]
    certificate: tuple[Certificate | None, ...]
    policy: str
    solver: str
    objective_name: str
    requested_gap: float
    time_limit_s: float | None
    runtime_s: float
    stopped_by: str | None
    provenance: Kind | None
    requirements: Requirements = NO_REQUIREMENTS
    notes: tuple[str, ...] = ()
    version: str = __version__

    def __post_init__(self) -> None:
        """Check shapes and kinds of numbers; freeze the arrays."""
        intervals, types, models = len(self.interval_status), len(self.server_types), len(self.models)
        shapes = {
            "counts": (intervals, types, models),
            "power_w": (intervals,),
            "power_low_w": (intervals,),
            "power_high_w": (intervals,),
            "servers": (intervals,),
            "shortfall": (intervals, models),
            "interval_objective": (intervals,),
            "interval_bound": (intervals,),
            "later_objective": (intervals, len(self.levels) - 1),
            "later_bound": (intervals, len(self.levels) - 1),
            "interval_gap": (intervals,),
        }
        whole = ("counts", "servers")
        for name, shape in shapes.items():
            given = np.asarray(getattr(self, name))
            if given.shape != shape:
                raise InputError(f"must have shape {shape}, not {given.shape}", where="plan", key=name)
            if name in whole and not np.issubdtype(given.dtype, np.integer):
                raise InputError("must be whole numbers", where="plan", key=name, found=str(given.dtype))
            array = given.astype(np.int64 if name in whole else np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        for name in ("bound_source", "certificate"):
            if len(getattr(self, name)) != intervals:
                raise InputError(f"must have {intervals} entries", where="plan", key=name)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the objectives, most important first."""
        return tuple(self.objective_name.split(", "))

    @property
    def covered(self) -> npt.NDArray[np.bool_]:
        """Which intervals the plan says it covers, shape (t,)."""
        return np.array([status in ("optimal", "feasible") for status in self.interval_status], dtype=bool)

    @property
    def shortfall_bound(self) -> FloatArray:
        """What any plan misses at least in total by the certificates, in QPS, shape (t,); NaN without one."""
        bounds = [
            entry.bound if entry is not None and entry.kind == "shortfall" else None
            for entry in self.certificate
        ]
        return np.array([np.nan if bound is None else bound for bound in bounds], dtype=np.float64)

    @property
    def misses_least(self) -> bool:
        """Whether no plan misses less in total in any interval, by its own certificates, within 1e-6."""
        missed = self.shortfall.sum(axis=1)
        least = self.shortfall_bound >= missed * (1 - OPTIMAL_GAP) - 1e-12 * missed
        return bool((self.covered | least).all())

    def to_frame(self) -> pd.DataFrame:
        """Return the counts above zero as rows of interval, server_type, model, count."""
        import pandas as pd

        rows = [
            (int(t), self.server_types[h], self.models[m], int(self.counts[t, h, m]))
            for t, h, m in np.argwhere(self.counts != 0)
        ]
        return pd.DataFrame(rows, columns=["interval", "server_type", "model", "count"])
