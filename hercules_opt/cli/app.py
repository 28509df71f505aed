"""The application: which commands there are, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hercules_opt._version import __version__
from hercules_opt.cli.calibrate import calibrate
from hercules_opt.cli.compare import compare
from hercules_opt.cli.diff import diff
from hercules_opt.cli.errors import ExitCode, guarded, interruptible
from hercules_opt.cli.export import export
from hercules_opt.cli.instances import instances
from hercules_opt.cli.measure import measure
from hercules_opt.cli.output import write_stdout
from hercules_opt.cli.profile import profile
from hercules_opt.cli.provision import provision
from hercules_opt.cli.run import run
from hercules_opt.cli.validate import validate
from hercules_opt.cli.verify import verify
from hercules_opt.cli.what_if import what_if
from hercules_opt.errors import InputError, nearest_name

_ABOUT = (
    """Heterogeneity-aware serving of recommendation models: schedule one server, provision the cluster."""
)

_FIRST_STEPS = """\b
First steps:
  hercules-opt run mlperf-fleet        plan a day of a real fleet, compare with greedy
  hercules-opt instances               what else there is
  hercules-opt instances tiny          an instance to copy and make your own
"""


class _Commands(TyperGroup):
    """The commands; a mistyped one is answered with the nearest."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments begin with."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            hint = nearest_name(args[0], self.commands)
            raise InputError("unknown command", found=args[0], hint=hint)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of the work."""
        return list(self.commands)


def _version(wanted: bool) -> None:
    if wanted:
        write_stdout(f"hercules-opt {__version__}\n")
        raise typer.Exit


def _start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        write_stdout(context.get_help() + "\n")


@cache
def command_line() -> Any:
    """Return all commands as one Click command."""
    app = typer.Typer(
        cls=_Commands,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        invoke_without_command=True,
        callback=_start,
        help=_ABOUT,
        epilog=_FIRST_STEPS,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands: tuple[Callable[..., ExitCode], ...] = (
        run, profile, provision, what_if, compare, diff, verify, validate, export, calibrate, measure,
        instances,
    )  # fmt: skip
    for command in commands:
        app.command()(interruptible(command))
    return typer.main.get_command(app)


def execute(arguments: Sequence[str]) -> int:
    """Run the command line on some arguments and return the exit code; nothing is raised."""
    return guarded(lambda: command_line()(list(arguments), prog_name="hercules-opt", standalone_mode=False))
