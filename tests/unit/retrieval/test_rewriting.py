"""Search words that a model writes, read back as one line, and never in place of nothing."""

from __future__ import annotations

import pytest

from rung.core.finding import Helper
from rung.core.found import Effort
from rung.core.model import Completion, Failure
from rung.core.task import Example, Turn
from rung.models.fake import FakeModel
from rung.retrieval.model_reranker import ModelReranker
from rung.retrieval.rewriting import Both, Condensed, Rewritten

QUESTION = Example("e", {"q": "Who keeps {it}?"}, ())
DIALOGUE = Example("d", {"q": "And there?"}, (), history=(Turn("user", "Is Ely wet?"), Turn("assistant", "Yes.")))


def helper(said: str | Failure | Completion, language: str = "en") -> Helper:
    return Helper(FakeModel(default=said), language)


@pytest.mark.parametrize(
    ("said", "searched"),
    [
        ("gas, boiler, Gas, heating, gas", "gas, boiler, heating"),
        ('"gas boiler"\nThese words help.', "gas boiler"),
        ("The important names and terms: 1. gas 2. boiler 3. gas", "1. gas, boiler, gas"),
        ("词语：燃气，锅炉，燃气", "燃气, 锅炉"),
    ],
)
def test_terms_are_listed_once_without_heading(said: str, searched: str) -> None:
    assert Rewritten().make([QUESTION], helper(said))[0].texts == (searched,)


def test_the_question_is_put_in_as_it_is_in_the_task_s_language() -> None:
    for language, word in (("en", "Question"), ("zh", "问题")):
        asking = helper("x", language)
        Rewritten().make([QUESTION], asking)
        text = asking.model.calls[0][0].messages[0].text
        assert "Who keeps {it}?" in text
        assert word in text


@pytest.mark.parametrize(
    ("said", "why"), [(Failure("timeout"), "timeout"), ("", "empty"), ("...", "empty"), ("word " * 200, "empty")]
)
def test_what_is_no_search_word_leaves_the_question_as_asked(said: str | Failure, why: str) -> None:
    found = Rewritten().make([QUESTION], helper(said))[0]
    assert (found.texts, found.failure) == (("Who keeps {it}?",), why)
    assert Both().make([QUESTION], helper(said))[0].texts == ("Who keeps {it}?",)


def test_both_search_for_the_question_and_its_words_and_say_what_it_took() -> None:
    said = Completion("gas, boiler", tokens_in=7, tokens_out=4, seconds=0.5, money=0.1)
    found = Both().make([QUESTION], helper(said))[0]
    assert (found.texts, found.effort) == (("Who keeps {it}?", "gas, boiler"), Effort(7, 4, 0.5, 0.1))


def test_only_dialogues_are_condensed() -> None:
    asking = helper("Is Cambridge wet, too?")
    first, second = Condensed().make([QUESTION, DIALOGUE], asking)
    assert (first.texts, second.texts) == (("Who keeps {it}?",), ("Is Cambridge wet, too?",))
    (call,) = asking.model.calls
    assert len(call) == 1
    assert "User: Is Ely wet?\nAssistant: Yes.\nUser: And there?" in call[0].messages[0].text


def test_a_passage_is_worth_the_likelihood_of_its_question() -> None:
    def said(request) -> Completion:
        return Completion(choice_scores=(-1.0 if "gas" in request.messages[0].text else -9.0,), tokens_in=3)

    judged = ModelReranker().score([("who?", "roof"), ("who?", "gas")], Helper(FakeModel(said), "en"))
    assert 0 < judged.scores[0] < judged.scores[1] < 1
    assert judged.efforts == (Effort(3), Effort(3))
    failed = ModelReranker().score([("who?", "roof")], helper(Failure("timeout")))
    assert failed.scores == (0.0,)
