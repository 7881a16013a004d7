"""The LlamaIndex retriever, called as LlamaIndex calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_source import small_base

pytest.importorskip("llama_index.core", reason="llama-index-core is not installed (rung[llamaindex])")

from llama_index.core.schema import MetadataMode, NodeWithScore

from rung.connect.llamaindex import RungRetriever
from rung.connect.source import Source


def test_it_gives_nodes_with_scores(tmp_path: Path) -> None:
    source = Source(small_base(tmp_path / "kb").folder)
    (found,) = RungRetriever(source).retrieve("When is the deposit returned?")
    assert isinstance(found, NodeWithScore)
    assert found.score == found.metadata["score"] > 0
    assert (found.node_id, found.node.ref_doc_id) == ("lease.md#1", "lease.md")
    shown = found.node.get_content(MetadataMode.LLM)
    assert "thirty days" in shown
    assert "score" not in shown
    nodes = RungRetriever(source, seen_by={"hr"}).retrieve("deposit")
    assert [node.node_id for node in nodes] == ["lease.md#1", "pay.md#1"]
    assert RungRetriever(source, seen_by={"hr"}, k=1).retrieve("deposit") == nodes[:1]
    assert RungRetriever(source.path, where={"year": "2025"}).retrieve("deposit") == []
