"""Nobody comes in without a key, whatever they call themselves and whichever way they knock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from live_server import LiveServer, Reply, hosted_of

from rung.core.errors import BackendError
from rung.models.fake import FakeModel
from rung.serving import door
from rung.serving.app import PATHS
from rung.serving.door import PUBLIC
from rung.store.traffic.database import Traffic
from rung.store.traffic.records import Key

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_SLOWED", 0.0)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    with Traffic.open(tmp_path_factory.mktemp("door") / "traffic.sqlite") as found:
        yield found


@pytest.fixture(scope="module")
def server(traffic: Traffic) -> Iterator[LiveServer]:
    with LiveServer(hosted_of(FakeModel(default="yes")), book=traffic) as running:
        yield running


@pytest.fixture(scope="module")
def secret(traffic: Traffic) -> str:
    return traffic.new_key("good", scopes={"answer"})[1]


WRONG = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer nobody",
    "Bearer ' OR 1=1--",
    "Basic dXNlcjpwYXNz",
    "Bearer rung-" + "a" * 43,
    "Bearer " + "x" * 5000,
    "Bearer \u00e9\u00ff",
    "bearer  ",
    "rung-" + "a" * 43,
]


def knock(server: LiveServer, value: str, path: str = "/v1/chat/completions", method: str = "POST") -> Reply:
    headers = {"authorization": value.encode("utf-8").decode("latin-1")} if value else {}
    return server.ask(
        path, CHAT if method in {"POST", "PUT", "DELETE", "PATCH"} else None, method=method, headers=headers
    )


@pytest.mark.parametrize("value", WRONG)
def test_whatever_is_no_key_is_told_the_same(server: LiveServer, value: str) -> None:
    reply = knock(server, value)
    assert reply.status == 401
    assert reply.body == knock(server, "Bearer other").body
    assert reply.headers["www-authenticate"] == "Bearer"


def test_every_route_and_every_method_is_closed_but_for_the_public_list(server: LiveServer) -> None:
    paths = [*sorted(PATHS), "/v1/models/rung"]
    odd = [
        "/",
        "//v1/models",
        "/v1/../admin",
        "/v1/%2e%2e/metrics",
        "/v1/models/",
        "/docs",
        "/openapi.json",
        "/health/",
        "/v1",
    ]
    for path in paths + odd:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"):
            reply = server.ask(path, method=method)
            if (method, path) in PUBLIC:
                assert reply.status == 200
            else:
                assert reply.status == 401, (method, path)


def test_a_key_opens_its_routes_and_odd_paths_are_nothing(server: LiveServer, secret: str) -> None:
    assert server.chat(key=secret).status == 200
    assert server.ask("/v1/models", method="GET", key=secret).status == 200
    for path in ("//v1/models", "/v1/../v1/models", "/v1/models/../models", "/v1/models/rung/", "/admin", "/docs"):
        assert server.ask(path, method="GET", key=secret).status == 404, path
    for method in ("GET", "DELETE", "HEAD", "OPTIONS", "PUT"):
        reply = server.ask("/v1/chat/completions", method=method, key=secret)
        assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_a_scope_too_low_is_a_403(server: LiveServer, traffic: Traffic, secret: str) -> None:
    assert server.ask("/metrics", method="GET", key=secret).status == 403
    assert server.ask("/v1/feedback", {"id": "rq-1", "rating": 1}, key=secret).status == 403
    reader = traffic.new_key("reader", scopes={"metrics"})[1]
    assert server.ask("/metrics", method="GET", key=reader).status == 200
    for path in ("chat/completions", "completions", "responses", "embeddings"):
        assert server.ask(f"/v1/{path}", CHAT, key=reader).status == 403


def test_revoked_and_expired_keys_are_told_what_an_unknown_one_is(server: LiveServer, traffic: Traffic) -> None:
    key, gone = traffic.new_key("gone")
    traffic.revoke_key(key.id)
    soon, short = traffic.new_key("short", expires=datetime.now(UTC) + timedelta(seconds=0.3))
    time.sleep(0.4)
    unknown = server.chat(key="rung-" + "b" * 43)
    for secret in (gone, short):
        reply = server.chat(key=secret)
        assert (reply.status, reply.body) == (401, unknown.body)
    assert soon.expires is not None


def test_a_key_that_is_revoked_while_it_is_used_is_out_within_seconds(server: LiveServer, traffic: Traffic) -> None:
    key, secret = traffic.new_key("leaving")
    assert server.chat(key=secret).status == 200
    traffic.revoke_key(key.id)
    until = time.monotonic() + 5
    while server.chat(key=secret).status == 200 and time.monotonic() < until:
        time.sleep(0.1)
    assert server.chat(key=secret).status == 401


def test_headers_that_claim_something_change_nothing(server: LiveServer) -> None:
    claims = {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-host": "localhost",
        "forwarded": "for=127.0.0.1",
        "x-original-url": "/health",
        "x-rewrite-url": "/health",
        "x-real-ip": "127.0.0.1",
        "host": "a/?x=",
    }
    assert server.ask("/v1/models", method="GET", headers=claims).status == 401


def test_two_authorization_headers_are_none(server: LiveServer, secret: str) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.putrequest("GET", "/v1/models")
    connection.putheader("authorization", f"Bearer {secret}")
    connection.putheader("authorization", "Bearer other")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_a_head_of_a_megabyte_is_cut(server: LiveServer) -> None:
    try:
        reply = server.ask("/v1/models", method="GET", headers={"authorization": "Bearer " + "x" * 1_000_000})
    except (ConnectionError, OSError):
        return
    assert reply.status in {400, 401, 431}


def test_guessing_grows_slow_for_the_guesser_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_SLOWED", 0.2)
    looked: list[str] = []

    def find(secret: str) -> Key | None:
        looked.append(secret)
        return door.ANYBODY if secret == "right" else None

    book = door.KeyBook(find)

    async def seconds_of(secret: str, address: str) -> float:
        started = time.perf_counter()
        await book.key_of(secret, address)
        return time.perf_counter() - started

    async def guess() -> list[float]:
        for n in range(29):
            await book.key_of(f"wrong {n}", "a")
        return [await seconds_of("wrong", "a"), await seconds_of("right", "a"), await seconds_of("wrong", "b")]

    guesser, owner, other = asyncio.run(guess())
    assert guesser >= 0.2
    assert max(owner, other) < 0.2
    # What was found is not looked up again at once; what was not found is.
    asyncio.run(book.key_of("right", "a"))  # type: ignore[arg-type]
    assert looked.count("right") == 1


def test_a_database_that_is_away_is_a_503_and_not_a_door_that_stands_open() -> None:
    class Away:
        def find_key(self, secret: str) -> Key | None:
            raise BackendError("E7052", place="postgresql://db", reason="secret host is away")

        def spent(self, key: str, since: datetime) -> int:
            raise BackendError("E7052", place="postgresql://db", reason="secret host is away")

    with LiveServer(hosted_of(FakeModel(default="yes")), book=Away()) as server:
        reply = server.chat(key="rung-" + "a" * 43)
        assert (reply.status, reply.error["code"]) == (503, "unavailable")
        assert b"secret" not in reply.body


def test_what_breaks_in_the_door_itself_is_told_in_the_same_form() -> None:
    class Broken:
        def find_key(self, secret: str) -> Key | None:
            raise ValueError("secret host")

        def spent(self, key: str, since: datetime) -> int:
            raise ValueError("secret host")

    with LiveServer(hosted_of(FakeModel(default="yes")), book=Broken()) as server:
        reply = server.chat(key="rung-" + "a" * 43)
        assert reply.status == 500
        assert reply.error["code"]
        assert b"secret" not in reply.body
        assert reply.headers["x-request-id"]
