"""The same server network once more, written to be read: one heap of events, plain Python, no shared code.

Rules: at each instant first all departures, then all arrivals, then all starts, stage by stage. A free
server takes the first waiting piece, and further ones in order while their items fit ``fuse_items``. All
batches that start at the same instant see the same number of busy servers.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

MASK = 2**64 - 1


@dataclass
class ReferenceStage:
    servers: int
    time_ms: list[list[float]]
    fuse_items: int | None
    exponential: bool
    key: int = 0
    waiting: deque[tuple[int, int]] = field(default_factory=deque)  # (query, items)
    busy: int = 0
    started: int = 0


def stream_keys(count: int, seed: int) -> list[int]:
    """The documented streams: words of the seed sequence, made odd."""
    return [int(k) | 1 for k in np.random.SeedSequence(seed).generate_state(count, np.uint64)]


def split_mix_exponential(key: int, number: int) -> float:
    """Draw ``number`` of SplitMix64 seeded with ``key``, as Exp(1)."""
    state = (key + (number + 1) * 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    state ^= state >> 31
    return -math.log(((state >> 11) + 0.5) * 2.0**-53)


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
        departures: list[list[list[tuple[int, int]]]] = [[] for _ in stages]
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
                for query, items in batch:
                    if index + 1 < len(stages):
                        stages[index + 1].waiting.append((query, items))
                        continue
                    pieces_left[query] -= 1
                    if pieces_left[query] == 0:
                        done[query] = now
        for query in arrivals:
            pieces = split(sizes[query], batch_items)
            pieces_left[query] = len(pieces)
            stages[0].waiting.extend((query, items) for items in pieces)
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


def start(stage: ReferenceStage, now: float) -> list[tuple[float, list[tuple[int, int]]]]:
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
        time_ms = stage.time_ms[stage.busy - 1][items]
        if stage.exponential:
            time_ms *= split_mix_exponential(stage.key, stage.started)
        stage.started += 1
        ends.append((now + time_ms, batch))
    return ends
