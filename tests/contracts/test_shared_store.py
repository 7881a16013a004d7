"""The store in PostgreSQL keeps the contract of a retriever."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from letter_encoder import LetterEncoder

from rung.core.answer import Item, Retriever
from rung.core.model import Encoder
from rung.core.registry import create, find
from rung.testing import check_retriever


def test_the_shared_store_keeps_the_contract(
    postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.retrieval.postgres_base import PostgresBase

    monkeypatch.setenv("RUNG_POSTGRES", postgres_server)
    last = [tmp_path]

    def build(items: Sequence[Item]) -> Retriever:
        made = find("retriever", "postgres").build(items, encoder=LetterEncoder(), indexes=tmp_path, kind="passages")
        last[0] = tmp_path / made.split("@")[0]
        return reopen(LetterEncoder())

    def reopen(encoder: Encoder) -> Retriever:
        opened: Retriever = create("retriever", "postgres", folder=last[0], encoder=encoder)
        return opened

    check_retriever(build, LetterEncoder(), reopen=reopen, growing=PostgresBase("growing"))
