"""``measure``: what it refuses before it spends any time on microbenchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import assert_one_message, call


def test_a_model_that_is_none_of_the_catalogue_is_named() -> None:
    for names, found in (("nfc", "'nfc'. Did you mean 'ncf'?"), ("ncf,", "''. Valid names: "), ("", "''. ")):
        assert_one_message(call("measure", "--models", names), f"--models: unknown name, found {found}")


def test_options_of_runs_under_load_need_it() -> None:
    for option in (("--points", "3"), ("--cache", "kept")):
        message = f"{option[0]}: has no meaning without --load, found {option[1]}"
        assert_one_message(call("measure", *option), message)


def test_a_cache_that_is_no_folder_is_told_at_once(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file = tmp_path / "file"
    file.touch()
    done = call("measure", "--models", "ncf", "--quick", "--load", "--cache", file)
    assert_one_message(done, f"error: {file}: cannot be made a folder: File exists")
