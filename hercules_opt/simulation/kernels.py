"""The compiled inner loops: split queries into pieces, move pieces through a stage, note when queries end.

A stage is simulated as a whole, from one instant at which something starts to the next. Pieces start in
the order of their arrival, so the next start follows from the head of the queue and the server that gets
free first: no event list is needed, only the batches in service in the order in which they finish.
Departures therefore leave a stage sorted by time, which is the order in which the next stage queues them.
"""

from __future__ import annotations

from typing import NamedTuple

from hercules_opt.simulation.compiling import inlined, kernel
from hercules_opt.simulation.stages import FloatArray, IntArray

#: Positions in the totals of a stage: what it did inside the observed window.
BUSY_MS, WAITED_MS, BATCHES, PIECES, ITEMS = range(5)


class Line(NamedTuple):
    """A queue of pieces in the order of their arrival: rings whose size is a power of two.

    ``factor`` scales the service time of the piece, where service varies. ``ends`` holds the absolute numbers
    of the first piece that still waits and of the next to come.
    """

    time_ms: FloatArray
    query: IntArray
    items: IntArray
    factor: FloatArray
    ends: IntArray


class Service(NamedTuple):
    """Batches in service, a ring sorted by their end; batch = pieces ``first`` .. ``last - 1`` of the line.

    ``ends`` holds the absolute number of the batch that ends first, and how many are in service.
    """

    finish_ms: FloatArray
    first: IntArray
    last: IntArray
    ends: IntArray


@kernel
def split_queries(
    arrival_ms: FloatArray, sizes: IntArray, first_query: int, last_query: int, batch_items: int, line: Line
) -> None:
    """Append the pieces of queries ``first_query`` .. ``last_query - 1`` to ``line``, the remainder last."""
    mask = line.time_ms.size - 1
    tail = line.ends[1]
    for query in range(first_query, last_query):
        left = sizes[query]
        while left > 0:
            at = tail & mask
            line.time_ms[at] = arrival_ms[query]
            line.query[at] = query
            line.items[at] = min(left, batch_items)
            left -= batch_items
            tail += 1
    line.ends[1] = tail


@inlined
def leave(line: Line, service: Service, out: Line) -> None:
    """Move the batch that ends first to ``out``."""
    front = service.ends[0]
    slot = front & (service.finish_ms.size - 1)
    mask, out_mask = line.time_ms.size - 1, out.time_ms.size - 1
    tail = out.ends[1]
    for piece in range(service.first[slot], service.last[slot]):
        out.time_ms[tail & out_mask] = service.finish_ms[slot]
        out.query[tail & out_mask] = line.query[piece & mask]
        out.items[tail & out_mask] = line.items[piece & mask]
        tail += 1
    out.ends[1] = tail
    service.ends[0] = front + 1
    service.ends[1] -= 1


@inlined
def enter(service: Service, finish_ms: float, first: int, last: int) -> None:
    """Insert a batch by its end, behind batches that end at the same time."""
    slots = service.finish_ms.size - 1
    at = service.ends[0] + service.ends[1]
    while at > service.ends[0] and service.finish_ms[(at - 1) & slots] > finish_ms:
        to, source = at & slots, (at - 1) & slots
        service.finish_ms[to] = service.finish_ms[source]
        service.first[to] = service.first[source]
        service.last[to] = service.last[source]
        at -= 1
    service.finish_ms[at & slots] = finish_ms
    service.first[at & slots] = first
    service.last[at & slots] = last
    service.ends[1] += 1


@inlined
def next_batch(line: Line, first: int, fuse_items: int, now_ms: float) -> tuple[int, int]:
    """Return the end of the batch that begins with piece ``first``, and its items (``fuse_items`` 0: one)."""
    mask = line.time_ms.size - 1
    items = line.items[first & mask]
    last = first + 1
    while (
        last < line.ends[1]
        and line.time_ms[last & mask] <= now_ms
        and items + line.items[last & mask] <= fuse_items
    ):
        items += line.items[last & mask]
        last += 1
    return last, items


