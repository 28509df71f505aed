"""Every figure keeps where it comes from."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from hercules_opt import EfficiencyTable, InputError, PairEfficiency
from hercules_opt.problem.instance import Day
from hercules_opt.problem.models import Model
from hercules_opt.problem.provenance import KINDS, Provenance
from hercules_opt.problem.servers import Nmp, ServerType

FIGURE = {"value": 2, "kind": "published", "source": "data sheet"}


def test_a_figure_is_a_plain_number_with_its_origin_beside_it() -> None:
    nmp = Nmp.model_validate({"ranks_per_channel": FIGURE})
    assert nmp.ranks_per_channel == 2
    assert nmp.origin("ranks_per_channel") == Provenance(kind="published", source="data sheet")


def test_the_kind_of_the_part_speaks_for_figures_without_their_own() -> None:
    nmp = Nmp.model_validate(
        {"kind": "measured", "source": "lab", "ranks_per_channel": {"value": 2, "source": "b"}, "idle_w": 1.0}
    )
    assert nmp.origin("idle_w") == Provenance(kind="measured", source="lab")
    assert nmp.origin("ranks_per_channel") == Provenance(kind="measured", source="b")


def test_a_figure_of_which_nothing_is_said_is_assumed() -> None:
    assert Nmp(ranks_per_channel=2).origin("ranks_per_channel") == Provenance(kind="assumed")


def test_lists_of_numbers_are_figures_too() -> None:
    day = Day.model_validate({"interval_h": {"value": [1, 2], "kind": "measured"}})
    assert day.interval_h == (1, 2)
    assert day.origin("interval_h").kind == "measured"


def test_a_text_is_no_figure() -> None:
    with pytest.raises(ValidationError, match="valid string"):
        Model.model_validate({"title": {"value": "x", "kind": "measured"}})


def test_an_origin_of_an_unknown_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Nmp(ranks_per_channel=2).origin("ranks")


def test_origins_cannot_be_changed() -> None:
    nmp = Nmp.model_validate({"ranks_per_channel": FIGURE})
    with pytest.raises(TypeError):
        nmp.provenance["idle_w"] = Provenance()  # type: ignore[index]
    with pytest.raises(ValidationError):
        nmp.idle_w = 3.0


def test_parts_of_different_origin_differ() -> None:
    assert Nmp(ranks_per_channel=2) != Nmp.model_validate({"ranks_per_channel": FIGURE})


def test_copies_and_pickles_keep_origins() -> None:
    nmp = Nmp.model_validate({"ranks_per_channel": FIGURE})
    for again in (copy.deepcopy(nmp), pickle.loads(pickle.dumps(nmp)), Nmp.model_validate(nmp.model_dump())):
        assert again == nmp
        assert again.origin("ranks_per_channel").source == "data sheet"


def test_replace_keeps_what_is_unchanged_and_checks_what_is() -> None:
    server = ServerType.model_validate(
        {"available": FIGURE, "cost_per_h": {"value": 1.5, "kind": "measured"}}
    )
    changed = server.replace(available=7)
    assert changed.available == 7
    assert changed.origin("available").kind == "assumed"
    assert changed.origin("cost_per_h").kind == "measured"
    assert server.available == 2
    with pytest.raises(InputError, match="ServerType, available: must be at least 0, found -1"):
        server.replace(available=-1)
    with pytest.raises(InputError, match=r"availabel: unknown key\. Did you mean 'available'"):
        server.replace(availabel=1)


def test_a_csv_row_of_mixed_origin_gets_the_weakest_kind(tmp_path: Path) -> None:
    pair = PairEfficiency.model_validate(
        {
            "server_type": "a",
            "model": "b",
            "qps": {"value": 5.0, "kind": "measured", "source": "lab"},
            "power_w": {"value": 9.0, "kind": "analytic", "source": "model"},
        }
    )
    EfficiencyTable((pair,)).to_csv(tmp_path / "table.csv")
    (again,) = EfficiencyTable.from_csv(tmp_path / "table.csv").pairs
    assert (again.kind, again.source) == ("analytic", "lab; model")


def test_kinds_run_from_best_to_worst_founded() -> None:
    assert KINDS == ("measured", "published", "calibrated", "analytic", "assumed")
