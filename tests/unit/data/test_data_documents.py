"""read_documents: every file is a document or a named failure, and nothing outside the folder is touched."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rung.core.errors import DataError
from rung.data.documents import read_documents


def test_documents_are_sorted_titled_and_decoded(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "rent.md").write_text("```\n# no heading\n```\n\n##  Paying  rent ##\r\ntext\n", "utf-8")
    (tmp_path / "押金.txt").write_bytes("押金最多为一个月的租金，退租时应全额退还给租客。".encode("gb18030"))
    (tmp_path / "A.MD").write_bytes(b"\xef\xbb\xbf# Heading\n")
    (tmp_path / ".hidden.md").write_text("secret")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.md").write_text("secret")
    result = read_documents(tmp_path)
    assert [(d.id, d.title) for d in result.documents] == [
        ("A.MD", "Heading"),
        ("b/rent.md", "Paying rent"),
        ("押金.txt", "押金"),
    ]
    assert result.documents[2].text.startswith("押金最多为")
    assert result.documents[2].meta["encoding"] == "gb18030"
    assert "\r" not in result.documents[1].text
    assert (result.failed, result.total) == ((), 3)


def test_each_unusable_file_is_listed_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    outside = tmp_path / "outside.md"
    outside.write_text("secret")
    (folder / "good.md").write_text("text")
    (folder / "inner.md").symlink_to(folder / "good.md")
    (folder / "empty.md").write_text(" \n")
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 10)
    (folder / "report.pdf").write_bytes(b"%PDF")
    (folder / "noname").write_text("text")
    (folder / "away.md").symlink_to(outside)
    (folder / "passwd.md").symlink_to("/etc/passwd")
    (folder / "broken.md").symlink_to(folder / "gone.md")
    (folder / "loop.md").symlink_to(folder / "loop.md")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.md")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.md")).write_text("text")
    result = read_documents(folder)
    assert [document.id for document in result.documents] == ["good.md", "inner.md"]
    assert {failed.id: failed.code for failed in result.failed} == {
        "empty.md": "E2317",
        "binary.txt": "E2315",
        "report.pdf": "E2313",
        "noname": "E2313",
        "away.md": "E2310",
        "passwd.md": "E2310",
        "broken.md": "E2311",
        "loop.md": "E2311",
        "up": "E2310",
        "pipe.md": "E2312",
        "\\udcff.md": "E2319",
    }
    assert len(result.documents) + len(result.failed) == result.total
    for failed in result.failed:
        assert not re.search(r"\{\w+\}", failed.problem.message("zh") + failed.problem.hint("zh"))


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.data.documents.MAX_BYTES", 100)
    (tmp_path / "a.md").write_text("short")
    (tmp_path / "b.md").write_text("x" * 101)
    assert [failed.code for failed in read_documents(tmp_path).failed] == ["E2314"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    (tmp_path / "b.md").write_text("text")
    (tmp_path / "b.md").chmod(0)
    assert [failed.code for failed in read_documents(tmp_path).failed] == ["E2311"]


def test_a_folder_without_documents_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_documents(tmp_path / "absent")
    assert caught.value.code == "E2301"
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    with pytest.raises(DataError) as caught:
        read_documents(tmp_path)
    assert [problem.code for problem in caught.value.problems] == ["E2302", "E2313"]
