"""What task.yaml may say about retrieval: one value is taken, a list is tried, `auto` is Rung's own list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_fit import fit, task

from rung.core.errors import UsageError
from rung.core.task import Turn
from rung.methods.combine import RagFineTune
from rung.methods.named import method_named
from rung.methods.rag import settings_of
from rung.methods.rag_settings import RagSettings, asks_model, fixed, tried


def asked(folder: Path, **hints: Any) -> RagSettings:
    data = fit(folder, asked=task("text"))
    return settings_of(replace(data, hints=hints))


def test_auto_is_the_usual_list(tmp_path: Path) -> None:
    found = asked(tmp_path, k="auto")
    assert (found.sizes.values, found.k.values) == ((70, 140), (1, 2, 3))
    assert found.queries.values == ("as_asked", "cleaned")
    assert found.rewritings.values == ("rewritten", "both")
    assert found.fusions.values == ("rrf", "lexical", "dense")
    assert found.reranks.values == ("",)
    assert not found.fixed


def test_a_dialogue_is_condensed_and_its_last_question_tried(tmp_path: Path) -> None:
    data = fit(tmp_path, asked=task("text"))
    talk = tuple(replace(example, history=(Turn("user", "hello"),)) for example in data.dev)
    found = settings_of(replace(data, dev=talk))
    assert found.queries.values == ("as_asked", "cleaned", "last")
    assert found.rewritings.values == ("condensed",)


def test_one_value_is_taken_and_a_list_is_tried(tmp_path: Path) -> None:
    found = asked(
        tmp_path, query="both", order="best_last", drop_below=[0, 0.3], rerank=["off", "model"], weights=[2, 1]
    )
    assert (found.queries.values, found.rewritings.values) == (("both",), ())
    assert (found.drops.values, found.reranks.values) == ((0.0, 0.3), ("", "model"))
    assert found.weights.values == ((2.0, 1.0),)
    assert dict(found.fixed) == {"order": "best_last"}
    several = asked(tmp_path, weights=[[1, 1], [1, 3]], abstain=False)
    assert several.weights.values == ((1.0, 1.0), (1.0, 3.0))
    assert several.signals.values == ("",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("query", "clever"),
        ("query", []),
        ("k", 0),
        ("k", True),
        ("chunk_words", "many"),
        ("fusion", "both"),
        ("weights", [1]),
        ("weights", [0, 0]),
        ("weights", [[1, -1]]),
        ("rerank", "cross_encoder:"),
        ("rerank", "strong"),
        ("order", "random"),
        ("drop_below", 2),
        ("abstain", "always"),
    ],
)
def test_a_value_that_is_none_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        tried("rag", {name: value}, name, ())
    assert caught.value.code == "E2410"
    assert {name, "rag"} <= {str(v) for v in caught.value.problems[0].values.values()}


def test_there_is_one_depth_of_ranking_once_more(tmp_path: Path) -> None:
    assert dict(asked(tmp_path, rerank_depth=8).fixed) == {"rerank_depth": 8}
    with pytest.raises(UsageError):
        asked(tmp_path, rerank_depth=[8, 20])


def test_a_training_takes_single_values_and_none_that_asks_the_model() -> None:
    assert fixed("m", {"k": 3, "query": "cleaned", "weights": [1, 2], "rank": 4}) == {
        "k": 3,
        "query": "cleaned",
        "weights": (1.0, 2.0),
    }
    for hints, code in (
        ({"query": "both"}, "E2731"),
        ({"rerank": "model"}, "E2731"),
        ({"k": [1, 2]}, "E2410"),
    ):
        with pytest.raises(UsageError) as caught:
            fixed("m", hints)
        assert caught.value.code == code
    assert (asks_model("as_asked", ""), asks_model("cleaned", "cross_encoder:x")) == (False, False)


def test_both_rungs_know_the_settings() -> None:
    assert {"query", "weights", "rerank", "order", "drop_below"} <= RagFineTune.settings & method_named("rag").settings
    assert "abstain" in method_named("rag").settings
