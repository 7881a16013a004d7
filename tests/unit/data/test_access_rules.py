"""access.yaml: who may see which document; a rule that protects nothing is a mistake, not a silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_task import write_task

from rung.config import load_config
from rung.core.errors import DataError
from rung.data.access import Rules, read_rules, rules_path, with_rules
from rung.data.documents import read_documents
from rung.experiment.task_documents import task_documents

RULES = """
access:
  "*": [staff]
  "hr/*": [hr, board]
  "hr/public.md": []
metadata:
  "*": {year: 2025, team: all}
  "hr/*": {team: hr}
"""


def folder(path: Path, rules: str = RULES) -> Path:
    for name in ("open.md", "hr/pay.md", "hr/deep/er.md", "hr/public.md"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(f"The text of {name}.")
    (path / "access.yaml").write_text(rules)
    return path


def test_the_last_pattern_says_who_and_metadata_add_up(tmp_path: Path) -> None:
    source = folder(tmp_path / "documents")
    read = read_documents(source, skip=[rules_path(source)])
    found = {document.id: document for document in with_rules(read, source).documents}
    assert {id: document.access for id, document in found.items()} == {
        "open.md": ("staff",),
        "hr/pay.md": ("hr", "board"),
        "hr/deep/er.md": ("hr", "board"),
        "hr/public.md": (),
    }
    assert found["open.md"].metadata == {"year": "2025", "team": "all"}
    assert found["hr/pay.md"].metadata == {"year": "2025", "team": "hr"}


def test_a_task_reads_the_rules_of_its_documents(tmp_path: Path) -> None:
    folder(tmp_path / "guides")
    documents = task_documents(load_config(write_task(tmp_path, documents="guides"))).documents
    assert {document.id: document.access for document in documents}["hr/pay.md"] == ("hr", "board")
    assert "access.yaml" not in {document.id for document in documents}


def test_no_rules_and_rules_beside_a_file(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("text")
    source = tmp_path / "one.md"
    read = read_documents(source)
    assert with_rules(read, source) is read
    (tmp_path / "one.md.access.yaml").write_text('access: {"one.md": [x]}')
    assert with_rules(read, source).documents[0].access == ("x",)


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "documents", 'access: {"hrr/*": [hr], "op*": [staff]}\nmetadata: {"x": {a: b}}')
    with pytest.raises(DataError, match="E2715") as caught:
        with_rules(read_documents(source), source)
    assert [problem.values["pattern"] for problem in caught.value.problems] == ["hrr/*", "x"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "acces: {}",
        'access: {"*": staff}',
        'access: {"*": [1]}',
        'access: {"*": [" "]}',
        "access: [staff]",
        'metadata: {"*": [a]}',
        'metadata: {"*": {a: [b]}}',
        "access: {",
    ],
)
def test_what_is_no_rule_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "access.yaml").write_text(text)
    with pytest.raises(DataError, match="E2714"):
        read_rules(tmp_path / "access.yaml")


def test_an_empty_list_opens_to_all(tmp_path: Path) -> None:
    (tmp_path / "access.yaml").write_text('access: {"*": []}')
    assert read_rules(tmp_path / "access.yaml") == Rules({"*": ()})
    assert read_rules(tmp_path / "none.yaml") is None
