"""Callers who leave, who read slowly, who send slowly: the engine stops for them, and nobody else waits."""

from __future__ import annotations

import json
import socket
import threading
import time

from live_server import LiveServer, SlowModel, connect, hosted_of, one_reply, question, until

from rung.core.model import Request
from rung.serving.service import Settings

WORDS = " ".join(["word"] * 400)


def test_whoever_leaves_stops_the_engine_before_and_in_the_answer() -> None:
    model = SlowModel(default=WORDS, pause=0.1)
    with LiveServer(hosted_of(model, max_tokens=64)) as server:
        for streamed in (False, True):
            stopped = model.stopped
            with connect(server) as connection:
                connection.sendall(question(stream=streamed))
                if streamed:
                    assert b"200" in connection.recv(4096)
                else:
                    assert until(lambda: bool(server.hosted.engine.running))
                    time.sleep(0.3)
            assert server.settle()
            assert model.stopped == stopped + 1
        whole, streamed_trace = server.kept.wait(2)
        assert whole.cancelled
        assert streamed_trace.cancelled
        assert streamed_trace.tokens_out > 0
        assert streamed_trace.status == 499


def test_a_hundred_who_leave_at_once_leave_nothing_behind() -> None:
    model = SlowModel(default=WORDS, pause=0.02)
    with LiveServer(hosted_of(model, max_tokens=64), settings=Settings(at_once=500, grace=2)) as server:
        connections = [connect(server) for _ in range(100)]
        for connection in connections:
            connection.sendall(question(stream=True))
        assert until(lambda: server.service.calls == 100)
        for connection in connections:
            connection.close()
        assert server.settle()
        assert len(server.kept.wait(100)) == 100
        model.pause = 0
        assert server.chat().status == 200


def test_an_answer_that_takes_too_long_is_cut_and_said() -> None:
    model = SlowModel(default=WORDS, pause=0.05)
    with LiveServer(hosted_of(model, max_tokens=64), settings=Settings(seconds=0.4, grace=2)) as server:
        reply = server.chat()
        assert reply.status == 504
        assert reply.error["code"] == "timeout"
        streamed = server.chat(stream=True)
        assert streamed.status == 200
        last = streamed.body.strip().split(b"\n\n")[-1]
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "timeout"
        assert b"[DONE]" not in streamed.body
        assert server.settle()
        assert [trace.failure for trace in server.kept.wait(2)] == ["timeout", "timeout"]


def test_slow_heads_and_slow_bodies_are_dropped_while_others_are_served() -> None:
    settings = Settings(head_seconds=2, body_seconds=2, idle_seconds=2, grace=2)
    with LiveServer(hosted_of(SlowModel(default="yes")), settings=settings) as server:
        loris = [connect(server) for _ in range(100)]
        for n, connection in enumerate(loris):
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" if n % 2 else question()[:-5])
        started = time.monotonic()
        assert server.chat().status == 200
        said = []
        for connection in loris:
            try:
                said.append(connection.recv(4096))
            except ConnectionError:
                said.append(b"")
            connection.close()
        assert time.monotonic() - started < 20
        assert sum(b" 408 " in answer for answer in said) == 50
        assert said.count(b"") == 50


def test_a_connection_that_says_nothing_is_dropped() -> None:
    with LiveServer(hosted_of(SlowModel(default="yes")), settings=Settings(head_seconds=0.3, grace=2)) as server:
        with connect(server) as connection:
            assert connection.recv(10) == b""
        # One that was used before has its own time between requests.
        with connect(server) as connection:
            connection.sendall(question())
            assert b" 200 " in one_reply(connection)
            connection.sendall(b"POST /v1/")
            assert connection.recv(10) == b""


def test_a_reader_who_does_not_read_is_cut_and_takes_no_engine() -> None:
    def long(request: Request) -> str:
        return "x" * 40_000_000 if request.query == "long" else "short"

    settings = Settings(send_seconds=0.5, grace=2)
    with LiveServer(hosted_of(SlowModel(long)), settings=settings) as server, connect(server) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.sendall(question("long"))
        reader.recv(100)
        assert server.chat().status == 200
        assert server.settle()
        assert until(lambda: not server.server.server_state.connections)


def test_many_connections_are_bounded() -> None:
    with LiveServer(hosted_of(SlowModel(default="yes")), settings=Settings(connections=20, grace=2)) as server:
        held = [connect(server) for _ in range(20)]
        assert until(lambda: len(server.server.server_state.connections) == 20)
        with connect(server) as late:
            assert b" 503 " in late.recv(4096)
        for connection in held:
            connection.close()
        assert until(lambda: not server.server.server_state.connections)
        assert server.chat().status == 200


def test_a_lone_question_between_many_slow_streams_is_not_forgotten() -> None:
    model = SlowModel(default="a b c", pause=0.02)
    with LiveServer(hosted_of(model, max_tokens=64)) as server:
        done: list[int] = []
        threads = [threading.Thread(target=lambda: done.append(server.chat(stream=True).status)) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert server.chat().status == 200
        for thread in threads:
            thread.join(10)
        assert done == [200] * 8
