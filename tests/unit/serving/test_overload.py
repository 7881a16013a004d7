"""More questions than an engine can answer, and keys that ask too much: told when to come back, and nobody starves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from live_server import LiveServer, Reply, SlowModel, hosted_of, until

from rung.core.model import Completion, Request
from rung.models.fake import FakeModel
from rung.serving.limits import Limits
from rung.serving.refusals import Refusal
from rung.serving.service import Settings
from rung.store.traffic.database import Traffic
from rung.store.traffic.records import Key


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[Traffic]:
    with Traffic.open(tmp_path / "traffic.sqlite") as found:
        yield found


def at_once(server: LiveServer, keys: list[str], found: list[Reply]) -> list[Reply]:
    threads = [threading.Thread(target=lambda key=key: found.append(server.chat(key=key))) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return found


def test_beyond_the_queue_is_503_with_a_time_and_then_all_is_well_again() -> None:
    model = SlowModel(default="yes", pause=0.3)
    hosted = hosted_of(model, choices=("yes", "no"), constrain=True, waiting=10)
    with LiveServer(hosted, settings=Settings(at_once=1000, grace=2)) as server:
        found = at_once(server, [""] * 60, [])
        turned_away = [reply for reply in found if reply.status == 503]
        assert {reply.status for reply in found} == {200, 503}
        assert len(turned_away) > 10
        for reply in turned_away:
            assert reply.error["code"] == "overloaded"
            assert 1 <= int(reply.headers["retry-after"]) <= 120
        assert server.settle(5)
        assert server.chat().status == 200


def test_a_key_that_floods_is_told_so_and_the_other_is_served(traffic: Traffic) -> None:
    opened = threading.Event()

    def held(request: Request) -> str:
        opened.wait(20)
        return "yes"

    model = SlowModel(held)
    flood = traffic.new_key("flood")[1]
    quiets_key, quiet = traffic.new_key("quiet")
    hosted = hosted_of(model, choices=("yes", "no"), constrain=True, batch=1)
    with LiveServer(hosted, book=traffic, settings=Settings(at_once=8, grace=2)) as server:
        replies: list[Reply] = []
        flooding = threading.Thread(target=at_once, args=(server, [flood] * 30, replies))
        flooding.start()
        # One answer under way, seven waiting, the others turned away.
        assert until(lambda: hosted.engine.waiting == 7 and len(replies) == 22)
        quiets: list[Reply] = []
        asking = threading.Thread(target=at_once, args=(server, [quiet], quiets))
        asking.start()
        assert until(lambda: hosted.engine.waiting == 8)
        opened.set()
        asking.join(20)
        flooding.join(20)
        order = [trace.key for trace in server.kept.wait(9)]
        assert [reply.status for reply in quiets] == [200]
        # Behind the flood's answer under way and its next one, not behind all of them.
        assert order.index(quiets_key.id) <= 2
    refused = [reply for reply in replies if reply.status == 429]
    assert refused
    assert refused[0].error["code"] == "rate_limit_exceeded"
    assert int(refused[0].headers["retry-after"]) >= 1


def test_requests_a_minute_and_tokens_a_day(traffic: Traffic) -> None:
    minute = traffic.new_key("minute", requests_per_minute=2)[1]
    day = traffic.new_key("day", tokens_per_day=15)[1]
    model = FakeModel(default=Completion("yes", tokens_in=6, tokens_out=4))
    with LiveServer(hosted_of(model), book=traffic) as server:
        assert [server.chat(key=minute).status for _ in range(3)] == [200, 200, 429]
        assert [server.chat(key=day).status for _ in range(3)] == [200, 200, 429]
        late = server.chat(key=day)
        assert late.headers["retry-after"] == "120"
        assert server.ask("/v1/models", method="GET", key=day).status == 200


def key(**limits: int | None) -> Key:
    usual: dict[str, int | None] = {"requests_per_minute": None, "tokens_per_day": None}
    return Key("k", "k", "t", frozenset(), None, created=datetime.now(UTC), **{**usual, **limits})


def test_the_minute_slides_and_the_day_is_read_from_the_database() -> None:
    now = [0.0]
    spent = [90]
    limits = Limits(at_once=99, spent=lambda _: spent[0], clock=lambda: now[0])
    by_minute = key(requests_per_minute=1)
    limits.enter(by_minute)
    with pytest.raises(Refusal) as refused:
        limits.enter(by_minute)
    assert refused.value.headers == {"retry-after": "60"}
    now[0] = 60.0
    limits.enter(by_minute)
    by_day = key(tokens_per_day=100)
    assert limits.stale(by_day)
    limits.refresh(by_day)
    assert not limits.stale(by_day)
    limits.enter(by_day)
    limits.spend(by_day, 10)
    with pytest.raises(Refusal):
        limits.enter(by_day)
    now[0], spent[0] = 200.0, 5
    assert limits.stale(by_day)
    limits.refresh(by_day)
    limits.enter(by_day)
