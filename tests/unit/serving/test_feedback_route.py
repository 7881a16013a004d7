"""A person's word on an answer: kept at once, tied to its trace, and never across tenants."""

from __future__ import annotations

from pathlib import Path

from live_server import LiveServer, hosted_of

from rung.models.fake import FakeModel
from rung.store.traffic.database import Traffic
from rung.store.traffic.writer import TraceWriter


def test_feedback_right_after_the_answer_is_kept_and_another_tenants_is_unknown(tmp_path: Path) -> None:
    with Traffic.open(tmp_path / "traffic.sqlite") as traffic:
        ours = traffic.new_key("ours", tenant="a")[1]
        theirs = traffic.new_key("theirs", tenant="b")[1]
        writer = TraceWriter(traffic)
        with LiveServer(hosted_of(FakeModel(default="yes")), book=traffic, traces=writer) as server:
            answered = server.chat("may I?", key=ours, rung={"consent": True})
            number = answered.json["id"]
            body = {"id": number, "thumbs": "down", "corrected": "no", "comment": "wrong", "consent": True}
            kept = server.ask("/v1/feedback", body, key=ours)
            assert kept.status == 201
            stranger = server.ask("/v1/feedback", body, key=theirs)
            unknown = server.ask("/v1/feedback", {**body, "id": "rq-" + "0" * 26}, key=theirs)
            assert (stranger.status, stranger.body) == (404, unknown.body)
            for wrong in (
                {"id": number},
                {"id": number, "rating": 5},
                {"id": number, "thumbs": "sideways"},
                {"rating": 1},
            ):
                assert server.ask("/v1/feedback", wrong, key=ours).status == 400
        writer.close()
        (said,) = traffic.feedback()
        assert (said.trace, said.rating, said.corrected, said.tenant, said.consent) == (number, -1, "no", "a", True)
        trace = traffic.trace(number, "a")
        assert trace is not None
        assert (trace.answer, trace.inputs, trace.consent) == ("yes", {"question": "may I?"}, True)
        assert trace.prompt_hash
        assert traffic.trace(number, "b") is None
