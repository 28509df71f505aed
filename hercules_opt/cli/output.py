"""What goes to stdout and to stderr."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from hercules_opt.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Version of the layout of all documents that ``--json`` prints.
JSON_SCHEMA_VERSION = 1

#: Width of tables where no terminal and no ``COLUMNS`` says otherwise.
PIPE_COLUMNS = 80


def show(*parts: RenderableType) -> None:
    """Print tables and texts on stdout; colours only on a terminal."""
    from rich.console import Console

    rendered = io.StringIO()
    console = Console(
        file=rendered,
        width=_width(),
        force_terminal=True if is_terminal(sys.stdout) else None,
        force_jupyter=False,
        markup=False,
        highlight=False,
        emoji=False,
    )
    for part in parts:
        console.print(part)
    write_stdout("".join(f"{line.rstrip()}\n" for line in rendered.getvalue().splitlines()))


def _width() -> int:
    """Return the columns of the terminal on stdout; in a pipe 80, or ``COLUMNS``."""
    with contextlib.suppress(ValueError):
        return max(20, int(os.environ.get("COLUMNS", "")))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return max(20, os.get_terminal_size(sys.stdout.fileno()).columns)
    return PIPE_COLUMNS


def document(command: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON document: its layout's version, the program's and the command before the content."""
    from hercules_opt import __version__

    return {"schema_version": JSON_SCHEMA_VERSION, "command": command, "version": __version__, **content}


def show_json(command: str, content: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    text = json.dumps(document(command, content), indent=1, allow_nan=False, ensure_ascii=False)
    write_stdout(text + "\n")


def tell(text: str) -> None:
    """Print a message on stderr."""
    _write_stderr(f"hercules-opt: {text}")


def hint(text: str) -> None:
    """Print what to do next on stderr, for a person at a terminal only."""
    if is_terminal(sys.stdout) and is_terminal(sys.stderr):
        _write_stderr(text)


def _write_stderr(line: str) -> None:
    if sys.stderr is None:
        return
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person reads a stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def write_stdout(text: str) -> None:
    """Write to stdout; a reader who went away (``| head``) is no error, a full disk is."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        write_stdout(text.encode(encoding, errors="replace").decode(encoding))
    except OSError as error:
        silence(sys.stdout)
        raise InputError(f"cannot be written: {error.strerror or error}", where="stdout") from None


def silence(stream: TextIO | None) -> None:
    """Send what is still to come on a stream nowhere, also Python's last flush at exit."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def keep_stdout_ours() -> None:
    """Give stdout another descriptor and send 1 nowhere, where HiGHS prints a line on some hard cases."""
    ours = sys.stdout
    if ours is None or ours.fileno() != 1:  # closed, or somebody has replaced it
        return
    ours.flush()
    sys.stdout = open(os.dup(1), "w", encoding=ours.encoding, errors=ours.errors, closefd=False)  # noqa: SIM115
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
