"""Parts built in Python: bad figures are one ``InputError``, as in a file."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from pydantic import ValidationError

import hercules_opt as ho
from hercules_opt.problem.models import Model, QuerySize
from hercules_opt.problem.servers import Nmp, ServerType


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: ho.Schedule(placement="cpu", threads=0), "Schedule, threads: must be at least 1, found 0"),
        (
            lambda: ho.Schedule(placement="cpux"),
            "Schedule, placement: must be 'cpu', 'cpu-sd', 'cpu-accelerator', 'accelerator' or "
            "'accelerator-hot', found 'cpux'. Did you mean 'cpu'?",
        ),
        (
            lambda: ho.Schedule(placement="cpu", thread=4),
            "Schedule, thread: unknown key. Did you mean 'threads'?",
        ),
        (lambda: ho.Schedule(), "Schedule, placement: is required"),
        (
            lambda: ho.Schedule(placement="cpu", threads=1.5, batch_size=0),
            "Schedule, threads: must be a whole number, found 1.5. (1 more problem in this input)",
        ),
        (
            lambda: Nmp(ranks_per_channel={"value": 2, "kind": "guess"}),
            "Nmp, ranks_per_channel.kind: must be one of 'measured', 'published', 'calibrated', 'analytic', "
            "'assumed', found 'guess'. Valid names: 'analytic', 'assumed', 'calibrated', 'measured', "
            "'published'.",
        ),
        (
            lambda: ServerType(nmp={"ranks_per_channel": 0}),
            "ServerType, nmp.ranks_per_channel: must be at least 1, found 0",
        ),
        (
            lambda: QuerySize(distribution="fixed"),
            "QuerySize, mean_items: is required for distribution 'fixed'",
        ),
        (
            lambda: Model(sla_ms=float("nan")),
            "Model, sla_ms: must be a finite number, found nan",
        ),
    ],
)
def test_a_bad_part_is_one_message(build: Callable[[], object], text: str) -> None:
    """Name of the class, key, rule and what was found; a ``ValueError``, but none of pydantic's."""
    with pytest.raises(ho.InputError) as error:
        build()
    assert str(error.value) == text
    assert not isinstance(error.value, ValidationError)


def test_parts_inside_a_whole_keep_their_path() -> None:
    """The parts of a document are checked with it, not one by one."""
    entry = {"cpu": {"cores": -1}, "nmp": {"ranks_per_channel": 0}}
    with pytest.raises(ValidationError) as error:
        ServerType.model_validate(entry)
    places = {details["loc"] for details in error.value.errors()}
    assert {("cpu", "cores"), ("nmp", "ranks_per_channel")} <= places


def test_a_good_schedule_is_built_copied_and_pickled() -> None:
    one = ho.Schedule(placement="cpu", threads=2, cores_per_thread=3, batch_size=64)
    for again in (copy.deepcopy(one), pickle.loads(pickle.dumps(one)), one.replace(threads=2)):
        assert again == one
