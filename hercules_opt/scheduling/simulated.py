"""A schedule as the simulator sees it: the stages of a server with the cost model's service times.

Only the queueing is simulated: the time of a batch, by its items and by the servers at work, is that of the
cost model, so that a difference between the two is one of queueing alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from hercules_opt.hardware.packing import Pair
from hercules_opt.problem.models import Model, QuerySize
from hercules_opt.problem.schedule import Schedule
from hercules_opt.scheduling.offload import device_part, host_part
from hercules_opt.scheduling.programs import detail
from hercules_opt.scheduling.schedules import located
from hercules_opt.simulation.network import run_network
from hercules_opt.simulation.saturation import saturation_of_trace
from hercules_opt.simulation.stages import SizeSampler, Stage, Trace
from hercules_opt.workloads.query_sizes import sample_sizes

Floats = npt.NDArray[np.float64]

#: Service times do not depend on the load that is asked about beside them.
_SOME_LOAD_QPS = 1.0


@dataclass(frozen=True)
class SimulatedServer:
    """What the simulator needs of a server with a schedule.

    Attributes
    ----------
    stages
        In the order in which the pieces of a query pass them.
    batch_items
        Items per piece; ``None`` where queries stay whole.
    sizes
        Draws the items of queries.
    memory
        Memory taken, as a share of what there is where it is scarcest.
    """

    stages: tuple[Stage, ...]
    batch_items: int | None
    sizes: SizeSampler
    memory: float

    def saturation_qps(self, trace: Trace) -> float:
        """Return the rate at which the queries of a trace are completed with all servers busy."""
        return saturation_of_trace(self.stages, trace, self.batch_items)

    def done_ms(self, trace: Trace, seed: int) -> Floats:
        """Return when each query of a trace is done."""
        return run_network(self.stages, trace, batch_items=self.batch_items, seed=seed).done_ms


@dataclass(frozen=True)
class OffloadingServer:
    """A server whose host runs the small queries and whose accelerators run those of more items.

    Attributes
    ----------
    host, device
        What each part does with the queries that it gets.
    above
        Queries of more items go to the accelerators.
    """

    host: SimulatedServer
    device: SimulatedServer
    above: int

    @property
    def sizes(self) -> SizeSampler:
        """Draws the items of all queries."""
        return self.host.sizes

    @property
    def batch_items(self) -> int | None:
        """Items per piece of a small query."""
        return self.host.batch_items

    def saturation_qps(self, trace: Trace) -> float:
        """Return the rate of all queries at which one of the parts is busy all the time."""
        return min(
            part.saturation_qps(_selected(trace, chosen)) / float(chosen.mean())
            for part, chosen in self._parts(trace)
        )

    def done_ms(self, trace: Trace, seed: int) -> Floats:
        """Return when each query of a trace is done."""
        done = np.empty(trace.items.size)
        for part, chosen in self._parts(trace):
            done[chosen] = part.done_ms(_selected(trace, chosen), seed)
        return done

    def _parts(self, trace: Trace) -> list[tuple[SimulatedServer, npt.NDArray[np.bool_]]]:
        large = trace.items > self.above
        return [
            (part, chosen) for part, chosen in ((self.host, ~large), (self.device, large)) if chosen.any()
        ]


def _selected(trace: Trace, chosen: npt.NDArray[np.bool_]) -> Trace:
    return Trace(trace.times_ms[chosen], trace.items[chosen])


def simulated_server(pair: Pair, model: Model, schedule: Schedule) -> SimulatedServer | OffloadingServer:
    """Return what to simulate for a pair with a schedule.

    Raises
    ------
    InputError
        If the schedule is not one of the pair.
    """
    if schedule.offload_above is None:
        return _server(pair, model, schedule)
    host, device = (_server(pair, model, part) for part in (host_part(schedule), device_part(schedule)))
    return OffloadingServer(host, device, schedule.offload_above)


def simulated_servers(
    pairs: Sequence[Pair], models: Sequence[Model], schedules: Sequence[Schedule]
) -> list[SimulatedServer]:
    """Return what to simulate for many pairs, each with its schedule, none with a threshold.

    Raises
    ------
    InputError
        If a schedule is not one of its pair.
    """
    return [_server(*each) for each in zip(pairs, models, schedules, strict=True)]


def _server(pair: Pair, model: Model, schedule: Schedule) -> SimulatedServer:
    point = located(pair, schedule)[1]
    found = detail(schedule.placement, pair, point, _SOME_LOAD_QPS)
    assert model.query_size is not None
    first = 1 if schedule.placement == "accelerator" else 0
    stages = tuple(
        _stage(name, coefficients, servers, largest, fused=name == "accelerator")
        for (name, servers, largest), coefficients in zip(
            _shapes(schedule), found.service_times[first:], strict=False
        )
    )
    return SimulatedServer(stages, schedule.batch_size, _sampler(model.query_size), float(found.memory))


@lru_cache
def _sampler(query_size: QuerySize) -> SizeSampler:
    """Return the same sampler for the same sizes, so that what is drawn with it can be kept."""
    return partial(sample_sizes, query_size)


def _shapes(schedule: Schedule) -> list[tuple[str, int, int]]:
    """Return name, servers and largest batch of each stage."""
    shapes = (
        ("host", schedule.threads, schedule.batch_size),
        ("dense host", schedule.dense_threads, schedule.batch_size),
        ("accelerator", schedule.instances, schedule.fused_items),
    )
    return [(name, servers, largest) for name, servers, largest in shapes if servers and largest]


def _stage(name: str, coefficients: Floats, servers: int, largest: int, *, fused: bool) -> Stage:
    """Return a stage whose times are the parabolas of ``hardware.stages``."""
    by_busy = np.vander(np.arange(servers) / max(servers - 1, 1), 3, increasing=True)
    by_items = np.vander(np.arange(largest + 1) / largest, 3, increasing=True)
    times_ms = 1e3 * by_busy @ coefficients @ by_items.T
    return Stage(servers, times_ms, fuse_items=largest if fused else None, name=name)
