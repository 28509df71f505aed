"""A corpus of malformed command lines: exit code 2, one exact message, nothing on stdout, nothing written."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from command_line import assert_one_message, call

from hercules_opt.cli.app import command_line

Case = tuple[tuple[str, ...], str]

SOLVING = ("run", "provision", "what-if")
COMMANDS = tuple(command_line().commands)

NO_NUMBERS = ("abc", "", " ", "0x1f", "1,5", "1_000", "1e", "--1", "1 h", "5%", "½", "٣", "1.2.3", "+-1")
NUMBERS: list[Case] = [
    (
        (command, "tiny", option, text),
        f"invalid value for '{option}': must be a number, found {text!r}. See 'hercules-opt {command} --help'.",
    )
    for command, option, text in product(SOLVING, ("--gap", "--time-limit-s", "--power-cap-w"), NO_NUMBERS)
]

RANGES: list[Case] = [
    ((command, "tiny", option, text), f"{option}: {rule}")
    for command, (option, text, rule) in product(
        SOLVING,
        [
            ("--gap", "nan", "must be a finite number, found nan"),
            ("--gap", "inf", "must be a finite number, found inf"),
            ("--gap", "-inf", "must be a finite number, found -inf"),
            ("--gap", "1e999", "must be a finite number, found inf"),
            ("--gap", "-1e-9", "must be at least 0 and at most 1, found -1e-09"),
            ("--gap", "1.0000001", "must be at least 0 and at most 1, found 1.0000001"),
            ("--gap", "5", "must be at least 0 and at most 1, found 5.0"),
            ("--time-limit-s", "nan", "must be a finite number, found nan"),
            ("--time-limit-s", "inf", "must be a finite number, found inf"),
            ("--time-limit-s", "-1", "must be at least 0 and at most 1e+09, found -1.0"),
            ("--time-limit-s", "1e10", "must be at least 0 and at most 1e+09, found 10000000000.0"),
            ("--power-cap-w", "nan", "must be a finite number, found nan"),
            ("--power-cap-w", "-1", "must be at least 0 and at most 1e+15, found -1.0"),
            ("--power-cap-w", "1e16", "must be at least 0 and at most 1e+15, found 1e+16"),
        ],
    )
]

SEEDS: list[Case] = [
    (
        (*start, "--seed", text),
        f"invalid value for '--seed': must be a whole number from 0 on, at most 18 digits, found {text!r}. "
        f"See 'hercules-opt {start[0]} --help'.",
    )
    for start, text in product(
        [("run", "tiny"), ("profile", "tiny"), ("compare", "tiny", "plan.json")],
        ("nan", "inf", "-1", "abc", "1.5", "1.0", "", "1e3", "0x10", "9" * 19, "-0", "1,000"),
    )
]

POLICIES = "'greedy', 'hercules'"
NAMES: list[Case] = [
    (("provision", "tiny", "--policy", "herculs"), "--policy: unknown policy, found 'herculs'. Did you mean 'hercules'?"),
    (("provision", "tiny", "--policy", "gredy"), "--policy: unknown policy, found 'gredy'. Did you mean 'greedy'?"),
    (("provision", "tiny", "--policy", "greedy "), "--policy: unknown policy, found 'greedy '. Did you mean 'greedy'?"),
    (("provision", "tiny", "--solver", "hihgs"), "--solver: unknown solver for policy 'hercules', found 'hihgs'. Did you mean 'highs'?"),
    (("provision", "tiny", "--solver", "cbc2"), "--solver: unknown solver for policy 'hercules', found 'cbc2'. Did you mean 'cbc'?"),
    (("provision", "tiny", "--solver", "SCIPP"), "--solver: unknown solver for policy 'hercules', found 'SCIPP'. Valid names: 'auto', 'branch-and-price', 'cbc', 'cp-sat', 'glpk', 'highs', 'ortools-highs', 'scip'."),
    (("provision", "tiny", "--policy", "greedy", "--solver", "cbc"), "--solver: unknown solver for policy 'greedy', found 'cbc'. Valid names: 'auto'."),
    (("provision", "tiny", "--policy", "greedy", "--allow-shortfall"), "--allow-shortfall: needs the policy hercules, found 'greedy'. Only hercules finds the least shortfall; what other policies miss, their plans say anyway."),
    (("profile", "tiny", "--method", "gradiant"), "--method: unknown method, found 'gradiant'. Did you mean 'gradient'?"),
    (("profile", "tiny", "--method", ""), "--method: unknown method, found ''. Valid names: 'baymax', 'deeprecsys', 'exhaustive', 'gradient', 'gradient-offload', 'lattice', 'offload', 'random'."),
    (("profile", "tiny", "--method", "EXHAUSTIVE"), "--method: unknown method, found 'EXHAUSTIVE'. Valid names: 'baymax', 'deeprecsys', 'exhaustive', 'gradient', 'gradient-offload', 'lattice', 'offload', 'random'."),
    (("instances", "tiny", "--schema"), "--schema: the schema is the same for all instances: give no name, found 'tiny'"),
    (("runn",), "unknown command, found 'runn'. Did you mean 'run'?"),
    (("RUN", "tiny"), "unknown command, found 'RUN'. Valid names: %s."),
    (("what_if", "tiny"), "unknown command, found 'what_if'. Did you mean 'what-if'?"),
    (("dif", "tiny"), "unknown command, found 'dif'. Did you mean 'diff'?"),
    (("verfy", "tiny"), "unknown command, found 'verfy'. Did you mean 'verify'?"),
    (("explain", "tiny"), "unknown command, found 'explain'. Valid names: %s."),
    (("", "tiny"), "unknown command, found ''. Valid names: %s."),
]  # fmt: skip
INSTANCES: list[Case] = [
    ((command, name, *rest), text)
    for (command, *rest), (name, text) in product(
        [
            ("run",), ("profile",), ("provision",), ("what-if",), ("compare", "plan.json"),
            ("diff", "plan.json", "plan.json"), ("verify", "plan.json"), ("instances",), ("validate",),
        ],
        [
            ("tinny", "tinny: no such file, and no instance of this name in the library. Did you mean 'tiny'?"),
            ("mlperf", "mlperf: no such file, and no instance of this name in the library. Did you mean 'mlperf-fleet'?"),
            ("tiny.toml", "tiny.toml: no such file. The library has 'tiny': leave out '.toml'."),
            ("", "instance: must be the name of an instance, or a path, found ''"),
            (".", ".: must be a file, found a folder"),
        ],
    )
]  # fmt: skip

UNKNOWN_OPTIONS: list[Case] = [
    ((command, "--jsn", "tiny"), f"unknown option '--jsn'. Did you mean '--json'? See 'hercules-opt {command} --help'.")
    for command in COMMANDS
    if command != "export"  # prints no document
] + [
    (("run", "tiny", "--gaps", "0"), "unknown option '--gaps'. Did you mean '--gap'? See 'hercules-opt run --help'."),
    (("run", "tiny", "--time-limit", "1"), "unknown option '--time-limit'. Did you mean '--time-limit-s'? See 'hercules-opt run --help'."),
    (("provision", "tiny", "--allow-shortfal"), "unknown option '--allow-shortfal'. Did you mean '--allow-shortfall'? See 'hercules-opt provision --help'."),
    (("what-if", "tiny", "--loss", "gpu"), "unknown option '--loss'. Did you mean '--lose'? See 'hercules-opt what-if --help'."),
    (("what-if", "tiny", "--overprovision", "0.1"), "unknown option '--overprovision'. Did you mean '--over-provision'? See 'hercules-opt what-if --help'."),
]  # fmt: skip
MISSING: list[Case] = [
    *(
        ((command,), f"missing argument 'INSTANCE'. See 'hercules-opt {command} --help'.")
        for command in COMMANDS
        if command not in ("validate", "instances", "measure")
    ),
    (("validate",), "missing argument 'FILE...'. See 'hercules-opt validate --help'."),
    (("compare", "tiny"), "missing argument 'PLAN...'. See 'hercules-opt compare --help'."),
    (("verify", "tiny"), "missing argument 'PLAN'. See 'hercules-opt verify --help'."),
    (("diff", "tiny"), "missing argument 'PLAN'. See 'hercules-opt diff --help'."),
    (("diff", "tiny", "plan.json"), "missing argument 'PLAN'. See 'hercules-opt diff --help'."),
]

FIGURES = ("x", "", "=", " ", "ranking", "ranking=", "ranking=x", "ranking=-1", "-1", "nan", "inf", "1e999", "ranking=2,5", "2x", "1:2")  # fmt: skip
CHANGES: list[Case] = [
    *(
        (("what-if", "tiny", option, text), f"{option}: must be a number from 0 to {most}, or MODEL=NUMBER, found {text!r}")
        for (option, most), text in product([("--load", "1e+06"), ("--over-provision", "100")], (*FIGURES, "1e7"))
    ),
    *(
        (("what-if", "tiny", option, f"{name}=1"), f"{option}: unknown model, found {name!r}. {hint}")
        for option, (name, hint) in product(
            ("--load", "--over-provision"),
            [
                ("rankng", "Did you mean 'ranking'?"),
                ("Ranking ", "Did you mean 'ranking'?"),
                ("", "Valid names: 'ranking', 'retrieval'."),
                ("cpu", "Valid names: 'ranking', 'retrieval'."),
                ("ranking=1", "Did you mean 'ranking'?"),
            ],
        )
    ),
    *(
        (("what-if", "tiny", option, f"gpu={text}"), f"--{option[2:]}, gpu: must be a whole number of servers, found {text!r}")
        for option, text in product(("--lose", "--add"), ("", "x", "-1", "1.5", "1e1", "0x1", "nan", "9999999999", " 1"))
    ),
    *(
        (("what-if", "tiny", option, text), f"{option}: unknown server type, found {name!r}. {hint}")
        for option, (text, name, hint) in product(
            ("--lose", "--add"),
            [
                ("gpx=1", "gpx", "Did you mean 'gpu'?"),
                ("gpx", "gpx", "Did you mean 'gpu'?"),
                ("=1", "", "Valid names: 'cpu', 'gpu'."),
                ("ranking=1", "ranking", "Valid names: 'cpu', 'gpu'."),
                ("gpu==1", "gpu=", "Did you mean 'gpu'?"),
            ],
        )
    ),
    (("what-if", "tiny", "--add", "gpu"), "--add: must be TYPE=N, found 'gpu'"),
    (("what-if", "tiny", "--lose", "gpu=3"), "--lose: takes away more than the 2 that are there, found 'gpu=3'"),
    (("what-if", "tiny", "--add", "gpu=999999"), "--add: must leave at most 1,000,000 servers, found 'gpu=999999'"),
    (("what-if", "tiny", "--add", "gpu=1", "--lose", "gpu"), "--add: each server type may be lost or added only once, found 'gpu=1'"),
    (("what-if", "tiny", "--lose", "gpu", "--lose", "gpu=1"), "--lose: each server type may be lost or added only once, found 'gpu=1'"),
    (("what-if", "tiny", "--load", "2", "--load", "3"), "--load, ranking: each model may get one figure only, found '3'"),
    (("what-if", "tiny", "--load", "retrieval=2", "--load", "2"), "--load, retrieval: each model may get one figure only, found '2'"),
    (("what-if", "tiny", "--over-provision", "0", "--over-provision", "ranking=1"), "--over-provision, ranking: each model may get one figure only, found 'ranking=1'"),
]  # fmt: skip

OUTPUTS: list[Case] = [
    *(
        ((command, "tiny", "--out", name), f"{shown}: a file name must end in .csv or .json, found {found}")
        for command, (name, shown, found) in product(
            ("provision", "profile"),
            [("plan", "plan", "none"), ("plan.txt", "plan.txt", ".txt"), ("plan.toml", "plan.toml", ".toml"), (".json", ".json", "none"), ("", ".", "none"), ("plan.json.gz", "plan.json.gz", ".gz")],
        )
    ),
    *(
        ((command, "tiny", "--out", name), text)
        for command, (name, text) in product(
            ("provision", "profile"),
            [
                ("folder.json", "folder.json: cannot be written: is a folder"),
                ("nowhere/x.json", "nowhere/x.json: cannot be written: No such file or directory"),
                ("file.txt/x.csv", "file.txt/x.csv: cannot be written: Not a directory"),
                ("loop.json", "loop.json: cannot be written: the links lead in a circle"),
                ("x" * 300 + ".csv", "x" * 300 + ".csv: cannot be written: File name too long"),
            ],
        )
    ),
    (("run", "tiny", "--out", "file.txt"), "file.txt: must be a folder, found a file"),
    (("run", "tiny", "--out", "nowhere/day"), "nowhere/day: cannot be written: No such file or directory"),
    (("run", "tiny", "--out", "file.txt/day"), "file.txt/day: cannot be written: Not a directory"),
    (("run", "tiny", "--out", "loop.json"), "loop.json: cannot be written: the links lead in a circle"),
    (("run", "tiny", "--out", "y" * 300), "y" * 300 + ": cannot be written: File name too long"),
    (("run", "tiny", "--out", "."), ".: must be a new folder, an empty one, or one with an earlier result only, found 'file.txt'"),
    (("run", "tiny", "--out", "full"), "full: must be a new folder, an empty one, or one with an earlier result only, found 'thesis.tex'"),
]  # fmt: skip

CORPUS = [*NUMBERS, *RANGES, *SEEDS, *NAMES, *INSTANCES, *UNKNOWN_OPTIONS, *MISSING, *CHANGES, *OUTPUTS]


def test_the_corpus_is_large_and_repeats_nothing() -> None:
    assert len({arguments for arguments, _ in CORPUS}) == len(CORPUS) >= 300


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan, and with what a path can be in the way."""
    folder = tmp_path_factory.mktemp("options")
    call("provision", "tiny", "--out", folder / "plan.json")
    (folder / "folder.json").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "thesis.tex").write_text("years of work")
    (folder / "file.txt").write_text("")
    (folder / "loop.json").symlink_to("loop.json")
    return folder


@pytest.mark.parametrize(("arguments", "text"), CORPUS)
def test_malformed_command_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], text: str
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    if "%s" in text:
        text %= ", ".join(repr(name) for name in sorted(COMMANDS))
    outcome = call(*arguments)
    assert_one_message(outcome)
    assert outcome.err == f"hercules-opt: error: {text}\n"
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("validate", "compare")])
def test_arguments_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(folder)
    outcome = call(command, "tiny", "plan.json", "plan.json", "and", "more")
    assert_one_message(outcome, "unexpected extra argument", "more", f"See 'hercules-opt {command} --help'.")
