"""One interval as a mixed-integer program for HiGHS, which SciPy carries.

The solver works in floating point to tolerances, so it gets a true relaxation: each need a hair lower,
coefficients too small for it left out and allowed for. Its answer is a candidate and its bound a claim;
others check them exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import optimize, sparse

from hercules_opt.provisioning.box import Box
from hercules_opt.provisioning.exact import ExactInterval, Rows

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray

#: Right-hand side of a coverage row; large, since the solver's tolerance (1e-6) is absolute.
_ROW_SCALE = 10_000
#: Share by which a need is lowered.
_HAIR = 1e-9
#: Coefficients below this are left out; HiGHS itself drops those below 1e-9.
_SMALL = 1e-7
#: Cost of the dearest server in the solver's objective.
_COST_SCALE = 1e3
#: Nodes of one branch and bound, so that a call without a time limit ends.
_NODE_LIMIT = 5_000

Verdict = Literal["optimal", "infeasible", "time_limit", "node_limit", "solver_failure"]


@dataclass(frozen=True)
class SolverAnswer:
    """What the solver says: a candidate, a claimed lower bound in units of cost, a verdict."""

    verdict: Verdict
    counts: Rows | None = None
    bound: Fraction | None = None


def relaxed_optimum(
    interval: ExactInterval, box: Box, gap: float, time_limit_s: float | None
) -> SolverAnswer:
    """Return the solver's answer to one interval within a box, its needs a hair lower."""
    program = _Program.of(interval, box)
    if program is None:
        return SolverAnswer("infeasible")
    result = optimize.milp(
        program.costs,
        integrality=np.ones(len(program.pairs), dtype=np.int64),
        bounds=optimize.Bounds(program.low, program.high),
        constraints=[
            optimize.LinearConstraint(program.cover, lb=program.needs),
            optimize.LinearConstraint(program.use, ub=program.available),
        ],
        options=_options(gap, time_limit_s),
    )
    verdict = _verdict(result)
    bound = None if result.mip_dual_bound is None else _finite(result.mip_dual_bound, program.cost_scale)
    if result.x is None:
        return SolverAnswer(verdict, None, bound)
    counts = program.rounded(result.x)
    return SolverAnswer(verdict, counts if interval.fits(counts) else None, bound)


def least_shortfall(interval: ExactInterval, time_limit_s: float | None) -> Rows | None:
    """Return counts of the least total shortfall in QPS, to the solver's tolerance, or ``None``."""
    program = _Program.of(interval, Box.whole(interval), elastic=True)
    if program is None:
        return None
    models = program.cover.shape[0]
    missing_qps = np.array([float(interval.required[m] * interval.weights[m]) for m in program.models])
    result = optimize.milp(
        np.concatenate([np.zeros(len(program.pairs)), missing_qps / missing_qps.sum() * _COST_SCALE]),
        integrality=np.repeat(np.array([1, 0]), [len(program.pairs), models]),
        bounds=optimize.Bounds(
            np.concatenate([program.low, np.zeros(models)]), np.concatenate([program.high, np.ones(models)])
        ),
        constraints=[
            optimize.LinearConstraint(
                sparse.hstack([program.cover, sparse.diags(program.needs)]), lb=program.needs
            ),
            optimize.LinearConstraint(
                sparse.hstack([program.use, sparse.csr_array((len(interval.available), models))]),
                ub=program.available,
            ),
        ],
        options=_options(1e-9, time_limit_s),
    )
    if result.x is None:
        return None
    counts = program.rounded(result.x[: len(program.pairs)])
    return counts if interval.fits(counts) else None


def lp_multipliers(interval: ExactInterval, box: Box) -> FloatArray:
    """Return the linear relaxation's prices of availability in W, shape (h,); zeros if it has no solution."""
    prices = np.zeros(len(interval.available))
    program = _Program.of(interval, box)
    if program is None:
        return prices
    rows: Any = sparse.vstack([-program.cover, program.use])  # linprog's stubs leave sparse matrices out
    result = optimize.linprog(
        program.costs,
        A_ub=rows,
        b_ub=np.concatenate([-program.needs, program.available]),
        bounds=list(zip(program.low, program.high, strict=True)),
        method="highs",
    )
    if result.status != 0:
        return prices
    marginals: FloatArray = -result.ineqlin.marginals[program.cover.shape[0] :]
    return np.maximum(marginals, 0.0) * float(interval.cost_unit * program.cost_scale)


