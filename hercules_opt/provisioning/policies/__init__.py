"""Policies by name: how the servers of one interval are chosen; also under a cap, or missing least."""

from __future__ import annotations

from hercules_opt.errors import InputError, nearest_name
from hercules_opt.provisioning.policies.base import IntervalAnswer, Policy
from hercules_opt.provisioning.policies.greedy import Greedy
from hercules_opt.provisioning.policies.greedy_priority import GreedyPriority
from hercules_opt.provisioning.policies.hercules import Hercules
from hercules_opt.provisioning.policies.lp_rounding import LpRounding
from hercules_opt.provisioning.policies.oblivious import Oblivious
from hercules_opt.provisioning.policies.whole_program import WholeProgram

#: Every policy that ``provision`` knows by name.
POLICIES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (Hercules, Greedy, GreedyPriority, LpRounding, Oblivious)
}

__all__ = [
    "POLICIES",
    "Greedy",
    "GreedyPriority",
    "Hercules",
    "IntervalAnswer",
    "LpRounding",
    "Oblivious",
    "Policy",
    "WholeProgram",
    "policy_named",
]


def policy_named(name: str) -> Policy:
    """Return a policy by its name; raise ``InputError`` with the nearest one if there is none."""
    if not isinstance(name, str) or name not in POLICIES:
        raise InputError("unknown policy", where="policy", found=name, hint=nearest_name(str(name), POLICIES))
    return POLICIES[name]()
