"""Whether an interval can be covered at all: counts that do, or why nothing does."""

from __future__ import annotations

from dataclasses import dataclass

from hercules_opt.provisioning.certificate import Certificate
from hercules_opt.provisioning.checking.check_certificate import CertificateError, check_infeasible
from hercules_opt.provisioning.effort import Effort
from hercules_opt.provisioning.engine.branch_and_price import prove_infeasible
from hercules_opt.provisioning.engine.shortfall import least_shortfall
from hercules_opt.provisioning.policies.greedy import Greedy
from hercules_opt.provisioning.programs.exact import ExactInterval, Rows, exact_data
from hercules_opt.provisioning.solvers.covering import cover_exactly


@dataclass(frozen=True)
class Coverable:
    """Counts that cover, or that nothing does: proven by the certificate, which was recomputed, without one a
    solver's claim.

    Neither: it is not known.
    """

    counts: Rows | None = None
    infeasible: bool = False
    certificate: Certificate | None = None


def coverable(interval: ExactInterval, effort: Effort) -> Coverable:
    """Decide one interval, whatever the power."""
    greedy = Greedy().solve(interval, effort).counts
    if interval.solved_by(greedy):
        return Coverable(greedy)
    closest = None if effort.expired else least_shortfall(interval, effort.remaining_s)
    if closest is not None and interval.solved_by(closest):
        return Coverable(closest)
    proof = prove_infeasible(interval, effort)
    if proof.counts is not None:
        return Coverable(proof.counts)
    if proof.certificate is not None and proves_infeasible(interval, proof.certificate):
        return Coverable(None, True, proof.certificate)
    if effort.expired:
        return Coverable()
    found = cover_exactly(interval, effort)
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
