"""A table of figures that keeps its lines straight at any width."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_GUTTER = 2
_NARROWEST_NAME = 12
#: A word of a name with the space after it, and a part of a word with the sign that joins it to the next.
_WORD, _PART = re.compile(r"\s*\S+\s*"), re.compile(r"[^._/+-]*[._/+-]+|[^._/+-]+")


@dataclass(frozen=True)
class Grid:
    """A title, a column of names, and columns of figures.

    Columns that do not fit beside the names go into further blocks below, which repeat the names. Figures and
    headings are never cut or broken; only where the names alone leave no room for a column are they folded,
    between their words where that can be. A table without rows says so.

    Parameters
    ----------
    title
        What the table shows, with units.
    header
        Heading of the names, then of each column.
    rows
        Name and figures of each line, all as long as ``header``.
    most_rows
        Lines that are shown; the others are counted below.
    left
        Columns (from 1 on) that hold words and are aligned to the left.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    most_rows: int = 100
    left: tuple[int, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render one block after the other."""
        if self.title:
            yield Text(self.title, style="bold")
        if not self.rows:
            yield Text("  none")
            return
        names_width = self._names_width(options.max_width)
        for columns in self._blocks(names_width, options.max_width):
            yield self._block(columns, names_width)
        hidden = len(self.rows) - self.most_rows
        if hidden > 0:
            yield Text(f"  and {hidden:,} more lines; --json has them all")

    @property
    def _shown(self) -> Sequence[tuple[str, ...]]:
        return self.rows[: self.most_rows]

    def _width(self, column: int) -> int:
        return max(cell_len(row[column]) for row in (self.header, *self._shown))

    def _names_width(self, width: int) -> int:
        widest = max((self._width(column) for column in range(1, len(self.header))), default=0)
        room = width - _GUTTER - (widest + _GUTTER if widest else 0)
        return min(self._width(0), max(room, _NARROWEST_NAME))

    def _blocks(self, names_width: int, width: int) -> Iterator[list[int]]:
        block: list[int] = []
        used = names_width + _GUTTER
        for column in range(1, len(self.header)):
            needs = self._width(column) + _GUTTER
            if block and used + needs > width:
                yield block
                block, used = [], names_width + _GUTTER
            block.append(column)
            used += needs
        yield block

    def _block(self, columns: Sequence[int], names_width: int) -> Table:
        table = Table(box=None, padding=(0, 0, 0, _GUTTER), show_edge=False, header_style="dim", expand=False)
        table.add_column(self.header[0], width=names_width, overflow="fold")
        for column in columns:
            table.add_column(
                self.header[column],
                justify="left" if column in self.left else "right",
                width=self._width(column),
                no_wrap=True,
                overflow="fold",
            )
        for row in self._shown:
            table.add_row(folded(row[0], names_width), *(row[column] for column in columns))
        return table


def folded(name: str, width: int) -> str:
    """Return a name in lines of a width: ended after a word, or within a longer one after a joining sign."""
    lines = [""]
    words = [[word] if _fits(word, width) else _PART.findall(word) for word in _WORD.findall(name)]
    for word in chain.from_iterable(words):
        if lines[-1] and not _fits(lines[-1] + word, width):
            lines.append("")
        lines[-1] += word
        while not _fits(lines[-1], width):  # nothing joins its parts
            cut = max(1, sum(cell_len(lines[-1][: n + 1]) <= width for n in range(len(lines[-1]))))
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
    return "\n".join(line.rstrip() for line in lines)


def _fits(text: str, width: int) -> bool:
    return cell_len(text.rstrip()) <= width
