"""Certificates: what a plan stores so that its bounds can be recomputed without a solver.

A leaf holds a price (multiplier) for each server type and, for each model, the least it pays for a cover at
these prices. Their sum minus the prices of all available servers is a lower bound (weak duality). Where that
is not enough, a leaf may state a higher bound, which is shown by listing every cover that a plan below it
could have; or a branch splits one count into "at most k" and "at least k + 1", and the bound is the lower of
the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

#: ``bound``: a lower bound on power in W. ``infeasible``: no plan covers; powers count as zero, every leaf is
#: above zero. ``shortfall``: a lower bound on the total shortfall in QPS; powers count as zero, every missing
#: QPS as one.
CertificateKind = Literal["bound", "infeasible", "shortfall"]

#: Deepest nesting of branches.
MOST_DEPTH = 200


@dataclass(frozen=True)
class Leaf:
    """Prices, and the least that each model pays.

    Parameters
    ----------
    multipliers
        Price per server of each type, at least 0, in W (QPS in a proof of a shortfall, without unit in one
        of infeasibility).
    least
        Lower bound on each model's power (or missing QPS) plus prices in the leaf's box; ``None`` where
        nothing in it covers.
    listed
        Lower bound on the power of every plan in the box, to be shown by listing; ``None`` where the bound is
        that of the prices.
    """

    multipliers: tuple[float, ...]
    least: tuple[float | None, ...]
    listed: float | None = None


@dataclass(frozen=True)
class Branch:
    """One count split in two: at most ``count`` servers, or at least one more."""

    server_type: int
    model: int
    count: int
    at_most: Node
    at_least: Node


Node = Leaf | Branch


@dataclass(frozen=True)
class Certificate:
    """A proof for one interval; ``bound`` is in W or QPS, ``None`` in an infeasibility proof."""

    kind: CertificateKind
    bound: float | None
    root: Node

    def leaves(self) -> Iterator[Leaf]:
        """Iterate over the leaves."""
        nodes: list[Node] = [self.root]
        while nodes:
            node = nodes.pop()
            if isinstance(node, Leaf):
                yield node
            else:
                nodes += [node.at_least, node.at_most]
