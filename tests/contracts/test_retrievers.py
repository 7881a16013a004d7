"""Every registered retriever keeps the contract of a retriever, and the kit notices when one does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from letter_encoder import LetterEncoder

from rung.core.answer import Hit, Item, Retriever
from rung.core.model import Encoder
from rung.core.registry import create, find, parts
from rung.retrieval.base import KnowledgeBase
from rung.retrieval.index import Index
from rung.testing import ContractBroken, check_retriever

LOCAL = ("index",)
"""Retrievers that live in a folder; the others are checked where their server is."""


class Bench:
    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.last = name, folder, folder

    def build(self, items: Sequence[Item]) -> Retriever:
        made = find("retriever", self.name).build(items, encoder=LetterEncoder(), indexes=self.folder, kind="passages")
        self.last = self.folder / made.split("@")[0]
        return self.reopen(LetterEncoder())

    def reopen(self, encoder: Encoder) -> Retriever:
        opened: Retriever = create("retriever", self.name, folder=self.last, encoder=encoder)
        return opened

    def damaged(self) -> Retriever:
        largest = max((path for path in self.last.iterdir()), key=lambda path: path.stat().st_size)
        data = bytearray(largest.read_bytes())
        data[len(data) // 2] ^= 1
        largest.write_bytes(data)
        return self.reopen(LetterEncoder())


@pytest.mark.parametrize("name", [name for name in parts("retriever") if name in LOCAL])
def test_every_local_retriever_keeps_the_contract(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path / "indexes")
    growing = KnowledgeBase(tmp_path / "base") if name == "index" else None
    check_retriever(bench.build, LetterEncoder(), reopen=bench.reopen, damaged=bench.damaged, growing=growing)


class Broken(Index):
    """An index with one fault."""

    fault = ""

    def search(self, queries: Sequence[str], k: int, **how: Any) -> list[list[Hit]]:
        if self.fault == "labels":
            how.pop("seen_by", None)
        if self.fault == "filter":
            how.pop("where", None)
        if self.fault == "exclude":
            how.pop("exclude", None)
        found = super().search(queries, k + (self.fault == "more"), **how)
        if self.fault == "felt" and how.get("seen_by") is not None:
            found = [[Hit(hit.item, hit.score * 0.9) for hit in hits] for hits in found]
        return [hits[::-1] for hits in found] if self.fault == "order" else found


@pytest.mark.parametrize("fault", ["", "labels", "filter", "exclude", "more", "felt", "order"])
def test_the_kit_notices(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("index", tmp_path)
    monkeypatch.setattr(Broken, "fault", fault)

    def build(items: Sequence[Item]) -> Retriever:
        bench.build(items)
        return Broken(bench.last, LetterEncoder())

    if fault:
        with pytest.raises(ContractBroken):
            check_retriever(build, LetterEncoder())
    else:
        check_retriever(build, LetterEncoder())


@pytest.mark.parametrize("fault", ["encoder", "damage", "deletion"])
def test_the_kit_notices_what_is_not_refused(fault: str, tmp_path: Path) -> None:
    bench = Bench("index", tmp_path / "indexes")

    class Forgetful(KnowledgeBase):
        def delete(self, ids: Any) -> Any:
            return None

    checks: dict[str, dict[str, Any]] = {
        "encoder": {"reopen": lambda encoder: bench.reopen(LetterEncoder())},
        "damage": {"damaged": lambda: bench.reopen(LetterEncoder())},
        "deletion": {"growing": Forgetful(tmp_path / "base")},
    }
    with pytest.raises(ContractBroken):
        check_retriever(bench.build, LetterEncoder(), **checks[fault])
