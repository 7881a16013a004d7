"""The LangChain retriever, called as LangChain calls it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from small_source import small_base

pytest.importorskip("langchain_core", reason="langchain-core is not installed (rung[langchain])")

from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

from rung.connect.langchain import RungRetriever


def test_it_gives_documents_to_a_chain(tmp_path: Path) -> None:
    retriever = RungRetriever.of(small_base(tmp_path / "kb").folder, k=3)
    (found,) = retriever.invoke("When is the deposit returned?")
    assert isinstance(found, Document)
    assert (found.id, found.page_content) == ("lease.md#1", "Lease\nThe deposit is returned within thirty days.")
    assert set(found.metadata) == {"id", "document", "title", "start", "end", "score", "year"}
    chain = retriever | RunnableLambda(lambda documents: [document.metadata["document"] for document in documents])
    assert chain.batch(["deposit", "押金"]) == [["lease.md"], ["租约.md"]]
    assert asyncio.run(retriever.ainvoke("押金"))[0].id == "租约.md#1"


def test_labels_and_filters_hold_for_it_or_for_one_call(tmp_path: Path) -> None:
    folder = small_base(tmp_path / "kb").folder
    staff = RungRetriever.of(folder, seen_by=frozenset({"hr"}), where={"year": "2024"})
    assert [document.id for document in staff.invoke("deposit")] == ["lease.md#1"]
    assert [document.id for document in staff.invoke("deposit", where=None)] == ["lease.md#1", "pay.md#1"]
    assert [document.id for document in staff.invoke("deposit", where=None, seen_by=())] == ["lease.md#1"]
    with pytest.raises(TypeError):
        staff.invoke("deposit", seen_bye=())
