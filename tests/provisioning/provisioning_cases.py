"""Random provisioning problems, and oracles that share nothing with the package's solvers."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import optimize

from hercules_opt.provisioning.problem import ProvisioningProblem


def text_value(figure: float) -> Fraction:
    """Return the number that a float's shortest decimal text names."""
    return Fraction(repr(float(figure)))


def tiny_problem(seed: int) -> ProvisioningProblem:
    """One interval, up to three types and three models; often infeasible, with zero loads and counts."""
    random = np.random.default_rng(seed)
    types, models = int(random.integers(1, 4)), int(random.integers(1, 4))
    qps = random.integers(1, 30, (types, models)).astype(float)
    if random.random() < 0.4:
        qps += random.integers(0, 100, qps.shape) / 100
    qps[random.random(qps.shape) < 0.2] = np.nan
    power_w = random.integers(5, 60, qps.shape).astype(float)
    available = random.integers(0, 6, types)
    reach = np.nansum(qps * available[:, np.newaxis], axis=0)
    load_qps = np.round(reach * random.uniform(0, 0.9, models), 1)
    load_qps[random.random(models) < 0.15] = 0.0
    if random.random() < 0.1:
        load_qps += 50
    return ProvisioningProblem(
        qps, power_w, available, load_qps, over_provision=random.choice([0.0, 0.05, 0.2])
    )


def medium_problem(seed: int, intervals: int = 1) -> ProvisioningProblem:
    """Up to six types and four models, whole numbers, availability often binding."""
    random = np.random.default_rng(10_000 + seed)
    types, models = int(random.integers(2, 7)), int(random.integers(1, 5))
    speed = random.integers(1, 8, (types, 1))
    qps = (speed * random.integers(5, 40, (types, models))).astype(float)
    qps[random.random(qps.shape) < 0.1] = np.nan
    power_w = np.round(speed * random.uniform(20, 60, qps.shape))
    available = random.integers(0, 16, types)
    reach = np.nansum(qps * available[:, np.newaxis], axis=0)
    shares = random.dirichlet(np.ones(models) * 3)
    load_qps = np.floor(
        reach * shares * random.uniform(0.3, 1.1) * random.uniform(0.5, 1, (intervals, models))
    )
    return ProvisioningProblem(
        qps, power_w, available, load_qps, duration_h=random.uniform(0.5, 2, intervals).round(2)
    )


def brute_force_w(problem: ProvisioningProblem) -> Fraction | None:
    """Return the least power of a one-interval problem, ``None`` if nothing covers; every split is tried."""
    _, types, models = problem.shape
    usable = problem.can_serve
    required = [
        (1 + text_value(problem.over_provision[m])) * text_value(problem.load_qps[0, m])
        for m in range(models)
    ]

    @cache
    def least(model: int, left: tuple[int, ...]) -> Fraction | None:
        if model == models:
            return Fraction(0)
        best: Fraction | None = None
        for counts in product(*(range(left[h] + 1 if usable[h, model] else 1) for h in range(types))):
            reached = sum(
                (text_value(problem.qps[h, model]) * n for h, n in enumerate(counts) if n), Fraction(0)
            )
            if reached < required[model]:
                continue
            rest = least(model + 1, tuple(a - n for a, n in zip(left, counts, strict=True)))
            if rest is None:
                continue
            power = sum((text_value(problem.power_w[h, model]) * n for h, n in enumerate(counts) if n), rest)
            best = power if best is None or power < best else best
        return best

    return least(0, tuple(int(count) for count in problem.available))


def least_shortfall_qps(problem: ProvisioningProblem) -> float:
    """Return the least total shortfall of a one-interval problem over every split."""
    _, _, models = problem.shape
    qps = np.nan_to_num(problem.qps)
    required = problem.load_qps[0] * (1 + problem.over_provision)
    splits = [
        [counts for counts in product(range(int(most) + 1), repeat=models) if sum(counts) <= most]
        for most in problem.available
    ]
    return min(
        float(np.maximum(required - (qps * np.array(counts)).sum(axis=0), 0).sum())
        for counts in product(*splits)
    )


def compact_milp_w(problem: ProvisioningProblem, interval: int = 0) -> float | None:
    """Return the least power by one integer program over n[h, m]; exact enough for small whole numbers."""
    _, types, models = problem.shape
    usable = problem.can_serve
    qps, power_w = np.where(usable, problem.qps, 0.0), np.where(usable, problem.power_w, 0.0)
    high = np.where(usable, problem.available[:, np.newaxis], 0).astype(float)
    cover = np.zeros((models, types * models))
    use = np.zeros((types, types * models))
    for h in range(types):
        for m in range(models):
            cover[m, h * models + m] = qps[h, m]
            use[h, h * models + m] = 1.0
    result = optimize.milp(
        power_w.ravel(),
        integrality=np.ones(types * models),
        bounds=optimize.Bounds(0, high.ravel()),
        constraints=[
            optimize.LinearConstraint(cover, lb=problem.load_qps[interval] * (1 + problem.over_provision)),
            optimize.LinearConstraint(use, ub=problem.available),
        ],
        options={"mip_rel_gap": 0.0},
    )
    if result.status == 2:
        return None
    assert result.status == 0
    return float(round(result.fun))


def covers_exactly(problem: ProvisioningProblem, counts: npt.NDArray[np.int64], interval: int = 0) -> bool:
    """Return whether counts (h, m) cover every required load, in fractions."""
    for m in range(counts.shape[1]):
        reached = sum(
            (text_value(problem.qps[h, m]) * int(n) for h, n in enumerate(counts[:, m]) if n), Fraction(0)
        )
        if reached < (1 + text_value(problem.over_provision[m])) * text_value(problem.load_qps[interval, m]):
            return False
    return True


def covering_plans(problem: ProvisioningProblem, fewest: int = 0) -> list[npt.NDArray[np.int64]]:
    """Return all counts (h, m) of a one-interval problem that cover, up to the need of each pair or more."""
    _, types, models = problem.shape
    most = np.zeros((types, models), dtype=np.int64)
    for h, m in np.argwhere(problem.can_serve):
        need = (1 + text_value(problem.over_provision[m])) * text_value(problem.load_qps[0, m])
        useful = max(fewest, -(-need // text_value(problem.qps[h, m])))
        most[h, m] = min(int(problem.available[h]), useful)
    rows = [
        [split for split in product(*(range(n + 1) for n in most[h])) if sum(split) <= problem.available[h]]
        for h in range(types)
    ]
    plans = [np.array(counts, dtype=np.int64) for counts in product(*rows)]
    return [counts for counts in plans if covers_exactly(problem, counts)]
