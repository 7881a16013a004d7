"""The candidate's name follows from its slots: equal candidates are one candidate."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from rung.core.candidate import Candidate, OutputSlot, PromptSlot, Recipe, RetrieverSlot, ShotsSlot
from rung.core.hashing import hash_json
from rung.core.model import ModelRef


def candidate(**changes: object) -> Candidate:
    slots = {
        "method": "rag+fine_tune",
        "model": ModelRef(kind="fake", id="m"),
        "prompt": PromptSlot(instruction="Answer.", fields=("q",)),
        "output": OutputSlot(),
    }
    return Candidate.model_validate(slots | changes)


def test_the_name_is_the_method_and_a_hash_of_every_slot() -> None:
    plain = candidate()
    assert re.fullmatch(r"rag\+fine_tune-[0-9a-f]{8}", plain.id)
    changed = [
        candidate(model=ModelRef(kind="fake", id="m", engine="other")),
        candidate(model=ModelRef(kind="fake", id="m", precision="fp32")),
        candidate(prompt=PromptSlot(instruction="Answer!", fields=("q",))),
        candidate(shots=ShotsSlot(mode="nearest", k=3, index="x@1")),
        candidate(shots=ShotsSlot(mode="nearest", k=3, index="x@2")),
        candidate(output=OutputSlot(prior_weight=0.5)),
    ]
    assert len({plain.id, *(other.id for other in changed)}) == 7


def test_what_it_was_made_from_is_kept_and_does_not_rename_it() -> None:
    made = candidate(made_from={"train": "abc"})
    assert made.id == candidate().id
    again = Candidate.model_validate_json(made.model_dump_json())
    assert (again, again.id) == (made, made.id)


def test_a_recipe_of_an_older_version_is_still_read() -> None:
    slot = {"recipe": {"k": 2, "rerank": ""}, "index": "ab@1", "cite": True}
    found = candidate(retriever=slot).retriever
    assert found is not None
    assert (found.recipe.k, found.recipe.kind) == (2, "index")


def test_fields_that_came_later_rename_a_candidate_only_where_they_say_something() -> None:
    made = candidate(retriever=RetrieverSlot(recipe=Recipe(k=2), index="ab@1"))
    record = made.model_dump(mode="json", exclude={"made_from"})
    for name in Recipe.since:
        del record["retriever"]["recipe"][name]
    del record["output"]["shown"], record["output"]["safe"]
    assert made.id.rpartition("-")[2] == hash_json(record, 8)
    for field in ({"query": "cleaned"}, {"weights": (2.0, 1.0)}, {"order": "best_last"}, {"abstain_below": 0.5}):
        other = candidate(retriever=RetrieverSlot(recipe=Recipe(k=2, **field), index="ab@1"))
        assert other.id != made.id
        assert Candidate.model_validate_json(other.model_dump_json()) == other


def test_it_is_frozen_and_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValidationError):
        candidate(memory="none")
    with pytest.raises(ValidationError):
        candidate().method = "other"
