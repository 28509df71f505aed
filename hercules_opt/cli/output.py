"""What goes to stdout and to stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from hercules_opt.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Version of the layout of all documents that ``--json`` prints.
JSON_SCHEMA_VERSION = 1


def show(*parts: RenderableType) -> None:
    """Print tables and texts on stdout; colours only on a terminal."""
    console = _console(sys.stdout)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    write_stdout(_without_trailing_blanks(captured.get()))


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
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        print(f"hercules-opt: {text}", file=sys.stderr, flush=True)


def hint(text: str) -> None:
    """Print what to do next on stderr, for a person at a terminal only."""
    if is_terminal(sys.stdout) and is_terminal(sys.stderr):
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)


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
        silence_stdout()
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        write_stdout(text.encode(encoding, errors="replace").decode(encoding))
    except OSError as error:
        silence_stdout()
        raise InputError(f"cannot be written: {error.strerror or error}", where="stdout") from None


def silence_stdout() -> None:
    """Send what is still to come on stdout nowhere, also Python's last flush at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _console(stream: TextIO | None) -> Console:
    from rich.console import Console

    return Console(file=stream, markup=False, highlight=False, emoji=False, force_jupyter=False)


def _without_trailing_blanks(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
