"""The same server network once more, written to be read: one heap of events, plain Python, no shared code.

Rules: at each instant first all departures, then all arrivals, then all starts, stage by stage. A free
server takes the first waiting piece, and further ones in order while their items fit ``fuse_items``. All
batches that start at the same instant see the same number of busy servers.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Piece = tuple[int, int, float]  # query, items, factor


@dataclass
class ReferenceStage:
    servers: int
    time_ms: list[list[float]]
    fuse_items: int | None
    draw: Callable[[], float]
    waiting: deque[Piece] = field(default_factory=deque)
    busy: int = 0

    def queue(self, query: int, items: int) -> None:
        """Draw the piece's factor as it arrives."""
        self.waiting.append((query, items, self.draw()))


def stage_draws(seed: int, index: int) -> Callable[[], float]:
    """The stream of a stage: number 2 + index of the seed, one draw per piece that reaches it."""
    stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2 + index,)))
    return lambda: float(stream.standard_exponential())


def simulate(
    stages: list[ReferenceStage], arrival_ms: list[float], sizes: list[int], batch_items: int | None
) -> list[float]:
    """Return the time at which each query is done."""
    events: list[tuple[float, int, int, object]] = []  # (time, order, stage or -1 for an arrival, what)
    order = 0
    for query, at in enumerate(arrival_ms):
        heapq.heappush(events, (at, order, -1, query))
        order += 1
    pieces_left = [0] * len(sizes)
    done = [math.nan] * len(sizes)
    while events:
        now = events[0][0]
        departures: list[list[list[Piece]]] = [[] for _ in stages]
        arrivals: list[int] = []
        while events and events[0][0] == now:
            _, _, index, what = heapq.heappop(events)
            if index < 0:
                arrivals.append(what)  # type: ignore[arg-type]
            else:
                departures[index].append(what)  # type: ignore[arg-type]
        for index, batches in enumerate(departures):
            for batch in batches:
                stages[index].busy -= 1
                for query, items, _ in batch:
                    if index + 1 < len(stages):
                        stages[index + 1].queue(query, items)
                        continue
                    pieces_left[query] -= 1
                    if pieces_left[query] == 0:
                        done[query] = now
        for query in arrivals:
            pieces = split(sizes[query], batch_items)
            pieces_left[query] = len(pieces)
            for items in pieces:
                stages[0].queue(query, items)
        for index, stage in enumerate(stages):
            for finish, batch in start(stage, now):
                heapq.heappush(events, (finish, order, index, batch))
                order += 1
    return done


def split(size: int, batch_items: int | None) -> list[int]:
    if batch_items is None:
        return [size]
    full, rest = divmod(size, batch_items)
    return [batch_items] * full + ([rest] if rest else [])


def start(stage: ReferenceStage, now: float) -> list[tuple[float, list[Piece]]]:
    """Start what free servers can take; return (end, pieces) of each batch."""
    batches = []
    while stage.waiting and stage.busy < stage.servers:
        batch = [stage.waiting.popleft()]
        items = batch[0][1]
        while stage.fuse_items and stage.waiting and items + stage.waiting[0][1] <= stage.fuse_items:
            batch.append(stage.waiting.popleft())
            items += batch[-1][1]
        stage.busy += 1
        batches.append((items, batch))
    ends = []
    for items, batch in batches:
        time_ms = stage.time_ms[stage.busy - 1][items] * batch[0][2]
        ends.append((now + time_ms, batch))
    return ends
