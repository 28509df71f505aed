"""Labels with their texts, wrapped under themselves."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table


@dataclass(frozen=True)
class Pairs:
    """Lines of a label and a text; long texts wrap beside their label, nothing is cut."""

    rows: tuple[tuple[str, str], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the lines."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for label, text in self.rows:
            table.add_row(label, text)
        yield table
