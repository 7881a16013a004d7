"""From a chat to the question of the task."""

from __future__ import annotations

import pytest

from rung.core.task import Turn
from rung.serving.openai_schema import Own
from rung.serving.questions import question_of
from rung.serving.refusals import Refusal

CHAT = [
    {"role": "developer", "content": "Be rude."},
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
    {"role": "user", "content": [{"type": "text", "text": "When is"}, {"type": "text", "text": "rent due?"}]},
]


def test_the_last_user_message_is_the_question_and_a_dialogue_keeps_its_turns() -> None:
    found = question_of(CHAT, ["question"], dialogue=True)
    assert found.inputs == {"question": "When is\nrent due?"}
    assert found.history == (Turn("user", "Hello."), Turn("assistant", "Hello!"))
    assert found.ignored == ("developer message",)


def test_a_task_without_turns_says_that_it_leaves_them_out() -> None:
    found = question_of(CHAT, ["question"], dialogue=False)
    assert found.history == ()
    assert found.ignored == ("developer message", "earlier messages")


def test_several_fields_come_as_json_or_as_own_inputs() -> None:
    fields = ["title", "body"]
    written = [{"role": "user", "content": '{"title": "T", "body": "B", "more": "x"}'}]
    assert question_of(written, fields, dialogue=False).inputs == {"title": "T", "body": "B"}
    own = Own(inputs={"title": "T", "body": "B"}, consent=True)
    found = question_of([{"role": "user", "content": "ignored"}], fields, dialogue=False, own=own)
    assert found.inputs == {"title": "T", "body": "B"}
    assert found.consent


@pytest.mark.parametrize(
    ("messages", "fields", "param"),
    [
        ([{"role": "user", "content": "plain"}], ["a", "b"], "messages"),
        ([{"role": "user", "content": '{"a": "x"}'}], ["a", "b"], "messages"),
        ([{"role": "user", "content": '{"a": 1, "b": 2}'}], ["a", "b"], "messages"),
        ([{"role": "user", "content": "   "}], ["a"], "messages"),
        ([{"role": "assistant", "content": "x"}], ["a"], "messages"),
        ([{"role": "tool", "content": "x"}], ["a"], "messages[0].role"),
        ([{"role": "user", "content": None}], ["a"], "messages[0].content"),
        ([{"role": "user", "content": "nul\0"}], ["a"], "messages[0].content"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            ["a"],
            "messages[0].content",
        ),
    ],
)
def test_what_is_no_question_is_refused_by_its_place(
    messages: list[dict[str, object]], fields: list[str], param: str
) -> None:
    with pytest.raises(Refusal) as refused:
        question_of(messages, fields, dialogue=True)
    assert refused.value.status == 400
    assert refused.value.param == param
