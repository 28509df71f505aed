"""A model's processes on this host: one makes the tables, and forks the workers, which share them.

Forked and not given through shared memory, since huge pages, which numpy asks for, are then kept: lookups
are as fast as in one process. It is a Python of its own: nothing of the user's script is run again, and no
thread is there when it forks. Orders come as pickles on stdin, one at a time; lines on stdout answer them. It
ends with its parent, whose end of stdin is then closed.

Pieces are records in a pipe, from which every free worker of a stage takes the next. When a piece is done is
written on the board, which is shared with the parent: no lock, no message.
"""

from __future__ import annotations

import mmap
import os
import pickle
import select
import signal
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hercules_opt.measurement.graphs import Part, TableSpec
from hercules_opt.measurement.runtime import Lookups, feeds, session, tables

#: A piece: its run, its number, its items, and where its vectors are.
RECORD = struct.Struct("<4i")
_SLOT = struct.Struct("<i")
#: The number of the run under way comes first on the board, then the times of its pieces.
HEADER = 1
#: How often it looks whether a worker died.
_LOOK_S = 0.5
#: Vectors of pieces between two stages: so many per worker, at most.
_SLOTS = 2


@dataclass(frozen=True)
class Hosted:
    """What the first process needs: the model's tables, its dense features, and the files it shares."""

    specs: tuple[TableSpec, ...]
    dense_features: int
    seed: int
    pieces: int
    board: int


@dataclass(frozen=True)
class StageOrder:
    """Workers of one stage: its graph, and the cores of each."""

    part: Part
    model: bytes
    cores: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Order:
    """The stages of a server, and the largest piece that it takes."""

    stages: tuple[StageOrder, ...]
    batch_size: int


def main() -> None:
    """Serve orders until stdin ends; an empty order ends all workers."""
    hosted: Hosted = pickle.load(sys.stdin.buffer)
    try:
        held, lookups = tables(hosted.specs, hosted.seed), Lookups(hosted.specs, hosted.seed)
    except MemoryError as error:
        _say(f"failed MemoryError: {error}")
        return
    workers: list[int] = []
    _say("tables")
    while True:
        if not select.select([sys.stdin.buffer], [], [], _LOOK_S)[0]:
            _look_after(workers)
            continue
        try:
            order: Order | None = pickle.load(sys.stdin.buffer)
        except EOFError:
            _end(workers)
            return
        _end(workers)
        workers = [] if order is None else _started(hosted, held, lookups, order)
        _say("ended" if order is None else "started")


def _say(line: str) -> None:
    """Write a line; short ones of several processes do not mix."""
    os.write(1, f"{' '.join(line.split())[:500]}\n".encode())


def _end(workers: Sequence[int]) -> None:
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    for pid in workers:
        os.waitpid(pid, 0)


def _look_after(workers: list[int]) -> None:
    for pid in list(workers):
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            workers.remove(pid)
            _say("failed a worker ended")


def _started(hosted: Hosted, held: dict[str, Any], lookups: Lookups, order: Order) -> list[int]:
    """Fork the workers of an order; each says when it is ready."""
    link = _Link.made(hosted, order) if len(order.stages) > 1 else None
    forked = []
    for stage in order.stages:
        for cores in stage.cores:
            pid = os.fork()
            if pid == 0:
                _work(hosted, held, lookups.seeded(cores[0]), stage, cores, order.batch_size, link)
            forked.append(pid)
    if link is not None:
        link.close()
    return forked


def _work(
    hosted: Hosted,
    held: dict[str, Any],
    lookups: Lookups,
    stage: StageOrder,
    cores: tuple[int, ...],
    batch_size: int,
    link: _Link | None,
) -> None:
    """Serve pieces, in a process of its own that never returns."""
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)
        worker = _Worker(hosted, held, link, session(stage.model, len(cores)), lookups)
        worker.warm_up(stage.part, batch_size)
        _say(f"ready {os.getpid()}")
        worker.serve(stage.part)
    except BaseException as error:  # also what no exception should be: nothing may return from here
        _say(f"failed {type(error).__name__}: {error}")
    finally:
        os._exit(1)


