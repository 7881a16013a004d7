"""Access labels and filters: a caller gets what an index without the rest would give, down to the scores."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from letter_encoder import LetterEncoder

import rung.retrieval.dense
import rung.retrieval.segment
from rung.core.answer import Hit
from rung.core.task import Document
from rung.retrieval.base import KnowledgeBase
from rung.retrieval.chunk import chunk_documents
from rung.retrieval.index import Index, build_index

LABELS = ("hr", "board", "lab")
WORDS = ["deposit", "alarm", "repair", "key", "rent", "押金", "报警器", "pay", "year", "every", "form"]
MODES = ("rrf", "lexical", "dense")
QUERIES = ["when is the deposit paid every year", "押金 报警器 key form"]


def document(n: int) -> Document:
    drawn = random.Random(n)
    access = tuple(drawn.sample(LABELS, drawn.choice([0, 0, 1, 2])))
    metadata = {"year": drawn.choice(["2024", "2025"])} | ({"team": drawn.choice("ab")} if n % 3 else {})
    return Document(f"d{n:02}", "", " ".join(drawn.choices(WORDS, k=drawn.randint(2, 9))), {}, (), access, metadata)


DOCUMENTS = [document(n) for n in range(40)]


def opened(folder: Path, documents: Sequence[Document]) -> Index:
    """In one segment, or in several with some that were deleted."""
    if len(documents) % 2:
        items = chunk_documents(documents, 120, 20)
        name = build_index(items, encoder=LetterEncoder(), indexes=folder, kind="passages")
        return Index(folder / name.split("@")[0], LetterEncoder())
    base = KnowledgeBase(folder / "base")
    for start in range(0, len(documents), 9):
        base.update([*documents[start : start + 9], Document("gone", "", f"deposit {start}")], LetterEncoder())
    base.delete(["gone"])
    return base.open(LetterEncoder())


def shown(found: list[list[Hit]]) -> list[list[tuple[str, float]]]:
    return [[(hit.item.id, hit.score) for hit in hits] for hits in found]


@pytest.mark.parametrize(
    "seen_by", [frozenset(), frozenset({"hr"}), frozenset({"lab", "board"}), frozenset({"no one"})]
)
@pytest.mark.parametrize("n", [39, 40])
def test_what_may_not_be_seen_is_neither_found_nor_felt(tmp_path: Path, n: int, seen_by: frozenset[str]) -> None:
    documents = DOCUMENTS[:n]
    visible = [each for each in documents if not each.access or seen_by & set(each.access)]
    whole, alone = opened(tmp_path / "whole", documents), opened(tmp_path / "alone", visible)
    for mode in MODES:
        for k in (3, 50):
            assert shown(whole.search(QUERIES, k, mode=mode, seen_by=seen_by)) == shown(
                alone.search(QUERIES, k, mode=mode)
            )
    hidden = {each.id for each in documents} - {each.id for each in visible}
    assert hidden


@pytest.mark.parametrize("mode", MODES)
def test_the_same_document_of_two_tenants_is_two(tmp_path: Path, mode: str) -> None:
    text = "The deposit is paid back within two weeks."
    both = [Document(f"{who}.md", "Lease", text, access=(who,)) for who in ("hr", "lab")]
    index = opened(tmp_path / "both", both)
    alone = opened(tmp_path / "alone", both[:1])
    hits = index.search(["deposit two weeks"], 5, mode=mode, seen_by=frozenset({"hr"}))
    assert [hit.item.payload["document"] for hit in hits[0]] == ["hr.md"]
    assert shown(hits) == shown(alone.search(["deposit two weeks"], 5, mode=mode))
    assert "lab" not in repr(hits)


def test_without_a_limit_everything_is_found(tmp_path: Path) -> None:
    index = opened(tmp_path, DOCUMENTS)
    assert len(index.search(QUERIES, 99)[0]) == len(DOCUMENTS)
    assert shown(index.search(QUERIES, 5, seen_by=frozenset(LABELS))) == shown(index.search(QUERIES, 5))


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"year": "2024"}, lambda m: m["year"] == "2024"),
        ({"year": ["2024", "2025"]}, lambda m: True),
        ({"year": "2025", "team": ["a"]}, lambda m: m["year"] == "2025" and m.get("team") == "a"),
        ({"team": ["a", "b"]}, lambda m: "team" in m),
        ({"year": []}, lambda m: False),
        ({"colour": "red"}, lambda m: False),
    ],
)
def test_metadata_narrows(tmp_path: Path, where: Mapping[str, str | list[str]], holds: object) -> None:
    index = opened(tmp_path, DOCUMENTS)
    wanted = {f"{each.id}#1" for each in DOCUMENTS if holds(each.metadata)}  # type: ignore[operator]
    for mode in MODES:
        hits = index.search(QUERIES, 99, mode=mode, where=where)
        everything = index.search(QUERIES, 99, mode=mode)
        for some, all_of_them in zip(hits, everything, strict=True):
            found = [hit.item.id for hit in some]
            assert set(found) == wanted & {hit.item.id for hit in all_of_them}
            if mode != "rrf":
                assert found == [hit.item.id for hit in all_of_them if hit.item.id in wanted]
    few = index.search(QUERIES[:1], 2, where=where)[0]
    assert len(few) == min(2, len(wanted))


def test_labels_and_metadata_come_back_with_the_passage(tmp_path: Path) -> None:
    index = opened(tmp_path, DOCUMENTS)
    known = {each.id: each for each in DOCUMENTS}
    for hit in index.search(QUERIES[:1], 99, mode="dense")[0]:
        document = known[hit.item.payload["document"]]
        assert hit.item.payload.get("access", []) == sorted(document.access)
        assert hit.item.payload["metadata"] == document.metadata


def test_through_a_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many vectors: the graph finds what comparing all of them finds, and masks hold whatever way is taken."""
    monkeypatch.setattr(rung.retrieval.segment, "GRAPH_FROM", 100)
    rng = np.random.default_rng(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    documents = [
        Document(
            f"d{n:04}",
            "",
            "".join(rng.choice(list(letters), 12)),
            {},
            (),
            ("few",) if n % 50 == 0 else ("most",) * (n % 2),
        )
        for n in range(1500)
    ]
    items = chunk_documents(documents, 120, 20)
    name = build_index(items, encoder=LetterEncoder(), indexes=tmp_path, kind="passages").split("@")[0]
    index = Index(tmp_path / name, LetterEncoder())
    assert (tmp_path / name / "graph.usearch").exists()
    queries = ["".join(rng.choice(list(letters), 12)) for _ in range(20)]
    monkeypatch.setattr(rung.retrieval.dense, "_DIRECT", 0)
    vectors, asked = LetterEncoder().encode([item.text for item in items]), LetterEncoder().encode(queries)
    cosines = np.round(asked.astype(np.float64) @ vectors.T.astype(np.float64), 6)
    for seen_by in (None, frozenset(), frozenset({"most"}), frozenset({"few"})):
        able = [
            n
            for n, item in enumerate(items)
            if seen_by is None or not (a := item.payload.get("access")) or seen_by & set(a)
        ]
        hits = index.search(queries, 10, mode="dense", seen_by=seen_by)
        overlap = 0
        for row, found in zip(cosines, hits, strict=True):
            best = sorted(able, key=lambda n: (-row[n], n))[:10]
            ids = [hit.item.id for hit in found]
            assert len(found) == 10
            assert set(ids) <= {items[n].id for n in able}
            assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
            overlap += len(set(ids) & {items[n].id for n in best})
        assert overlap >= 0.97 * 10 * len(queries)
