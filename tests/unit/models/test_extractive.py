"""The extractive baseline: other people's words, in English and Chinese."""

from __future__ import annotations

import pytest
from letter_encoder import LetterEncoder

from rung.core.answer import Item
from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError
from rung.core.model import ModelRef, Request
from rung.core.registry import create
from rung.core.task import Document, Example, Passage
from rung.models.extractive import ExtractiveModel, Mode
from rung.testing import check_model

ENGLISH = "# Repairs\n\nReport it first. A contractor comes within 3 days.\n\n- You pay for light bulbs.\n- The landlord pays for pipes.\n- The desk is open 9 - 5 daily."
CHINESE = "# 押金\n\n押金最高为两个月租金。一次付不出的可以分两期！存满3000元的须交托管所。"


def passage(text: str, start: int = 0, end: int = 0) -> Passage:
    return Passage(id="d#1", document="d", title="Desk", text=text, start=start, end=end)


def ask(query: str, *texts: str) -> Request:
    return Request((), query=query, passages=tuple(map(passage, texts)))


def open_mode(mode: Mode, encoder: LetterEncoder | None = None) -> ExtractiveModel:
    ref = ExtractiveModel(mode, encoder="letters" if encoder else "", loaded=encoder).ref
    return ExtractiveModel.open(ModelRef(**ref.model_dump()), encoder=encoder)


def test_nearest_answer_is_that_of_the_last_shot() -> None:
    shots = (Example("1", {"q": "x"}, ("far",)), Example("2", {"q": "y"}, ("near", "also near")))
    model = open_mode("nearest_answer")
    assert [c.text for c in model.generate([Request((), shots=shots), Request((), shots=shots[:1])])] == ["near", "far"]
    assert not model.capabilities.language_model
    assert not model.capabilities.choices


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("Who pays for pipes?", "The landlord pays for pipes."),
        ("When is the desk open?", "The desk is open 9 - 5 daily."),
        ("When does the contractor come?", "A contractor comes within 3 days."),
        ("押金可以分期付吗？分几期？", "一次付不出的可以分两期！"),
        ("最高要交多少押金", "押金最高为两个月租金。"),
    ],
)
def test_best_sentence_by_terms(query: str, answer: str) -> None:
    (done,) = open_mode("best_sentence").generate([ask(query, ENGLISH, CHINESE)])
    assert done.text == answer
    assert done.failure is None
    assert done.seconds > 0


def test_best_sentence_by_the_encoder_in_one_batch() -> None:
    encoder = LetterEncoder()
    model = open_mode("best_sentence", encoder)
    requests = [ask("zzz bbb", "zzz bbb q. Yes aaa."), ask("aaa", "Zz zz. Aa aaa aaa."), ask("zzz bbb", "zzz bbb q.")]
    assert [c.text for c in model.generate(requests)] == ["zzz bbb q.", "Aa aaa aaa.", "zzz bbb q."]
    assert len(encoder.encoded) == len(set(encoder.encoded))


def test_title_and_headings_above_a_passage_are_no_answer() -> None:
    from rung.retrieval.chunk import chunk_documents

    (item,) = chunk_documents([Document("d", "Who pays for pipes", "Nobody knows who. Ask again.")], 40, 0)
    assert isinstance(item, Item)
    shown = Passage(id=item.id, text=item.text, **item.payload)
    (done,) = open_mode("best_sentence").generate([Request((), query="Who pays for pipes?", passages=(shown,))])
    assert done.text == "Nobody knows who."


@pytest.mark.parametrize("mode", ["nearest_answer", "best_sentence"])
@pytest.mark.parametrize("encoder", [None, LetterEncoder()])
def test_nothing_to_answer_from_is_a_failure(mode: Mode, encoder: LetterEncoder | None) -> None:
    model = open_mode(mode, encoder)
    for done in model.generate([Request((), query="why?"), ask("why?", "", " \n")]):
        assert done.failure is not None
        assert done.failure.kind == "empty"
        assert not done.text
    assert model.generate([]) == []


def test_a_question_without_a_shared_term_gets_the_first_sentence() -> None:
    (done,) = open_mode("best_sentence").generate([ask("zzz", "First here. Second there.", "Third.")])
    assert done.text == "First here."


def test_wrong_records_are_refused() -> None:
    with pytest.raises(BackendError, match="E3220"):
        ExtractiveModel.open(ModelRef(kind="extractive", id="x", options={"mode": "guess"}))
    with pytest.raises(BackendError, match="E3212"):
        ExtractiveModel.open(ExtractiveModel("best_sentence").ref, adapter=AdapterSlot(sha256="0", base="x"))
    ref = ExtractiveModel("best_sentence", encoder="letters", loaded=LetterEncoder()).ref
    with pytest.raises(BackendError, match="E3206"):
        ExtractiveModel.open(ref, encoder=LetterEncoder("letters@2"))


def test_it_keeps_the_promises_of_a_model() -> None:
    requests = [ask("Who pays for pipes?", ENGLISH), ask("押金可以分期付吗？", ENGLISH, CHINESE), ask("why?")]
    check_model(ExtractiveModel("best_sentence"), requests)
    check_model(create("model", "extractive", mode="best_sentence", encoder="minilm"), requests)
