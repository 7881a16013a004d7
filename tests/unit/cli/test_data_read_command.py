"""`rung data read`: what is shown, what is written, and that the same command goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rung.cli.data.app import app
from rung.core.errors import UsageError
from rung.data.intake import pool

CHILD = (sys.executable, "-P", str(Path(__file__).parents[1] / "data/intake/standin_child.py"))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pool, "COMMAND", CHILD)
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in {
        "a.md": "text [bold]",
        "b.md": "text [bold]",
        "c.txt": "押金最多为一个月的租金",
        "d.md": "locked",
        "[red]e.md": "remark",
    }.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("lang", "expected"),
    [
        (
            "en",
            ["5 files: 3 documents, 1 copies of them, 1 not readable; 4 parsed now", "To know (1)", "Not readable (1)"],
        ),
        ("zh", ["5 个文件：3 份文档，1 个重复文件，1 个无法读取；本次解析 4 个", "提示（1）", "无法读取（1）"]),
    ],
)
def test_it_shows_what_was_read_and_what_was_not(source: Path, lang: str, expected: list[str]) -> None:
    ran = CliRunner().invoke(app, ["read", str(source), "--lang", lang])
    assert ran.exit_code == 0, ran.output
    assert all(text in ran.stdout for text in [*expected, "[red]e.md: ", "d.md: ", "[E2361]"])
    rows = [line.split() for line in ran.stdout.splitlines()]
    assert ["md", "2", "17", "-", "en", "2"] in rows
    assert ["txt", "1", "11", "-", "zh", "1"] in rows


def test_the_same_command_parses_only_what_is_new(source: Path, tmp_path: Path) -> None:
    out, markdown = tmp_path / "out", tmp_path / "md"
    arguments = ["read", str(source), "-o", str(out), "--markdown", str(markdown), "--json"]
    first = json.loads(CliRunner().invoke(app, arguments).stdout)
    (source / "f.md").write_text("more")
    second = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert (first["parsed"], second["parsed"]) == (4, 1)
    assert second["copies"] == {"b.md": "a.md"}
    assert second["total"] == len(second["documents"]) + len(second["copies"]) + len(second["failed"])
    assert [item["code"] for item in second["failed"]] == ["E2361"]
    assert all("text" not in row for row in second["documents"])
    written = [json.loads(line) for line in (out / "documents.jsonl").read_text("utf-8").splitlines()]
    assert [row["id"] for row in written] == [row["id"] for row in second["documents"]]
    assert len(list(markdown.glob("*.md"))) == 4


def test_what_is_written_is_not_read_the_next_time(source: Path) -> None:
    ran = CliRunner().invoke(app, ["read", str(source), "-o", str(source / "out")])
    assert isinstance(ran.exception, UsageError)
    assert ran.exception.code == "E2371"
    assert not (source / "out").exists()
