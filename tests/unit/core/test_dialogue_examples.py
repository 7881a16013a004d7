"""Examples with pairs, thumbs and a history: old hashes stay, and the prompt shows what was said before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from rung.core.candidate import PromptSlot
from rung.core.hashing import hash_json
from rung.core.prompt import render
from rung.core.task import Example, FitData, OutputSpec, Task, Turn

PLAIN = Example("e", {"question": "何时交租？"}, ("每月一日", "1st"))
SAID = (Turn("user", "What deposit may they ask for?"), Turn("assistant", "A flat or a room?"))


def slot(layout: Literal["chat", "compact", "bare"]) -> PromptSlot:
    return PromptSlot(instruction="Answer.", layout=layout, fields=("question",))


def test_an_example_without_them_keeps_the_hash_it_always_had() -> None:
    assert PLAIN.hash == "bcda7a62d0a820ea" == hash_json([{"question": "何时交租？"}, ["每月一日", "1st"]])


def test_each_of_them_changes_the_hash() -> None:
    others = [
        replace(PLAIN, rejected=("每月二日",)),
        replace(PLAIN, liked=True),
        replace(PLAIN, liked=False),
        replace(PLAIN, history=SAID),
        replace(PLAIN, history=SAID[:1]),
    ]
    assert len({PLAIN.hash, *(example.hash for example in others)}) == 6


def test_text_is_the_last_question_and_asked_all_that_the_user_said() -> None:
    example = replace(PLAIN, history=SAID)
    assert example.text == "何时交租？"
    assert example.asked == "What deposit may they ask for?\n何时交租？"
    assert PLAIN.asked == PLAIN.text


def test_chat_shows_history_as_turns_between_shots_and_question() -> None:
    shot = Example("s", {"question": "then?"}, ("rent",))
    messages = render(slot("chat"), {"question": "A room."}, shots=[shot], history=SAID)
    assert [(m.role, m.text) for m in messages] == [
        ("system", "Answer."),
        ("user", "then?"),
        ("assistant", "rent"),
        ("user", "What deposit may they ask for?"),
        ("assistant", "A flat or a room?"),
        ("user", "A room."),
    ]


def test_compact_shows_history_as_lines_and_shots_apart() -> None:
    shot = Example("s", {"question": "then?"}, ("rent",))
    text = render(slot("compact"), {"question": "A room."}, shots=[shot], history=SAID)[1].text
    assert text == (
        "Question: then?\nAnswer: rent\n\n"
        "Question: What deposit may they ask for?\nAnswer: A flat or a room?\nQuestion: A room.\nAnswer:"
    )


@pytest.mark.parametrize("down", [0, 1])
def test_what_a_candidate_is_made_from_names_disliked_rows_only_where_there_are_some(down: int) -> None:
    task = Task(name="t", instruction="i", inputs=("question",), output=OutputSpec(kind="text"), metrics=("token_f1",))
    fit = FitData(task, (PLAIN,), (), (), Path(), Path(), disliked=(replace(PLAIN, liked=False),) * down)
    assert ("disliked" in fit.made_from) is bool(down)
