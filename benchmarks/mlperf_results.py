"""Published MLPerf Inference results as what the cost model can be asked about.

The file holds results of the closed datacenter division (MLCommons, Apache-2.0), one row per submission,
benchmark and scenario. Data sheets are in the catalogue (accelerators, Sapphire Rapids) and in
``mlperf_hosts.csv`` beside this file (rated figures of the host processors, from Intel's, AMD's and Ampere's
specifications).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hercules_opt.errors import InputError
from hercules_opt.problem.catalogue import catalogue
from hercules_opt.problem.csv_files import parse_number, read_csv
from hercules_opt.problem.library import catalogue_entry
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType

COLUMNS = (
    "version", "submitter", "system", "benchmark", "scenario", "samples_per_second", "p99_ms", "watts",
    "host_processor_model_name", "host_processors_per_node", "accelerator_model_name",
    "accelerators_per_node",
)  # fmt: skip

#: The benchmark that the cost model has an architecture of, and the model's name in the catalogue.
DLRM, MODEL = "dlrm-99", "mlperf-dlrm"

#: Accelerators by what their names in the results match, first match first; parts of a device (MIG, vGPU) and
#: those with another power limit are none of them.
_NO_DEVICE = re.compile(r"MIG|-24Q|500W|Drive")
_DEVICES = (
    (re.compile(r"H100"), "h100-sxm-80gb"),
    (re.compile(r"RTX 8000"), "quadro-rtx-8000"),
    (re.compile(r"A100.SXM.*80"), "a100-sxm-80gb"),
    (re.compile(r"A100.SXM"), "a100-sxm-40gb"),
    (re.compile(r"A100.*80"), "a100-pcie-80gb"),
    (re.compile(r"A100"), "a100-pcie-40gb"),
    (re.compile(r"A30"), "a30"),
    (re.compile(r"A10$"), "a10"),
    (re.compile(r"A2$"), "a2"),
    (re.compile(r"T4$"), "t4"),
    (re.compile(r"A40$"), "a40"),
)

#: The processor whose result has no accelerator; its name in the results tells no more.
CPU_ONLY, SAPPHIRE_RAPIDS = "Sapphire Rapids", "xeon-sapphire-rapids-int8"

#: Systems on a chip: rated power of the module, without a host. NVIDIA's Jetson data sheets.
_MODULES = {"NVIDIA AGX Xavier": 30.0, "NVIDIA Xavier NX": 20.0, "NVIDIA Orin": 60.0}

#: Devices that constants are fitted to: variants of one are left out together. The others are predicted only.
FAMILIES = {
    "a2": "A2", "t4": "T4", "a10": "A10", "a30": "A30", "a40": "A40",
    "a100-pcie-40gb": "A100 PCIe", "a100-pcie-80gb": "A100 PCIe",
    "a100-sxm-40gb": "A100 SXM", "a100-sxm-80gb": "A100 SXM",
    SAPPHIRE_RAPIDS: "Sapphire Rapids",
}  # fmt: skip


@dataclass(frozen=True)
class Host:
    """Rated figures of a host processor, one socket; a module has none."""

    cores: int
    clock_ghz: float
    tdp_w: float
    memory_gb_s: float


@dataclass(frozen=True)
class Result:
    """One row: a rate that a submitter proved, and the watts that were drawn where they were measured."""

    version: str
    submitter: str
    system: str
    benchmark: str
    scenario: str
    qps: float
    p99_ms: float | None
    watts: float | None
    host_name: str
    sockets: int
    accelerator_name: str
    accelerators: int

    @property
    def label(self) -> str:
        """What identifies the row, for people."""
        return f"{self.version} {self.submitter} {self.system}"

    @property
    def device(self) -> str | None:
        """Catalogue name of the accelerator, or of the processor where there is none."""
        if not self.accelerators:
            return SAPPHIRE_RAPIDS if CPU_ONLY in self.host_name else None
        if _NO_DEVICE.search(self.accelerator_name):
            return None
        return next((name for key, name in _DEVICES if key.search(self.accelerator_name)), None)

    @property
    def per_device(self) -> float:
        """Rate of one accelerator, or of the whole server where there is none."""
        return self.qps / max(self.accelerators, 1)

    @property
    def task(self) -> str:
        """The benchmark; 3D U-Net ran on other data from v2.0 on."""
        return (
            f"{self.benchmark} {self.version[:2]}" if self.benchmark.startswith("3d-unet") else self.benchmark
        )

    @property
    def host_tdp_w(self) -> float:
        """Rated power of all host processors."""
        return self.sockets * host_of(self.host_name).tdp_w

    @property
    def accelerators_tdp_w(self) -> float | None:
        """Rated power of all accelerators, where the device is known."""
        if self.accelerator_name in _MODULES:
            return self.accelerators * _MODULES[self.accelerator_name]
        if self.device is None or not self.accelerators:
            return None
        return self.accelerators * float(catalogue_entry("accelerator", self.device)["tdp_w"])

    def server(self) -> ServerType:
        """Return the system as a server type."""
        device = self.device
        assert device is not None
        if not self.accelerators:
            return ServerType.model_validate(
                {"cpu": {**catalogue_entry("cpu", device), "sockets": self.sockets}}
            )
        host = host_of(self.host_name)
        cpu = {
            "name": self.host_name, "sockets": self.sockets, "cores": host.cores, "clock_ghz": host.clock_ghz,
            "flops_per_cycle": 64, "llc_mb": 32, "memory_gb_s": host.memory_gb_s, "memory_gb": 512,
            "tdp_w": host.tdp_w, "idle_w": 0.3 * host.tdp_w, "memory_idle_w": 32, "memory_active_w": 64,
        }  # fmt: skip
        accelerator = {**catalogue_entry("accelerator", device), "count": self.accelerators}
        return ServerType.model_validate({"cpu": cpu, "accelerator": accelerator})


def model(scenario: str) -> Model:
    """Return the benchmark's model; offline there is no latency target."""
    dlrm = catalogue.models[MODEL]
    return dlrm if scenario == "Server" else dlrm.replace(sla_ms=1e6)


