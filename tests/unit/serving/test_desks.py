"""A server that follows a deployment: promotion while questions come, a shadow that is never seen, a candidate that cannot answer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from live_server import LiveServer, Reply, hosted_of, until

from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.durable import write_json
from rung.core.errors import BackendError
from rung.core.model import ModelRef, Request
from rung.core.task import Example
from rung.models.fake import FakeModel
from rung.serving.desks import RoutedDesk
from rung.serving.hosting import Hosted
from rung.serving.router import Router
from rung.serving.service import OneDesk
from rung.store.deployment import Deployment
from rung.store.records import Decision, Text
from rung.store.runs import RunFolder


def make_run(path: Path, *answers: str) -> list[str]:
    """A run with a candidate for every answer; an empty one cannot answer. The first has won."""
    run, names = RunFolder(path), []
    for text in answers:
        options = {"choices": True, "context_tokens": 0, "default": text} if text else {}
        candidate = Candidate(
            method="prompt",
            model=ModelRef(kind="fake", id=f"m-{text}", options=options),
            prompt=PromptSlot(instruction=text, fields=("question",)),
            output=OutputSlot(),
        )
        write_json(run.candidate_folder(candidate.id) / "candidate.json", candidate.model_dump(mode="json"))
        names.append(candidate.id)
    run.write_run({"id": path.name})
    run.write_examples({"test": [Example("q1", {"question": "may I?"}, ("yes",))]})
    decision = Decision(
        mode="compare", verdict="winner", winner=names[0], metric="accuracy", margin=0.02, draws=1, seed=0, n=1, groups=1,
        standings=(), reason=Text(en="", zh=""),
    )  # fmt: skip
    run.write_decision(decision)
    return names


def text_of(reply: Reply) -> str:
    return str(reply.json["choices"][0]["message"]["content"])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Router.__init__, "__kwdefaults__", {"poll": 0.05, "linger": 0.2})


def test_a_promotion_under_load_loses_no_answer_and_a_rollback_is_one_step(tmp_path: Path) -> None:
    _, better, broken = make_run(tmp_path / "run", "old", "new", "")
    deployment = Deployment.at(tmp_path / "run")
    desk = RoutedDesk(deployment)
    with LiveServer(desk.champion, desk=desk) as server:
        replies: list[Reply] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                replies.append(server.chat())

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        deployment.promote(tmp_path / "run", better)
        assert desk.router.settle(10)
        deployment.promote(tmp_path / "run", broken)
        assert desk.router.settle(10)
        after = [text_of(server.chat()) for _ in range(5)]
        stop.set()
        for thread in threads:
            thread.join(10)
        assert {reply.status for reply in replies} == {200}
        assert {text_of(reply) for reply in replies} <= {"old", "new"}
        assert after == ["new"] * 5
        assert desk.router.refused is not None
        deployment.rollback()
        deployment.rollback()
        assert desk.router.settle(10)
        assert text_of(server.chat()) == "old"


def test_a_shadow_answers_the_same_unseen_and_its_trace_names_its_parent(tmp_path: Path) -> None:
    _, other = make_run(tmp_path / "run", "old", "new")
    deployment = Deployment.at(tmp_path / "run")
    deployment.start_challenger(tmp_path / "run", other, "shadow", share=1.0)
    desk = RoutedDesk(deployment)
    assert desk.router.settle(10)
    with LiveServer(desk.champion, desk=desk) as server:
        reply = server.chat()
        assert text_of(reply) == "old"
        traces = {trace.role: trace for trace in server.kept.wait(2)}
        assert traces["champion"].answer == "old"
        assert (traces["shadow"].answer, traces["shadow"].parent) == ("new", reply.json["id"])
        deployment.start_challenger(tmp_path / "run", other, "canary", share=1.0)
        assert desk.router.settle(10)
        assert text_of(server.chat()) == "new"
        assert server.kept.wait(3)[-1].role == "challenger"


class Beside(OneDesk):
    """A champion, and a shadow for every answer."""

    def __init__(self, champion: Hosted, other: Hosted) -> None:
        super().__init__(champion)
        self.other = other

    def shadow(self, request: str, session: str = "") -> Hosted:
        return self.other

    def close(self, seconds: float) -> bool:
        return super().close(seconds) and self.other.close(seconds)


def test_a_shadow_waits_until_the_answer_is_out_and_the_champion_is_free_and_beyond_its_queue_is_dropped() -> None:
    gate, later = threading.Event(), threading.Event()
    order: list[str] = []

    def champion(request: Request) -> str:
        text = request.messages[-1].text
        if "slow" in text:
            gate.wait(20)
        order.append("champion")
        return "yes"

    def shadow(request: Request) -> str:
        order.append("shadow")
        later.wait(20)
        return "no"

    hosted = hosted_of(FakeModel(champion))
    other = hosted_of(FakeModel(shadow), waiting=3)
    with LiveServer(hosted, desk=Beside(hosted, other)) as server:
        held = threading.Thread(target=server.chat, args=("slow",))
        held.start()
        assert until(lambda: hosted.engine.running == 1)
        held_too = [threading.Thread(target=server.chat, args=(f"quick {n}",)) for n in range(5)]
        for thread in held_too:
            thread.start()
        assert until(lambda: hosted.engine.waiting == 5)
        gate.set()
        for thread in (held, *held_too):
            thread.join(20)
        assert order[:6] == ["champion"] * 6, "the shadows stood behind every question that waited"
        dropped = server.service.gauges.refused.labels("shadow_full")._value
        assert until(lambda: dropped.get() + other.engine.waiting + other.engine.running == 6)
        # One may have been taken before the last ones came; three wait.
        assert dropped.get() in {2, 3}
        later.set()
        traces = server.kept.wait(12 - int(dropped.get()))
        shadows = [trace for trace in traces if trace.role == "shadow"]
        assert len(shadows) == 6 - dropped.get()
        assert {trace.parent for trace in shadows} < {trace.id for trace in traces}


def test_a_champion_that_cannot_answer_is_not_served_at_all(tmp_path: Path) -> None:
    make_run(tmp_path / "run", "")
    with pytest.raises(BackendError) as refused:
        RoutedDesk(Deployment.at(tmp_path / "run"))
    assert refused.value.code == "E7007"
