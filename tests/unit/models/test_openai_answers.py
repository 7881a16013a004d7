"""What is sent to an endpoint, what its answers mean, and what they cost (F05, D04)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_endpoint import answer, ask, refuse, say

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError
from rung.core.model import Message, ModelRef, Request
from rung.models.openai_api import OpenAIModel
from rung.models.openai_request import is_closed, rough_tokens


def one(model: OpenAIModel, request: Request | None = None) -> Any:
    return model.generate([request or ask()])[0]


def test_a_request_is_sent_as_it_was_rendered(serve: Any, connect: Any) -> None:
    endpoint = serve(say(answer()))
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    turns = (
        Message("system", "判断"),
        Message("user", "好 {x}"),
        Message("assistant", "正面"),
        Message("user", "\ud800差"),
    )
    model = connect(endpoint, body={"top_p": 0.5, "seed": None})
    one(
        model,
        Request(messages=turns, max_tokens=7, temperature=0.25, seed=1 << 40, json_schema=schema, choices=("a", "b")),
    )
    assert endpoint.bodies[0] == {
        "model": "m1",
        "messages": [{"role": turn.role, "content": turn.text} for turn in turns],
        "max_tokens": 7,
        "temperature": 0.25,
        "top_p": 0.5,
        "stream": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}},
    }
    assert "POST /v1/chat/completions" in endpoint.heads[0]
    assert "authorization" not in endpoint.heads[0].lower()


def test_the_seed_fits_in_32_bits_and_the_limit_field_has_the_name_asked_for(serve: Any, connect: Any) -> None:
    endpoint = serve(say(answer()))
    one(connect(endpoint, limit_field="max_completion_tokens"), ask(seed=(1 << 62) + 5))
    assert endpoint.bodies[0]["seed"] == 5
    assert endpoint.bodies[0]["max_completion_tokens"] == 64
    assert "max_tokens" not in endpoint.bodies[0]
    assert "response_format" not in endpoint.bodies[0]


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "array", "items": {"type": "object", "properties": {}}}, False),
        ({"anyOf": [{"type": "string"}, {"type": "object"}]}, False),
        ({"type": "array", "items": {"type": "string"}}, True),
    ],
)
def test_strict_mode_is_asked_for_where_the_schema_allows_it(schema: Any, closed: bool) -> None:
    assert is_closed(schema) is closed


def test_an_answer_with_its_tokens_and_money(serve: Any, connect: Any) -> None:
    model = connect(serve(say(answer("是的"))), prices={"input": 100.0, "output": 1000.0})
    completion = one(model)
    assert (completion.text, completion.finish, completion.failure) == ("是的", "stop", None)
    assert (completion.tokens_in, completion.tokens_out) == (10, 2)
    assert completion.money == pytest.approx((10 * 100 + 2 * 1000) / 1e6)
    assert completion.served_by == "m1"
    assert 0 < completion.seconds < 5
    assert completion.choice_scores == ()


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


REASONED = "<think>it might be no</think>\n\nyes"
CASES: dict[str, tuple[Any, str, str]] = {
    "no choices": ({"choices": []}, "garbage", "holds no choices"),
    "choices of nothing": ({"choices": [None]}, "garbage", "holds no choices"),
    "no message": ({"choices": [{"index": 0}]}, "garbage", "no message"),
    "content null": (answer(None), "empty", "answered nothing"),
    "content blank": (answer(" \n"), "empty", "answered nothing"),
    "content an object": (answer({"a": 1}), "garbage", "neither text nor null"),  # type: ignore[arg-type]
    "tool call": (answer(None, tool_calls=[{"id": "1"}], finish="tool_calls"), "garbage", "called a tool"),
    "content filter": (answer("half an ans", finish="content_filter"), "content_filter", "filter stopped"),
    "refusal": (answer(None, refusal="I cannot help."), "content_filter", "declined"),
    "all reasoning": (answer(None, reasoning_content="hm", finish="length"), "empty", "by reasoning"),
    "reasoning unclosed": (answer("<think>hm, let me", finish="length"), "empty", "by reasoning"),
    "gave up": (answer("hal", finish="error"), "server", "gave up in the middle"),
    "error in a 200": ({"error": {"message": "bad upstream", "code": 400}}, "error", "bad upstream"),
}


@pytest.mark.parametrize("name", CASES)
def test_an_answer_without_text_is_a_failure_of_its_own_kind(serve: Any, connect: Any, name: str) -> None:
    body, kind, said = CASES[name]
    completion = one(connect(serve(say(body))))
    assert (completion.failure.kind, completion.text, completion.finish) == (kind, "", "error")
    assert said in completion.failure.message


def test_a_failure_that_was_charged_keeps_its_cost(serve: Any, connect: Any) -> None:
    completion = one(connect(serve(say(answer(None))), prices={"input": 1.0, "output": 1.0}))
    assert completion.failure.kind == "empty"
    assert completion.money == pytest.approx(12 / 1e6)


def test_an_error_inside_a_200_is_tried_again_like_any_other(serve: Any, connect: Any) -> None:
    endpoint = serve([say({"error": {"message": "slow down", "code": 429}}), say({"error": "down"}), say(answer())])
    assert one(connect(endpoint)).text == "yes"
    assert endpoint.asked == 3


@pytest.mark.parametrize(
    ("body", "text", "finish"),
    [
        (answer("cut o", finish="length"), "cut o", "length"),
        (answer("yes", finish=None), "yes", "stop"),
        (answer("yes", reasoning_content="because"), "yes", "stop"),
        (answer(REASONED), "yes", "stop"),
        (answer("opened in the prompt</think>yes"), "yes", "stop"),
        (answer([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}]), "yes", "stop"),  # type: ignore[arg-type]
        (answer("half \ud83d emoji"), "half \ufffd emoji", "stop"),
        (answer("\U0001f600 {braces} \x00"), "\U0001f600 {braces} \x00", "stop"),
        ({**answer(), "choices": [{"index": 1, "message": {"content": "no"}}, *answer()["choices"]]}, "yes", "stop"),
        ({**answer(), "logprobs": float("nan")}, "yes", "stop"),
        (b"\xef\xbb\xbf" + json.dumps(answer()).encode(), "yes", "stop"),
    ],
    ids=["length", "no finish", "reasoning", "think", "half think", "parts", "surrogate", "odd", "two", "nan", "bom"],
)
def test_unusual_answers_that_are_answers(serve: Any, connect: Any, body: Any, text: str, finish: str) -> None:
    completion = one(connect(serve(say(body))))
    assert (completion.failure, completion.text, completion.finish) == (None, text, finish)
    assert (completion.tokens_in, completion.tokens_out) == (10, 2)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "10"}, {"prompt_tokens": -1, "completion_tokens": True}])
def test_without_usage_tokens_are_estimated_and_said_so_once(serve: Any, connect: Any, usage: Any) -> None:
    body = without(answer("四个汉字"), "usage") if usage is None else {**answer("四个汉字"), "usage": usage}
    model = connect(serve(say(body)), prices={"output": 1e6})
    with pytest.warns(UserWarning, match="reports no token usage"):
        completion = one(model)
    assert (completion.tokens_in, completion.tokens_out) == (rough_tokens("Answer.") + rough_tokens("hello"), 4)
    assert completion.money == 4.0
    one(model)


def test_a_usage_of_zero_is_believed(serve: Any, connect: Any) -> None:
    body = {**answer(), "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
    assert one(connect(serve(say(body)))).tokens_in == 0


def test_another_model_than_the_one_asked_for_is_said(serve: Any, connect: Any) -> None:
    with pytest.warns(UserWarning, match="asked for the model 'm1', the endpoint answers as 'tiny'"):
        completion = one(connect(serve(say(answer(model="tiny")))))
    assert completion.served_by == "tiny"


def test_a_dated_or_longer_name_of_the_same_model_is_no_surprise(serve: Any, connect: Any) -> None:
    assert one(connect(serve(say(answer(model="Org/M1-2026-01-01"))))).served_by == "Org/M1-2026-01-01"


def test_a_model_that_changes_in_the_middle_is_said_and_recorded(serve: Any, connect: Any) -> None:
    endpoint = serve(lambda n, _: say(answer(model="m1-a" if n < 3 else "m1-b")))
    model = connect(endpoint, pacing={"concurrency": 1})
    with pytest.warns(UserWarning, match="answered as 'm1-a', and now answers as 'm1-b'"):
        completions = model.generate([ask()] * 4)
    assert [completion.served_by for completion in completions] == ["m1-a", "m1-a", "m1-b", "m1-b"]


@pytest.mark.parametrize(
    ("reaction", "kind"),
    [
        (refuse(400, "maximum context length is 4096 tokens", "context_length_exceeded"), "too_long"),
        (refuse(400, "the request exceeds the available context size"), "too_long"),
        (refuse(400, "输入过长"), "too_long"),
        (refuse(413, "payload"), "too_long"),
        (refuse(400, "flagged", "content_filter"), "content_filter"),
        (refuse(400, "flagged", "data_inspection_failed"), "content_filter"),
        (refuse(403, "not for you"), "refused"),
        (refuse(400, "unknown field"), "error"),
        (refuse(400, "max_tokens is too large: 99999"), "error"),
        (say({"detail": [{"msg": "x"}]}, 422), "error"),
        (say("no json", 400), "error"),
        (refuse(408), "timeout"),
    ],
)
def test_refusals_of_one_request_are_told_apart(serve: Any, connect: Any, reaction: Any, kind: str) -> None:
    assert one(connect(serve(reaction))).failure.kind == kind


def test_a_refusal_that_echoes_the_prompt_does_not_carry_it_on(serve: Any, connect: Any) -> None:
    secret = "my account number is 12345"
    completion = one(connect(serve(refuse(400, f"cannot parse: {secret}"))), ask(secret))
    assert "cannot parse" in completion.failure.message
    assert "12345" not in completion.failure.message


def test_the_record_opens_the_same_model(serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "k-1234")
    model = connect(serve(say(answer())), api_key_env="SOME_KEY", prices={"input": 2}, context_tokens=99, body={"a": 1})
    again = OpenAIModel.open(ModelRef.model_validate_json(model.ref.model_dump_json()))
    assert again.ref == model.ref
    assert again.capabilities == model.capabilities
    assert (again.capabilities.context_tokens, again.capabilities.choices, again.capabilities.json_schema) == (
        99,
        False,
        True,
    )
    again.close()
    with pytest.raises(BackendError) as caught:
        OpenAIModel.open(model.ref, adapter=AdapterSlot(sha256="", base="x"))
    assert caught.value.code == "E3108"


def test_pacing_and_prices_are_not_part_of_what_decides_an_answer(connect: Any) -> None:
    plain, other, third = (
        connect("http://127.0.0.1:1", **options)
        for options in ({}, {"prices": {"input": 3}, "pacing": {"concurrency": 7}}, {"body": {"top_p": 0.1}})
    )
    assert plain.identity == other.identity != third.identity


def test_wrong_options_are_all_named_at_once() -> None:
    with pytest.raises(BackendError) as caught:
        OpenAIModel("m", base_url="http://h", pacing={"concurrency": 0}, deadlines={"totl": 3}, key="sk-canary")
    assert [problem.where for problem in caught.value.problems] == ["deadlines.totl", "pacing.concurrency", "key"]
    assert "canary" not in str(caught.value)


def test_no_requests_ask_nothing(serve: Any, connect: Any) -> None:
    endpoint = serve(say(answer()))
    assert connect(endpoint).generate([]) == []
    assert endpoint.asked == 0
