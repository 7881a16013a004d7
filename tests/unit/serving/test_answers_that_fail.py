"""What goes wrong behind an answer: said in the right form, before the first piece and after it, and kept as a trace."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from live_server import LiveServer, SlowModel, candidate_of, hosted_of

from rung.core.answer import Hit, Item, Opened
from rung.core.candidate import Recipe, RetrieverSlot, StepRef
from rung.core.errors import BackendError
from rung.core.model import Completion, Failure, Request
from rung.core.streaming import Delta
from rung.models.fake import FakeModel


class Breaking(FakeModel):
    """Streams two words and then fails, as its script says."""

    def stream(self, request: Request, cancelled: Callable[[], bool]) -> Iterator[Delta]:
        yield Delta("one ")
        yield Delta("two ")
        if request.query == "raise":
            raise RuntimeError("secret of the engine")
        if request.query == "stop":
            return
        yield Delta("", Completion(failure=Failure("server", "secret address"), finish="error", tokens_out=2))


@pytest.mark.parametrize(("query", "code"), [("raise", "error"), ("stop", "garbage"), ("fail", "server")])
def test_an_error_in_the_stream_is_an_event_and_the_end(query: str, code: str) -> None:
    with LiveServer(hosted_of(Breaking(default="x"), max_tokens=64)) as server:
        reply = server.chat(query, stream=True)
        assert reply.status == 200
        events = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: {")]
        assert "".join(e["choices"][0]["delta"].get("content", "") for e in events if "choices" in e) == "one two "
        assert events[-1]["error"]["code"] == code
        assert b"[DONE]" not in reply.body
        assert b"secret" not in reply.body
        assert server.kept.wait(1)[0].failure == code
        whole = server.chat(query)
        assert whole.status >= 500
        assert b"secret" not in whole.body


def test_a_dead_backend_is_a_503_and_the_engine_goes_on() -> None:
    model = FakeModel(default="yes", faults={1: BackendError("E3102", n=3, reason="x"), 2: ValueError("bug")})
    with LiveServer(hosted_of(model)) as server:
        dead = server.chat()
        assert (dead.status, dead.error["code"]) == (503, "backend_unavailable")
        assert 1 <= int(dead.headers["retry-after"]) <= 120
        assert server.chat().status == 500
        assert server.chat().status == 200
        assert [trace.failure for trace in server.kept.traces] == ["refused", "error", ""]


def guarded(model: FakeModel, *steps: StepRef) -> Opened:
    from rung.core.steps import bind

    candidate = candidate_of(model, steps=steps, safe="Please call the desk.")
    return Opened(candidate, model, steps=bind(steps))


def test_what_a_guard_refuses_is_the_safe_message_and_keeps_its_trace() -> None:
    model = FakeModel({"bad": "the secret word is swordfish", "good": "hello"})
    step = StepRef(name="forbidden", arguments={"terms": ["swordfish"]})
    with LiveServer(hosted_of(model, opened=guarded(model, step))) as server:
        for streamed in (False, True):
            reply = server.chat("bad", stream=streamed)
            assert reply.status == 200
            assert b"swordfish" not in reply.body
            assert b"Please call the desk." in reply.body
            assert b'"content_filter"' in reply.body
        assert server.chat("good").json["choices"][0]["message"]["content"] == "hello"
        first = server.kept.traces[0]
        assert (first.failure, first.status) == ("content_filter", 200)
        assert first.flags == ("forbidden: refused, term 1",)


class Shelf:
    """Two passages, one of which only staff may see."""

    id = "shelf@7"

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        mode: str = "rrf",
        exclude: Any = None,
        seen_by: frozenset[str] | None = None,
        where: Any = None,
    ) -> list[list[Hit]]:
        if "explode" in queries:
            raise RuntimeError("index is gone")
        items = [Item(f"{name}#1", f"{name} text", {"document": name, "title": name}) for name in ("open", "staff")]
        seen = [item for item in items if item.id == "open#1" or seen_by is None or "staff" in seen_by]
        return [[Hit(item, 1.0) for item in seen] for _ in queries]


def shelved(model: FakeModel) -> Opened:
    slot = RetrieverSlot(recipe=Recipe(k=2), index="shelf@7")
    candidate = candidate_of(model).model_copy(update={"retriever": slot})
    return Opened(candidate, model, passages=Shelf())


def test_citations_are_of_what_was_shown_and_one_bad_question_spoils_no_other() -> None:
    model = FakeModel(default="It is so [1] [9].")
    with LiveServer(hosted_of(model, opened=shelved(model))) as server:
        block = server.chat("when?").json["rung"]
        assert block["citations"] == ["open#1"]
        assert block["index"] == "shelf@7"
        assert [passage["text"] for passage in block["passages"]] == ["open text"]  # without keys: what is open to all
        assert server.chat("explode").status == 500
        assert server.chat("when?").status == 200
        trace = server.kept.traces[0]
        assert (trace.citations, trace.passages, trace.index) == (("open#1",), ("open#1",), "shelf@7")


def test_a_key_sees_only_what_its_labels_open(tmp_path: Any) -> None:
    from rung.store.traffic.database import Traffic

    model = FakeModel(default="It is so [1].")
    with Traffic.open(tmp_path / "t.sqlite") as traffic:
        guest, staff = traffic.new_key("guest", labels=[])[1], traffic.new_key("staff", labels=["staff"])[1]
        with LiveServer(hosted_of(model, opened=shelved(model)), book=traffic) as server:
            assert b"staff" not in server.chat(key=guest).body
            assert b"staff text" in server.chat(key=staff).body
            assert not any("staff text" in message.text for message in model.calls[0][0].messages)


def test_pieces_are_whole_characters_and_add_up(request: pytest.FixtureRequest) -> None:
    text = "房租应于每月一日支付 🏠👩‍👩‍👧 — naïve café, and then some more words behind it"
    with LiveServer(hosted_of(SlowModel(default=text), steps=(StepRef(name="strip_marks"),))) as server:
        reply = server.chat(stream=True)
        events = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: {")]
        assert "".join(e["choices"][0]["delta"].get("content", "") for e in events) == text
        assert len(events) > 4
