"""`rung index`: a base from documents to answers, with what each command says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from letters import LETTERS, LetterEncoder, register_letters
from typer.testing import CliRunner, Result

from rung.cli.index import app
from rung.connect.source import Source
from rung.core.errors import DataError, UsageError
from rung.core.registry import Part, parts


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register_letters(monkeypatch)
    monkeypatch.setenv("RUNG_LANG", "en")
    folder = tmp_path / "docs"
    (folder / "hr").mkdir(parents=True)
    (folder / "rent.md").write_text("The rent is due on the first day of the month.")
    (folder / "alarm.md").write_text("Smoke alarms are changed every seven years.")
    (folder / "hr" / "pay.md").write_text("The rent allowance of directors is secret.")
    (folder / "access.yaml").write_text('access: {"hr/*": [hr]}\nmetadata: {"hr/*": {team: hr}}')
    return folder


def ran(*arguments: object, fails: bool = False) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert (result.exit_code != 0) == fails, result.output
    return result


def found(base: Path, *more: str) -> list[str]:
    rows = json.loads(ran("search", base, "when is the rent due", "--json", *more).stdout)
    return [row["id"] for row in rows]


def test_from_documents_to_passages_and_back(docs: Path, tmp_path: Path) -> None:
    base = tmp_path / "kb"
    built = ran("build", docs, "-o", base, "--encoder", LETTERS)
    assert "version 1: 3 documents added" in built.stdout
    assert found(base)[0] == "rent.md#1"
    assert set(found(base)) == {"rent.md#1", "alarm.md#1", "hr/pay.md#1"}
    assert "hr/pay.md#1" not in found(base, "--seen-by", "")
    assert "hr/pay.md#1" in found(base, "--seen-by", "x, hr")
    assert found(base, "--where", "team=hr", "--where", "team=it") == ["hr/pay.md#1"]
    shown = ran("search", base, "rent", "-k", 1, "--mode", "lexical").stdout
    assert "The rent is due on the first day" in shown

    (docs / "rent.md").write_text("The rent is due on the last day of the month.")
    (docs / "alarm.md").unlink()
    changed = json.loads(ran("update", base, docs, "--json").stdout)
    assert (changed["changed"], changed["deleted"], changed["encoded"]) == (1, 0, 1)
    changed = json.loads(ran("update", base, docs, "--remove-missing", "--json").stdout)
    assert (changed["unchanged"], changed["deleted"], changed["version"]) == (2, 1, 3)
    gone = ran("delete", base, "hr/pay.md", "nobody.md")
    assert "1 deleted" in gone.stdout
    assert "nobody.md" in gone.stderr
    assert found(base) == ["rent.md#1"]
    lines = ran("versions", base).stdout.splitlines()
    assert [line[0] for line in lines] == [" ", " ", " ", "*"]
    assert "version 1 is served: 3 documents" in ran("rollback", base, "--to", 1).stdout
    assert "alarm.md#1" in found(base)
    ran("rollback", base, "--to", 4)
    ran("compact", base)
    assert "3 versions removed" in ran("prune", base).stdout
    assert json.loads(ran("versions", base, "--json").stdout)[0]["version"] == 4
    kept = b"".join(path.read_bytes() for path in base.rglob("*") if path.is_file())
    assert b"directors" not in kept


def test_without_an_encoder_words_are_searched(docs: Path, tmp_path: Path) -> None:
    ran("build", docs, "-o", tmp_path / "kb", "--encoder", "none")
    assert found(tmp_path / "kb")[0] == "rent.md#1"
    ran("update", tmp_path / "kb", docs)
    assert isinstance(ran("search", tmp_path / "kb", "rent", "--mode", "dense", fails=True).exception, DataError)


def test_it_speaks_chinese(docs: Path, tmp_path: Path) -> None:
    assert "新增 3 份文档" in ran("build", docs, "-o", tmp_path / "kb", "--encoder", LETTERS, "--lang", "zh").stdout


def test_a_folder_of_something_else_is_left_alone(docs: Path, tmp_path: Path) -> None:
    before = sorted(docs.rglob("*"))
    result = ran("build", docs, "-o", docs, "--encoder", LETTERS, fails=True)
    assert isinstance(result.exception, DataError)
    assert result.exception.code == "E2717"
    assert sorted(docs.rglob("*")) == before


class OwnLetters(LetterEncoder):
    """An encoder in a folder, told apart by the folder's name."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"folder@{path.name}")


def test_a_base_of_an_encoder_of_ones_own_asks_where_it_lies(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts("encoder"), "folder", Part("encoder", "folder", "test_cli_index:OwnLetters"))
    base, own = tmp_path / "kb", "folder:somewhere/ours"
    ran("build", docs, "-o", base, "--encoder", own)
    for arguments in (("search", base, "rent"), ("update", base, docs)):
        failed = ran(*arguments, fails=True)
        assert isinstance(failed.exception, UsageError)
        assert failed.exception.code == "E2739"
    assert found(base, "--encoder", own)
    assert found(base, "--mode", "lexical")
    assert json.loads(ran("update", base, docs, "--encoder", own, "--json").stdout)["unchanged"] == 3
    assert Source(base, encoder=own).search("rent", seen_by=None)
    with pytest.raises(UsageError, match="E2739"):
        Source(base).search("rent")
    failed = ran("search", base, "rent", "--encoder", "folder:theirs", fails=True)
    assert isinstance(failed.exception, DataError)
    assert failed.exception.code == "E2704"


def test_documents_on_the_network_are_not_fetched(docs: Path, tmp_path: Path) -> None:
    failed = ran("build", "https://127.0.0.1/handbook.zip", "-o", tmp_path / "kb", fails=True)
    assert isinstance(failed.exception, DataError)
    assert failed.exception.code == "E2734"
