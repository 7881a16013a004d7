"""Who answers: sticky shares, a shadow, and changes of the pointers while requests go on."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from served_runs import make_run

from rung.serving.router import Handling, Router
from rung.store.deployment import Deployment, Pointer


@dataclass
class Thing:
    """A candidate brought to life."""

    name: str
    busy: int = 0
    closed: bool = False


@dataclass
class Stage:
    """Opens things; those named in `broken` do not warm up."""

    broken: set[str] = field(default_factory=set)
    things: list[Thing] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def open(self, pointer: Pointer) -> Thing:
        self.gate.wait(5)
        self.things.append(Thing(pointer.candidate))
        return self.things[-1]

    def warm(self, thing: Thing, pointer: Pointer) -> None:
        if thing.name in self.broken:
            raise ValueError("it says nothing")

    def close(self, thing: Thing) -> None:
        thing.closed = True

    def router(self, deployment: Deployment, **more: float) -> Router[Thing]:
        handling = Handling(self.open, self.warm, lambda thing: not thing.busy, self.close)
        return Router(deployment, handling, poll=0.0, linger=more.get("linger", 0.0))


def until(true: object, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def test_a_canary_answers_its_share_and_a_session_stays_where_it_is(tmp_path: Path) -> None:
    old, (first, second) = make_run(tmp_path / "one", "a", "b")
    deployment = Deployment.at(old)
    deployment.start_challenger(old, second, "canary", share=0.2)
    router = Stage().router(deployment)
    assert router.settle()
    roles = [router.pick(f"rq-{n}").role for n in range(2000)]
    assert 0.16 < roles.count("challenger") / len(roles) < 0.24
    assert [router.pick(f"rq-{n}").role for n in range(2000)] == roles
    for session in ("s1", "s2", "s3", "s4"):
        assert len({router.pick(f"rq-{n}", session).candidate for n in range(30)}) == 1
    assert router.shadow("rq-1") is None
    assert {router.pick(f"rq-{n}").candidate for n in range(50)} == {first, second}


def test_a_shadow_is_never_who_answers(tmp_path: Path) -> None:
    old, (first, second) = make_run(tmp_path / "one", "a", "b")
    deployment = Deployment.at(old)
    deployment.start_challenger(old, second, "shadow", share=1.0)
    router = Stage().router(deployment)
    assert router.settle()
    assert {router.pick(f"rq-{n}").candidate for n in range(50)} == {first}
    shadow = router.shadow("rq-1")
    assert shadow is not None
    assert (shadow.candidate, shadow.role) == (second, "shadow")
    deployment.stop_challenger()
    assert router.settle()
    assert router.shadow("rq-1") is None


def test_requests_go_on_while_a_new_champion_is_brought_up_and_the_old_one_ends_in_order(tmp_path: Path) -> None:
    old, (first, second) = make_run(tmp_path / "one", "a", "b")
    deployment, stage = Deployment.at(old), Stage()
    router = stage.router(deployment)
    served = router.pick("rq-1")
    served.opened.busy = 1
    stage.gate.clear()
    deployment.promote(old, second)
    assert {router.pick(f"rq-{n}").candidate for n in range(20)} == {first}
    assert router.state()["changing"]
    stage.gate.set()
    assert until(lambda: router.pick("rq-2").candidate == second)
    time.sleep(0.1)
    assert not served.opened.closed, "its last request is not done"
    served.opened.busy = 0
    assert until(lambda: served.opened.closed)
    assert not router.champion.closed


def test_a_bad_new_model_does_not_take_over_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old, (first, second, third) = make_run(tmp_path / "one", "a", "b", "c")
    deployment, stage = Deployment.at(old), Stage(broken={second})
    router = stage.router(deployment)
    deployment.promote(old, second)
    assert router.settle()
    assert router.pick("rq-1").candidate == first
    assert router.state()["refused"] == {"name": f"one/{second}", "reason": "ValueError: it says nothing"}
    assert stage.things[-1].closed, "what does not warm up is let go"
    assert "does not take over" in caplog.text
    assert deployment.history()[-1]["what"] == "refused"
    before = len(stage.things)
    assert router.settle()
    assert len(stage.things) == before, "the same candidate is not tried again and again"
    deployment.promote(old, third)
    assert router.settle()
    assert router.pick("rq-1").candidate == third
    assert router.state()["refused"] is None


def test_a_bad_challenger_leaves_the_champion_alone(tmp_path: Path) -> None:
    old, (first, second) = make_run(tmp_path / "one", "a", "b")
    deployment = Deployment.at(old)
    router = Stage(broken={second}).router(deployment)
    deployment.start_challenger(old, second, "canary", share=1.0)
    assert router.settle()
    assert {router.pick(f"rq-{n}").candidate for n in range(20)} == {first}


def test_a_challenger_that_is_promoted_is_not_opened_again(tmp_path: Path) -> None:
    old, (_, second) = make_run(tmp_path / "one", "a", "b")
    deployment, stage = Deployment.at(old), Stage()
    deployment.start_challenger(old, second, "canary", share=0.5)
    router = stage.router(deployment)
    assert router.settle()
    deployment.promote(old, second)
    assert router.settle()
    assert router.champion.name == second
    assert len(stage.things) == 2


def test_champion_and_challenger_may_change_places_without_being_opened_again(tmp_path: Path) -> None:
    old, (first, second) = make_run(tmp_path / "one", "a", "b")
    deployment, stage = Deployment.at(old), Stage()
    deployment.start_challenger(old, second, "canary", share=0.5)
    router = stage.router(deployment)
    assert router.settle()
    deployment.promote(old, second)
    deployment.start_challenger(old, first, "shadow", share=1.0)
    assert router.settle()
    assert router.champion.name == second
    shadow = router.shadow("rq-1")
    assert shadow is not None
    assert shadow.candidate == first
    time.sleep(0.1)
    assert not shadow.opened.closed
    assert not router.champion.closed


def test_a_damaged_pointer_changes_nothing(tmp_path: Path) -> None:
    old, (_, second) = make_run(tmp_path / "one", "a", "b")
    deployment = Deployment.at(old)
    router = Stage().router(deployment)
    deployment.promote(old, second)
    assert router.settle()
    (deployment.folder / "champion.json").write_text("{", "utf-8")
    assert router.settle()
    assert router.pick("rq-1").candidate == second
    assert router.state()["refused"] is not None


def test_many_threads_pick_while_the_pointers_change(tmp_path: Path) -> None:
    old, names = make_run(tmp_path / "one", "a", "b")
    deployment, stage = Deployment.at(old), Stage()
    router = stage.router(deployment, linger=0.2)
    wrong: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            try:
                served = router.pick(f"rq-{n}")
                if served.opened.closed or served.opened.name != served.candidate:
                    wrong.append(f"{served.candidate} was closed")
            except Exception as error:
                wrong.append(repr(error))
            time.sleep(0.001)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(6):
        deployment.promote(old, names[(n + 1) % 2])
        assert router.settle()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert router.close()
