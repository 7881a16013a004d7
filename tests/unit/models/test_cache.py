"""The cache: what is kept, what is asked again, and what happens when the file is damaged or shared."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import answer, ask, refuse, say

from rung.core.errors import BackendError
from rung.core.model import Completion, Failure, Message
from rung.core.task import Example, Passage
from rung.models.cache import CachedModel, request_key
from rung.models.fake import FakeModel

COSTLY = Completion(text="否 \ud800", choice_scores=(-0.25, -1.5), tokens_in=3, tokens_out=2, seconds=1.25, money=0.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "answers.sqlite"


def asked(model: FakeModel) -> int:
    return sum(map(len, model.calls))


def test_a_cached_answer_is_the_original_with_its_costs(path: Path) -> None:
    first = CachedModel(FakeModel(default=COSTLY), path).generate([ask("a")])
    inner = FakeModel(default=COSTLY)
    second = CachedModel(inner, path).generate([ask("a")])
    assert first == [COSTLY]
    assert second == [replace(COSTLY, cached=True)]
    assert asked(inner) == 0


def test_a_batch_asks_only_what_is_new_and_keeps_the_order(path: Path) -> None:
    inner = FakeModel(lambda request: request.query.upper())
    model = CachedModel(inner, path)
    model.generate([ask("b"), ask("d")])
    completions = model.generate([ask(q) for q in "abcdac"])
    assert [c.text for c in completions] == list("ABCDAC")
    assert [c.cached for c in completions] == [False, True, False, True, True, True]
    assert [request.query for request in inner.calls[1]] == ["a", "c"]
    assert len(inner.calls) == 2


def test_more_answers_than_one_query_may_name(path: Path) -> None:
    inner = FakeModel(lambda request: request.query)
    model = CachedModel(inner, path)
    many = [ask(str(n)) for n in range(1203)]
    model.generate(many)
    assert [c.text for c in model.generate(many)] == [str(n) for n in range(1203)]
    assert len(inner.calls) == 1


def test_failures_are_asked_again(path: Path) -> None:
    inner = FakeModel(default="x", faults={1: Failure("timeout", "late")})
    model = CachedModel(inner, path)
    assert [c.failure is None for c in model.generate([ask(), ask()])] == [False, False]
    assert model.generate([ask()])[0].text == "x"
    assert asked(inner) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message("user", "hello"),)},
        {"messages": (Message("user", "Answer."), Message("user", "hello"))},
        {"choices": ("a",)},
        {"json_schema": {"type": "object"}},
        {"max_tokens": 65},
        {"temperature": 0.5},
        {"seed": 1},
        {"query": "other"},
        {"passages": (Passage("p", "d", "t", "text"),)},
        {"shots": (Example("e", {"q": "a"}, ("b",)),)},
        {"repeat": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_a_request_is_part_of_its_key(change: dict[str, Any]) -> None:
    assert request_key("m", ask()) == request_key("m", ask())
    assert request_key("m", replace(ask(), **change)) != request_key("m", ask())


def test_models_do_not_share_answers_and_pacing_makes_no_other_model(path: Path, serve: Any, connect: Any) -> None:
    CachedModel(FakeModel(default="x", id="one"), path).generate([ask()])
    assert not CachedModel(FakeModel(default="x", id="two"), path).generate([ask()])[0].cached
    endpoint = serve(say(answer()))
    CachedModel(connect(endpoint), path).generate([ask()])
    assert CachedModel(connect(endpoint, pacing={"concurrency": 1}), path).generate([ask()])[0].cached
    assert not CachedModel(connect(endpoint, body={"top_p": 0.1}), path).generate([ask()])[0].cached


def test_answers_paid_for_before_an_outage_are_not_paid_for_again(path: Path, serve: Any, connect: Any) -> None:
    requests = [ask(f"q{n}") for n in range(6)]
    broke = serve(lambda n, body: say(answer(body["messages"][1]["content"])) if n <= 4 else refuse(402))
    with pytest.raises(BackendError):
        CachedModel(connect(broke, pacing={"concurrency": 1}), path).generate(requests)
    broke._script = lambda n, body: say(answer(body["messages"][1]["content"]))
    before = broke.asked
    completions = CachedModel(connect(broke), path).generate(requests)
    assert [c.text for c in completions] == [f"q{n}" for n in range(6)]
    assert [c.cached for c in completions] == [True] * 4 + [False] * 2
    assert broke.asked == before + 2


def test_a_file_that_is_no_cache_is_moved_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, and longer than a hundred bytes " * 4)
    with pytest.warns(UserWarning, match=r"moved aside as answers\.sqlite\.damaged-1"):
        model = CachedModel(FakeModel(default="x"), path)
    model.generate([ask()])
    assert model.generate([ask()])[0].cached
    assert (path.parent / "answers.sqlite.damaged-1").read_bytes().startswith(b"this is no database")


def test_pages_that_were_overwritten_are_found_and_the_next_free_name_is_taken(path: Path) -> None:
    model = CachedModel(FakeModel(lambda request: request.query * 50), path)
    model.generate([ask(f"question {n}") for n in range(200)])
    model.close()
    Path(f"{path}.damaged-1").write_text("from before")
    data = bytearray(path.read_bytes())
    data[4096:] = b"\x5a" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="damaged-2"):
        model = CachedModel(FakeModel(default="x"), path)
    assert not model.generate([ask("question 1")])[0].cached
    assert Path(f"{path}.damaged-1").read_text() == "from before"


def test_damage_that_appears_while_open_is_survived(path: Path) -> None:
    model = CachedModel(FakeModel(lambda request: request.query * 50), path)
    requests = [ask(f"question {n}") for n in range(200)]
    model.generate(requests)
    path.write_bytes(b"\x5a" * path.stat().st_size)
    with pytest.warns(UserWarning, match="moved aside"):
        assert all(c.text for c in model.generate(requests))


@pytest.mark.parametrize("broken", ['{"text": "other"}', "no json", '{"text": 3}', '{"colour": 1}', "[]", ""])
def test_a_row_that_was_changed_is_asked_again(path: Path, broken: str) -> None:
    model = CachedModel(FakeModel(default="x"), path)
    model.generate([ask("a"), ask("b")])
    with sqlite3.connect(path) as other:
        other.execute("UPDATE answers SET value = ? WHERE key = ?", (broken, request_key(*key_of(model, "a"))))
    other.close()
    with pytest.warns(UserWarning, match="1 damaged cached answers"):
        completions = model.generate([ask("a"), ask("b")])
    assert [(c.text, c.cached) for c in completions] == [("x", False), ("x", True)]
    assert model.generate([ask("a")])[0].cached


def key_of(model: CachedModel, text: str) -> tuple[Any, Any]:
    return model.ref.model_dump(mode="json"), ask(text)


def test_a_cache_that_is_locked_for_too_long_costs_no_answers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.models.cache._BUSY_SECONDS", 0.05)
    model = CachedModel(FakeModel(default="x"), path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.warns(UserWarning, match="locked"):
        assert model.generate([ask()])[0].text == "x"
    assert model.generate([ask()])[0].text == "x"
    other.close()
    model.generate([ask()])
    assert model.generate([ask()])[0].cached


def test_a_cache_that_is_locked_at_the_start_is_used_once_it_is_free(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.cache._BUSY_SECONDS", 0.05)
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.warns(UserWarning, match="locked"):
        model = CachedModel(FakeModel(default="x"), path)
    other.close()
    model.generate([ask()])
    assert model.generate([ask()])[0].cached


def test_a_full_disk_costs_no_answers(path: Path) -> None:
    model = CachedModel(FakeModel(lambda request: request.query * 9000), path)
    pages = model._store._connection().execute("PRAGMA page_count").fetchone()[0]
    model._store._connection().execute(f"PRAGMA max_page_count = {pages}")
    with pytest.warns(UserWarning, match="full"):
        assert model.generate([ask("a")])[0].text == "a" * 9000


def test_a_place_that_cannot_hold_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for wrong in (tmp_path, tmp_path / "file" / "answers.sqlite"):
        with pytest.raises(BackendError) as caught:
            CachedModel(FakeModel(), wrong)
        assert caught.value.code == "E3110"


def test_threads_and_processes_share_one_file(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from rung.core.model import Message, Request\n"
        "from rung.models.cache import CachedModel; from rung.models.fake import FakeModel\n"
        "model = CachedModel(FakeModel(lambda r: r.query), Path(sys.argv[1]))\n"
        "for n in range(30): model.generate([Request((Message('user', f'{sys.argv[2]}{n}'),), query=f'{sys.argv[2]}{n}')])\n"
    )
    others = [subprocess.Popen([sys.executable, "-W", "error", "-c", program, str(path), name]) for name in ("p", "q")]
    model = CachedModel(FakeModel(lambda request: request.query), path)
    threads = [
        threading.Thread(target=lambda name: [model.generate([ask(f"{name}{n}")]) for n in range(15)], args=[name])
        for name in ("a", "b", "c")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [other.wait(30) for other in others] == [0, 0]
    with sqlite3.connect(path) as store:
        assert store.execute("SELECT count(*) FROM answers").fetchone() == (105,)
    store.close()


def test_what_a_backend_offers_besides_answering_is_reached_through_the_cache(path: Path) -> None:
    inner = FakeModel(default="x")
    model = CachedModel(inner, path)
    model.generate([ask()])
    assert model.calls is inner.calls
    assert not hasattr(model, "generate_each"), "asking one by one would go past the cache"
