"""Figures as texts, and tables that keep their lines straight at any width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from hercules_opt.reporting.grid import Grid, folded
from hercules_opt.reporting.pairs import Pairs
from hercules_opt.reporting.text import (
    clock,
    milliseconds,
    number,
    one_decimal,
    percent,
    plural,
    printable,
    seconds,
    short,
)


def rendered(part: RenderableType, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(part)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(547.5), "547.5"),
        (number(640.0), "640"),
        (number(202667.64), "202,668"),
        (number(None), "-"),
        (number(float("nan")), "-"),
        (milliseconds(0.001), "0.001"),
        (milliseconds(0.02346), "0.0235"),
        (milliseconds(0.1), "0.1"),
        (milliseconds(2000.0), "2,000"),
        (milliseconds(0.0), "0"),
        (milliseconds(None), "-"),
        (one_decimal(9.0), "9.0"),
        (one_decimal(None), "-"),
        (short(9994.96), "9.99k"),
        (short(999.6), "1.00k"),
        (short(500121.48), "500k"),
        (short(2e12), "2.00T"),
        (short(0.4567), "0.457"),
        (short(0.0), "0"),
        (short(4.567e-5), "4.57e-05"),
        (short(None), "-"),
        (percent(0.0449), "4.5 %"),
        (percent(-0.0001), "0.0 %"),
        (percent(None), "-"),
        (seconds(0.423), "0.42 s"),
        (seconds(59.94), "59.9 s"),
        (seconds(200.4), "3 min 20 s"),
        (clock(13.5), "13:30"),
        (clock(24.0), "1d 00:00"),
        (clock(1 / 3), "00:20"),
        (plural(1, "interval"), "1 interval"),
        (plural(1200, "model"), "1,200 models"),
        (printable("a\x1b[31mb\nc"), "a [31mb c"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert text == expected


@given(st.floats(min_value=1e-3, max_value=1e14))
@settings(derandomize=True, deadline=None)
def test_short_is_right_to_three_digits(value: float) -> None:
    text = short(value)
    factor = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1], 1.0)
    figure = float(text.rstrip("kMGT")) * factor
    assert abs(figure - value) <= 0.0051 * value


LETTERS = "abcdefghij-0123456789"
ROW_NAMES = st.text(LETTERS, min_size=1, max_size=15)
HEADINGS = st.text(LETTERS, min_size=1, max_size=25)


@given(
    st.lists(ROW_NAMES, min_size=1, max_size=6, unique=True),
    st.lists(HEADINGS, min_size=1, max_size=8, unique=True),
    st.integers(min_value=45, max_value=130),
)
@settings(derandomize=True, deadline=None)
def test_no_name_and_no_figure_is_cut_at_any_width(names: list[str], columns: list[str], width: int) -> None:
    """Every line fits, every heading and every figure is there whole, and every block repeats all names."""
    rows = tuple((name, *(f"{n}.{m}" for m in range(len(columns)))) for n, name in enumerate(names))
    lines = rendered(Grid("", ("name", *columns), rows), width)
    assert max(len(line) for line in lines) <= width
    words = [word for line in lines for word in line.split()]
    for column in columns:
        assert column in words
    for n in range(len(names)):
        for m in range(len(columns)):
            assert words.count(f"{n}.{m}") >= 1
    blocks = sum(line.split()[:1] == ["name"] for line in lines)
    for name in names:
        assert words.count(name) >= blocks


def test_figures_are_aligned_to_the_right() -> None:
    lines = rendered(Grid("Power", ("type", "W"), (("a", "5"), ("b", "1,000"))), 80)
    assert [line.rstrip() for line in lines] == ["Power", "  type      W", "  a         5", "  b     1,000"]


def test_long_names_are_folded_only_where_they_leave_no_room() -> None:
    grid = Grid("", ("type", "W"), (("x" * 40, "1234567"),))
    assert "x" * 40 in "\n".join(rendered(grid, 60))
    narrow = rendered(grid, 40)
    assert "".join(line.split()[0] for line in narrow[1:]) == "x" * 40
    assert max(len(line) for line in narrow) <= 40


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a-server-type-of-a-long-name", ["a-server-type-", "of-a-long-name"]),
        ("compute optimised second kind", ["compute", "optimised", "second kind"]),
        ("altra-a100p80x4 x ssd-resnet34", ["altra-", "a100p80x4 x", "ssd-resnet34"]),
        ("ab.cd_ef/gh+ij_kl", ["ab.cd_ef/gh+", "ij_kl"]),
        ("cpu x ssd-resnet34", ["cpu x", "ssd-resnet34"]),
        ("short", ["short"]),
        ("x" * 30, ["x" * 14, "x" * 14, "xx"]),
        ("a-" + "x" * 20 + "-b", ["a-", "x" * 14, "xxxxxx-b"]),
    ],
)
def test_a_name_is_folded_between_its_words(name: str, lines: list[str]) -> None:
    """After a word; in one longer than the line after a joining sign; cut only where there is none."""
    assert folded(name, 14).split("\n") == lines


@given(st.text("ab -_.\u30c6", max_size=40), st.integers(2, 20))
@settings(derandomize=True, deadline=None)
def test_folding_loses_nothing_but_spaces(name: str, width: int) -> None:
    lines = folded(name, width).split("\n")
    assert "".join("".join(lines).split()) == "".join(name.split())
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_names_of_a_narrow_table_are_whole_words(width: int) -> None:
    name = "ranking-of-candidates-for-the-home-page"
    lines = rendered(Grid("", ("model", "over-provision"), ((name, "5 %"),)), width)
    words = [word for line in lines for word in line.replace("5 %", "").split()]
    assert set("-".join(words).replace("--", "-").split("-")) >= set(name.split("-"))


def test_a_table_without_rows_says_so() -> None:
    """And shows no heading without a line below it."""
    lines = rendered(Grid("What moves", ("type", "W"), ()), 80)
    assert [line.rstrip() for line in lines] == ["What moves", "  none"]


def test_lines_beyond_the_limit_are_counted() -> None:
    rows = tuple((str(n), "1") for n in range(150))
    lines = rendered(Grid("", ("n", "one"), rows), 80)
    assert len(lines) == 102
    assert lines[-1].strip() == "and 50 more lines; --json has them all"


def test_texts_wrap_beside_their_label() -> None:
    lines = rendered(Pairs((("label", "word " * 30), ("b", "x" * 100))), 50)
    assert max(len(line) for line in lines) <= 50
    assert all(line.startswith(("label", "b    ", "     ")) for line in lines)
    assert sum(line.count("x") for line in lines) == 100