@dataclass(frozen=True)
class _Program:
    """Arrays of the program; a variable per (model, server type) that can be used."""

    pairs: list[tuple[int, int]]
    models: list[int]
    shape: tuple[int, int]
    costs: FloatArray
    cost_scale: Fraction
    cover: Any
    needs: FloatArray
    use: Any
    available: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, interval: ExactInterval, box: Box, elastic: bool = False) -> _Program | None:
        """Build the arrays; ``None`` if a model with a need has no server that could serve it.

        An elastic program, in which loads may fall short, needs a server for one model only, and its rows
        hold the required loads as they are, since a shortfall counts from there.
        """
        models = [m for m, need in enumerate(interval.needs) if need > 0]
        pairs = [
            (m, h)
            for m in models
            for h, rate in enumerate(interval.rates[m])
            if rate > 0 and box.high[m][h] > 0
        ]
        if not pairs or (not elastic and len({m for m, _ in pairs}) < len(models)):
            return None
        dearest = max(interval.costs[m][h] for m, h in pairs)
        cost_scale = Fraction(dearest) / int(_COST_SCALE)
        low = np.array([box.low[m][h] for m, h in pairs], dtype=np.float64)
        high = np.array([box.high[m][h] for m, h in pairs], dtype=np.float64)
        loads = interval.required if elastic else interval.needs
        cover, needs = _coverage_rows(interval, loads, models, pairs, high)
        columns = np.arange(len(pairs))
        use = sparse.csr_array(
            (np.ones(len(pairs)), ([h for _, h in pairs], columns)),
            shape=(len(interval.available), len(pairs)),
        )
        costs = np.array([float(interval.costs[m][h] / cost_scale) for m, h in pairs])
        available = np.array(interval.available, dtype=np.float64)
        shape = (len(interval.needs), len(interval.available))
        return cls(pairs, models, shape, costs, cost_scale, cover, needs, use, available, low, high)

    def rounded(self, solution: FloatArray) -> Rows:
        """Return the nearest whole counts."""
        counts = np.zeros(self.shape, dtype=np.int64)
        for (m, h), value in zip(self.pairs, solution, strict=True):
            counts[m, h] = round(float(value))
        return tuple(tuple(int(count) for count in row) for row in counts)


def _coverage_rows(
    interval: ExactInterval,
    loads: Sequence[Fraction | int],
    models: list[int],
    pairs: list[tuple[int, int]],
    high: FloatArray,
) -> tuple[Any, FloatArray]:
    """Return the scaled coverage rows and their needs; a server counts for no more than the whole need."""
    row_of = {m: row for row, m in enumerate(models)}
    scales = [float(min(loads[m], _ROW_SCALE)) for m in models]
    needs = np.array([scale * (1 - _HAIR) for scale in scales])
    rows, columns, entries = [], [], []
    for column, (m, h) in enumerate(pairs):
        row = row_of[m]
        entry = float(Fraction(scales[row]) * min(interval.rates[m][h], loads[m]) / loads[m])
        if entry < _SMALL:
            needs[row] -= entry * high[column]
            continue
        rows.append(row)
        columns.append(column)
        entries.append(entry)
    matrix = sparse.csr_array((entries, (rows, columns)), shape=(len(models), len(pairs)))
    return matrix, needs


def _options(gap: float, time_limit_s: float | None) -> Any:
    options = {"mip_rel_gap": gap, "node_limit": _NODE_LIMIT}
    if time_limit_s is not None:
        options["time_limit"] = max(time_limit_s, 1e-3)
    return options


def _verdict(result: Any) -> Verdict:
    verdicts: dict[int, Verdict] = {0: "optimal", 1: "time_limit", 2: "infeasible"}
    if result.status == 4 and (result.mip_node_count or 0) >= _NODE_LIMIT:  # SciPy has no status for it
        return "node_limit"
    return verdicts.get(result.status, "solver_failure")


def _finite(bound: float, cost_scale: Fraction) -> Fraction | None:
    return Fraction(bound) * cost_scale if np.isfinite(bound) else None
