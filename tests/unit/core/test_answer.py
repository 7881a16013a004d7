"""The one path from a question to an answer: what is shown, what becomes of a completion, and what is cited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from letter_encoder import LetterEncoder

from rung.core.answer import (
    Hit,
    Item,
    Opened,
    answer_many,
    answer_stream,
    choice_logits,
    finish,
    open_candidate,
    prepare,
)
from rung.core.candidate import (
    Candidate,
    OutputSlot,
    PromptSlot,
    Recipe,
    RetrieverSlot,
    ShotExample,
    ShotsSlot,
    StepRef,
)
from rung.core.evaluation import Answer
from rung.core.model import Completion, Failure, ModelRef, Request
from rung.core.registry import Part, parts
from rung.core.task import Example, Passage
from rung.models.fake import FakeModel
from rung.retrieval.index import build_index
from rung.text.steps import first_line, match_label, strip_marks

LABELS = ("deposit", "repairs", "rent")
SHOWN = (
    Passage("p1", "a.md", "A", "Rent is due on the first day."),
    Passage("p2", "b.md", "B", "A deposit is returned within ten days."),
)


class Shelf:
    """A retriever that returns its items in order, less the excluded ones, and remembers what it was asked."""

    id = "shelf@1"

    def __init__(self, *items: Item) -> None:
        self.items = items
        self.asked: list[tuple[int, str]] = []

    def search(
        self, queries: Sequence[str], k: int, *, mode: str = "rrf", exclude: Sequence[frozenset[str]] | None = None
    ) -> list[list[Hit]]:
        self.asked.append((k, mode))
        hidden = exclude or [frozenset()] * len(queries)
        return [
            [Hit(item, 1.0) for item in self.items if item.id not in away][:k]
            for _, away in zip(queries, hidden, strict=True)
        ]


def solved(name: str) -> Item:
    return Item(name, name, {"inputs": {"question": name}, "answer": f"answer of {name}"})


def opened(output: OutputSlot | None = None, *, model: FakeModel | None = None, **slots: Any) -> Opened:
    parts_of = {name: slots.pop(name) for name in ("passages", "pool", "steps") if name in slots}
    candidate = Candidate(
        method="prompt",
        model=ModelRef(kind="fake", id="m"),
        prompt=PromptSlot(instruction="Say.", fields=("question",)),
        output=output or OutputSlot(),
        **slots,
    )
    return Opened(candidate, model or FakeModel(default="x"), **parts_of)


def example(text: str, name: str = "e") -> Example:
    return Example(name, {"question": text}, ())


def answer(
    said: Completion | str, output: OutputSlot | None = None, *, shown: Sequence[Passage] = (), **slots: Any
) -> Answer:
    completion = Completion(text=said) if isinstance(said, str) else said
    request = Request((), passages=tuple(shown))
    return finish(opened(output, **slots), example("q"), request, completion)


# What is shown


def test_the_nearest_shot_comes_last_and_the_request_says_which_were_shown() -> None:
    pool = Shelf(solved("nearest"), solved("near"), solved("far"))
    slot = ShotsSlot(mode="nearest", k=2, index="shelf@1")
    request = prepare(opened(shots=slot, pool=pool), [example("q")])[0]
    assert [shot.id for shot in request.shots] == ["near", "nearest"]
    turns = [message.text for message in request.messages]
    assert turns == ["Say.", "near", "answer of near", "nearest", "answer of nearest", "q"]
    assert pool.asked == [(2, "dense")]
    lexical = ShotsSlot(mode="nearest", k=1, index="shelf@1", fusion="lexical")
    prepare(opened(shots=lexical, pool=pool), [example("q")])
    assert pool.asked[-1] == (1, "lexical")


def test_excluded_items_are_never_shown_and_others_take_their_place() -> None:
    pool = Shelf(solved("a"), solved("b"), solved("c"))
    ready = opened(shots=ShotsSlot(mode="nearest", k=2, index="shelf@1"), pool=pool)
    requests = prepare(ready, [example("q1"), example("q2")], exclude=[frozenset({"a"}), frozenset({"b", "c"})])
    assert [[shot.id for shot in request.shots] for request in requests] == [["c", "b"], ["a"]]


def test_fixed_shots_are_the_first_k_in_order_less_the_excluded_ones() -> None:
    fixed = tuple(ShotExample(id=name, inputs={"question": name}, answer="x") for name in "abc")
    ready = opened(shots=ShotsSlot(mode="fixed", k=2, fixed=fixed))
    assert [shot.id for shot in prepare(ready, [example("q")])[0].shots] == ["a", "b"]
    requests = prepare(ready, [example("q1"), example("q2")], exclude=[frozenset({"b"}), frozenset()])
    assert [[shot.id for shot in request.shots] for request in requests] == [["a"], ["a", "b"]]


def test_passages_are_searched_as_the_recipe_says_and_keep_their_place_in_the_document() -> None:
    item = Item("a.md#0", "Rent is due.", {"document": "a.md", "title": "A", "start": 10, "end": 22})
    shelf = Shelf(item, item)
    slot = RetrieverSlot(recipe=Recipe(fusion="lexical", k=1), index="shelf@1")
    request = prepare(opened(retriever=slot, passages=shelf), [example("q")])[0]
    assert shelf.asked == [(1, "lexical")]
    assert request.passages == (Passage("a.md#0", "a.md", "A", "Rent is due.", 10, 22),)
    assert request.messages[-1].text.startswith("[1] Rent is due.")


def test_only_a_constrained_output_holds_the_model_to_the_choices() -> None:
    for constrain, choices in ((True, LABELS), (False, ())):
        output = OutputSlot(choices=LABELS, constrain=constrain, max_tokens=7, json_schema={"type": "object"})
        request = prepare(opened(output), [Example("e", {"title": "a", "question": "q"}, ())])[0]
        assert (request.choices, request.max_tokens, request.json_schema) == (choices, 7, {"type": "object"})
        assert request.query == "a\nq"


# What becomes of a completion


def test_a_failure_stays_a_value_and_keeps_what_it_took() -> None:
    failure = Failure("timeout", "no answer in 30 s")
    said = Completion(
        text="half an ans", failure=failure, finish="error", tokens_in=9, tokens_out=3, seconds=30.0, money=0.01
    )
    found = answer(said, OutputSlot(steps=(StepRef(name="first_line"),)), steps=(first_line,), shown=SHOWN)
    assert (found.failure, found.text, found.raw, found.citations) == (failure, "", "half an ans", ())
    assert (found.tokens_in, found.tokens_out, found.seconds, found.money) == (9, 3, 30.0, 0.01)
    assert found.passages == ("p1", "p2")


def test_a_text_that_is_no_label_is_a_failure_and_never_a_wrong_answer() -> None:
    steps = (strip_marks, lambda text: match_label(text, LABELS), lambda text: f"{text}!")
    off = answer("I would rather not say", steps=steps)
    assert off.failure is not None
    assert (off.failure.kind, off.text, off.raw) == ("unparsable", "", "I would rather not say")
    right = answer("Answer: **Rent**", steps=steps)
    assert (right.failure, right.text, right.raw) == (None, "rent!", "Answer: **Rent**")


@pytest.mark.parametrize("said", ["", " \n\t "])
def test_nothing_said_is_a_failure(said: str) -> None:
    found = answer(said)
    assert found.failure is not None
    assert (found.failure.kind, found.text) == ("empty", "")


def test_what_was_said_is_kept_only_where_it_was_changed() -> None:
    assert answer("rent").raw == ""
    assert answer('"rent"', steps=(strip_marks,)).raw == '"rent"'


def test_the_best_choice_is_the_answer_and_its_confidence_the_share_among_the_choices() -> None:
    scores = tuple(np.log([0.02, 0.06, 0.02]))
    found = answer(Completion(text="repairs", choice_scores=scores), OutputSlot(choices=LABELS, constrain=True))
    assert (found.text, found.failure) == ("repairs", None)
    assert found.confidence == pytest.approx(0.6)


def test_priors_turn_a_choice_that_only_leaned() -> None:
    said = Completion(text="deposit", choice_scores=(-1.0, -1.5, -9.0))
    priors = (-0.5, -2.0, -9.0)
    for weight, expected in ((0.0, "deposit"), (1.0, "repairs")):
        output = OutputSlot(choices=LABELS, constrain=True, priors=priors, prior_weight=weight)
        found = answer(said, output)
        assert found.text == expected
        assert found.raw == ("" if expected == "deposit" else "deposit")


def test_logits_are_normalised_by_length_first_and_then_corrected() -> None:
    scores = np.array([[-3.0, -4.0, -5.0], [-6.0, -2.0, -1.0]])
    output = OutputSlot(choices=("ab", "abcd", ""), normalise="mean", priors=(1.0, 2.0, 3.0), prior_weight=0.5)
    assert choice_logits(scores, output) == pytest.approx(np.array([[-2.0, -2.0, -6.5], [-3.5, -1.5, -2.5]]))
    assert choice_logits(scores[0], output) == pytest.approx([-2.0, -2.0, -6.5])
    plain = output.model_copy(update={"normalise": "sum", "prior_weight": 0.0})
    assert choice_logits(scores, plain) == pytest.approx(scores)


# What is cited


@pytest.mark.parametrize(
    ("said", "cited"),
    [
        ("Within ten days [2].", ("p2",)),
        ("See [2] and [1], and again [2].", ("p2", "p1")),
        ("See [0], [3], [12] and [1000].", ()),
        ("See [3] and [1].", ("p1",)),
        ("within ten days.", ("p2",)),
        ("WITHIN TEN DAYS", ("p2",)),
        ("Within eleven days.", ()),
        (".", ()),
        ("Not in the guidance.", ()),
    ],
)
def test_only_passages_that_were_shown_are_cited(said: str, cited: tuple[str, ...]) -> None:
    found = answer(said, OutputSlot(abstain="Not in the guidance."), shown=SHOWN)
    assert found.citations == cited
    assert found.passages == ("p1", "p2")


def test_a_candidate_that_is_told_not_to_cite_says_only_what_it_was_shown() -> None:
    slot = RetrieverSlot(recipe=Recipe(), index="shelf@1", cite=False)
    found = answer("Within ten days [2].", shown=SHOWN, retriever=slot)
    assert (found.citations, found.passages) == ((), ("p1", "p2"))
    told = answer("Within ten days [2].", shown=SHOWN, retriever=slot.model_copy(update={"cite": True}))
    assert told.citations == ("p2",)


def test_an_abstention_cites_nothing_even_where_a_passage_holds_its_words() -> None:
    quoting = (Passage("p", "d", "t", "Where it is not in the guidance, ask."),)
    assert answer("Not in the guidance", OutputSlot(abstain="Not in the guidance"), shown=quoting).citations == ()
    assert answer("[1]", shown=()).citations == ()


# The whole path


def test_many_answers_are_the_single_ones_in_order_whatever_the_chunk() -> None:
    script = {f"q{n}": f"a{n}" for n in range(7)} | {"q3": Failure("refused")}
    ready = opened(model=FakeModel(script), steps=(first_line,))
    examples = [example(f"q{n}", f"e{n}") for n in range(7)]
    single = [
        finish(ready, one, request, ready.model.generate([request])[0])
        for one in examples
        for request in prepare(ready, [one])
    ]
    assert [found.failure is not None for found in single] == [n == 3 for n in range(7)]
    for chunk in (1, 3, 64):
        assert answer_many(ready, examples, chunk=chunk) == single


def test_a_stream_asks_for_a_chunk_only_when_the_one_before_was_taken() -> None:
    model = FakeModel(default="x")
    stream = answer_stream(opened(model=model), [example(str(n)) for n in range(5)], chunk=2)
    assert model.calls == []
    assert [len(part) for part in (next(stream), next(stream))] == [2, 2]
    assert [len(batch) for batch in model.calls] == [2, 2]


# Opening a candidate


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> list[LetterEncoder]:
    """Registers the letter encoder; holds every one that was made by name."""
    made: list[LetterEncoder] = []

    def make() -> LetterEncoder:
        made.append(LetterEncoder())
        return made[-1]

    monkeypatch.setitem(parts("encoder"), "letters", Part("encoder", "letters", "letter_encoder:make"))
    monkeypatch.setattr("letter_encoder.make", make, raising=False)
    return made


def test_a_candidate_opens_what_its_slots_name_and_nothing_else(tmp_path: Path, letters: list[LetterEncoder]) -> None:
    model = FakeModel(default='"Rent"')
    plain = opened(OutputSlot(choices=LABELS, steps=(StepRef(name="match_label", arguments={"labels": LABELS}),)))
    ready = open_candidate(plain.candidate, tmp_path, tmp_path, model=model)
    assert (ready.model, ready.passages, ready.pool, letters) == (model, None, None, [])
    assert answer_many(ready, [example("q")])[0].text == "rent"
    own = open_candidate(plain.candidate, tmp_path, tmp_path).model
    assert own.ref.kind == "fake"


def test_indexes_are_opened_by_hash_with_the_shared_encoder_or_one_by_name(
    tmp_path: Path, letters: list[LetterEncoder]
) -> None:
    index = build_index([solved("rent"), solved("keys")], encoder=LetterEncoder(), indexes=tmp_path, kind="examples")
    shots = ShotsSlot(mode="nearest", k=1, index=index, encoder="letters")
    candidate = opened(shots=shots).candidate
    shared = LetterEncoder()
    ready = open_candidate(candidate, tmp_path, tmp_path, model=FakeModel(), encoder=shared)
    assert [shot.id for shot in prepare(ready, [example("rents")])[0].shots] == ["rent"]
    assert (shared.encoded, letters) == (["rents"], [])
    other = LetterEncoder("another@1")
    ready = open_candidate(candidate, tmp_path, tmp_path, model=FakeModel(), encoder=other)
    assert [shot.id for shot in prepare(ready, [example("key")])[0].shots] == ["keys"]
    assert (other.encoded, len(letters)) == ([], 1)


class OtherRetriever(Shelf):
    """A retriever of somebody's own package."""

    def __init__(self, folder: Path, encoder: LetterEncoder | None = None) -> None:
        super().__init__(solved(folder.name))


@pytest.mark.parametrize("slot", ["passages", "pool"])
def test_a_slot_opens_the_retriever_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slot: str) -> None:
    other = Part("retriever", "other", f"{__name__}:OtherRetriever")
    monkeypatch.setitem(parts("retriever"), "other", other)
    named: dict[str, Any] = {
        "passages": {"retriever": RetrieverSlot(recipe=Recipe(kind="other"), index="ab@2")},
        "pool": {"shots": ShotsSlot(mode="nearest", k=1, index="ab@2", kind="other")},
    }
    ready = open_candidate(opened(**named[slot]).candidate, tmp_path, tmp_path, model=FakeModel())
    found = getattr(ready, slot)
    assert isinstance(found, OtherRetriever)
    assert found.items[0].id == "ab"
