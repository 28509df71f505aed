"""Whether an interval can be covered at all: counts that do, or why nothing does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.checking.check_certificate import CertificateError, check_infeasible
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.branch_and_price import prove_infeasible
from hercules_opt.provisioning.engine.shortfall import least_shortfall
from hercules_opt.provisioning.policies.greedy import Greedy
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, exact_data
from hercules_opt.provisioning.programs.limits import Limits
from hercules_opt.provisioning.solvers.covering import cover_exactly


@dataclass(frozen=True)
class Asked:
    """What counts of one interval are asked for.

    Parameters
    ----------
    interval
        Needs and servers beside the fixed counts.
    limits
        What counts must keep to besides.
    beside
        Coverage of each model by the fixed counts, in its own unit.
    """

    interval: ExactInterval
    limits: Limits
    beside: tuple[Fraction, ...]

    def load(self, model: int) -> Fraction:
        """Return a model's required load, where it is more than the fixed counts cover."""
        return self.interval.required[model] + self.beside[model]

    def solved_by(self, counts: Rows) -> bool:
        """Return whether counts cover and keep to the limits."""
        return self.interval.solved_by(counts) and self.limits.kept_by(counts)

    def with_needs(self, needs: Sequence[int]) -> Asked:
        """Return the same with other needs."""
        return replace(self, interval=self.interval.with_needs(needs))


@dataclass(frozen=True)
class Coverable:
    """Counts that cover, or that nothing does: proven by the certificate, which was recomputed, without one a
    solver's claim.

    Neither: it is not known.
    """

    counts: Rows | None = None
    infeasible: bool = False
    certificate: Certificate | None = None


def coverable(asked: Asked, effort: Effort) -> Coverable:
    """Decide one interval, whatever the cost."""
    interval, limits = asked.interval, asked.limits
    greedy = Greedy().solve(interval, effort).counts
    if asked.solved_by(greedy):
        return Coverable(greedy)
    closest = None if effort.expired else least_shortfall(interval, effort.remaining_s, limits=limits)
    if closest is not None and asked.solved_by(closest):
        return Coverable(closest)
    proof = prove_infeasible(interval, effort)
    if proof.counts is not None and limits.kept_by(proof.counts):
        return Coverable(proof.counts)
    if proof.certificate is not None and proves_infeasible(interval, proof.certificate):
        return Coverable(None, True, proof.certificate)
    if effort.expired:
        return Coverable()
    found = cover_exactly(interval, effort, limits=limits)
    return Coverable(found.counts, found.infeasible)


def proves_infeasible(interval: ExactInterval, certificate: Certificate) -> bool:
    """Return whether a certificate, recomputed, proves that nothing covers."""
    if certificate.kind != "infeasible":
        return False
    try:
        check_infeasible(exact_data(interval), certificate)
    except CertificateError:
        return False
    return True
