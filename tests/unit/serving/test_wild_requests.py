"""Requests that no client of good will sends: answered at once, in OpenAI's envelope, without growing."""

from __future__ import annotations

import json
import socket
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_server import LiveServer, hosted_of, one_reply

from rung.models.fake import FakeModel
from rung.serving.openai_schema import ChatBody, FeedbackBody, ResponseBody

HI = [{"role": "user", "content": "hi"}]
SOON = 10.0
"""Seconds: short of what a question that reads everything would take, with room for a loaded machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(hosted_of(FakeModel(default="yes"), max_tokens=16)) as running:
        yield running


def deep(n: int) -> bytes:
    return b'{"messages": ' + b"[" * n + b"]" * n + b"}"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": HI, "n": 1_000_000}, "n"),
        ({"messages": HI, "n": 0}, "n"),
        ({"messages": HI, "max_tokens": 1e12}, "max_tokens"),
        ({"messages": HI, "max_tokens": -1}, "max_tokens"),
        ({"messages": HI, "max_completion_tokens": 0}, "max_completion_tokens"),
        ({"messages": HI, "temperature": -0.1}, "temperature"),
        ({"messages": HI, "temperature": 1e300}, "temperature"),
        ({"messages": HI, "top_p": 0}, "top_p"),
        ({"messages": HI, "seed": 1 << 70}, "seed"),
        ({"messages": HI, "stop": ["x"] * 100_000}, "stop"),
        ({"messages": HI, "stop": ""}, "stop"),
        ({"messages": HI, "stop": ["x" * 10_000]}, "stop"),
        ({"messages": HI, "top_logprobs": 1000}, "top_logprobs"),
        ({"messages": HI, "model": "m" * 10_000}, "model"),
        ({"messages": HI, "logit_bias": {str(n): 100 for n in range(10_000)}}, "logit_bias"),
        ({"messages": HI, "chat_template": "{{ 7 * 7 }}"}, "chat_template"),
        ({"messages": HI, "prompt_embeds": "AAAA"}, "prompt_embeds"),
        ({"messages": HI, "guided_regex": "(a+)+$"}, "guided_regex"),
        ({"messages": HI, "tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"messages": []}, "messages"),
        ({"messages": [{}] * 100_000}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [1]}, "messages"),
        ({}, "messages"),
        (
            {
                "messages": HI,
                "response_format": {"type": "json_schema", "json_schema": {"schema": {"pattern": "(a+)+$"}}},
            },
            "response_format",
        ),
        (
            {
                "messages": HI,
                "response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "http://x/y"}}},
            },
            "response_format",
        ),
        ({"messages": HI, "response_format": {"type": "grammar"}}, "response_format"),
        ({"messages": HI, "rung": {"inputs": {"question": 1}}}, "rung"),
    ],
)
def test_what_cannot_be_done_is_said_at_once_with_its_field(server: LiveServer, body: Any, param: str) -> None:
    started = time.monotonic()
    reply = server.ask("/v1/chat/completions", body)
    assert time.monotonic() - started < SOON
    assert reply.status == 400
    assert reply.error["param"] == param
    assert len(reply.body) < 1000
    assert server.settle()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'"text"',
        b"[]",
        b"null",
        b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
        b'{"messages": [{"role": "user", "content": "hi"}], "temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "hi"}], "temperature": Infinity}',
        deep(10_000),
        deep(100_000),
    ],
)
def test_what_is_no_json_is_refused(server: LiveServer, body: bytes) -> None:
    reply = server.ask("/v1/chat/completions", body)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"


def test_a_schema_that_nests_for_ever_is_refused(server: LiveServer) -> None:
    schema: dict[str, Any] = {}
    for _ in range(80):
        schema = {"items": schema}
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert server.chat(response_format=wanted).error["param"] == "response_format"


def test_a_large_body_is_refused_before_it_is_read(server: LiveServer) -> None:
    tracemalloc.start()
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 300000000\r\n\r\n{")
        said = one_reply(connection)
    assert time.monotonic() - started < SOON
    assert b" 413 " in said.split(b"\r\n")[0]
    assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_too_large"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_a_body_that_grows_in_chunks_is_cut_at_the_limit(server: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        said, sent = b"", 0
        try:
            for _ in range(400):
                connection.sendall(piece)
                sent += 1
        except OSError:
            pass
        try:
            said = connection.recv(65536)
        except OSError:
            said = b""
    assert sent < 400
    assert said == b"" or b" 413 " in said
    assert server.chat().status == 200


def test_harmless_unknown_fields_are_passed_over_and_what_is_not_heeded_is_named(server: LiveServer) -> None:
    reply = server.chat(metadata={"a": "b"}, store=True, whatever=[1], tools=[], tool_choice="auto", logit_bias={})
    assert reply.status == 200
    assert "x-rung-ignored" not in reply.headers
    reply = server.ask(
        "/v1/chat/completions",
        {"messages": [{"role": "system", "content": "x"}, *HI], "frequency_penalty": 0.5, "presence_penalty": 0},
    )
    assert reply.headers["x-rung-ignored"] == "frequency_penalty, system message"
    assert server.kept.traces[-1].flags == ("ignored: frequency_penalty", "ignored: system message")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [*ChatBody.model_fields, *ResponseBody.model_fields, *FeedbackBody.model_fields, "input", "tools", "text"]
)


@given(
    st.sampled_from(["chat/completions", "completions", "responses", "embeddings", "feedback"]),
    st.dictionaries(FIELDS, JSON, max_size=6),
    st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_the_server_fail(server: LiveServer, route: str, body: dict[str, Any], asks: bool) -> None:
    if asks:
        body = {"messages": HI, "prompt": "hi", "input": "hi"} | body
    if route == "embeddings":
        body.pop("input", None)
    reply = server.ask(f"/v1/{route}", json.dumps(body).encode())
    assert reply.status < 500, reply.body
    if reply.status != 200 and reply.status != 201:
        assert reply.error["message"]
