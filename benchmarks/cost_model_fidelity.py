"""The cost model against published MLPerf Inference results: DLRM rates, and watts at the wall.

    python -m benchmarks.cost_model_fidelity --results RESULTS_CSV [--out FOLDER] [--smoke] [--json FILE]

RESULTS_CSV holds results of the closed datacenter division, v1.0 to v2.1 (MLCommons, Apache-2.0), with the
columns of ``mlperf_results.COLUMNS``. Every device is predicted by constants that were fitted without it.
``--out`` writes the fitted constants with their residuals; those of the catalogue were written so. Without
RESULTS_CSV, what the catalogue holds is shown.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness import Report, Row, main
from benchmarks.mlperf_results import (
    DLRM,
    FAMILIES,
    MODEL,
    SAPPHIRE_RAPIDS,
    Result,
    best,
    model,
    read_results,
)
from hercules_opt.calibration.intervals import CONFIDENCE, coverage, half_width
from hercules_opt.calibration.least_squares import Parameter, fit
from hercules_opt.calibration.rates import Calibrated, Observation, calibrate_rates, predicted_qps
from hercules_opt.calibration.record import (
    Calibration,
    Residual,
    calibration_names,
    load_calibration,
    relative,
)
from hercules_opt.calibration.wall_power import WallPower
from hercules_opt.hardware.efficiency import Efficiency
from hercules_opt.hardware.packing import pack
from hercules_opt.problem.models import Model
from hercules_opt.problem.schedule import Schedule
from hercules_opt.problem.servers import ServerType
from hercules_opt.scheduling.evaluator import AnalyticalEvaluator
from hercules_opt.scheduling.optimize import optimize_schedule
from hercules_opt.scheduling.space import HOT_SHARES, search_space

DATA = "MLPerf Inference v1.0 to v2.1, closed datacenter division (MLCommons, Apache-2.0)"
#: Streams per accelerator that keep it busy where latency does not matter.
STREAMS = 4
#: Files of the catalogue that this benchmark writes.
ACCELERATORS, HOSTS, WALL = "mlperf-dlrm-accelerator", "mlperf-dlrm-host", "mlperf-wall-power"


def offline_schedule(server: ServerType, of: Model) -> Schedule:
    """Return how an accelerator runs without a latency target: all of the model on it, or all that fits."""
    pair = pack(server, of)
    device, cores = pair.device, int(pair.host.cores)
    whole = search_space("accelerator", pair)
    shape = {"instances": STREAMS * int(device.count), "fused_items": whole.fused_items[-1]}
    options = [Schedule(placement="accelerator", **shape)]
    options += [
        Schedule(
            placement="accelerator-hot", threads=cores, cores_per_thread=1, batch_size=whole.max_batch,
            hot_share=float(share), **shape,
        )
        for share in reversed(HOT_SHARES)
    ]  # fmt: skip
    for option in options:
        point = search_space(option.placement, pair).point(option)
        found = AnalyticalEvaluator([pair]).evaluate(
            option.placement, np.zeros(1, dtype=np.int64), point[None]
        )
        if found.memory[0] <= 1.0:
            return option
    raise ValueError(f"the model does not fit into {server.title}")


def observation(result: Result, scenario: str) -> Observation:
    """Return an offline rate as an observation, left out together with its device family."""
    server, of = result.server(), model(scenario)
    schedule = offline_schedule(server, of) if result.accelerators else None
    assert result.device is not None
    return Observation(
        f"{result.device}, {result.label}",
        FAMILIES.get(result.device, result.device),
        MODEL,
        server,
        of,
        result.qps,
        schedule,
    )


def calibrated(results: Sequence[Result]) -> tuple[Calibrated | None, Calibrated | None]:
    """Return the calibrations of accelerators and of the host, each where there are results of its class."""
    offline = best(results, "Offline")
    devices = [observation(result, "Offline") for result in offline.values() if result.accelerators]
    hosts = [observation(result, "Offline") for result in offline.values() if not result.accelerators]
    accelerators = host = None
    if devices:
        accelerators = calibrate_rates(
            devices, device_class="accelerator", title="Accelerators with compiled int8 engines",
            data=f"DLRM, offline, best rate per device: {DATA}", progress=tell,
        )  # fmt: skip
    if hosts:
        host = calibrate_rates(
            hosts, device_class="host", title="Sapphire Rapids with int8 matrix units", constants=["gemm"],
            data=f"DLRM, offline: {DATA}", progress=tell,
        )  # fmt: skip
    return accelerators, host


def tell(line: str) -> None:
    """Say on stderr what is being done."""
    print(line, file=sys.stderr, flush=True)


def offline_rows(calibrations: Sequence[Calibration], results: Sequence[Result]) -> list[Row]:
    """Return the offline table: per device, measured, by the fit, and by the fit without the device."""
    count = {family: max(result.accelerators, 1) for family, result in best(results, "Offline").items()}
    return [
        {
            "device": residual.group,
            "submission": residual.label,
            "measured_per_device": residual.measured / count.get(residual.group, 1),
            "fit_percent": 100.0 * residual.error,
            "left_out_percent": 100.0 * residual.left_out_error,
        }
        for calibration in calibrations
        for residual in calibration.residuals
    ]


def without(found: tuple[Calibrated | None, Calibrated | None], family: str) -> Efficiency:
    """Return the constants that were fitted without a device family."""
    calibration = found[1] if family == FAMILIES[SAPPHIRE_RAPIDS] else found[0]
    if calibration is None:
        return Efficiency()
    return calibration.without.get(family, calibration.calibration.efficiency)


def variant_rows(results: Sequence[Result], found: tuple[Calibrated | None, Calibrated | None]) -> list[Row]:
    """Return devices that nothing was fitted to, by constants without their family, if it was."""
    fitted = {result.device for result in best(results, "Offline").values()}
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.benchmark == DLRM and result.scenario == "Offline" and result.device not in (None, *fitted):
            groups[str(result.device)].append(result)
    rows: list[Row] = []
    for device, ones in groups.items():
        top = max(ones, key=lambda result: result.per_device)
        seen = observation(top, "Offline")
        qps = float(predicted_qps([seen], without(found, FAMILIES.get(device, device)))[0])
        rows.append(
            {
                "device": device,
                "submission": top.label,
                "measured_per_device": top.per_device,
                "left_out_percent": 100.0 * (qps / top.qps - 1.0),
            }
        )
    return rows


def server_tables(
    results: Sequence[Result], found: tuple[Calibrated | None, Calibrated | None]
) -> tuple[list[Row], list[Row]]:
    """Return the server table, the best submission per device, and all submissions beside it."""
    top = best(results, "Server")
    rows: list[Row] = []
    others: list[Row] = []
    for family, result in top.items():
        tell(f"searching the best schedule of {result.label}")
        chosen = optimize_schedule(result.server(), model("Server"), efficiency=without(found, family))
        per_device = chosen.qps / max(result.accelerators, 1)
        rows.append(
            {
                "device": family,
                "submission": result.label,
                "measured_per_device": result.per_device,
                "p99_ms": result.p99_ms,
                "predicted_per_device": per_device,
                "left_out_percent": 100.0 * (per_device / result.per_device - 1.0),
                "share_of_own_offline": _share_of_offline(result, results),
                "schedule": "" if chosen.schedule is None else chosen.schedule.label(),
            }
        )
        same = [
            one
            for one in results
            if one.benchmark == DLRM
            and one.scenario == "Server"
            and one.device
            and FAMILIES.get(one.device) == family
        ]
        others += [
            {
                "device": one.device,
                "submission": one.label,
                "measured_per_device": one.per_device,
                "p99_ms": one.p99_ms,
                "predicted_over_measured": per_device / one.per_device,
                "share_of_own_offline": _share_of_offline(one, results),
            }
            for one in sorted(same, key=lambda one: -one.per_device)
        ]
    return rows, others


def host_rows(results: Sequence[Result], host: Calibrated | None) -> list[Row]:
    """Return what a host would serve with whole queries, on some cores each, by its own offline constants."""
    top = best(results, "Server").get(FAMILIES[SAPPHIRE_RAPIDS])
    if top is None or host is None:
        return []
    server, of = top.server(), model("Server")
    assert server.cpu is not None
    cores, largest = server.cpu.sockets * server.cpu.cores, search_space("cpu", pack(server, of)).max_batch
    rows: list[Row] = []
    for wide in (1, 2, 4, 7, 14):
        schedule = Schedule(placement="cpu", threads=cores // wide, cores_per_thread=wide, batch_size=largest)
        seen = Observation("", "", MODEL, server, of, top.qps, schedule)
        qps = float(predicted_qps([seen], host.calibration.efficiency)[0])
        rows.append(
            {
                "schedule": f"whole queries, {schedule.label()}",
                "measured": top.qps,
                "predicted": qps,
                "percent": 100.0 * (qps / top.qps - 1.0),
            }
        )
    return rows


def _share_of_offline(result: Result, results: Sequence[Result]) -> float | None:
    own = [
        one.qps
        for one in results
        if (one.label, one.benchmark, one.scenario) == (result.label, result.benchmark, "Offline")
    ]
    return result.qps / max(own) if own else None


def wall_power(results: Sequence[Result]) -> Calibration | None:
    """Fit the power at the wall to all measured watts, each system left out in turn."""
    top: dict[tuple[str, str], float] = defaultdict(float)
    for one in results:
        if one.scenario == "Offline" and one.accelerators_tdp_w is not None:
            key = (one.device or one.accelerator_name, one.task)
            top[key] = max(top[key], one.per_device)
    rows = [
        one
        for one in results
        if one.watts and one.accelerators_tdp_w and (one.device or one.accelerator_name, one.task) in top
    ]
    if len(rows) < len(WallPower.model_fields):
        return None
    host = np.array([one.host_tdp_w for one in rows])
    devices = np.array([one.accelerators_tdp_w or 0.0 for one in rows])
    share = np.array([one.per_device / top[one.device or one.accelerator_name, one.task] for one in rows])
    watts = np.array([one.watts or 0.0 for one in rows])
    groups = [f"{one.submitter} {one.system}" for one in rows]
    start = WallPower()
    names = ("host_share", "busy_share", "clock_share")
    found = fit(
        lambda constants, some: WallPower.model_validate(
            dict(zip(names, constants.tolist(), strict=True))
        ).watts(host[some], devices[some], share[some]),
        watts,
        groups,
        [Parameter(name, float(getattr(start, name)), 1e-3, 2.0) for name in names],
    )
    return Calibration.model_validate(
        {
            "title": "Power at the wall of servers with accelerators",
            "data": f"Mean watts over the measured window, all systems that measured them: {DATA}",
            "kind": "calibrated",
            "source": "MLPerf Inference, power measurements",
            "subject": "wall",
            "constants": {
                name: float(f"{v:.5g}") for name, v in zip(names, found.constants.tolist(), strict=True)
            },
            "relative_error": float(f"{relative(half_width(found.left_out, groups)):.4g}"),
            "confidence": CONFIDENCE,
            "coverage": coverage(found.left_out, groups),
            "residuals": [
                Residual(
                    label=f"{one.label}, {one.scenario}",
                    group=group,
                    model=one.benchmark,
                    measured=one.watts or 0.0,
                    fitted=round((one.watts or 0.0) * float(np.exp(error)), 1),
                    left_out=round((one.watts or 0.0) * float(np.exp(left)), 1),
                )
                for one, group, error, left in zip(rows, groups, found.log_ratio, found.left_out, strict=True)
            ],
        }
    )


def watts_rows(calibration: Calibration) -> list[Row]:
    """Return the errors of watts by system."""
    by_group: dict[str, list[Residual]] = defaultdict(list)
    for residual in calibration.residuals:
        by_group[residual.group].append(residual)
    return [
        {
            "system": group,
            "measurements": len(ones),
            "median_watts": float(np.median([one.measured for one in ones])),
            "median_left_out_percent": 100.0 * float(np.median([one.left_out_error for one in ones])),
            "worst_left_out_percent": 100.0 * max((one.left_out_error for one in ones), key=abs),
        }
        for group, ones in sorted(by_group.items())
    ]


def summary(calibration: Calibration) -> Row:
    """Return what one calibration is worth."""
    left = np.array([abs(residual.left_out_error) for residual in calibration.residuals])
    return {
        "calibration": calibration.title,
        "constants": ", ".join(f"{name} {value:.3g}" for name, value in calibration.constants.items()),
        "measurements": len(left),
        "groups": len({residual.group for residual in calibration.residuals}),
        "median_percent": 100.0 * float(np.median(left)),
        "worst_percent": 100.0 * float(np.max(left)),
        "stated_error": calibration.relative_error,
        "interval_holds": calibration.coverage,
    }


def measure(smoke: bool, results: Path | None = None, out: Path | None = None) -> Report:
    """Fit, predict what was left out, and compare."""
    if results is None:
        return stored()
    rows = read_results(results)
    found = calibrated(rows)
    wall = wall_power(rows)
    rates = [one.calibration for one in found if one is not None]
    calibrations = [*rates, *([wall] if wall is not None else [])]
    tables: dict[str, Sequence[Row]] = {
        "Calibrations: errors are of predictions without the measurement's device or system": [
            summary(one) for one in calibrations
        ],
        "DLRM offline, queries per second and device": offline_rows(rates, rows),
    }
    details: dict[str, Sequence[Row]] = {}
    if not smoke:
        tables["DLRM offline, devices that nothing was fitted to"] = variant_rows(rows, found)
        server, others = server_tables(rows, found)
        tables["DLRM server, p99 within 30 ms, best submission per device"] = server
        tables["DLRM server on Sapphire Rapids, by how queries run"] = host_rows(rows, found[1])
        tables["DLRM server, all submissions"] = others
    if wall is not None:
        tables["Watts at the wall, by system"] = watts_rows(wall)
    if out is not None:
        for name, one in zip((ACCELERATORS, HOSTS), found, strict=True):
            if one is not None:
                one.calibration.save(out / f"{name}.toml")
        if wall is not None:
            wall.save(out / f"{WALL}.toml")
    return Report(tables, NOTES, details)


NOTES = (
    "left_out: predicted by constants that were fitted without any result of the device. Sapphire Rapids is "
    "alone in its class: without it the constants are those from first principles.",
    "A server rate is what a submitter chose to prove, a lower bound of what the device can do.",
)


def stored() -> Report:
    """Return what the catalogue holds."""
    names = [name for name in (ACCELERATORS, HOSTS, WALL) if name in calibration_names()]
    calibrations = {name: load_calibration(name) for name in names}
    tables: dict[str, Sequence[Row]] = {
        "Calibrations in the catalogue": [summary(one) for one in calibrations.values()]
    }
    rates = [one for one in calibrations.values() if one.subject != "wall"]
    tables["DLRM offline, queries per second of the server"] = [
        {
            "device": residual.group,
            "submission": residual.label,
            "measured": residual.measured,
            "fit_percent": 100.0 * residual.error,
            "left_out_percent": 100.0 * residual.left_out_error,
        }
        for one in rates
        for residual in one.residuals
    ]
    if WALL in calibrations:
        tables["Watts at the wall, by system"] = watts_rows(calibrations[WALL])
    return Report(tables, ["As stored in the catalogue; --results computes it anew."])


if __name__ == "__main__":
    main(
        "cost_model_fidelity",
        "The cost model against published MLPerf Inference results.",
        measure,
        {
            "results": "CSV of MLPerf results; by default what the catalogue holds is shown",
            "out": "folder to write the fitted calibrations to",
        },
    )
