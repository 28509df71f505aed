"""This host as a server type with constants, fitted to its microbenchmarks alone.

Launches, streams and what one core draws are read off; the constants of products, and those of lookups, are
each fitted to their microbenchmarks by the cost model's own formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hercules_opt.calibration.intervals import CONFIDENCE, coverage, half_width
from hercules_opt.calibration.least_squares import Fit, Floats, Parameter, Rows, fit
from hercules_opt.calibration.record import Calibration, Residual, relative
from hercules_opt.errors import InputError
from hercules_opt.hardware.batch_time import HostThread, host_batch_s
from hercules_opt.hardware.efficiency import Efficiency, HostEfficiency
from hercules_opt.hardware.packing import Pair, host_figures, pack
from hercules_opt.measurement.microbenchmarks import CACHED, CHAIN, TABLES, WEIGHTS, Sample
from hercules_opt.measurement.this_host import ThisHost
from hercules_opt.problem.models import Model
from hercules_opt.problem.servers import ServerType

#: A product of squares writes what it read twice over: 4 bytes read, 4 written, 4 fetched to be overwritten.
_STREAM_BYTES = 12
#: Single-precision lanes of one vector register in which outputs are computed.
_LANES = 16
#: What is tried as the share of the last-level cache that keeps rows of a table.
_SHARES = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
#: Lookups of all cores that scale to this share of their number are not held up by the memory channels, whose
#: bandwidth is then taken as this many times what the cores draw.
_SCALES, _SLACK = 0.9, 4.0
#: Two threads are taken to share the lookups of a table from this speed-up on.
_SHARED = 1.4
#: Clock and operations per cycle are not told apart: the measured rate is one operation per cycle ...
_CLOCK_GHZ = 1.0

_GEMM = (
    Parameter("gemm", 0.9, 0.05, 1.0),
    Parameter("gemm_half_rows", 2.0, 0.01, 100.0),
    Parameter("parallel_loss", 0.01, 1e-4, 0.5),
)
_GATHER = (
    Parameter("row_ns", 10.0, 0.1, 1e3),
    Parameter("vector_ns", 100.0, 0.1, 1e4),
    Parameter("row_overhead_bytes", 1000.0, 1.0, 1e4),
)


@dataclass(frozen=True)
class MeasuredHost:
    """A host as its microbenchmarks show it: the server type, and the calibration of its constants."""

    server: ServerType
    calibration: Calibration
    samples: tuple[Sample, ...]


def fit_host(
    samples: Sequence[Sample],
    host: ThisHost,
    *,
    idle_w: float | None = None,
    busy_w: float | None = None,
) -> MeasuredHost:
    """Return a host as a server type with constants.

    Parameters
    ----------
    idle_w, busy_w
        Measured power without load and with all cores busy; ``None``: not measured, and then assumed.
    """
    known: Mapping[str, float] = _read_off(samples)
    run_s = _seconds(samples, "launch", (1,), 1) - known["launch_us"] * 1e-6
    server = _server(host, samples, known, idle_w, busy_w)
    gemms, gathers = _of_kind(samples, "gemm"), _of_kind(samples, "gather")
    gemm_fit = _Fitting(server, gemms, known, _GEMM, run_s).fit()
    known = {**known, **_values(_GEMM, gemm_fit.constants)}
    fittings = [
        _Fitting(server, gathers, {**known, "table_cache": share}, _GATHER, run_s) for share in _SHARES
    ]
    best = min(fittings, key=lambda fitting: fitting.error())
    gather_fit, known = best.fit(), best.known
    measured = [*gemms, *gathers]
    errors = [np.concatenate([getattr(one, which) for one in (gemm_fit, gather_fit)]) for which in _FITS]
    calibration = _record(host, measured, errors, _values(_GATHER, gather_fit.constants), known)
    return MeasuredHost(server, calibration, tuple(samples))


#: Constants that no microbenchmark shows: shares that the measured rates have in them already, and lanes.
_SET: Mapping[str, float] = {"memory": 1.0, "bag_rewrite": 1.0, "gemm_lanes": _LANES}
_FITS = ("log_ratio", "left_out")


def origin(name: str) -> str:
    """Return where a constant of a measured host is from: fitted, measured (read off), or set."""
    if name in _SET:
        return "set"
    fitted = {"table_cache", *(each.name for each in (*_GEMM, *_GATHER))}
    return "fitted" if name in fitted else "measured"


def _of_kind(samples: Sequence[Sample], kind: str) -> list[Sample]:
    """Return the microbenchmarks of a kind that nothing disturbed; all of them where too few are left."""
    every = [one for one in samples if one.kind == kind]
    quiet = [one for one in every if not one.timing.disturbed]
    return quiet if 2 * len(quiet) > len(every) else every


def _seconds(samples: Sequence[Sample], kind: str, shape: tuple[int, ...], threads: int) -> float:
    for one in samples:
        if (one.kind, one.shape[: len(shape)], one.threads) == (kind, shape, threads):
            return one.timing.seconds
    raise InputError("is missing among the microbenchmarks", key=f"{kind} {shape}, {threads} threads")


def _read_off(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the constants that need no fit."""
    launch = _seconds(samples, "launch", (CHAIN,), 1) / CHAIN
    one, many = (_seconds(samples, "tables", (count,), 1) for count in (1, TABLES))
    table = (many - one) / (TABLES - 1) - launch
    most = max(sample.threads for sample in samples)
    fork = max(_seconds(samples, "launch", (CHAIN,), most) / CHAIN - launch, 0.0)
    weights = 4.0 * WEIGHTS[0] * WEIGHTS[1] / _seconds(samples, "weights", WEIGHTS, 1)
    return {
        "launch_us": launch * 1e6,
        "table_us": max(table, 0.0) * 1e6,
        "fork_us": fork * 1e6 / max(np.log2(most), 1.0),
        "core_gb_s": weights * 1e-9,
        "cache_gb_s": _STREAM_BYTES * CACHED / _seconds(samples, "stream", (CACHED,), 1) * 1e-9,
        **_SET,
        "gather_grain_kb": _grain_kb(samples, most),
    }


