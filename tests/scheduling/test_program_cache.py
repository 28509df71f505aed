"""Compiled programs are kept on disk, and nothing about the disk can do harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hercules_opt.scheduling.program_cache import FOLDER, kept


def twice() -> Any:
    return jax.jit(lambda x: 2.0 * x).lower(np.zeros(3, dtype=np.float32)).compile()


def never() -> Any:
    raise AssertionError("compiled again")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache"


def check(program: Any) -> None:
    assert np.asarray(program(jnp.arange(3, dtype=jnp.float32))).tolist() == [0.0, 2.0, 4.0]


def test_a_program_is_compiled_once_per_description(folder: Path) -> None:
    check(kept("a", twice))
    check(kept("a", never))
    with pytest.raises(AssertionError, match="compiled again"):
        kept("b", never)


def test_a_broken_file_is_compiled_again_and_replaced(folder: Path) -> None:
    kept("a", twice)
    (file,) = folder.glob("hercules-*.bin")
    for content in (b"", b"not a program", file.read_bytes()[:-100]):
        file.write_bytes(content)
        check(kept("a", twice))
        check(kept("a", never))
    assert not list(folder.glob(".hercules-*"))


def test_without_a_folder_that_can_be_used_it_compiles(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file where the folder should be")
    check(kept("a", twice))
    check(kept("a", twice))


def test_beside_a_cache_of_jax_nothing_is_kept(folder: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(folder.parent / "jax"))
    try:
        check(kept("a", twice))
        assert not folder.exists()
    finally:
        jax.config.update("jax_compilation_cache_dir", None)


def test_without_a_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    check(kept("a", twice))
    with pytest.raises(AssertionError, match="compiled again"):
        kept("a", never)
