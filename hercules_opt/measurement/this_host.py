"""What this host lets a process use: cores, caches, memory, power counters."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_POWER = Path("/sys/class/powercap")


@dataclass(frozen=True)
class ThisHost:
    """Name of the processor, cores that a process may use of those shown, memory, last-level cache."""

    name: str
    cores: int
    cores_shown: int
    memory_gb: float
    available_gb: float
    llc_mb: float


def this_host() -> ThisHost:
    """Return what this host lets the process use: its affinity, and the quota of its control group."""
    shown = os.cpu_count() or 1
    return ThisHost(_processor(), usable_cores(), shown, *_memory_gb(), _llc_mb())


def usable_cores(limit: Path = _CGROUP_LIMIT) -> int:
    """Return the cores that the process may use: at least one, and none that only a fraction is left of."""
    mine = len(allowed_cores())
    try:
        quota, period = limit.read_text(encoding="utf-8").split()
        share = float(quota) / float(period)
    except (OSError, ValueError):  # no control group, or "max": no limit
        return mine
    return max(1, min(mine, int(share)))


def allowed_cores() -> list[int]:
    """Return the numbers of the cores that the process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _processor() -> str:
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gb(limit: Path = _CGROUP_MEMORY) -> tuple[float, float]:
    """Return memory in all, and what is available, 1 GB each where the system does not say.

    Neither is more than the control group may have.
    """
    try:
        most = float(limit.read_text(encoding="utf-8")) / 1e9
    except (OSError, ValueError):  # no control group, or "max": no limit
        most = math.inf
    try:
        lines = _MEMINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 1.0, 1.0
    kilobytes = {line.split(":")[0]: float(line.split()[1]) for line in lines if ":" in line}
    whole, available = (kilobytes.get(key, 1e6) * 1024 / 1e9 for key in ("MemTotal", "MemAvailable"))
    return min(whole, most), min(available, max(most - _taken_gb(limit.parent), 0.0))


def _taken_gb(group: Path) -> float:
    """Return what a control group has taken, without the file pages that it would give back."""
    try:
        taken = float((group / "memory.current").read_text(encoding="utf-8"))
        entries = dict(
            line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines()
        )
        return (taken - float(entries.get("inactive_file", 0.0))) / 1e9
    except (OSError, ValueError):
        return 0.0


def _llc_mb(root: Path = _CACHES) -> float:
    """Return the largest cache of the first core in MB; 1 where the system does not say."""
    sizes = [1.0]
    for level in sorted(root.glob("index*/size")):
        text = level.read_text(encoding="utf-8").strip()
        if text.endswith("K") and text[:-1].isdigit():
            sizes.append(int(text[:-1]) / 1024)
    return max(sizes)


def measured_power_w(
    seconds: float, root: Path = _POWER, work: Callable[[float], object] = time.sleep
) -> float | None:
    """Return the mean power of all processor packages over some time; ``None`` where it cannot be read.

    ``work`` is done meanwhile, and takes about the time that it is told.
    """
    before = _energy_j(root)
    begin = time.perf_counter()
    work(seconds)
    after, elapsed = _energy_j(root), time.perf_counter() - begin
    if before is None or after is None or after < before:
        return None
    return (after - before) / elapsed


def _energy_j(root: Path) -> float | None:
    """Return the sum of the packages' energy counters (RAPL); the whole platform's holds theirs already."""
    total = None
    for zone in sorted(root.glob("*-rapl:?")):
        try:
            if (zone / "name").read_text(encoding="utf-8").strip() == "psys":
                continue
            total = (total or 0.0) + float((zone / "energy_uj").read_text(encoding="utf-8")) * 1e-6
        except (OSError, ValueError):
            return None
    return total