def host_of(name: str) -> Host:
    """Return the rated figures of a host processor; raise ``InputError`` if none is known."""
    found = next((host for key, host in _hosts().items() if key in name), None)
    if found is None:
        raise InputError("no rated figures of this host processor", where="mlperf_hosts.csv", found=name)
    return found


@cache
def _hosts() -> dict[str, Host]:
    with Path(__file__).with_name("mlperf_hosts.csv").open(encoding="utf-8", newline="") as stream:
        return {
            row["match"]: Host(
                int(row["cores"]), float(row["clock_ghz"]), float(row["tdp_w"]), float(row["memory_gb_s"])
            )
            for row in csv.DictReader(stream)
        }


def read_results(path: Path) -> list[Result]:
    """Return all rows with a rate.

    Raises
    ------
    InputError
        If the file cannot be read, or a column is missing.
    """
    file = read_csv(path)
    for column in COLUMNS:
        if column not in file.header:
            raise InputError(f"column {column!r} is missing", where=path, key="line 1")
    results = []
    for line, fields in file.records:
        row = dict(zip(file.header, fields, strict=True))
        if row["samples_per_second"]:
            results.append(_result(row, path, line))
    return results


def _result(row: dict[str, str], path: Path, line: int) -> Result:
    def figure(column: str) -> float | None:
        text = row[column]
        return parse_number(text, where=path, key=f"line {line}, {column}") if text else None

    qps = figure("samples_per_second")
    assert qps is not None
    return Result(
        version=row["version"],
        submitter=row["submitter"],
        system=row["system"],
        benchmark=row["benchmark"],
        scenario=row["scenario"],
        qps=qps,
        p99_ms=figure("p99_ms"),
        watts=figure("watts"),
        host_name=row["host_processor_model_name"].strip(),
        sockets=int(figure("host_processors_per_node") or 1),
        accelerator_name=row["accelerator_model_name"],
        accelerators=int(figure("accelerators_per_node") or 0),
    )


def best(results: Iterable[Result], scenario: str) -> dict[str, Result]:
    """Return the DLRM result with the highest rate per device, of every device family."""
    found: dict[str, Result] = {}
    for result in results:
        if result.benchmark != DLRM or result.scenario != scenario or result.device not in FAMILIES:
            continue
        family = FAMILIES[result.device]
        if family not in found or result.per_device > found[family].per_device:
            found[family] = result
    return {family: found[family] for family in dict.fromkeys(FAMILIES.values()) if family in found}
