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
    of the first piece that still waits, of the next to come, and of the oldest that waits or is in service.
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
    arrival_ms: FloatArray, sizes: IntArray, first_query: int, batch_items: int, enough: int, line: Line
) -> int:
    """Append the pieces of queries to ``line``, the remainder last, until they are ``enough``.

    Returns the number of the first query left out.
    """
    mask = line.time_ms.size - 1
    tail = line.ends[1]
    end = tail + enough
    query = first_query
    while query < sizes.size and tail < end:
        left = sizes[query]
        while left > 0:
            at = tail & mask
            line.time_ms[at] = arrival_ms[query]
            line.query[at] = query
            line.items[at] = min(left, batch_items)
            left -= batch_items
            tail += 1
        query += 1
    line.ends[1] = tail
    return query


@inlined
def leave(line: Line, service: Service, slot: int, out: Line, tail: int) -> int:
    """Copy the batch in ``slot`` to the end of ``out``, and return the new end."""
    mask, out_mask = line.time_ms.size - 1, out.time_ms.size - 1
    finish_ms = service.finish_ms[slot]
    for piece in range(service.first[slot], service.last[slot]):
        out.time_ms[tail & out_mask] = finish_ms
        out.query[tail & out_mask] = line.query[piece & mask]
        out.items[tail & out_mask] = line.items[piece & mask]
        tail += 1
    return tail


@inlined
def enter(service: Service, front: int, busy: int, finish_ms: float, first: int, last: int) -> None:
    """Insert a batch by its end, behind batches that end at the same time."""
    slots = service.finish_ms.size - 1
    at = front + busy
    while at > front and service.finish_ms[(at - 1) & slots] > finish_ms:
        to, source = at & slots, (at - 1) & slots
        service.finish_ms[to] = service.finish_ms[source]
        service.first[to] = service.first[source]
        service.last[to] = service.last[source]
        at -= 1
    service.finish_ms[at & slots] = finish_ms
    service.first[at & slots] = first
    service.last[at & slots] = last


@inlined
def form_batches(
    line: Line, head: int, tail: int, fuse_items: int, now_ms: float, free: int, batches: IntArray
) -> int:
    """Write the batches that ``free`` servers take at ``now_ms``, as (end, items), and return how many.

    ``fuse_items`` 0: one piece each.
    """
    mask = line.time_ms.size - 1
    count = 0
    end = head
    while count < free and end < tail and line.time_ms[end & mask] <= now_ms:
        items = line.items[end & mask]
        end += 1
        while (
            end < tail and line.time_ms[end & mask] <= now_ms and items + line.items[end & mask] <= fuse_items
        ):
            items += line.items[end & mask]
            end += 1
        batches[count, 0] = end
        batches[count, 1] = items
        count += 1
    return count


@inlined
def count_use(
    line: Line,
    first: int,
    last: int,
    items: int,
    now_ms: float,
    finish_ms: float,
    window_ms: tuple[float, float],
    totals: FloatArray,
) -> None:
    """Add what falls inside the window of one batch's service and of its pieces' waiting."""
    mask = line.time_ms.size - 1
    totals[BUSY_MS] += max(0.0, min(finish_ms, window_ms[1]) - max(now_ms, window_ms[0]))
    for piece in range(first, last):
        waited_ms = min(now_ms, window_ms[1]) - max(line.time_ms[piece & mask], window_ms[0])
        totals[WAITED_MS] += max(0.0, waited_ms)
    if window_ms[0] <= now_ms <= window_ms[1]:
        totals[BATCHES] += 1
        totals[PIECES] += last - first
        totals[ITEMS] += items


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

    At each instant first all departures happen, then all arrivals, then all starts; batches that start
    together all see each other. ``variable``: a batch takes the factor of its first piece. ``batches`` is
    scratch space, shape (servers, 2). Counters live in locals, as arrays are reloaded after each store.
    """
    mask, slots, servers = line.time_ms.size - 1, service.finish_ms.size - 1, table_ms.shape[0]
    head, tail, out_tail = line.ends[0], line.ends[1], out.ends[1]
    front, busy = service.ends[0], service.ends[1]
    while head < tail:
        now_ms = line.time_ms[head & mask]
        if busy == servers:
            now_ms = max(now_ms, service.finish_ms[front & slots])
        if now_ms >= horizon_ms:
            break
        while busy > 0 and service.finish_ms[front & slots] <= now_ms:
            out_tail = leave(line, service, front & slots, out, out_tail)
            front += 1
            busy -= 1
        count = form_batches(line, head, tail, fuse_items, now_ms, servers - busy, batches)
        row = busy + count - 1
        for batch in range(count):
            last, items = batches[batch, 0], batches[batch, 1]
            time_ms = table_ms[row, items]
            if variable:
                time_ms *= line.factor[head & mask]
            finish_ms = now_ms + time_ms
            count_use(line, head, last, items, now_ms, finish_ms, window_ms, totals)
            enter(service, front, busy, finish_ms, head, last)
            busy += 1
            head = last
    while busy > 0 and service.finish_ms[front & slots] < horizon_ms:
        out_tail = leave(line, service, front & slots, out, out_tail)
        front += 1
        busy -= 1
    oldest = head
    for batch in range(front, front + busy):
        oldest = min(oldest, service.first[batch & slots])
    line.ends[0], line.ends[2], out.ends[1] = head, oldest, out_tail
    service.ends[0], service.ends[1] = front, busy


@kernel
def note_ends(line: Line, done_ms: FloatArray) -> None:
    """Empty ``line``, the last stage's departures in order of time: a query ends with its last piece."""
    mask = line.time_ms.size - 1
    for piece in range(line.ends[0], line.ends[1]):
        done_ms[line.query[piece & mask]] = line.time_ms[piece & mask]
    line.ends[0] = line.ends[2] = line.ends[1]


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