@inlined
def start_batches(
    line: Line,
    service: Service,
    table_ms: FloatArray,
    fuse_items: int,
    variable: bool,
    batches: IntArray,
    now_ms: float,
    window_ms: tuple[float, float],
    totals: FloatArray,
) -> None:
    """Start at ``now_ms`` all that free servers can take, and let each see all that start with it.

    ``batches`` is scratch space, shape (servers, 2). ``variable``: a batch takes the factor of its first piece.
    """
    mask = line.time_ms.size - 1
    head = line.ends[0]
    free = table_ms.shape[0] - service.ends[1]
    count = 0
    end = head
    while count < free and end < line.ends[1] and line.time_ms[end & mask] <= now_ms:
        end, items = next_batch(line, end, fuse_items, now_ms)
        batches[count, 0] = end
        batches[count, 1] = items
        count += 1
    row = service.ends[1] + count - 1
    for batch in range(count):
        end, items = batches[batch, 0], batches[batch, 1]
        time_ms = table_ms[row, items]
        if variable:
            time_ms *= line.factor[head & mask]
        finish_ms = now_ms + time_ms
        totals[BUSY_MS] += max(0.0, min(finish_ms, window_ms[1]) - max(now_ms, window_ms[0]))
        for piece in range(head, end):
            waited = min(now_ms, window_ms[1]) - max(line.time_ms[piece & mask], window_ms[0])
            totals[WAITED_MS] += max(0.0, waited)
        if window_ms[0] <= now_ms <= window_ms[1]:
            totals[BATCHES] += 1
            totals[PIECES] += end - head
            totals[ITEMS] += items
        enter(service, finish_ms, head, end)
        head = end
    line.ends[0] = head


@kernel
def advance(
    line: Line,
    service: Service,
    table_ms: FloatArray,
    fuse_items: int,
    variable: bool,
    batches: IntArray,
    horizon_ms: float,
    window_ms: tuple[float, float],
    totals: FloatArray,
    out: Line,
) -> None:
    """Simulate one stage up to, and without, ``horizon_ms``: all arrivals before it must be in ``line``.

    At each instant first all departures happen, then all arrivals, then all starts.
    """
    mask = line.time_ms.size - 1
    slots = service.finish_ms.size - 1
    servers = table_ms.shape[0]
    while line.ends[0] < line.ends[1]:
        now_ms = line.time_ms[line.ends[0] & mask]
        if service.ends[1] == servers:
            now_ms = max(now_ms, service.finish_ms[service.ends[0] & slots])
        if now_ms >= horizon_ms:
            break
        while service.ends[1] > 0 and service.finish_ms[service.ends[0] & slots] <= now_ms:
            leave(line, service, out)
        start_batches(line, service, table_ms, fuse_items, variable, batches, now_ms, window_ms, totals)
    while service.ends[1] > 0 and service.finish_ms[service.ends[0] & slots] < horizon_ms:
        leave(line, service, out)


@kernel
def note_ends(line: Line, done_ms: FloatArray) -> None:
    """Empty ``line``, the last stage's departures in order of time: a query ends with its last piece."""
    mask = line.time_ms.size - 1
    for piece in range(line.ends[0], line.ends[1]):
        done_ms[line.query[piece & mask]] = line.time_ms[piece & mask]
    line.ends[0] = line.ends[1]


@kernel
def fused_total_ms(busy_ms: FloatArray, sizes: IntArray, batch_items: int, fuse_items: int) -> float:
    """Return the time that all pieces need when waiting pieces are fused in order from an endless queue."""
    total_ms: float = 0.0
    fused: int = 0
    for size in sizes:
        left = size
        while left > 0:
            items = min(left, batch_items)
            left -= items
            if fused > 0 and fused + items > fuse_items:
                total_ms += busy_ms[fused]
                fused = 0
            fused += items
    total_ms += busy_ms[fused]
    return total_ms
