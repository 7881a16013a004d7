"""What a connector reads from: a base that changes beneath it, and a run's candidate."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_source import DOCUMENTS, small_base, small_run

from rung.connect.source import Source, facts
from rung.core.errors import UsageError


def ids(source: Source, question: str = "When is the deposit returned?", **asked: object) -> list[str]:
    return [hit.item.id for hit in source.search(question, **asked)]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["base", "run"])
def test_without_labels_only_what_is_open_to_all_is_found(kind: str, tmp_path: Path) -> None:
    path = small_base(tmp_path / "kb").folder if kind == "base" else small_run(tmp_path / "run").path
    source = Source(path, candidate="answering" if kind == "run" else None)
    assert ids(source) == ["lease.md#1"]
    assert ids(source, seen_by={"staff"}) == ["lease.md#1"]
    # One label, not the letters of a word.
    assert ids(source, seen_by="hr") == ids(source, seen_by=None) == ["lease.md#1", "pay.md#1"]
    assert ids(source, seen_by=None, k=1) == ["lease.md#1"]
    assert ids(source, "押金", where={"year": "2025"}) == ["租约.md#1"]
    assert ids(source, "押金", where={"year": "2024"}) == []


def test_deletes_and_updates_count_from_the_next_search_on(tmp_path: Path) -> None:
    base = small_base(tmp_path / "kb")
    source = Source(base.folder)
    assert ids(source) == ["lease.md#1"]
    base.delete(["lease.md"])
    assert ids(source) == []
    base.rollback()
    assert ids(source) == ["lease.md#1"]


def test_an_answer_comes_from_what_the_caller_may_see(tmp_path: Path) -> None:
    source = Source(small_run(tmp_path / "run").path, candidate="answering")
    question = "What is the secret of the director?"
    assert "canary" in source.ask(question, seen_by={"hr"}).answer.text
    asked = source.ask(question)
    answer = asked.answer
    assert [passage.id for passage in asked.cited] == list(answer.citations)
    assert "canary" not in answer.text
    assert "pay.md#1" not in answer.passages


def test_a_framework_is_told_where_a_passage_stands(tmp_path: Path) -> None:
    (hit,) = Source(small_base(tmp_path / "kb").folder).search("deposit")
    told = facts(hit)
    assert told["score"] == hit.score > 0
    assert {name: told[name] for name in ("id", "document", "title", "start", "end", "year")} == {
        "id": "lease.md#1",
        "document": "lease.md",
        "title": "Lease",
        "start": 0,
        "end": len(DOCUMENTS[0].text),
        "year": "2024",
    }


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run").path
    base = Source(small_base(tmp_path / "kb").folder)
    plain = Source(run, candidate="plain")
    assert not plain.has_passages
    cases = {
        "E2770": lambda: Source(tmp_path / "nowhere"),
        "E1302": lambda: Source(run, candidate="nobody"),
        "E1307": lambda: Source(run),
        "E2771": lambda: plain.search("x"),
        "E2772": lambda: base.ask("x"),
        "E1308": lambda: Source(run, candidate="answering").ask({"another": "x"}),
    }
    for code, attempt in cases.items():
        with pytest.raises(UsageError, match=code):
            attempt()


def test_a_base_in_postgres_is_followed_too(
    postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.retrieval.postgres_base import PostgresBase

    monkeypatch.setenv("RUNG_POSTGRES", postgres_server)
    base = PostgresBase(tmp_path.name)
    base.update(DOCUMENTS, None)
    source = Source(f"postgres:{tmp_path.name}")
    assert ids(source) == ["lease.md#1"]
    assert ids(source, seen_by={"hr"}) == ["lease.md#1", "pay.md#1"]
    base.delete(["lease.md"])
    assert ids(source) == []
