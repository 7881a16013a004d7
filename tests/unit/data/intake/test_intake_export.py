"""A document set on disk: every line is JSON, no name leads out of the folder or is taken twice, a full disk is told."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from rung.core.errors import WriteError
from rung.core.task import Document, Mark
from rung.data.documents import DocumentsResult, FailedDocument
from rung.data.intake.export import write_markdown, write_set
from rung.data.parsing.blocks import Remark

RESULT = DocumentsResult(
    (Document("a/押金.pdf", "押金", "一\u2028二", {"format": "pdf"}, (Mark(0, "p. 1"),)),),
    (FailedDocument("b.pdf", "E2314", {"limit": 200}),),
    2,
    remarks={"a/押金.pdf": (Remark("E2356", {"name": "x"}),)},
)


def test_both_files_are_written_in_the_readers_language(tmp_path: Path) -> None:
    write_set(RESULT, tmp_path / "out", "zh")
    [row] = [json.loads(line) for line in (tmp_path / "out/documents.jsonl").read_bytes().decode().split("\n")[:-1]]
    assert row == {
        "id": "a/押金.pdf",
        "title": "押金",
        "text": "一\u2028二",
        "meta": {"format": "pdf"},
        "marks": [{"start": 0, "label": "p. 1"}],
        "remarks": [{"code": "E2356", "message": "文件名含有无法显示的字符；原名为“x”。"}],
    }
    failed = json.loads((tmp_path / "out/failed.jsonl").read_text("utf-8"))
    assert failed == {"id": "b.pdf", "code": "E2314", "reason": "文件超过 200 MiB。", "hint": "请拆分成多个文件"}


def test_markdown_files_have_safe_names_of_their_own_and_go_with_their_document(tmp_path: Path) -> None:
    odd = [
        "../x.md",
        "/etc/passwd",
        "a\\b",
        "CON",
        "nul.txt",
        "A.md",
        "a.md",
        "…",
        "租" * 300,
        "租" * 299 + "房",
        "index.jsonl",
    ]
    write_markdown([Document(id, "", f"text {n}") for n, id in enumerate(odd)], tmp_path / "md")
    rows = [json.loads(line) for line in (tmp_path / "md/index.jsonl").read_text("utf-8").splitlines()]
    assert [row["id"] for row in rows] == odd
    assert [(tmp_path / "md" / row["file"]).read_text("utf-8") for row in rows] == [
        f"text {n}\n" for n in range(len(odd))
    ]
    names = [row["file"] for row in rows]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(len(name.encode()) < 256 and not name.casefold().startswith(("con.", "nul.", ".")) for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["md"]

    (tmp_path / "md" / "own.md").write_text("not ours")
    write_markdown([Document("A.md", "", "text")], tmp_path / "md")
    assert sorted(path.name for path in (tmp_path / "md").iterdir()) == ["A.md.md", "index.jsonl", "own.md"]


def test_an_index_that_lies_removes_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "precious.md").write_text("text")
    (tmp_path / "md").mkdir()
    rows = [{"file": "../precious.md"}, {"file": str(tmp_path / "precious.md")}]
    (tmp_path / "md/index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_markdown([], tmp_path / "md")
    assert (tmp_path / "precious.md").exists()


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "E5002"), (errno.EROFS, "E5001")])
def test_a_refused_write_leaves_the_earlier_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    write_set(RESULT, tmp_path)
    write_markdown(RESULT.documents, tmp_path / "md")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*l*")}

    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    empty = DocumentsResult((), (), 0)
    for write in (lambda: write_set(empty, tmp_path), lambda: write_markdown((), tmp_path / "md")):
        with pytest.raises(WriteError) as caught:
            write()
        assert caught.value.code == code
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*l*")} == before