@dataclass(frozen=True)
class _Link:
    """From one stage to the next: pieces with their vectors, and slots for vectors that are free."""

    pieces: tuple[int, int]
    free: tuple[int, int]
    slots: mmap.mmap
    slot_bytes: int

    @classmethod
    def made(cls, hosted: Hosted, order: Order) -> _Link:
        items = order.batch_size
        wide = sum(4 * items * spec.sequence * spec.dim for spec in hosted.specs)
        count = _SLOTS * sum(len(stage.cores) for stage in order.stages)
        link = cls(os.pipe(), os.pipe(), mmap.mmap(-1, wide * count), wide)
        for slot in range(count):
            os.write(link.free[1], _SLOT.pack(slot))
        return link

    def close(self) -> None:
        for end in (*self.pieces, *self.free):
            os.close(end)
        self.slots.close()

    def vectors(self, specs: Sequence[TableSpec], slot: int, items: int) -> dict[str, npt.NDArray[Any]]:
        """Return what a slot holds, or takes, by name."""
        found, begin = {}, slot * self.slot_bytes
        for spec in specs:
            shape = (items, spec.sequence, spec.dim)
            found[spec.pooled] = np.ndarray(shape, dtype=np.float32, buffer=self.slots, offset=begin)
            begin += 4 * items * spec.sequence * spec.dim
        return found


class _Worker:
    """One worker: takes pieces, and computes its stage of them."""

    def __init__(
        self, hosted: Hosted, held: dict[str, Any], link: _Link | None, one: Any, lookups: Lookups
    ) -> None:
        self._hosted, self._held, self._link, self._one, self._lookups = hosted, held, link, one, lookups
        self._run, self._done_s = board_columns(mmap.mmap(hosted.board, 0))

    def serve(self, part: Part) -> None:
        """Serve pieces for ever."""
        source = self._hosted.pieces if part != "dense" else self._joined.pieces[0]
        serve = {"whole": self._whole, "sparse": self._sparse, "dense": self._dense}[part]
        while record := os.read(source, RECORD.size):
            run, piece, items, slot = RECORD.unpack(record)
            serve(run, piece, items, slot)

    @property
    def _joined(self) -> _Link:
        assert self._link is not None
        return self._link

    def warm_up(self, part: Part, items: int) -> None:
        """Run the largest piece, so that memory is had before the first query."""
        for _ in range(2):
            if part == "dense":
                self._one.run(None, self._handed(items, 0))
            else:
                dense = self._hosted.dense_features if part == "whole" else 0
                self._one.run(None, {**self._feeds(items, dense), **self._held})

    def _whole(self, run: int, piece: int, items: int, _: int) -> None:
        if run == self._run[0]:
            self._one.run(None, {**self._feeds(items, self._hosted.dense_features), **self._held})
            self._finished(run, piece)

    def _sparse(self, run: int, piece: int, items: int, _: int) -> None:
        """Compute the vectors, and hand them on once a slot is free."""
        if run == self._run[0]:
            found = self._one.run(None, {**self._feeds(items, 0), **self._held})
            (slot,) = _SLOT.unpack(os.read(self._joined.free[0], _SLOT.size))
            handed = self._joined.vectors(self._hosted.specs, slot, items)
            for vectors, array in zip(handed.values(), found, strict=True):
                vectors[...] = array
            os.write(self._joined.pieces[1], RECORD.pack(run, piece, items, slot))

    def _dense(self, run: int, piece: int, items: int, slot: int) -> None:
        if run == self._run[0]:
            self._one.run(None, self._handed(items, slot))
            self._finished(run, piece)
        os.write(self._joined.free[1], _SLOT.pack(slot))

    def _finished(self, run: int, piece: int) -> None:
        """Note when a piece is done, unless its run ended meanwhile: its place may be taken by now."""
        if run == self._run[0]:
            self._done_s[piece] = time.perf_counter()

    def _handed(self, items: int, slot: int) -> dict[str, Any]:
        """Return the inputs of the second stage."""
        vectors = self._joined.vectors(self._hosted.specs, slot, items)
        return {**feeds((), self._lookups, items, self._hosted.dense_features), **vectors}

    def _feeds(self, items: int, dense_features: int) -> dict[str, Any]:
        return feeds(self._hosted.specs, self._lookups, items, dense_features)


def board_columns(board: mmap.mmap) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the number of the run under way, shape (1,), and when each piece was done; 0: not yet."""
    header = np.frombuffer(board, dtype=np.int64, count=HEADER)
    return header, np.frombuffer(board, dtype=np.float64, offset=header.nbytes)
