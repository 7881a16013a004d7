"""Paragraphs of a document that give a language model orders, left out: what is read should answer people, not steer a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rung.core.task import Document
from rung.data.parsing.blocks import Block
from rung.data.parsing.hidden import find_orders


@dataclass
class OrderFilter:
    """Called with a file's blocks, it returns those that give no orders. It finds what `find_orders` has a rule for, and no more:
    a false statement in plain words passes."""

    removed: list[str] = field(default_factory=list)
    """The first order of each paragraph that was left out."""

    def __call__(self, blocks: Sequence[Block]) -> Sequence[Block]:
        kept = []
        for block in blocks:
            if not (orders := find_orders(block.text)):
                kept.append(block)
                continue
            self.removed.append(orders[0])
            if block.kind == "table":
                # One poisoned cell must not take a price list away.
                rows = [row for row in block.text.split("\n") if not find_orders(row)]
                kept += [replace(block, text="\n".join(rows))] if rows else []
        return kept

    def title_of(self, document: Document) -> Document:
        """The document, without a title that gives orders: a title stands above each of its passages."""
        orders = find_orders(document.title.replace("_", " "))
        if not orders:
            return document
        self.removed.append(orders[0])
        return replace(document, title="")
