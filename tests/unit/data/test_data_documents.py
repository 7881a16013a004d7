"""read_documents with the real parsers: every file is a document or a named failure, and nothing outside is touched."""

from __future__ import annotations

import gzip
import json
import os
import re
import zipfile
from pathlib import Path

import pytest

from rung.core.errors import DataError
from rung.data.documents import read_documents


def test_documents_are_sorted_titled_and_decoded(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "rent.md").write_text("```\n# no heading\n```\n\n##  Paying  rent ##\r\ntext\n", "utf-8")
    (tmp_path / "押金.txt").write_bytes("押金最多为一个月的租金，退租时应全额退还给租客。".encode("gb18030"))
    (tmp_path / "A.MD").write_bytes(b"\xef\xbb\xbf# Heading\n")
    (tmp_path / "page.html.gz").write_bytes(
        gzip.compress(b"<html><body><h1>Notice</h1><p>Bring your key.</p></body></html>")
    )
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("table.csv", "name,price\nkey,5\n")
    (tmp_path / ".hidden.md").write_text("secret")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.md").write_text("secret")
    result = read_documents(tmp_path)
    assert [(d.id, d.title) for d in result.documents[:2]] == [("A.MD", "Heading"), ("b/rent.md", "Paying rent")]
    assert [d.id for d in result.documents[2:]] == ["page.html.gz", "x.zip/table.csv", "押金.txt"]
    assert [d.meta["format"] for d in result.documents] == ["md", "md", "html", "csv", "txt"]
    assert result.documents[4].text.startswith("押金最多为")
    assert result.documents[4].meta["encoding"] == "gb18030"
    assert "Bring your key." in result.documents[2].text
    assert "\r" not in result.documents[1].text
    assert (result.failed, result.total) == ((), 5)


def test_each_unusable_file_is_listed_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    outside = tmp_path / "outside.md"
    outside.write_text("secret")
    (folder / "good.md").write_text("text")
    (folder / "inner.md").symlink_to(folder / "good.md")
    (folder / "noname").write_text("other text")
    (folder / "empty.md").write_text(" \n")
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 10)
    (folder / "report.pdf").write_bytes(b"%PDF-1.7 and no more")
    (folder / "away.md").symlink_to(outside)
    (folder / "passwd.md").symlink_to("/etc/passwd")
    (folder / "broken.md").symlink_to(folder / "gone.md")
    (folder / "loop.md").symlink_to(folder / "loop.md")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.md")
    result = read_documents(folder)
    assert [document.id for document in result.documents] == ["good.md", "noname"]
    assert result.copies == {"inner.md": "good.md"}
    assert {failed.id: failed.code for failed in result.failed} == {
        "empty.md": "E2322",
        "binary.txt": "E2323",
        "report.pdf": "E2321",
        "away.md": "E2310",
        "passwd.md": "E2310",
        "broken.md": "E2311",
        "loop.md": "E2311",
        "up": "E2310",
        "pipe.md": "E2312",
    }
    assert len(result.documents) + len(result.copies) + len(result.failed) == result.total
    for failed in result.failed:
        assert not re.search(r"\{\w+\}", failed.problem.message("zh") + failed.problem.hint("zh"))


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
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError) as caught:
        read_documents(tmp_path)
    assert [problem.code for problem in caught.value.problems] == ["E2302", "E2323"]


@pytest.mark.datasets
def test_real_office_files_mails_and_web_pages(datasets: Path) -> None:
    """Every file of the folder is a document, or is one that nobody could read."""
    folder = datasets / "docs_dirty" / "office"
    result = read_documents(folder)
    assert {failed.id: failed.code for failed in result.failed} == {
        "MEDRPT-2024-PAT-3847_medical_report_scan.pdf": "E2325",
        "random.bin": "E2323",
    }
    rows = [json.loads(line) for line in (folder.parent / "manifest.jsonl").read_text("utf-8").splitlines()]
    known = {row["file"].removeprefix("office/") for row in rows if row["file"].startswith("office/")}
    assert known == {document.id for document in result.documents} | {failed.id for failed in result.failed}
    slides = next(document for document in result.documents if document.id == "test.pptx")
    assert [mark.label for mark in slides.marks][:1] == ["slide 1"]


@pytest.mark.parametrize(
    "source",
    ["https://name:secret@127.0.0.1/handbook.zip", "file:///etc/passwd", "gopher://localhost/1", "http://[::1]/"],
)
def test_nothing_is_fetched_from_the_network(source: str) -> None:
    with pytest.raises(DataError) as caught:
        read_documents(Path(source))
    assert caught.value.code == "E2734"
    assert "secret" not in str(caught.value)
