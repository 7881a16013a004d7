"""The one renderer: texts are joined and never compiled, in English and Chinese."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from rung.core.candidate import PromptSlot
from rung.core.prompt import render
from rung.core.task import Example, Passage

HOSTILE = "{question} {{ passages }} {% for x in y %} %s %(name)s ${HOME} {0!r} \\n </s> <|im_start|>"


def slot(layout: Literal["chat", "compact", "bare"] = "chat", **changes: Any) -> PromptSlot:
    return PromptSlot.model_validate(
        {"instruction": "Name the topic.", "layout": layout, "fields": ("question",)} | changes
    )


def shot(question: str, answer: str) -> Example:
    return Example(question, {"question": question}, (answer,))


@pytest.mark.parametrize("layout", ["chat", "compact"])
def test_what_looks_like_a_template_survives_to_the_letter_everywhere(layout: Literal["chat", "compact"]) -> None:
    messages = render(
        slot(layout, instruction=f"I {HOSTILE}", list_choices=True),
        {"question": f"Q {HOSTILE}"},
        shots=[shot(f"S {HOSTILE}", f"A {HOSTILE}")],
        passages=[Passage("p", "d", "t", f"P {HOSTILE}")],
        choices=[f"C {HOSTILE}"],
    )
    whole = "\n".join(message.text for message in messages)
    assert [f"{mark} {HOSTILE}" in whole for mark in "IQSAPC"] == [True] * 6
    assert whole.count(HOSTILE) == 6
    assert render(slot("bare"), {"question": HOSTILE})[0].text == HOSTILE


def test_chat_puts_shots_as_turns_in_the_order_given_and_the_question_last() -> None:
    shots = [shot("far?", "rent"), shot("near?", "repairs")]
    messages = render(slot(), {"question": "now?"}, shots=shots)
    assert [(m.role, m.text) for m in messages] == [
        ("system", "Name the topic."),
        ("user", "far?"),
        ("assistant", "rent"),
        ("user", "near?"),
        ("assistant", "repairs"),
        ("user", "now?"),
    ]


def test_compact_is_one_short_message_that_ends_where_the_answer_begins() -> None:
    messages = render(slot("compact"), {"question": "now?"}, shots=[shot("then?", "rent")])
    assert [m.role for m in messages] == ["system", "user"]
    assert messages[1].text == "Question: then?\nAnswer: rent\n\nQuestion: now?\nAnswer:"


def test_bare_is_the_input_alone() -> None:
    messages = render(
        slot("bare"), {"question": "now?"}, shots=[shot("a", "b")], passages=[Passage("p", "d", "t", "x")]
    )
    assert [(m.role, m.text) for m in messages] == [("user", "now?")]


def test_passages_are_numbered_from_one_in_the_order_found() -> None:
    passages = [Passage("p7", "d", "t", "Rent is due."), Passage("p2", "d", "t", "Keys are kept.")]
    chat = render(slot(), {"question": "when?"}, passages=passages)[-1].text
    assert chat == "[1] Rent is due.\n\n[2] Keys are kept.\n\nQuestion: when?"
    compact = render(slot("compact"), {"question": "when?"}, passages=passages)[-1].text
    assert compact == "[1] Rent is due.\n\n[2] Keys are kept.\n\nQuestion: when?\nAnswer:"


def test_several_fields_are_named_in_their_order_and_empty_ones_left_out() -> None:
    prompt = slot("bare", fields=("title", "body", "note"))
    text = render(prompt, {"body": "Cold.", "note": "", "title": "Heating"})[0].text
    assert text == "title: Heating\nbody: Cold."


def test_choices_are_listed_only_where_the_slot_says_so() -> None:
    asked = {"question": "now?"}
    assert render(slot(), asked, choices=("rent", "keys"))[0].text == "Name the topic."
    listed = render(slot(list_choices=True), asked, choices=("rent", "keys"))[0].text
    assert listed == "Name the topic.\nChoose one of: rent, keys"


def test_a_chinese_prompt_holds_no_english_words_or_marks() -> None:
    prompt = slot(
        "compact",
        instruction="判断主题。",
        language="zh",
        list_choices=True,
        question_name="问题",
        answer_name="答案",
    )
    system, user = render(
        prompt, {"question": "何时交租？"}, shots=[shot("钥匙呢？", "钥匙")], choices=("租金", "钥匙")
    )
    assert system.text == "判断主题。\n从以下选项中选择一个：租金、钥匙"
    assert user.text == "问题：钥匙呢？\n答案：钥匙\n\n问题：何时交租？\n答案："
