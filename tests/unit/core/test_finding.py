"""From questions to passages: search words, fusion, a second ranking, what is left out and when nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from letter_encoder import LetterEncoder

from rung.core.answer import Hit, Item, Opened, answer_many, complete, finder_of, prepare
from rung.core.candidate import Candidate, OutputSlot, PromptSlot, Recipe, RetrieverSlot
from rung.core.finding import Helper, Judged, fuse_hits
from rung.core.found import Effort, Wording
from rung.core.model import Failure, ModelRef
from rung.core.registry import Part, parts
from rung.core.task import Example, Turn
from rung.models.fake import FakeModel
from rung.retrieval.index import Index, build_index

PLACE = {"document": "d", "title": "t"}
TEXTS = ("gas is off", "water is on", "gas and water", "the lift is old", "roof tiles fell")


class Shelf:
    """Hits by query, with their scores; remembers what it was asked."""

    id = "shelf@1"

    def __init__(self, **lists: dict[str, float]) -> None:
        self.lists = lists
        self.asked: list[tuple[tuple[str, ...], int, str, dict[str, Any]]] = []

    def search(self, queries: Sequence[str], k: int, *, mode: str = "rrf", **narrowed: Any) -> list[list[Hit]]:
        self.asked.append((tuple(queries), k, mode, narrowed))
        own = [self.lists.get(query, self.lists.get(mode, {})) for query in queries]
        return [
            [Hit(Item(name, f"text of {name}", PLACE), score) for name, score in found.items()][:k] for found in own
        ]


class Swap:
    """Ranks by the last letter of the passage, z first."""

    id = "swap@1"

    def score(self, pairs: Sequence[tuple[str, str]], helper: Helper) -> Judged:
        self.pairs = list(pairs)
        scores = tuple((ord(text[-1]) - 96) / 26 for _, text in pairs)
        return Judged(scores, tuple(Effort(tokens_in=10, seconds=1.0) for _ in pairs))


class Twice:
    """Two texts a question, and a failure for the second question."""

    def make(self, examples: Sequence[Example], helper: Helper) -> list[Wording]:
        assert helper.language == "en"
        made = [Wording((example.asked, f"other {example.asked}"), Effort(5, 3, 0.5, 0.25)) for example in examples]
        return [replace(one, texts=one.texts[:1], failure="timeout") if n else one for n, one in enumerate(made)]


def opened(shelf: Any, *, model: FakeModel | None = None, abstain: str | None = None, **fields: Any) -> Opened:
    more = {name: fields.pop(name) for name in ("reranker", "helper") if name in fields}
    candidate = Candidate(
        method="rag",
        model=ModelRef(kind="fake", id="m"),
        prompt=PromptSlot(instruction="Say.", fields=("question",)),
        retriever=RetrieverSlot(recipe=Recipe(**fields), index="shelf@1"),
        output=OutputSlot(abstain=abstain),
    )
    return Opened(candidate, model or FakeModel(default="x"), passages=shelf, **more)


def ask(text: str, *said: str) -> Example:
    return Example(text, {"question": text}, (), history=tuple(Turn("user", line) for line in said))


def shown(ready: Opened, *texts: str) -> list[list[str]]:
    return [[passage.id for passage in request.passages] for request in prepare(ready, [ask(text) for text in texts])]


def test_a_plain_recipe_searches_once_as_asked_and_says_what_it_found() -> None:
    shelf = Shelf(rrf={"a": 0.5, "b": 0.25, "c": 0.1})
    request = prepare(opened(shelf, k=2), [ask("now", "before")])[0]
    assert shelf.asked == [(("before\nnow",), 2, "rrf", {})]
    assert request.found is not None
    assert (request.found.searched, request.found.ranked) == (("before\nnow",), ())
    assert [(hit.id, hit.score) for hit in request.found.hits] == [("a", 0.5), ("b", 0.25)]
    assert request.found.notes == ()


def test_what_a_caller_may_see_is_bound_to_every_search() -> None:
    shelf = Shelf(lexical={"a": 1.0}, dense={"a": 0.4}, rrf={"a": 0.1})
    ready = opened(shelf, weights=(2, 1), abstain_by="dense", abstain_below=0.1)
    prepare(ready, [ask("q")], seen_by=frozenset({"staff"}))
    answer_many(ready, [ask("q")], seen_by=frozenset({"staff"}))
    assert {mode for _, _, mode, _ in shelf.asked} == {"lexical", "dense"}
    assert all(narrowed["seen_by"] == {"staff"} for _, _, _, narrowed in shelf.asked)


def test_equal_weights_rank_as_the_index_does_and_others_lean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(str(n), text, PLACE) for n, text in enumerate(TEXTS)]
    name = build_index(items, encoder=LetterEncoder(), indexes=tmp_path, kind="passages")
    index = Index(tmp_path / name.split("@")[0], LetterEncoder())
    queries = ["gas water", "old roof", "lift"]
    both = [index.search(queries, 100, mode=mode) for mode in ("lexical", "dense")]
    fused = [fuse_hits(pair, k=3) for pair in zip(*both, strict=True)]
    usual = index.search(queries, 3)
    # In a large index words and meaning are searched at the same time.
    monkeypatch.setattr("rung.retrieval.index._BOTH_AT_ONCE", 1)
    assert index.search(queries, 3) == usual
    assert [[hit.item.id for hit in hits] for hits in fused] == [[hit.item.id for hit in hits] for hits in usual]
    assert [hit.score for hit in fused[0]] == pytest.approx([hit.score for hit in usual[0]])
    for weights, best in (((1.0, 0.0), both[0]), ((0.0, 1.0), both[1])):
        finder = finder_of(opened(index, weights=weights))
        assert finder is not None
        found = finder.hits([Wording((query,)) for query in queries], 2)
        assert [[hit.item.id for hit in hits] for hits in found] == [[h.item.id for h in hits[:2]] for hits in best]


def test_the_lower_id_wins_a_tie_and_an_item_of_both_lists_comes_first() -> None:
    lists = [[Hit(Item(name, ""), 1.0) for name in names] for names in ("ba", "ca")]
    assert [hit.item.id for hit in fuse_hits(lists, k=3)] == ["a", "b", "c"]
    assert [hit.item.id for hit in fuse_hits(lists, (1.0, 3.0), k=3)] == ["a", "c", "b"]


def test_texts_of_a_wording_are_fused_and_their_effort_is_part_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts("wording"), "twice", Part("wording", "twice", "test_finding:Twice"))
    shelf = Shelf(**{"one": {"a": 1, "b": 0.9}, "other one": {"b": 1, "c": 0.9}, "two": {"c": 1}})
    ready = opened(shelf, query="twice", k=2)
    assert shown(ready, "one", "two") == [["b", "a"], ["c"]]
    first, second = answer_many(ready, [ask("one"), ask("two")])
    assert (first.tokens_out, first.seconds, first.money) == (1 + 3, 0.5, 0.25)
    assert (first.notes, second.notes) == ((), ("searched_as_asked: timeout",))


def test_a_second_ranking_looks_deeper_and_decides() -> None:
    shelf, swap = Shelf(rrf={"a": 0.9, "c": 0.8, "z": 0.7, "m": 0.6}), Swap()
    ready = opened(shelf, k=2, rerank="swap", rerank_depth=3, reranker=swap)
    request = prepare(ready, [ask("q")])[0]
    assert [passage.id for passage in request.passages] == ["z", "c"]
    assert shelf.asked[0][1] == 3
    assert swap.pairs == [("q", f"text of {name}") for name in "acz"]
    assert request.found is not None
    assert [hit.id for hit in request.found.ranked] == ["z", "c", "a"]
    assert request.found.effort == Effort(tokens_in=30, seconds=3.0)


def test_the_best_can_stand_last_while_ranks_stay_best_first() -> None:
    shelf = Shelf(rrf={"a": 0.9, "b": 0.8})
    model = FakeModel(default="It is so [2].")
    ready = opened(shelf, order="best_last", model=model)
    answer = answer_many(ready, [ask("q")])[0]
    assert "[1] text of b\n\n[2] text of a" in model.calls[0][0].messages[-1].text
    assert (answer.passages, answer.citations) == (("a", "b"), ("a",))


def test_a_passage_far_below_the_first_is_left_out_and_the_answer_says_so() -> None:
    ready = opened(Shelf(rrf={"a": 0.8, "b": 0.41, "c": 0.39}), drop_below=0.5)
    answer = answer_many(ready, [ask("q")])[0]
    assert (answer.passages, answer.notes) == (("a", "b"), ("too_weak: c",))
    below_zero = Shelf(dense={"a": -0.1, "b": -0.2})
    assert shown(opened(below_zero, fusion="dense"), "q") == [["a", "b"]]


@pytest.mark.parametrize(("by", "mode"), [("dense", "dense"), ("lexical", "lexical")])
def test_a_question_with_too_low_a_score_is_answered_without_the_model(by: str, mode: str) -> None:
    lists = {"rrf": {"a": 0.9}, "low": {"a": 0.2}, "high": {"a": 0.6}}
    shelf, model = Shelf(**lists), FakeModel(default="yes")
    ready = opened(shelf, model=model, abstain="Not in the documents.", abstain_by=by, abstain_below=0.5)
    low, high, none = answer_many(ready, [ask("low"), ask("high"), ask("nowhere")])
    assert (low.text, low.finish, low.citations) == ("Not in the documents.", "abstain", ())
    assert low.notes == ("abstained_by_score: 0.2",)
    assert (high.text, high.notes) == ("yes", ())
    assert none.text == "Not in the documents."
    assert [request.query for call in model.calls for request in call] == ["high"]
    assert shelf.asked[-1][1:3] == (1, mode)


def test_a_model_that_is_asked_all_the_same_cannot_undo_the_abstention() -> None:
    ready = opened(Shelf(rrf={"a": 0.9}, q={"a": 0.1}), abstain="No.", abstain_by="dense", abstain_below=0.5)
    request = prepare(ready, [ask("q")])[0]
    from rung.core.answer import finish

    assert finish(ready, ask("q"), request, ready.model.generate([request])[0]).text == "No."
    assert complete(ready, [request])[0].finish == "abstain"


def test_whoever_helps_is_asked_in_place_of_the_model() -> None:
    helper, model = FakeModel(default="gas pipe"), FakeModel(default="x")
    ready = opened(Shelf(**{"gas pipe": {"a": 1.0}}), query="rewritten", helper=helper, model=model)
    assert shown(ready, "what smells?") == [["a"]]
    assert (len(helper.calls), len(model.calls)) == (1, 0)


def test_a_failed_rewriting_searches_as_asked_and_says_so() -> None:
    failing = FakeModel(lambda request: Failure("timeout") if request.max_tokens == 48 else "x")
    shelf = Shelf(rrf={"a": 1.0})
    answer = answer_many(opened(shelf, query="rewritten", model=failing), [ask("what?")])[0]
    assert (answer.text, answer.notes) == ("x", ("searched_as_asked: timeout",))
    assert shelf.asked[0][0] == ("what?",)
