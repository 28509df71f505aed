"""Heterogeneity-aware inference serving for recommendation (Hercules, HPCA 2022).

Stage 1 schedules one server, stage 2 provisions the cluster. Names are loaded on first use, so that importing
the package stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from hercules_opt._version import __version__

if TYPE_CHECKING:
    from hercules_opt.calibration.rates import Calibrated, Observation, calibrate_rates
    from hercules_opt.calibration.record import Calibration, load_calibration
    from hercules_opt.errors import InputError
    from hercules_opt.measurement.measured_profile import profile_measured
    from hercules_opt.problem.catalogue import catalogue
    from hercules_opt.problem.instance import Instance
    from hercules_opt.problem.json_schema import json_schema
    from hercules_opt.problem.library import library_names
    from hercules_opt.problem.loading import load_instance, save_instance
    from hercules_opt.problem.schedule import Schedule
    from hercules_opt.problem.table import EfficiencyTable, PairEfficiency
    from hercules_opt.provisioning.answers.compare import Comparison, PlanSummary, compare
    from hercules_opt.provisioning.answers.diff import Churn, IntervalDiff, Move, PlanDiff, diff
    from hercules_opt.provisioning.answers.explain import Addition, Explanation, LoadCut, Shortfall, explain
    from hercules_opt.provisioning.answers.what_if import ServerValue, WhatIf, what_if
    from hercules_opt.provisioning.checking.verify import Audit, IntervalAudit, Violation, audit, verify
    from hercules_opt.provisioning.files.export import export_program
    from hercules_opt.provisioning.files.plan_files import load_plan, plan_to_json, save_plan, save_plan_csv
    from hercules_opt.provisioning.plan import Plan
    from hercules_opt.provisioning.policies.greedy import Greedy
    from hercules_opt.provisioning.problem import ProvisioningProblem
    from hercules_opt.provisioning.provision import provision
    from hercules_opt.provisioning.requirements import Requirements
    from hercules_opt.scheduling.bound import throughput_bound
    from hercules_opt.scheduling.optimize import ScheduleResult, optimize_schedule
    from hercules_opt.scheduling.predict import Prediction, predict
    from hercules_opt.scheduling.profile import profile
    from hercules_opt.simulation.largest_load import LargestLoad, largest_load
    from hercules_opt.simulation.server import ServerRun, simulate_server
    from hercules_opt.simulation.stages import Stage, Trace

_HOMES = {
    "Addition": "provisioning.answers.explain",
    "Audit": "provisioning.checking.verify",
    "Calibrated": "calibration.rates",
    "Calibration": "calibration.record",
    "Churn": "provisioning.answers.diff",
    "Comparison": "provisioning.answers.compare",
    "EfficiencyTable": "problem.table",
    "Explanation": "provisioning.answers.explain",
    "Greedy": "provisioning.policies.greedy",
    "InputError": "errors",
    "Instance": "problem.instance",
    "IntervalAudit": "provisioning.checking.verify",
    "IntervalDiff": "provisioning.answers.diff",
    "LargestLoad": "simulation.largest_load",
    "LoadCut": "provisioning.answers.explain",
    "Move": "provisioning.answers.diff",
    "Observation": "calibration.rates",
    "PairEfficiency": "problem.table",
    "Plan": "provisioning.plan",
    "PlanDiff": "provisioning.answers.diff",
    "PlanSummary": "provisioning.answers.compare",
    "Prediction": "scheduling.predict",
    "ProvisioningProblem": "provisioning.problem",
    "Requirements": "provisioning.requirements",
    "Schedule": "problem.schedule",
    "ScheduleResult": "scheduling.optimize",
    "ServerRun": "simulation.server",
    "ServerValue": "provisioning.answers.what_if",
    "Shortfall": "provisioning.answers.explain",
    "Stage": "simulation.stages",
    "Trace": "simulation.stages",
    "Violation": "provisioning.checking.verify",
    "WhatIf": "provisioning.answers.what_if",
    "audit": "provisioning.checking.verify",
    "calibrate_rates": "calibration.rates",
    "catalogue": "problem.catalogue",
    "compare": "provisioning.answers.compare",
    "diff": "provisioning.answers.diff",
    "explain": "provisioning.answers.explain",
    "export_program": "provisioning.files.export",
    "json_schema": "problem.json_schema",
    "largest_load": "simulation.largest_load",
    "library_names": "problem.library",
    "load_calibration": "calibration.record",
    "load_instance": "problem.loading",
    "load_plan": "provisioning.files.plan_files",
    "optimize_schedule": "scheduling.optimize",
    "plan_to_json": "provisioning.files.plan_files",
    "predict": "scheduling.predict",
    "profile": "scheduling.profile",
    "profile_measured": "measurement.measured_profile",
    "provision": "provisioning.provision",
    "save_instance": "problem.loading",
    "save_plan": "provisioning.files.plan_files",
    "save_plan_csv": "provisioning.files.plan_files",
    "simulate_server": "simulation.server",
    "throughput_bound": "scheduling.bound",
    "verify": "provisioning.checking.verify",
    "what_if": "provisioning.answers.what_if",
}

__all__ = [
    "Addition",
    "Audit",
    "Calibrated",
    "Calibration",
    "Churn",
    "Comparison",
    "EfficiencyTable",
    "Explanation",
    "Greedy",
    "InputError",
    "Instance",
    "IntervalAudit",
    "IntervalDiff",
    "LargestLoad",
    "LoadCut",
    "Move",
    "Observation",
    "PairEfficiency",
    "Plan",
    "PlanDiff",
    "PlanSummary",
    "Prediction",
    "ProvisioningProblem",
    "Requirements",
    "Schedule",
    "ScheduleResult",
    "ServerRun",
    "ServerValue",
    "Shortfall",
    "Stage",
    "Trace",
    "Violation",
    "WhatIf",
    "__version__",
    "audit",
    "calibrate_rates",
    "catalogue",
    "compare",
    "diff",
    "explain",
    "export_program",
    "json_schema",
    "largest_load",
    "library_names",
    "load_calibration",
    "load_instance",
    "load_plan",
    "optimize_schedule",
    "plan_to_json",
    "predict",
    "profile",
    "profile_measured",
    "provision",
    "save_instance",
    "save_plan",
    "save_plan_csv",
    "simulate_server",
    "throughput_bound",
    "verify",
    "what_if",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
