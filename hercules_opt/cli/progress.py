"""Progress of long work: a bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from hercules_opt.cli.output import is_terminal

Progress = Callable[[int, int], None]


LabelledProgress = Callable[[str, int, int], None]


@contextmanager
def progress_bar(label: str) -> Iterator[Progress | None]:
    """Yield a function that takes the numbers of steps done and of all; the bar is gone at the end."""
    with labelled_bar() as advance:
        yield None if advance is None else partial(advance, label)


@contextmanager
def labelled_bar() -> Iterator[LabelledProgress | None]:
    """Yield a function that takes what is done, and the numbers of steps done and of all."""
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def advance(label: str, done: int, total: int) -> None:
            bar.update(task, description=label, completed=done, total=total)

        yield advance
