"""The general questions themselves, how they are asked and marked, and what is made of the marks."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import pytest

from rung.core.model import Completion, Failure
from rung.experiment.aftermath.chats import chat_requests, compare_chats, is_stuck, prompts
from rung.experiment.aftermath.general import abilities, general_questions, mark, pick, request_of
from rung.models.fake import FakeModel
from rung.text.script import language_of

QUESTIONS = general_questions()


def test_a_hundred_of_each_language_ten_of_each_kind_and_none_twice() -> None:
    assert Counter(question.language for question in QUESTIONS) == {"en": 100, "zh": 100}
    assert set(Counter((question.language, question.kind) for question in QUESTIONS).values()) == {10}
    assert len({question.text for question in QUESTIONS}) == len(QUESTIONS)
    assert all(language_of(question.text) == "zh" for question in QUESTIONS if question.language == "zh")


def test_options_differ_and_are_two_to_five() -> None:
    for question in QUESTIONS:
        assert 2 <= len(question.options) <= 5, question.id
        assert len({option.strip().casefold() for option in question.options}) == len(question.options) or (
            question.kind == "format"
        ), question.id
        assert len(set(question.options)) == len(question.options), question.id


@pytest.mark.parametrize("seed", [0, 1])
def test_the_right_option_stands_equally_often_in_every_place(seed: int) -> None:
    def key(question: object) -> tuple[str, int]:
        return question.language, len(question.options)  # type: ignore[attr-defined]

    for (_, size), part in groupby(sorted(general_questions(seed), key=key), key=key):
        counts = Counter(question.right for question in part)
        assert max(counts.values()) - min(counts[place] for place in range(size)) <= 1


def test_the_longest_option_is_not_the_key_to_the_answer() -> None:
    """Nobody does well by always taking the longest option, or the shortest."""
    for choose in (max, min):
        right = sum(choose(q.options, key=len) == q.options[q.right] for q in QUESTIONS)
        assert right < 0.5 * len(QUESTIONS)


def test_a_seed_gives_the_same_questions_and_keeps_the_right_answers() -> None:
    other = general_questions(1)
    assert general_questions(1) == other != QUESTIONS
    assert [q.options[q.right] for q in other] == [q.options[q.right] for q in QUESTIONS]


def test_a_short_form_takes_every_kind_of_both_languages() -> None:
    some = pick(QUESTIONS, 60, seed=3)
    assert set(Counter((question.language, question.kind) for question in some).values()) == {3}
    assert pick(QUESTIONS, 60, seed=3) == some != pick(QUESTIONS, 60, seed=4)
    assert pick(QUESTIONS, 500, seed=3) == QUESTIONS


def right_until(n: int) -> FakeModel:
    """A model that knows the first n questions."""
    known = {q.text: q.options[q.right if i < n else (q.right + 1) % len(q.options)] for i, q in enumerate(QUESTIONS)}
    return FakeModel(known)


def test_a_model_that_lost_a_third_has_forgotten_and_one_that_lost_nothing_has_not() -> None:
    requests = [request_of(question) for question in QUESTIONS]
    before = mark(QUESTIONS, right_until(200).generate(requests))
    after = mark(QUESTIONS, right_until(133).generate(requests))
    assert all(before)
    whole, english, chinese = abilities(QUESTIONS, before, after, margin=0.02, seed=0)
    assert whole.verdict == "forgot"
    assert (whole.share.lost, whole.share.gained) == (67, 0)
    assert english.verdict == "no_loss_seen"
    assert chinese.verdict == "forgot"
    assert len(whole.kinds) == 10
    (same, *_) = abilities(QUESTIONS, before, before, margin=0.02, seed=0)
    assert same.verdict == "no_loss_seen"
    assert same.share.change.point == 0
    assert same.smallest is not None
    assert 0.02 < same.smallest < 0.1


def test_failures_are_counted_apart() -> None:
    some = QUESTIONS[:4]
    good = [Completion(text=q.options[q.right]) for q in some]
    broken = [*good[:3], Completion(failure=Failure("error"), finish="error")]
    (whole, *_) = abilities(some, mark(some, good), mark(some, broken), margin=0.02, seed=0)
    assert (whole.share.n, whole.share.failed) == (3, 1)
    assert whole.share.after.point == 1.0


def test_five_free_prompts_in_each_language() -> None:
    assert Counter(language for language, _ in prompts()) == {"en": 5, "zh": 5}
    assert len(chat_requests()) == 10


@pytest.mark.parametrize(
    "text", ["the the the the the the the the the", "我很好，" * 5, "a b c " * 4, "Go. " + "!" * 20]
)
def test_a_loop_is_seen(text: str) -> None:
    assert is_stuck(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no no no no",
        "Apples, pears and plums.",
        "苹果、香蕉、梨。",
        "To boil an egg, boil water, put the egg in and wait.",
    ],
)
def test_an_answer_is_no_loop(text: str) -> None:
    assert not is_stuck(text)


def test_free_answers_before_and_after() -> None:
    said = [Completion(text="Apples, pears and plums.")] * 10
    chats = compare_chats(
        said, [*said[:7], Completion(), Completion(text="la " * 20), Completion(failure=Failure("error"))]
    )
    assert [chat.same for chat in chats] == [True] * 7 + [False] * 3
    assert [chat.after_state for chat in chats[7:]] == ["empty", "stuck", "failed"]
