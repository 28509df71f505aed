"""Read and write whole text files: clear errors, and nothing half written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from hercules_opt.errors import InputError


def read_text(path: str | Path) -> str:
    """Return a UTF-8 text file; raise ``InputError`` if it is missing, not a file or not text."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except IsADirectoryError:
        raise InputError("must be a file, found a folder", where=path) from None
    except UnicodeDecodeError as error:
        raise InputError("must be UTF-8 text", where=path, found=f"byte {error.start} that is not") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=path) from None


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all: a temporary file in the same folder, then a rename."""
    target = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent, text=False)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
        temporary = None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be written: {getattr(error, 'strerror', None) or error}", where=path) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
