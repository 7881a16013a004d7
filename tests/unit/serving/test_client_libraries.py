"""The API by the clients that people have: OpenAI's SDK, langchain-openai, curl."""

from __future__ import annotations

import base64
import json
import shutil
import struct
import subprocess
from collections.abc import Iterator

import numpy as np
import openai
import pytest
from live_server import LiveServer, SlowModel, hosted_of

from rung.core.model import Completion, Failure, Request
from rung.models.fake import FakeModel

LONG = "Rent is due on the first. 租金应于每月一日支付。🏠 It may be paid by card, by transfer or in cash at the desk."


def scripted(request: Request) -> str | Completion | Failure:
    if request.stop and request.stop[0] in LONG:
        return LONG.split(request.stop[0])[0]
    if request.temperature:
        return f"seed {request.seed}"
    if request.max_tokens < 10:
        return Completion("cut", finish="length", tokens_in=3, tokens_out=1)
    return {"empty": Failure("empty"), "long": Failure("too_long"), "bad": Failure("content_filter")}.get(
        request.query, LONG
    )


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(hosted_of(SlowModel(scripted), max_tokens=64)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=20) as found:
        yield found


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_a_chat_completion_is_read_as_the_sdk_knows_it(client: openai.OpenAI, server: LiveServer) -> None:
    raw = client.chat.completions.with_raw_response.create(model="rung", messages=ask("hi"))  # type: ignore[arg-type]
    found = raw.parse()
    assert found.choices[0].message.content == LONG
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens > 0
    assert raw.headers["x-request-id"] == found.id
    assert next(trace for trace in server.kept.traces if trace.id == found.id).answer == LONG


def test_a_stream_adds_up_to_the_same_bytes_and_ends_with_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="rung",
            messages=ask("hi"),  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == LONG
    assert sum(map(bool, texts)) > 5
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert [c.choices[0].finish_reason for c in chunks[:-1] if c.choices][-1] == "stop"
    last = chunks[-2].model_extra
    assert last is not None
    assert last["rung"]["candidate"]


def test_usage_comes_only_where_it_was_asked_for(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="rung", messages=ask("hi"), stream=True))  # type: ignore[arg-type]
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_stop_seed_n_and_both_names_of_the_limit(client: openai.OpenAI) -> None:
    create = client.chat.completions.create
    stopped = create(model="rung", messages=ask("hi"), stop=["租金"])  # type: ignore[arg-type]
    assert stopped.choices[0].message.content == "Rent is due on the first. "
    drawn = create(model="rung", messages=ask("hi"), n=3, temperature=0.7, seed=5)  # type: ignore[arg-type]
    assert [choice.message.content for choice in drawn.choices] == ["seed 5", "seed 6", "seed 7"]
    assert len({choice.index for choice in drawn.choices}) == 3
    same = create(model="rung", messages=ask("hi"), n=2)  # type: ignore[arg-type]
    assert [choice.message.content for choice in same.choices] == [LONG, LONG]
    for name in ("max_tokens", "max_completion_tokens"):
        short = create(model="rung", messages=ask("hi"), **{name: 5})  # type: ignore[call-overload]
        assert short.choices[0].finish_reason == "length"
    higher = create(model="rung", messages=ask("hi"), max_tokens=5000)  # type: ignore[arg-type]
    assert higher.choices[0].message.content == LONG


def test_a_stream_of_several_answers_keeps_them_apart(client: openai.OpenAI) -> None:
    texts = {0: "", 1: ""}
    for chunk in client.chat.completions.create(
        model="rung",
        messages=ask("hi"),  # type: ignore[arg-type]
        n=2,
        temperature=0.5,
        seed=1,
        stream=True,
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == {0: "seed 1", 1: "seed 2"}


def test_failures_have_the_sdks_own_exceptions(client: openai.OpenAI) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.UnprocessableEntityError):
        create(model="rung", messages=ask("empty"))  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError) as too_long:
        create(model="rung", messages=ask("long"))  # type: ignore[arg-type]
    assert too_long.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError) as unknown:
        create(model="gpt-x", messages=ask("hi"))  # type: ignore[arg-type]
    assert unknown.value.code == "model_not_found"
    guarded = create(model="rung", messages=ask("bad"))  # type: ignore[arg-type]
    assert guarded.choices[0].finish_reason == "content_filter"
    assert guarded.choices[0].message.content
    with pytest.raises(openai.UnprocessableEntityError):
        list(create(model="rung", messages=ask("empty"), stream=True))  # type: ignore[arg-type]


