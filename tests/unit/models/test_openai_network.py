"""The network at its worst: deadlines, dropped connections, broken and oversized answers (F01, F04)."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from typing import Any

import pytest
from fake_endpoint import Say, answer, ask, refuse, say

from rung.core.errors import BackendError
from rung.models import endpoint as endpoint_module
from rung.models.endpoint import chat_url, is_loopback, proxy_of
from rung.models.openai_api import OpenAIModel

GOOD = say(answer())
BIG = b'{"choices": [{"message": {"content": "' + b"x" * 3_000_000 + b'"}}]}'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BIG), BIG)


def one(model: OpenAIModel) -> Any:
    return model.generate([ask()])[0]


@pytest.mark.parametrize(
    ("reaction", "said"),
    [
        ("stall", "first-byte deadline"),
        (Say([b"HTTP/1.1 200 OK\r\n"], raw=True, then="stall"), "idle deadline"),
        (Say([b'{"choices"'], length=99, then="stall"), "idle deadline"),
        (Say([b" "] * 200, length=200, pause=0.05), "total deadline"),
        (Say([b"H"] * 200, raw=True, pause=0.05), "total deadline"),
    ],
    ids=["first byte never", "stall in the head", "stall in the body", "drip in the body", "drip in the head"],
)
def test_every_deadline_is_kept_and_named(serve: Any, connect: Any, reaction: Any, said: str) -> None:
    endpoint = serve(reaction)
    deadlines = {"total": 0.4} if said.startswith("total") else {"first_byte": 0.2, "idle": 0.2}
    started = time.monotonic()
    completion = one(connect(endpoint, deadlines=deadlines))
    assert time.monotonic() - started < 8
    assert completion.failure.kind == "timeout"
    assert said in completion.failure.message
    assert completion.seconds > 0.1
    assert endpoint.asked == 1, "a question that may be under way is not asked, and paid for, again"


def test_a_connection_that_hangs_passes_the_connect_deadline(connect: Any, sleeps: Any) -> None:
    # A listener whose queue is full leaves further connections hanging.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        with socket.create_connection(place), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(place)
            completion = one(connect(f"http://127.0.0.1:{place[1]}", deadlines={"connect": 0.1}))
    assert completion.failure.kind == "timeout"
    assert "connect deadline of 0.1 s" in completion.failure.message
    assert len(sleeps) == 2


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_refused_connection_is_tried_again_and_told(connect: Any, sleeps: Any) -> None:
    completion = one(connect(f"http://127.0.0.1:{free_port()}"))
    assert completion.failure.kind == "refused"
    assert "no connection could be made" in completion.failure.message
    assert len(sleeps) == 2


def test_a_name_that_does_not_resolve_is_told(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    completion = one(connect("http://endpoint.invalid"))
    assert completion.failure.kind == "refused"
    assert "(DNS)" in completion.failure.message


def test_a_tls_handshake_that_fails_is_told(serve: Any, connect: Any) -> None:
    plain = serve(Say([b"hello"], raw=True))
    completion = one(connect(f"https://127.0.0.1:{plain.port}", deadlines={"connect": 0.1}))
    assert completion.failure.kind in {"refused", "timeout"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command to make a certificate")
def test_a_certificate_nobody_signed_is_told_and_not_tried_again(connect: Any, sleeps: Any, tmp_path: Any) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout key.pem -out cert.pem"
    made = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    def shake(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                context.wrap_socket(connection, server_side=True).close()
            except (ssl.SSLError, OSError):
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=shake, args=[listener])
        thread.start()
        completion = one(connect(f"https://127.0.0.1:{listener.getsockname()[1]}", deadlines={"connect": 2}))
        thread.join(5)
    assert completion.failure.kind == "refused"
    assert "certificate is not trusted" in completion.failure.message
    assert sleeps == []


def test_one_bad_request_leaves_the_others_alone(serve: Any, connect: Any) -> None:
    def script(_: int, body: Any) -> Any:
        question = body["messages"][-1]["content"]
        return {"q1": "stall", "q3": say(b"")}.get(question, say(answer(question)))

    completions = connect(serve(script), deadlines={"first_byte": 0.5}).generate([ask(f"q{n}") for n in range(6)])
    assert [c.text for c in completions] == ["q0", "", "q2", "", "q4", "q5"]
    assert [c.failure.kind if c.failure else "" for c in completions] == ["", "timeout", "", "garbage", "", ""]


def test_no_thread_and_no_socket_is_left_behind(serve: Any, connect: Any) -> None:
    endpoint = serve(["stall", GOOD])
    before = {thread.ident for thread in threading.enumerate()}
    model = connect(endpoint, deadlines={"first_byte": 0.2})
    model.generate([ask()])
    model.generate([ask()] * 4)
    left = [t.name for t in threading.enumerate() if t.ident not in before and t.name.startswith("rung")]
    assert left == []


def test_giving_up_in_the_middle_ends_the_requests_under_way(serve: Any, connect: Any) -> None:
    endpoint = serve(lambda n, _: GOOD if n == 1 else "stall")
    model = connect(endpoint, deadlines={"first_byte": 30}, pacing={"outage_after": 1})
    answers = model.generate_each([ask()] * 4)
    assert next(answers).completion.text == "yes"
    started = time.monotonic()
    answers.close()
    assert time.monotonic() - started < 15
    assert not model._breaker.open, "what the caller dropped says nothing about the endpoint"


@pytest.mark.parametrize(
    ("reaction", "said"),
    [
        (say(b""), "is empty"),
        (say("<html><body>Please log in</body></html>", content_type="text/html"), "a web page"),
        (say(b'{"choices": [{"mess'), "breaks off"),
        (say(b'{"choices": "\xff\xfe\x80"}'), "not UTF-8"),
        (say(b"[" * 100_000), "breaks off"),
        (say(b'"just a text"'), "not a JSON object"),
        (say(b"1" * 5000), "breaks off"),
        (Say([b'{"choices": []}'], length=500, then="hang up"), "breaks off"),
        (Say([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"], raw=True, then="hang up"), "not HTTP"),
        (say(b"not gzip at all", content_encoding="gzip"), "compression is broken"),
        (say(gzip.compress(b'{"choices": [', mtime=0)[:-9], content_encoding="gzip"), "breaks off"),
        (say("login", status=302, location="http://portal.invalid/"), "redirects are not followed"),
    ],
    ids=[
        "empty",
        "login page",
        "truncated",
        "bad utf-8",
        "deep",
        "a text",
        "long number",
        "wrong length",
        "ssh",
        "no gzip",
        "half gzip",
        "redirect",
    ],
)
def test_garbage_is_a_typed_failure(serve: Any, connect: Any, reaction: Any, said: str) -> None:
    completion = one(connect(serve(reaction)))
    assert completion.failure.kind == "garbage"
    assert said in completion.failure.message
    assert (completion.text, completion.money) == ("", 0.0)


@pytest.mark.parametrize(
    "reaction",
    [say(BIG), say(gzip.compress(BIG), content_encoding="gzip"), Say([CHUNKED], raw=True)],
    ids=["text", "bomb", "without a length"],
)
def test_an_answer_is_read_up_to_the_limit_only(
    serve: Any, connect: Any, reaction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    whole = endpoint_module.httpx2.Response.iter_bytes

    def counted(self: Any) -> Any:
        for block in whole(self):
            read.append(len(block))
            yield block

    monkeypatch.setattr(endpoint_module.httpx2.Response, "iter_bytes", counted)
    endpoint = serve(reaction)
    model = connect(endpoint)
    model._endpoint._largest = 100_000
    completion = one(model)
    assert completion.failure.kind == "garbage"
    assert "larger than 100000 bytes" in completion.failure.message
    assert sum(read) < 100_000 + 2 * 1024 * 1024


def test_the_start_of_garbage_goes_to_the_log_only(
    serve: Any, connect: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-canary-123")
    page = f"<html>proxy login, you sent sk-canary-123 and private question {'x' * 900}</html>"
    model = connect(serve(say(page)), api_key_env="SOME_KEY")
    with caplog.at_level(logging.INFO, "rung"):
        completion = model.generate([ask("private question")])[0]
    assert "proxy login" not in completion.failure.message
    logged = next(line for line in caplog.messages if "proxy login" in line)
    assert len(logged) < 300
    assert "canary" not in caplog.text
    assert "private question" not in caplog.text


def test_the_key_is_sent_and_shown_nowhere(
    serve: Any, connect: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", " sk-canary-123\n")
    endpoint = serve(lambda n, _: refuse([400, 401][n - 1], "your key sk-canary-123\n is bad"))
    model = connect(endpoint, api_key_env="SOME_KEY")
    with caplog.at_level(logging.DEBUG):
        completion = one(model)
        with pytest.raises(BackendError) as caught:
            one(model)
    assert "Authorization: Bearer sk-canary-123" in endpoint.heads[0].replace("authorization", "Authorization")
    assert caught.value.code == "E3103"
    shown = [completion, caught.value, *caught.value.lines("zh"), model.ref.model_dump_json(), vars(model), caplog.text]
    assert "canary" not in " ".join(map(str, shown))


@pytest.mark.parametrize("key", [None, "", "  ", "two words", "键", "a\nb"])
def test_an_unusable_key_stops_before_anything_is_sent(
    connect: Any, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("SOME_KEY", key)
    with pytest.raises(BackendError) as caught:
        connect("http://127.0.0.1:1", api_key_env="SOME_KEY")
    assert caught.value.code == "E3101"
    assert not key or key.strip() == "" or key not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "posted"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1/chat/completions"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1/chat/completions"),
        ("https://host.invalid/api/paas/v4", "https://host.invalid/api/paas/v4/chat/completions"),
        (" http://[::1]:9/v1/chat/completions ", "http://[::1]:9/v1/chat/completions"),
    ],
)
def test_the_address_takes_the_usual_forms(given: str, posted: str) -> None:
    assert str(chat_url(given)) == posted


@pytest.mark.parametrize(
    "given",
    [
        "",
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://me:secret@host/v1",
        "http://host/v1?key=secret",
        "http://[::1",
    ],
)
def test_an_address_that_cannot_be_used_is_not_repeated(given: str) -> None:
    with pytest.raises(BackendError) as caught:
        chat_url(given)
    assert caught.value.code == "E3100"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_environments_proxy_is_not_used_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, serve: Any, connect: Any
) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://user:pw@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "near.invalid")
    assert one(connect(serve(GOOD))).text == "yes"
    assert proxy_of(chat_url("http://near.invalid")) is None
    far = proxy_of(chat_url("http://far.invalid"))
    assert far is not None
    assert (far.url.port, far.auth) == (9, (b"user", b"pw"))
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(BackendError) as caught:
        proxy_of(chat_url("http://far.invalid"))
    assert caught.value.code == "E3107"
