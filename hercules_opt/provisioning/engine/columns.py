"""The covers seen so far in one interval, and the two programs over them that HiGHS solves.

A column is one model's cover in whole servers. Mixing columns is a linear program; choosing one per model is
an integer program. Both have rows for availability only: coverage is exact inside each column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize

from hercules_opt.provisioning.programs.box import Box
from hercules_opt.provisioning.programs.exact import Rows

if TYPE_CHECKING:
    from hercules_opt.provisioning.problem import FloatArray, IntArray

#: A share below this is rounding.
TINY = 1e-6
#: Nodes of the integer program.
_PLAN_NODES = 100

#: One model's counts: the model's index, and servers by type.
Column = tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Mixture:
    """Answer of the linear program: what it mixes, and the prices that follow.

    Parameters
    ----------
    value
        Its optimum, in the unit of the columns' costs.
    prices
        Price of each server type in that unit, shape (h,).
    counts
        Servers, shape (m, h); fractional where columns are mixed.
    columns
        The columns that are mixed.
    overuse
        Servers beyond availability, at a penalty.
    """

    value: float
    prices: FloatArray
    counts: FloatArray
    columns: tuple[Column, ...]
    overuse: float


class ColumnPool:
    """Columns of the models in ``active``, each once."""

    def __init__(self, active: Sequence[int], models: int, available: Sequence[int]) -> None:
        """Start without columns; ``models`` is the number of all models."""
        self._active = np.array(active, dtype=np.int64)
        self._shape = (models, len(available))
        self._available = np.array(available, dtype=np.float64)
        self._columns: list[Column] = []
        self._seen: set[Column] = set()
        self._costs: list[float] = []
        self._models: IntArray = np.zeros(0, dtype=np.int64)
        self._counts: FloatArray = np.zeros((0, len(available)))

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._columns)

    def __contains__(self, column: Column) -> bool:
        """Return whether a column was seen."""
        return column in self._seen

    def add(self, column: Column, cost: float) -> None:
        """Add a column that was not seen before."""
        self._columns.append(column)
        self._seen.add(column)
        self._costs.append(cost)

    def mix(self, box: Box, penalty: float) -> Mixture | None:
        """Solve the linear program over the columns in a box; overuse of a type costs a penalty."""
        models, counts = self._arrays()
        low, high = np.array(box.low)[models], np.array(box.high)[models]
        inside = np.flatnonzero(((low <= counts) & (counts <= high)).all(axis=1))
        models, counts = models[inside], counts[inside]
        types = self._shape[1]
        one_each = (models[np.newaxis, :] == self._active[:, np.newaxis]).astype(np.float64)
        result: Any = optimize.linprog(
            np.concatenate([np.array(self._costs)[inside], np.full(types, penalty)]),
            A_ub=np.hstack([counts.T, -np.eye(types)]),
            b_ub=self._available,
            A_eq=np.hstack([one_each, np.zeros((len(self._active), types))]),
            b_eq=np.ones(len(self._active)),
            method="highs-ds",
            options={"presolve": False},
        )
        if result.status != 0:
            return None
        shares = result.x[: len(inside)]
        mixed = np.zeros(self._shape)
        np.add.at(mixed, models, shares[:, np.newaxis] * counts)
        used = tuple(self._columns[index] for index in inside[shares > TINY])
        prices: FloatArray = np.maximum(-result.ineqlin.marginals, 0.0)
        return Mixture(float(result.fun), prices, mixed, used, float(result.x[len(inside) :].sum()))

    def plan(self, prices: FloatArray, room: float) -> Rows | None:
        """Return the cheapest choice of one column per model, ``None`` if none is found.

        Availability and columns are whole numbers, so the solver's tolerances do no harm.

        Parameters
        ----------
        prices
            Price of each server type, shape (h,).
        room
            Best known cost minus the bound at these prices. A column that costs so much more than its
            model's cheapest is in no better plan, and is left out.
        """
        models, counts = self._arrays()
        if set(models.tolist()) != set(self._active.tolist()):
            return None
        priced = np.array(self._costs) + counts @ prices
        cheapest = np.full(self._shape[0], np.inf)
        np.minimum.at(cheapest, models, priced)
        kept = np.flatnonzero(priced - cheapest[models] <= room + TINY)
        models, counts = models[kept], counts[kept]
        one_each = (models[np.newaxis, :] == self._active[:, np.newaxis]).astype(np.float64)
        result: Any = optimize.milp(
            np.array(self._costs)[kept],
            integrality=np.ones(len(models), dtype=np.int64),
            bounds=optimize.Bounds(0, 1),
            constraints=[
                optimize.LinearConstraint(one_each, lb=1, ub=1),
                optimize.LinearConstraint(counts.T, ub=self._available),
            ],
            options={"node_limit": _PLAN_NODES, "presolve": False},
        )
        if result.x is None:
            return None
        chosen = dict(self._columns[index] for index in kept[result.x > 0.5])
        return tuple(chosen.get(m, (0,) * self._shape[1]) for m in range(self._shape[0]))

    def _arrays(self) -> tuple[IntArray, FloatArray]:
        """Return model and counts of every column, shapes (columns,) and (columns, h)."""
        fresh = self._columns[len(self._models) :]
        if fresh:
            self._models = np.append(self._models, [m for m, _ in fresh])
            self._counts = np.vstack([self._counts, [counts for _, counts in fresh]])
        return self._models, self._counts
