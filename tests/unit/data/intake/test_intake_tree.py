"""Reading a folder: only what lies in it, only files, each of one moment, and nothing that blocks."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import pytest

from rung.data.intake import tree
from rung.data.intake.tree import files_below, open_inside, read_bytes
from rung.data.parsing.refusal import Unreadable


def refusal(path: Path, root: Path) -> str:
    with pytest.raises(Unreadable) as caught:
        read_bytes(path, root, 1)
    return caught.value.code


def test_hidden_and_system_files_are_left_out_and_folders_behind_links_not_entered(tmp_path: Path) -> None:
    for name in ("a.md", ".b.md", "~$c.docx", "Thumbs.db", "in/d.md", "__MACOSX/e.md", ".git/f.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("text")
    (tmp_path / "round").symlink_to(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)] == ["a.md", "in/d.md", "round"]


def test_a_tree_deeper_than_the_stack_is_read(tmp_path: Path) -> None:
    here, limit = os.open(tmp_path, os.O_RDONLY), sys.getrecursionlimit()
    try:
        for _ in range(200):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        (tmp_path / "z.md").write_text("text")
        sys.setrecursionlimit(len(inspect.stack()) + 100)
        assert files_below(tmp_path)[-1] == tmp_path / "z.md"
    finally:
        sys.setrecursionlimit(limit)
        os.close(here)


def test_no_way_leads_out_and_nothing_blocks(tmp_path: Path) -> None:
    root = (tmp_path / "root").resolve()
    (root / "in").mkdir(parents=True)
    (tmp_path / "secret.md").write_text("secret")
    (root / "away.md").symlink_to(tmp_path / "secret.md")
    (root / "up.md").symlink_to("../secret.md")
    (root / "loop.md").symlink_to("loop.md")
    (root / "null.md").symlink_to("/dev/null")
    os.mkfifo(root / "pipe.md")
    (root / "twin.md").symlink_to("in/good.md")
    (root / "in" / "good.md").write_text("text")
    codes = {path.name: refusal(path, root) for path in sorted(root.iterdir()) if path.name != "twin.md"}
    assert codes == {
        "away.md": "E2310",
        "up.md": "E2310",
        "null.md": "E2310",
        "loop.md": "E2311",
        "pipe.md": "E2312",
        "in": "E2312",
    }
    assert refusal(Path("/dev/zero"), Path("/dev")) == "E2312"
    assert read_bytes(root / "twin.md", root, 1) == b"text"


def test_a_folder_that_becomes_a_link_on_the_way_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = (tmp_path / "root").resolve()
    outside = tmp_path / "outside"
    for folder in (root / "in", outside):
        folder.mkdir(parents=True)
        (folder / "a.md").write_text(folder.name)
    real = os.open

    def swapped(path: Path, flags: int) -> int:
        (root / "in").rename(root / "old")
        (root / "in").symlink_to(outside)
        return real(path, flags)

    monkeypatch.setattr(os, "open", swapped)
    assert refusal(root / "in" / "a.md", root) == "E2310"


def test_a_file_that_changes_while_it_is_open_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("old")
    opened = open_inside(path, tmp_path.resolve())
    with opened:
        pass
    opened = open_inside(path, tmp_path.resolve())
    opened.__enter__()
    path.write_text("newer")
    with pytest.raises(Unreadable, match="E2350"):
        opened.__exit__(None, None, None)


@pytest.mark.parametrize(("changes", "expected"), [(1, b"x1"), (9, None)])
def test_reading_again_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int, expected: bytes | None
) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"x")
    real, left = tree._opened_as, [changes]

    def changing(handle: int, target: Path) -> Path:
        if left[0]:
            left[0] -= 1
            path.write_bytes(path.read_bytes() + b"1")
        return real(handle, target)

    monkeypatch.setattr(tree, "_opened_as", changing)
    if expected:
        assert read_bytes(path, tmp_path.resolve(), 1) == expected
    else:
        assert refusal(path, tmp_path.resolve()) == "E2350"


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    with path.open("wb") as file:
        file.truncate((1 << 20) + 1)
    assert refusal(path, tmp_path.resolve()) == "E2314"
