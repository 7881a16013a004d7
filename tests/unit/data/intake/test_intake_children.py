"""A file that hangs, grows, crashes or calls out costs only itself; the children are kept for the next files."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rung.core.errors import DataError
from rung.data.intake import pool
from rung.data.intake.limits import Limits
from rung.data.intake.pool import Pool
from rung.data.intake.wire import from_json, to_json
from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.refusal import Unreadable

LIMITS = Limits(seconds=1, wall_seconds=120, memory_mib=256, text_mib=2, workers=1)


@pytest.fixture
def children() -> Iterator[Pool]:
    with Pool(LIMITS) as opened:
        yield opened
    assert not psutil.Process().children()


def parse(children: Pool, path: Path, text: str) -> Parsed | Unreadable:
    path.write_text(text)
    try:
        return children.parse(path, "document.md")
    except Unreadable as refused:
        return refused


def child() -> int:
    [process] = psutil.Process().children()
    return process.pid


def test_one_child_serves_many_files_and_what_libraries_print_is_lost(children: Pool, tmp_path: Path) -> None:
    pids = set()
    for text in ("one", "noise", "locked", "stumble", "押金\udc80two".replace("\udc80", "\u2028")):
        found = parse(children, tmp_path / "a", text)
        pids.add(child())
        if isinstance(found, Parsed):
            assert found.blocks[0].text == text
    assert len(pids) == 1


@pytest.mark.parametrize(
    ("word", "code", "values"),
    [
        ("spin", "E2351", {"seconds": 1}),
        ("grow", "E2352", {"limit": 256}),
        ("flood", "E2353", {"limit": 2}),
        ("crash", "E2355", {"reason": "SIGSEGV"}),
        ("leave", "E2355", {"reason": "exit 3"}),
        ("stumble", "E2354", {"reason": "RuntimeError: row 7 {of} 3"}),
        ("locked", "E2361", {}),
    ],
)
def test_a_file_costs_only_itself(
    children: Pool, tmp_path: Path, word: str, code: str, values: dict[str, object]
) -> None:
    found = parse(children, tmp_path / "a", word)
    assert isinstance(found, Unreadable)
    assert found.code == code
    assert values.items() <= found.values.items()
    assert isinstance(parse(children, tmp_path / "b", "text"), Parsed)


def test_a_file_that_hangs_is_given_up(tmp_path: Path) -> None:
    with Pool(replace(LIMITS, wall_seconds=1)) as children:
        found = parse(children, tmp_path / "a", "hang")
        assert isinstance(found, Unreadable)
        assert (found.code, found.values) == ("E2358", {"seconds": 1})


def test_no_connection_no_program_and_no_file_leaves_the_child(children: Pool, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        for word in (f"call {listener.getsockname()[1]}", "resolve", "program", f"write {tmp_path / 'canary'}"):
            found = parse(children, tmp_path / "a", word)
            assert isinstance(found, Unreadable), word
            assert found.code == "E2354"
        with pytest.raises(TimeoutError):
            listener.accept()
    canary = tmp_path / "canary"
    assert not canary.exists() or canary.read_bytes() == b""


def test_the_time_limit_is_of_one_file_and_not_of_a_childs_life(children: Pool, tmp_path: Path) -> None:
    for _ in range(4):
        assert isinstance(parse(children, tmp_path / "a", "burn 0.5"), Parsed)


def test_a_child_that_something_else_ended_is_replaced(children: Pool, tmp_path: Path) -> None:
    parse(children, tmp_path / "a", "text")
    psutil.Process(child()).kill()
    psutil.Process(child()).wait(5)
    assert isinstance(parse(children, tmp_path / "a", "text"), Parsed)


def test_a_child_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    worker = pool.Worker(LIMITS)
    process = psutil.Process(worker._process.pid)
    assert worker._process.stdin is not None
    worker._process.stdin.close()
    assert process.wait(5) == 0
    worker.close()


def test_a_child_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pool, "COMMAND", (sys.executable, "-c", "import no_such_package"))
    with pytest.raises(DataError, match="No module named 'no_such_package'") as caught, Pool(LIMITS) as children:
        children.parse(tmp_path, "a.md")
    assert caught.value.code == "E2359"


def test_a_folder_that_rung_runs_in_lends_the_child_no_modules(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, children: Pool
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert isinstance(parse(children, tmp_path / "a", "text"), Parsed)


def test_a_parsed_file_survives_its_way_and_a_childs_lies_do_not() -> None:
    parsed = Parsed(
        "题",
        (Block("heading", "a\ud800\u2028", 2, "p. 1"), Block("table", "|x|")),
        (Remark("E2341", {"others": "-"}),),
        {"format": "pdf"},
    )
    assert from_json(to_json(parsed)) == parsed
    good = to_json(parsed)
    for key, value in [
        ("blocks", [["script", "x", 0, ""]]),
        ("blocks", [["table", 5, 0, ""]]),
        ("blocks", [["table", "x", "0", ""]]),
        ("blocks", [["table"]]),
        ("title", None),
        ("remarks", [["E2341"]]),
        ("meta", {"format": 5}),
        ("meta", []),
    ]:
        with pytest.raises(ValueError, match="not a"):
            from_json(good | {key: value})
    with pytest.raises(ValueError, match="not a parsed file"):
        from_json({})


def test_as_many_children_as_cores_and_no_more_than_asked_for() -> None:
    assert Limits().processes == min(len(os.sched_getaffinity(0)), 8)
    assert Limits(workers=3).processes == 3