def test_completions_models_and_responses(client: openai.OpenAI) -> None:
    assert client.completions.create(model="rung", prompt="hi").choices[0].text == LONG
    streamed = client.completions.create(model="rung", prompt="hi", stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == LONG
    names = [model.id for model in client.models.list()]
    assert {"small", "rung"} <= set(names)
    assert client.models.retrieve("rung").id == "rung"
    whole = client.responses.create(model="rung", input="hi")
    assert whole.output_text == LONG
    assert whole.usage is not None
    events = list(client.responses.create(model="rung", input=ask("hi"), stream=True))  # type: ignore[call-overload]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == LONG
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == LONG


def test_labels_come_with_their_scores_as_logprobs() -> None:
    model = FakeModel(default="late")
    hosted = hosted_of(model, choices=("early", "late", "never"), constrain=True)
    with LiveServer(hosted) as server, openai.OpenAI(base_url=server.url, api_key="x", max_retries=0) as client:
        found = client.chat.completions.create(
            model="rung",
            messages=ask("when?"),  # type: ignore[arg-type]
            logprobs=True,
            top_logprobs=2,
        )
        logprobs = found.choices[0].logprobs
        assert logprobs is not None
        assert logprobs.content is not None
        (token,) = logprobs.content
        assert token.token == found.choices[0].message.content == "late"
        assert np.exp(token.logprob) == pytest.approx(0.9)
        assert [top.token for top in token.top_logprobs] == ["late", "early"]
        older = client.completions.create(model="rung", prompt="when?", logprobs=1)
        assert older.choices[0].logprobs is not None
        assert older.choices[0].logprobs.tokens == ["late"]
    with LiveServer(hosted_of(SlowModel(default="x"))) as server:
        assert server.chat(logprobs=True).error["param"] == "logprobs"


class Letters:
    """An encoder of three numbers."""

    id = "letters@1"

    def encode(self, texts: list[str]) -> np.ndarray:
        found = np.array([[len(text), text.count("a"), 1.0] for text in texts], np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_embeddings_as_numbers_and_base64_and_tokens_are_told_how(server: LiveServer, client: openai.OpenAI) -> None:
    server.service._encoder = Letters()
    wanted = Letters().encode(["abc", "banana"])
    found = client.embeddings.create(model="rung", input=["abc", "banana"])  # the SDK asks for base64
    assert np.allclose([row.embedding for row in found.data], wanted)
    plain = client.embeddings.create(model="rung", input="abc", encoding_format="float")
    assert np.allclose(plain.data[0].embedding, wanted[0])
    raw = server.ask("/v1/embeddings", {"input": "abc", "encoding_format": "base64"}).json["data"][0]["embedding"]
    assert np.allclose(struct.unpack("<3f", base64.b64decode(raw)), wanted[0])
    for tokens in ([1, 2, 3], [[1, 2], [3]]):
        with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
            client.embeddings.create(model="rung", input=tokens)  # type: ignore[arg-type]
    for wrong in ("", [], ["a", ""], ["x"] * 300, {"a": 1}):
        assert server.ask("/v1/embeddings", {"input": wrong}).status == 400


def test_langchain_speaks_to_it(server: LiveServer) -> None:
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    server.service._encoder = Letters()
    chat = ChatOpenAI(base_url=server.url, api_key="none", model="rung", max_retries=0, stream_usage=True)  # type: ignore[arg-type]
    assert chat.invoke("hi").content == LONG
    pieces = list(chat.stream("hi"))
    assert "".join(str(piece.content) for piece in pieces) == LONG
    encoder = OpenAIEmbeddings(base_url=server.url, api_key="none", model="rung", check_embedding_ctx_length=False)  # type: ignore[arg-type]
    assert np.allclose(encoder.embed_query("abc"), Letters().encode(["abc"])[0])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_with_any_accept_and_http_1_0(server: LiveServer) -> None:
    body = json.dumps({"model": "rung", "messages": ask("hi")})
    for more in ([], ["--http1.0"], ["-H", "Accept: */*"], ["-H", "Expect: 100-continue"]):
        command = ["curl", "-sS", "--max-time", "10", *more, "-H", "Content-Type: application/json", "-d", body]
        said = subprocess.run([*command, f"{server.url}/chat/completions"], capture_output=True, check=True).stdout
        assert json.loads(said)["choices"][0]["message"]["content"] == LONG
    streamed = json.dumps({"model": "rung", "messages": ask("hi"), "stream": True})
    command = ["curl", "-sSN", "--http1.0", "--max-time", "10", "-d", streamed, f"{server.url}/chat/completions"]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    assert lines[-2] == "data: [DONE]"
    parts = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert "".join(part["choices"][0]["delta"].get("content", "") for part in parts) == LONG
