"""How the command line ends: exit codes, and one message for whatever goes wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from typing import Any, ParamSpec, cast

import typer

from hercules_opt.cli.output import silence, tell
from hercules_opt.errors import InputError, nearest_name

#: Set to anything but nothing to see where an internal error comes from.
DEBUG_VARIABLE = "HERCULES_OPT_DEBUG"

# Typer carries its own copy of Click's exceptions since 0.26 and took Click's before; this finds either.
_UsageError = cast(type[Exception], typer.BadParameter.__base__)


P = ParamSpec("P")

#: Arguments of functions, as the command line calls them.
_OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in ("gap", "time_limit_s", "policy", "solver", "allow_shortfall", "seed", "method")
}


class ExitCode(IntEnum):
    """What the exit code of the process says."""

    DONE = 0
    BUG = 1
    BAD_INPUT = 2
    INFEASIBLE = 3
    STOPPED = 4
    VIOLATIONS = 5
    INTERRUPTED = 130


def guarded(command: Callable[[], object]) -> int:
    """Run a command; turn whatever it raises into one message on stderr and an exit code."""
    try:
        code = command()
    except InputError as error:
        tell(f"error: {error.located(_OPTIONS[error.where]) if error.where in _OPTIONS else error}")
        return ExitCode.BAD_INPUT
    except _UsageError as error:
        tell(f"error: {usage_message(error)}")
        return ExitCode.BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        return _tell_interrupted()
    except MemoryError:
        tell("stopped: out of memory, no result")
        return ExitCode.STOPPED
    except SystemExit:  # Typer's answer to a reader of its help who went away
        silence(sys.stdout)
        return ExitCode.DONE
    except Exception as error:  # the last resort: nobody below knew what to do
        _tell_bug(error)
        return ExitCode.BUG
    return code if isinstance(code, int) else ExitCode.DONE


def interruptible(command: Callable[P, ExitCode]) -> Callable[P, ExitCode]:
    """Return a command that says so when it is interrupted; Typer would leave without a word."""

    @wraps(command)
    def call(*arguments: P.args, **options: P.kwargs) -> ExitCode:
        try:
            return command(*arguments, **options)
        except KeyboardInterrupt:
            return _tell_interrupted()

    return call


def _tell_interrupted() -> ExitCode:
    tell("interrupted: nothing was written")
    return ExitCode.INTERRUPTED


def _tell_bug(error: Exception) -> None:
    words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    tell(
        f"internal error ({words}): this is a bug of ours, please report it with the command line and the "
        f"input; {DEBUG_VARIABLE}=1 shows where it happened"
    )


def usage_message(error: Any) -> str:
    """Return one line about a usage error of Typer's, with the nearest option where one was mistyped."""
    context = error.ctx
    if hasattr(error, "option_name") and hasattr(error, "possibilities"):
        options = [name for option in context.command.get_params(context) for name in option.opts]
        named = nearest_name(error.option_name, [name for name in options if name.startswith("--")])
        return f"unknown option {error.option_name!r}. {named} See '{context.command_path} --help'."
    text = " ".join(error.format_message().split()).rstrip(".")
    text = text[:1].lower() + text[1:]
    return f"{text}. See '{context.command_path} --help'." if context is not None else text
