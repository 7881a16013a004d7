"""Streamed answers: events split anywhere, odd endings, reasoning, errors in the middle, and a caller who goes away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, Say, answer, ask, refuse, say
from hypothesis import given
from hypothesis import strategies as some

from rung.core.errors import BackendError
from rung.core.model import Completion
from rung.core.streaming import stream
from rung.models.openai_api import OpenAIModel
from rung.models.openai_stream import StreamedReply
from rung.models.sse import Event, read_events

TEXT = "押金 5 天 \U0001f3e0 naïve\nsecond line"
Connect = Callable[..., OpenAIModel]
Serve = Callable[[Any], FakeEndpoint]


def chunk(content: str | None = None, *, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    said = {**({} if content is None else {"content": content}), **delta}
    return {"id": "x", "model": "m1", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


USAGE = {"id": "x", "model": "m1", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 7}}


def events(*datas: Any, end: str = "\n", done: bool = True) -> bytes:
    lines = [data if isinstance(data, str) else "data: " + json.dumps(data, ensure_ascii=False) for data in datas]
    lines += ["data: [DONE]"] if done else []
    return "".join(f"{line}{end}{end}" for line in lines).encode("utf-8", "surrogatepass")


def read(body: bytes | Sequence[bytes]) -> tuple[list[str], Completion]:
    reply = StreamedReply("here", "m1", lambda text: text)
    found = list(reply.pieces([body] if isinstance(body, bytes) else body))
    return found, reply.outcome.completion


def letters(text: str) -> list[dict[str, Any]]:
    return [chunk(role="assistant"), *(chunk(letter) for letter in text), chunk(finish="stop"), USAGE]


@given(some.sampled_from(["\n", "\r\n", "\r"]), some.lists(some.integers(0, 3000), max_size=60), some.booleans())
def test_bytes_may_be_split_anywhere(end: str, cuts: list[int], done: bool) -> None:
    comment = f": keep-alive 押金{end}{end}".encode()
    body = comment + events(*letters(TEXT), end=end, done=done)
    places = sorted({0, len(body), *(cut % len(body) for cut in cuts)})
    found, completion = read([body[a:b] for a, b in pairwise(places)])
    assert "".join(found) == completion.text == TEXT
    assert (completion.finish, completion.tokens_in, completion.tokens_out) == ("stop", 10, 7)


def test_every_byte_may_come_alone() -> None:
    for end in ("\n", "\r\n", "\r"):
        body = b"\xef\xbb\xbf" + events(*letters(TEXT), end=end)
        assert read([bytes([byte]) for byte in body])[1].text == TEXT


def test_events_are_what_the_standard_says() -> None:
    body = (
        b": comment\n\ndata: one\ndata:two\ndata\nid: 4\nretry: 10\n\nevent: error\ndata: x\n\nevent: lost\n\n"
        b"data:  spaced\n\nother: y\n\n\ndata: unfinished"
    )
    assert list(read_events([body])) == [
        Event("one\ntwo\n"), Event("x", "error"), Event(" spaced"), Event("unfinished")
    ]  # fmt: skip


def test_one_event_may_have_its_data_on_several_lines() -> None:
    whole = json.dumps(chunk("rent"), indent=1)
    body = "\n".join(f"data: {line}" for line in whole.split("\n")) + "\n\n"
    assert read(body.encode() + events(chunk(finish="stop")))[1].text == "rent"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (events(chunk("rent"), chunk(finish="stop"), done=False), "rent"),
        (events(chunk("rent")), "rent"),
        (events(chunk("re"), chunk("nt", finish="stop"), chunk("rent", finish="stop"), chunk("rent")), "rent"),
        (events(USAGE, chunk("rent"), {"choices": None}, chunk(finish="stop"), USAGE), "rent"),
        (events(chunk("<thi"), chunk("nk>long\n</thi"), chunk("nk>\n\n"), chunk(" rent"), chunk(finish="stop")), "rent"),
        (events(chunk("<t"), chunk("d>"), chunk(finish="stop")), "<td>"),
        (events(chunk("<th"), chunk(finish="stop")), "<th"),
        (events(chunk(reasoning_content="hm"), chunk("rent"), chunk(finish="stop")), "rent"),
        (b'data: {"choices":[{"delta":{"content":"\\ud83c"}}]}\n\n' + b'data: {"choices":[{"delta":{"content":"\\udfe0"}}]}\n\ndata: [DONE]\n\n', "\U0001f3e0"),
    ],
)  # fmt: skip
def test_answers_that_end_well(body: bytes, expected: str) -> None:
    found, completion = read(body)
    assert completion.failure is None
    assert "".join(found) == completion.text == expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (events(chunk("rent"), chunk(" is"), done=False), "garbage"),
        (events(chunk("rent"), done=False)[:-9], "garbage"),
        (b"", "garbage"),
        (b"<html>sign in</html>", "garbage"),
        (events(chunk("rent"), "data: {not json}"), "garbage"),
        (events(chunk("rent")).replace(b"rent", b"\xff\xfe"), "garbage"),
        (events(chunk("rent"), {"error": {"message": "out of memory", "code": 500}}), "server"),
        (events(chunk("rent"), 'event: error\ndata: {"message": "gone"}'), "server"),
        (events({"error": {"message": "slow down", "code": 429}}), "rate_limit"),
        (events(chunk("re"), chunk(finish="content_filter")), "content_filter"),
        (events(chunk(refusal="no"), chunk(finish="stop")), "content_filter"),
        (events(chunk("re"), chunk(finish="error")), "server"),
        (events(chunk(tool_calls=[{"index": 0}]), chunk(finish="tool_calls")), "garbage"),
        (events(chunk(""), chunk(finish="stop")), "empty"),
        (events(chunk("<think>only this"), chunk(finish="length")), "empty"),
    ],
)
def test_answers_that_end_badly(body: bytes, kind: str) -> None:
    _, completion = read(body)
    assert completion.failure is not None
    assert completion.failure.kind == kind
    assert completion.text == ""


def streamed(*bodies: bytes) -> Say:
    headers = {"content-type": "text/event-stream", "content-length": str(sum(map(len, bodies)))}
    return Say(bodies, headers=headers)


def told(model: OpenAIModel, **fields: Any) -> tuple[list[str], Completion]:
    *pieces, last = stream(model, ask(**fields))
    assert last.completion is not None
    return [piece.text for piece in pieces], last.completion


def test_an_answer_comes_in_pieces_and_is_priced(serve: Serve, connect: Connect) -> None:
    endpoint = serve(streamed(*(events(data, done=False) for data in letters("rent")), b"data: [DONE]\n\n"))
    model = connect(endpoint, prices={"input": 1e6, "output": 1e6})
    pieces, completion = told(model, stop=("\n",), top_p=0.5, temperature=0.3)
    assert pieces == list("rent")
    assert (completion.text, completion.money, completion.served_by) == ("rent", 17.0, "m1")
    assert completion.seconds > 0
    body = endpoint.bodies[0]
    assert (body["stream"], body["stop"], body["top_p"]) == (True, ["\n"], 0.5)
    assert body["stream_options"] == {"include_usage": True}


def test_stop_and_top_p_are_sent_only_where_they_say_something(serve: Serve, connect: Connect) -> None:
    endpoint = serve(say(answer("yes")))
    connect(endpoint).generate([ask()])
    assert not {"stop", "top_p", "stream_options"} & set(endpoint.bodies[0])
    connect(endpoint).generate([ask(stop=("a", "b"), top_p=0.1)])
    assert (endpoint.bodies[1]["stop"], endpoint.bodies[1]["top_p"]) == (["a", "b"], 0.1)


def test_an_endpoint_that_does_not_stream_answers_in_one_piece(serve: Serve, connect: Connect) -> None:
    pieces, completion = told(connect(serve(say(answer("yes")))))
    assert pieces == ["yes"]
    assert completion.text == "yes"


def test_it_is_asked_again_before_the_first_piece_and_never_after(serve: Serve, connect: Connect) -> None:
    good = streamed(events(*letters("rent")))
    endpoint = serve([refuse(503), good])
    assert told(connect(endpoint))[1].text == "rent"
    assert endpoint.asked == 2
    broken = serve([streamed(events(chunk("re"), done=False)), good])
    pieces, completion = told(connect(broken))
    assert pieces == ["re"]
    assert completion.failure is not None
    assert completion.failure.kind == "garbage"
    assert broken.asked == 1


def test_a_refused_key_stops_and_so_does_an_outage(serve: Serve, connect: Connect) -> None:
    with pytest.raises(BackendError) as caught:
        told(connect(serve(refuse(401))))
    assert caught.value.code == "E3103"
    model = connect(serve(refuse(500)), pacing={"outage_after": 2})
    assert told(model)[1].failure is not None
    with pytest.raises(BackendError) as caught:
        told(model)
    assert caught.value.code == "E3102"


def test_a_stall_in_the_middle_is_a_timeout(serve: Serve, connect: Connect) -> None:
    headers = {"content-type": "text/event-stream", "content-length": "9999"}
    endpoint = serve(Say([events(chunk("re"), done=False)], headers=headers, then="stall"))
    pieces, completion = told(connect(endpoint, deadlines={"idle": 0.6}))
    assert pieces == ["re"]
    assert completion.failure is not None
    assert completion.failure.kind == "timeout"


@pytest.mark.parametrize("leave", ["cancelled", "closed"])
def test_a_caller_who_goes_away_is_heard_before_the_endpoint_is(serve: Serve, connect: Connect, leave: str) -> None:
    headers = {"content-type": "text/event-stream", "content-length": "99999"}
    endpoint = serve(Say([events(chunk("re"), done=False)], headers=headers, then="stall"))
    gone: list[bool] = []
    running: Iterator[Any] = connect(endpoint).stream(ask(), lambda: bool(gone))
    assert next(running).text == "re"
    started = time.monotonic()
    if leave == "closed":
        running.close()  # type: ignore[attr-defined]
    else:
        gone.append(True)
        (last,) = running
        assert (last.completion.finish, last.completion.text) == ("cancelled", "re")
    assert time.monotonic() - started < 15