def _grain_kb(samples: Sequence[Sample], most: int) -> float:
    """Return the gathered bytes from which threads share a table's lookups, in kB; 0 with one core."""
    gathers = {
        (one.shape, one.items, one.threads): one.timing.seconds for one in samples if one.kind == "gather"
    }
    pairs = [
        (4e-3 * shape[0] * shape[1] * items, gathers[shape, items, 1] > _SHARED * seconds)
        for (shape, items, threads), seconds in gathers.items()
        if threads == most > 1
    ]
    if not pairs:
        return 0.0
    moved, shared = np.array([kb for kb, _ in pairs]), np.array([is_shared for _, is_shared in pairs])
    sizes = np.unique(moved)
    # The step that the fewest microbenchmarks contradict: below the least, between two, or the largest.
    steps = np.concatenate([sizes[:1] / 2.0, np.sqrt(sizes[:-1] * sizes[1:]), sizes[-1:] * 2.0])
    wrong = [np.sum(shared & (moved < step)) + np.sum(~shared & (moved > step)) for step in steps]
    best = steps[np.flatnonzero(wrong == np.min(wrong))]
    return float(best[len(best) // 2])


def _server(
    host: ThisHost,
    samples: Sequence[Sample],
    known: Mapping[str, float],
    idle_w: float | None,
    busy_w: float | None,
) -> ServerType:
    most = max(one.threads for one in samples)
    streamed = [one for one in samples if one.kind == "stream" and one.threads == most]
    largest = max(streamed, key=lambda one: one.shape)
    bandwidth = _STREAM_BYTES * largest.shape[0] / largest.timing.seconds * 1e-9
    peak = max(
        2e-9 * one.shape[0] * one.shape[1] * one.items / one.timing.seconds
        for one in samples
        if one.kind == "gemm" and one.threads == 1
    )
    idle = 5.0 * host.cores if idle_w is None else idle_w
    watts = "no readable power counter (RAPL)"
    cpu = {
        "name": host.name,
        "kind": "measured",
        "source": "microbenchmarks of hercules-opt measure",
        "cores": host.cores,
        "clock_ghz": _CLOCK_GHZ,
        "flops_per_cycle": round(peak, 3),
        "llc_mb": {"value": host.llc_mb, "kind": "published", "source": "what the system states"},
        "memory_gb_s": round(max(bandwidth, _lookup_gb_s(samples, most, known["core_gb_s"])), 3),
        "memory_gb": round(host.memory_gb, 3),
        "idle_w": _watts(idle_w, idle, watts),
        "tdp_w": _watts(None if busy_w is None else max(busy_w, idle), 5.0 * host.cores + idle, watts),
        "memory_idle_w": {"value": 0.0, "kind": "assumed", "source": "within the processor's"},
        "memory_active_w": {"value": 0.0, "kind": "assumed", "source": "within the processor's"},
    }
    return ServerType.model_validate({"title": "this host", "available": 1, "cpu": cpu})


def _lookup_gb_s(samples: Sequence[Sample], most: int, core_gb_s: float) -> float:
    """Return the bandwidth that lookups of all cores show: at least what one core draws."""
    seconds = {
        (one.shape, one.items, one.threads): one.timing.seconds for one in samples if one.kind == "gather"
    }
    largest = [key for key in seconds if key[2] == most and (key[0], key[1], 1) in seconds]
    scaling = max(
        (seconds[shape, items, 1] / seconds[shape, items, most] for shape, items, _ in largest), default=1.0
    )
    return core_gb_s * most * (_SLACK if most > 1 and scaling >= _SCALES * most else 1.0)


def _watts(measured: float | None, assumed: float, why: str) -> object:
    if measured is None:
        return {"value": assumed, "kind": "assumed", "source": f"not measured: {why}"}
    return round(measured, 3)


@dataclass(frozen=True)
class _Fitting:
    """Microbenchmarks of one kind, as the cost model's formula takes them: all at once."""

    server: ServerType
    samples: Sequence[Sample]
    known: Mapping[str, float]
    parameters: Sequence[Parameter]
    run_s: float

    @cached_property
    def rates(self) -> Floats:
        return np.array([1.0 / one.timing.seconds for one in self.samples])

    @cached_property
    def _inputs(self) -> tuple[Any, ...]:
        efficiency = _efficiency(self.known)
        pairs = [pack(self.server, _tiny(one.kind, one.shape), efficiency) for one in self.samples]
        operators = jax.tree.map(lambda *columns: np.stack(columns), *(pair.operators for pair in pairs))
        select = np.zeros(operators.flops.shape)
        for row, one in enumerate(self.samples):
            select[row, 0 if one.kind == "gather" else _TOP] = 1.0
        sizes = [np.array([float(getattr(one, key)) for one in self.samples]) for key in ("threads", "items")]
        return operators, select, *sizes

    def predicted(self, constants: Floats, rows: Rows) -> Floats:
        """Return rates. Launches of a model share what one run costs; a lone operator bears it all."""
        values = {**self.known, **_values(self.parameters, constants)}
        host = host_figures(self.server, _efficiency(values))
        with jax.enable_x64(True):
            times = np.asarray(_ALL(jax.tree.map(np.float64, host), *self._inputs)).sum(axis=1)
        return np.asarray(1.0 / (times + self.run_s))[rows]

    def error(self) -> float:
        """Return the mean square error of a fit to all samples."""
        found = fit(self.predicted, self.rates, ["all"] * len(self.samples), self.parameters)
        return float(np.mean(found.log_ratio**2))

    def fit(self) -> Fit:
        """Fit to rates, so that errors are those of rates; a shape's batches and threads are one group."""
        return fit(self.predicted, self.rates, [_group(one) for one in self.samples], self.parameters)


def _efficiency(values: Mapping[str, float]) -> Efficiency:
    return Efficiency(host=HostEfficiency.model_validate(dict(values)))


def _values(parameters: Sequence[Parameter], constants: Floats) -> dict[str, float]:
    return {each.name: value for each, value in zip(parameters, constants.tolist(), strict=True)}


def _group(sample: Sample) -> str:
    return f"{sample.kind} {' x '.join(str(size) for size in sample.shape)}"


#: The operators of a tiny model: its table, the joining, and its one layer.
_TOP = 2


@cache
def _tiny(kind: str, shape: tuple[int, ...]) -> Model:
    """Return a model that has the operator of a microbenchmark."""
    table: dict[str, Any] = {"rows": 1, "dim": 1}
    architecture: dict[str, Any] = {"top_mlp": (1,), "dense_features": 1}
    if kind == "gather":
        lookups, dim, rows = shape
        table = {"rows": rows, "dim": dim, "lookups": float(lookups)}
    else:
        k, n = shape
        architecture = {"top_mlp": (n,), "dense_features": k - 1}
    size = {"distribution": "fixed", "mean_items": 1}
    return Model.model_validate(
        {"sla_ms": 1.0, "query_size": size, "architecture": {**architecture, "tables": (table,)}}
    )


def batch_s(pair: Pair, select: Floats, cores: int, items: int) -> float:
    """Return the time of a batch of the selected operators on some cores of a host that does nothing else."""
    with jax.enable_x64(True):
        times = _BATCH(
            jax.tree.map(np.float64, pair.host), pair.operators, select, float(cores), float(items)
        )
        return float(np.sum(np.asarray(times)))


def _batch(host: Any, operators: Any, select: Any, cores: Any, items: Any) -> Any:
    zero, one = jnp.zeros(()), jnp.ones(())
    thread = HostThread(one, cores * one, items * one, zero, zero)
    return host_batch_s(host, operators, select, thread, (items * one)[None], jnp.ones(1))[0, 0]


_BATCH: Callable[..., Any] = jax.jit(_batch)
_ALL: Callable[..., Any] = jax.jit(jax.vmap(_batch, in_axes=(None, 0, 0, 0, 0)))


def _record(
    host: ThisHost,
    samples: Sequence[Sample],
    errors: Sequence[Floats],
    constants: Mapping[str, float],
    known: Mapping[str, float],
) -> Calibration:
    log_ratio, left_out = errors
    groups = [_group(one) for one in samples]
    rates = [1.0 / one.timing.seconds for one in samples]
    return Calibration.model_validate(
        {
            "title": f"{host.name}, {host.cores} cores, ONNX Runtime",
            "data": "microbenchmarks of hercules-opt measure",
            "kind": "measured",
            "source": "microbenchmarks of hercules-opt measure",
            "subject": "host",
            "constants": {name: float(f"{value:.5g}") for name, value in constants.items()},
            "fixed": {
                name: int(value) if name == "gemm_lanes" else float(f"{value:.5g}")
                for name, value in known.items()
            },
            "relative_error": float(f"{relative(half_width(left_out, groups)):.4g}"),
            "confidence": CONFIDENCE,
            "coverage": coverage(left_out, groups),
            "residuals": [
                Residual(
                    label=one.label,
                    group=group,
                    model=one.kind,
                    measured=float(f"{rate:.5g}"),
                    fitted=float(f"{rate * np.exp(fitted):.5g}"),
                    left_out=float(f"{rate * np.exp(left):.5g}"),
                )
                for one, group, rate, fitted, left in zip(
                    samples, groups, rates, log_ratio, left_out, strict=True
                )
            ],
        }
    )
