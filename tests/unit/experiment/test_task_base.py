"""A task whose documents lie in a knowledge base: the version is lent to the run, searched as it is, and named in its records."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest
from letter_encoder import LetterEncoder
from letters import register_letters
from small_task import write_task

from rung.core.answer import Item, open_candidate
from rung.core.errors import DataError, UsageError
from rung.core.task import Document
from rung.experiment.run import run_task
from rung.experiment.setup import prepare
from rung.methods.slots import encoder_named
from rung.retrieval.base import KnowledgeBase
from rung.retrieval.lending import PINNED, documents_of, lend, look_up
from rung.store.runs import RunFolder

FACTS = ("gas", "water", "lift", "roof", "cellar", "garden", "window", "heating", "letter", "parking", "pets", "noise")
RECIPE = {"chunk_words": 30, "chunk_overlap": 5}


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)


def documents(firm: str = "firm") -> list[Document]:
    return [
        Document(
            f"{fact}.md", fact, f"About the {fact}.\n\nThe {fact} is kept by {firm} {n} of the town.", access=("staff",)
        )
        for n, fact in enumerate(FACTS)
    ]


def build(folder: Path, encoder: LetterEncoder | None) -> KnowledgeBase:
    base = KnowledgeBase(folder)
    base.update(documents(), encoder, recipe=RECIPE)
    return base


def desk(folder: Path, **changes: Any) -> Path:
    """Questions that the passages answer."""
    answers = {f"Who keeps the {fact}?": f"firm {n}" for n, fact in enumerate(FACTS)}
    task = write_task(
        folder,
        output={"kind": "text", "column": "answer"},
        data={"examples": "questions.csv", "id": "id", "document": "where"},
        metrics=["exact_match"],
        models=[{"kind": "fake", "id": "reader", "options": {"answers": answers}}],
        **{"encoder": "letters", "methods": ["rag"], **changes},
    )
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question", "answer", "where"])
        for n, fact in enumerate(FACTS):
            for again in range(4):
                writer.writerow([f"{fact}{again}", f"Who keeps the {fact}?" + " " * again, f"firm {n}", f"{fact}.md"])
    return task


def passages_of(run: RunFolder, **narrowed: Any) -> list[str]:
    (name,) = run.candidates()
    candidate = run.read_candidate(name)
    opened = open_candidate(candidate, run.candidate_folder(name), run.indexes)
    assert opened.passages is not None
    assert opened.passages.id == candidate.retriever.index  # type: ignore[union-attr]
    mode = candidate.retriever.recipe.fusion  # type: ignore[union-attr]
    return [hit.item.text for hit in opened.passages.search(["gas"], 20, mode=mode, **narrowed)[0]]


def test_a_run_answers_from_a_version_of_a_base_and_names_it(tmp_path: Path) -> None:
    encoder = LetterEncoder()
    base = build(tmp_path / "handbook", encoder)
    task = desk(tmp_path / "desk", documents="../handbook@1")
    base.update([Document("gas.md", "gas", "The gas is kept by nobody.")], encoder)
    run = run_task(task)
    assert run.read_run()["data"]["base"] == "handbook@1"
    assert {row["code"] for row in run.read_run()["data"]["findings"]} >= {"E2735"}
    (name,) = run.candidates()
    slot = run.read_candidate(name).retriever
    assert slot is not None
    assert (slot.index, slot.recipe.chunk_words, slot.recipe.encoder) == ("handbook@1", 30, "letters")
    encoded = encoder_named("letters").encoded  # type: ignore[attr-defined]
    assert encoded
    assert not [text for text in encoded if "kept by" in text], "a passage was encoded again"
    # What was proved stays, and stays closed to those who may not see it, whatever becomes of the base.
    base.prune()
    assert any("kept by firm 0" in text for text in passages_of(run))
    assert passages_of(run, seen_by=frozenset()) == []


def test_the_current_version_is_pinned_and_a_later_one_makes_another_run(tmp_path: Path) -> None:
    base = build(tmp_path / "handbook", None)
    task = desk(tmp_path / "desk", documents=str(tmp_path / "handbook"))
    first = prepare(task)
    assert (first.base.id, first.base.encoder) == ("handbook@1", "")  # type: ignore[union-attr]
    base.delete(["roof.md"])
    second = prepare(task)
    assert second.base.id == "handbook@2"  # type: ignore[union-attr]
    assert first.hash != second.hash
    assert len(second.documents.documents) == len(FACTS) - 1
    base.rollback()
    assert prepare(task).hash == first.hash
    run = run_task(task)
    recipe = run.read_candidate(run.candidates()[0]).retriever.recipe  # type: ignore[union-attr]
    assert (recipe.fusion, recipe.encoder) == ("lexical", "")


def test_a_base_of_another_encoder_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    build(tmp_path / "handbook", LetterEncoder("strange@7"))
    with pytest.raises(UsageError) as caught:
        prepare(desk(tmp_path / "desk", documents="../handbook"))
    assert caught.value.code == "E2719"
    assert "strange@7" in str(caught.value)
    assert "letters@1" in str(caught.value)
    assert "encoder" in caught.value.problems[0].where


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"documents": "../handbook", "settings": {"rag": {"chunk_words": [70, 140]}}}, "E2729"),
        ({"documents": "../handbook", "settings": {"rag+fine_tune": {"rag": {"chunk_words": 70}}}}, "E2729"),
        ({"documents": "../handbook", "drop_orders": True}, "E2730"),
        ({"documents": "https://name:secret@127.0.0.1/handbook.zip"}, "E2734"),
        ({"documents": "file:///etc/passwd"}, "E2734"),
        ({"documents": "../handbook@x"}, "E2372"),
    ],
)
def test_what_does_not_go_with_a_base_is_said_before_anything_is_read(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    build(tmp_path / "handbook", None)
    with pytest.raises(UsageError) as caught:
        prepare(desk(tmp_path / "desk", **changes))
    assert [problem.code for problem in caught.value.problems] == [code]
    assert "secret" not in str(caught.value)


def test_a_version_that_is_not_there_and_a_base_without_documents_are_refused(tmp_path: Path) -> None:
    build(tmp_path / "handbook", None)
    with pytest.raises(DataError, match="1") as caught:
        prepare(desk(tmp_path / "desk", documents="../handbook@9"))
    assert caught.value.code == "E2712"
    KnowledgeBase(tmp_path / "pool").update_items([Item("a", "a text")], None)
    with pytest.raises(DataError) as caught:
        prepare(desk(tmp_path / "desk", documents="../pool"))
    assert caught.value.code == "E2736"
    (tmp_path / "pool").rename(tmp_path / "po@ol")
    with pytest.raises(DataError) as caught:
        look_up(str(tmp_path / "po@ol"))
    assert caught.value.code == "E2718"


def test_questions_that_lie_in_the_base_are_told_of(tmp_path: Path) -> None:
    base = build(tmp_path / "handbook", None)
    base.update([Document("old/questions.csv", "", "Who keeps the gas? firm 0")], None)
    found = prepare(desk(tmp_path / "desk", documents="../handbook")).findings
    assert [finding.rows for finding in found if finding.code == "E2737"] == [("old/questions.csv",)]


def test_documents_are_put_together_from_their_passages(tmp_path: Path) -> None:
    long = "\n\n".join(f"Paragraph {n} says that the {fact} is kept well." for n, fact in enumerate(FACTS))
    whole = [Document("a.md", "Keeping", long, metadata={"year": "2025"}), Document("b.md", "", "一句话。" * 60)]
    base = KnowledgeBase(tmp_path / "handbook")
    base.update(whole, None, recipe={"chunk_words": 20, "chunk_overlap": 8})
    found = documents_of(look_up(str(tmp_path / "handbook")))
    assert [(one.id, one.title, one.text, dict(one.metadata)) for one in found] == [
        (one.id, one.title, one.text, dict(one.metadata)) for one in whole
    ]


def test_lending_that_was_stopped_goes_on_and_copies_where_links_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "handbook", None)
    base = look_up(str(tmp_path / "handbook"))
    real, calls = os.link, []

    def stopped(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "link", stopped)
    with pytest.raises(KeyboardInterrupt):
        lend(base, tmp_path / "indexes")

    def refused(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    folder = lend(base, tmp_path / "indexes")
    assert KnowledgeBase(folder).open().id == "handbook@1"
    assert len(KnowledgeBase(folder).open()) == len(FACTS)
    assert sorted(path.name for path in folder.iterdir()) == ["CURRENT", "segments", "versions"]


def test_a_run_reads_a_version_in_the_shared_store(
    tmp_path: Path, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.retrieval.postgres_base import PostgresBase

    monkeypatch.setenv("RUNG_POSTGRES", postgres_server)
    base = PostgresBase("handbook")
    base.update(documents(), LetterEncoder(), recipe=RECIPE)
    base.update(documents("nobody"), LetterEncoder(), recipe=RECIPE)
    run = run_task(desk(tmp_path / "desk", documents="postgres:handbook@1"))
    assert run.read_run()["data"]["base"] == "handbook@1"
    assert (run.indexes / "handbook" / PINNED).is_file()
    assert any("kept by firm 0" in text for text in passages_of(run))
    assert passages_of(run, seen_by=frozenset()) == []
    base.prune()
    with pytest.raises(DataError) as caught:
        passages_of(run)
    assert caught.value.code == "E2712"
