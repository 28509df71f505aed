"""What a path can be in place of a good file, in every place where a command takes one."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from command_line import assert_one_message, call, process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes, sockets and devices of Linux")

GOOD = {
    ".toml": 'format = 1\nname = "x"\n',
    ".csv": "interval,server_type,model,count\n0,cpu,ranking,1\n",
    ".json": '{"schema": "hercules-opt/plan"}',
}


def link(target: str) -> Callable[[Path], None]:
    """Return a function that makes a path a link."""
    return lambda path: path.symlink_to(target)


def text(encode: Callable[[str], bytes]) -> Callable[[Path], object]:
    """Return a function that writes a good file's text in some way."""
    return lambda path: path.write_bytes(encode(GOOD[path.suffix]))


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


#: How the path is made, and what is said of it whatever should be in it.
THINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "folder": (Path.mkdir, "must be a file, found a folder"),
    "pipe": (os.mkfifo, "must be a file, found a named pipe"),
    "dangling": (link("nowhere"), "no such file"),
    "circle": (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
    "socket": (listening, "cannot be read: No such device or address"),
    "memory": (link("/proc/self/mem"), "cannot be read: Input/output error"),
    "endless": (link("/dev/zero"), "must be at most 64 MiB, found a larger file"),
    "bytes": (lambda path: path.write_bytes(bytes(range(256))), "must be UTF-8 text, found byte 0x80 at position 128"),
    "utf-16": (text(lambda good: good.encode("utf-16")), "must be UTF-8 text, found byte 0xff at position 0"),
    "utf-16-be": (text(lambda good: b"\xfe\xff" + good.encode("utf-16-be")), "must be UTF-8 text, found byte 0xfe at position 0"),
    "latin-1": (text(lambda good: b"\xe9" + good.encode()), "must be UTF-8 text, found byte 0xe9 at position 0"),
    "half a sign": (text(lambda good: "é".encode()[:1]), "must be UTF-8 text, found byte 0xc3 at position 0"),
    "surrogate": (text(lambda good: b"\xed\xa0\x80"), "must be UTF-8 text, found byte 0xed at position 0"),
    "gzip": (text(lambda good: b"\x1f\x8b\x08\x00" + good.encode()), "must be UTF-8 text, found byte 0x8b at position 1"),
}  # fmt: skip
#: Command lines with the place of the file, and the endings that it can have.
PLACES: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("run", "{}"), (".toml",)),
    (("profile", "{}", "--out", "table.csv"), (".toml",)),
    (("instances", "{}"), (".toml",)),
    (("validate", "{}"), (".toml", ".csv", ".json")),
    (("provision", "tiny", "--out", "plan.json", "--table", "{}"), (".csv", ".json")),
    (("what-if", "{}"), (".toml",)),
    (("what-if", "tiny", "--table", "{}"), (".csv", ".json")),
    (("verify", "tiny", "{}"), (".csv", ".json")),
    (("compare", "tiny", "{}", "--json"), (".csv", ".json")),
    (("diff", "tiny", "{}", "{}"), (".csv", ".json")),
]
CASES = [
    (arguments, ending, thing)
    for (arguments, endings), thing in product(PLACES, THINGS)
    for ending in endings
]


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize(("arguments", "ending", "thing"), CASES)
def test_what_a_path_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], ending: str, thing: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make, said = THINGS[thing]
    name = f"x{ending}"
    make(Path(name))
    before = list(tmp_path.iterdir())
    outcome = call(*(word.format(name) for word in arguments))
    assert_one_message(outcome)
    assert outcome.err == f"hercules-opt: error: {name}: {said}\n"
    assert outcome.code == 2
    assert list(tmp_path.iterdir()) == before


#: Good files that are not what is asked for.
KINDS = {
    "table.csv": "server_type,model,qps,power_w\ncpu,ranking,100,150\n",
    "table.json": '{"schema": 1, "pairs": []}',
    "counts.csv": "interval,server_type,model,count\n0,cpu,ranking,1\n",
    "loads.csv": "interval,ranking,retrieval\n0,1,2\n",
}
MIXED_UP = [
    *(
        ((*start, name), f"{name}: must be an efficiency table, found {found}")
        for start, (name, found) in product(
            [("provision", "tiny", "--table"), ("what-if", "tiny", "--table")],
            [("counts.csv", "a plan"), ("loads.csv", "loads"), ("plan.json", "a plan")],
        )
    ),
    *(
        ((*start, name), f"{name}: must be a plan, found {found}")
        for start, (name, found) in product(
            [("verify", "tiny"), ("compare", "tiny"), ("diff", "tiny", "plan.json")],
            [("table.csv", "an efficiency table"), ("table.json", "an efficiency table"), ("loads.csv", "loads")],
        )
    ),
    *(
        ((*start, "tiny.toml"), "tiny.toml: a file name must end in .csv or .json, found .toml")
        for start in [("verify", "tiny"), ("compare", "tiny"), ("diff", "tiny", "plan.json"), ("provision", "tiny", "--table")]
    ),
    *(
        ((command, "plan.json", *rest), "plan.json: is not valid TOML: Invalid statement (at line 1, column 1)")
        for command, *rest in [("run",), ("instances",), ("verify", "plan.json"), ("what-if",)]
    ),
]  # fmt: skip


@pytest.fixture(name="kinds", scope="module")
def _kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    for name, content in KINDS.items():
        (folder / name).write_text(content)
    call("provision", "tiny", "--out", folder / "plan.json")
    (folder / "tiny.toml").write_text('format = 1\nname = "tiny"\n')
    return folder


@pytest.mark.parametrize(("arguments", "said"), MIXED_UP)
def test_files_that_are_mixed_up(
    kinds: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(kinds)
    outcome = call(*arguments)
    assert_one_message(outcome)
    assert outcome.err == f"hercules-opt: error: {said}\n"


def test_a_pipe_of_the_shell_can_be_read(tmp_path: Path) -> None:
    """``validate <(command)``: such a pipe has no name of its own."""
    reader, writer = os.pipe()
    try:
        os.write(writer, Path(__file__).parents[2].joinpath("instances", "tiny.toml").read_bytes())
        os.close(writer)
        outcome = call("validate", f"/dev/fd/{reader}")
    finally:
        os.close(reader)
    assert outcome.code == 0
    assert "2 server types x 2 models x 4 intervals" in outcome.out


def test_a_named_pipe_ends_at_once_in_a_process_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.toml")
    outcome = process("validate", tmp_path / "x.toml")
    assert outcome.code == 2
    assert outcome.err == f"hercules-opt: error: {tmp_path / 'x.toml'}: must be a file, found a named pipe\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("ending", [".toml", ".csv", ".json"])
def test_a_file_that_may_not_be_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    path.write_text(GOOD[ending])
    path.chmod(0)
    outcome = call("validate", path)
    assert outcome.err == f"hercules-opt: error: {path}: cannot be read: Permission denied\n"
    assert outcome.code == 2
