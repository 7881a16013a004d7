"""A LlamaIndex retriever over an index or a run: what Rung finds, as LlamaIndex's nodes."""

from __future__ import annotations

from pathlib import Path

from rung.connect.source import OPEN, Labels, Source, facts
from rung.core.answer import Hit, Where
from rung.core.errors import UsageError

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode
except ModuleNotFoundError as error:
    raise UsageError("E2773", name="LlamaIndex", package=error.name, extra="llamaindex") from error


class RungRetriever(BaseRetriever):
    """`RungRetriever("runs/my-run", seen_by={"staff"}).retrieve("How long ...?")`.

    A node's metadata: id, document, title, start, end, score, and the metadata of its source; a model is shown the title alone.
    """

    def __init__(
        self,
        source: Source | str | Path,
        *,
        k: int | None = None,
        mode: str | None = None,
        seen_by: Labels = OPEN,
        where: Where | None = None,
    ) -> None:
        """`source`: an opened one, to share it, or where it lies. `seen_by`: access labels of whoever reads the passages;
        with none, only what is open to all is found, and None lifts the limit. Raises UsageError E2770."""
        super().__init__()
        self.source = source if isinstance(source, Source) else Source(source)
        self.k, self.mode, self.seen_by, self.where = k, mode, seen_by, where

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self.source.search(
            query_bundle.query_str, k=self.k, mode=self.mode, seen_by=self.seen_by, where=self.where
        )
        return [_node(hit) for hit in found]


def _node(hit: Hit) -> NodeWithScore:
    about = facts(hit)
    hidden = [name for name in about if name != "title"]
    node = TextNode(
        id_=hit.item.id,
        text=hit.item.text,
        metadata=about,
        excluded_embed_metadata_keys=hidden,
        excluded_llm_metadata_keys=hidden,
        start_char_idx=about["start"],
        end_char_idx=about["end"],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=about["document"])},
    )
    return NodeWithScore(node=node, score=hit.score)
