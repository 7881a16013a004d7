"""The store in PostgreSQL, on a real server: it finds what a folder finds, and keeps what it promises while it changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from letter_encoder import LetterEncoder

from rung.core.answer import Hit, Item, Retriever
from rung.core.errors import BackendError, DataError, UsageError
from rung.core.registry import create, find
from rung.core.task import Document
from rung.retrieval.base import Change, KnowledgeBase

pytest.importorskip("psycopg")
pytest.importorskip("pgvector")

import psycopg
from postgres_server import PASSWORD

import rung.retrieval.merging
import rung.retrieval.postgres_dense
from rung.retrieval.postgres import PostgresIndex
from rung.retrieval.postgres_base import PostgresBase

WORDS = [
    "deposit",
    "alarm",
    "repair",
    "key",
    "rent",
    "押金",
    "报警器",
    "房东",
    "H-10",
    "is",
    "paid",
    "every",
    "year",
    "the",
    "of",
    "租金",
]
QUERIES = ["when is the deposit paid", "押金 报警器", "h-10 key every", "房东的租金", "zzz", " "]
MODES = ("rrf", "lexical", "dense")
SIGHTS = (None, frozenset[str](), frozenset({"staff"}), frozenset({"staff", "hr"}))
LABELS = ((), ("staff",), ("hr", "board"))


@pytest.fixture
def base(postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresBase:
    monkeypatch.setenv("RUNG_POSTGRES", postgres_server)
    return PostgresBase(tmp_path.name)


def document(n: int, seed: int | None = None) -> Document:
    drawn = random.Random(n if seed is None else seed)
    text = " ".join(drawn.choices(WORDS, k=drawn.randint(1, 30)))
    metadata = {"year": str(2020 + n % 3), "城市": "上海" if n % 2 else "Wien"}
    return Document(f"d{n}", f"Title {n % 4}", text, access=LABELS[n % 3], metadata=metadata)


DOCUMENTS = [document(n) for n in range(40)]


def found(index: Retriever, k: int = 7, **narrowed: object) -> list[list[tuple[str, float]]]:
    hits: list[Sequence[Hit]] = []
    for mode in MODES:
        hits += index.search(QUERIES, k, mode=mode, **narrowed)  # type: ignore[arg-type]
    return [[(hit.item.id, hit.score) for hit in each] for each in hits]


def same(one: Retriever, other: Retriever, k: int = 7, **narrowed: object) -> None:
    """The same items in the same order; scores alike to the last digits of a float."""
    ours, theirs = found(one, k, **narrowed), found(other, k, **narrowed)
    assert [[id for id, _ in each] for each in ours] == [[id for id, _ in each] for each in theirs]
    assert [score for each in ours for _, score in each] == pytest.approx(
        [score for each in theirs for _, score in each], rel=1e-6
    )


def test_it_finds_what_a_folder_finds_whoever_asks(base: PostgresBase, tmp_path: Path) -> None:
    folder = KnowledgeBase(tmp_path / "base")
    for part in (DOCUMENTS[:25], DOCUMENTS[20:]):
        assert base.update(part, LetterEncoder()) == folder.update(part, LetterEncoder())
    ours, theirs = base.open(LetterEncoder()), folder.open(LetterEncoder())
    assert ours.items == theirs.items
    assert len(ours) == len(theirs) == 40
    for labels in SIGHTS:
        same(ours, theirs, seen_by=labels)
        same(ours, theirs, 100, seen_by=labels, where={"year": ["2020", "2021"], "城市": "上海"})
    same(ours, theirs, where={"nothing": "here"})
    hidden = [frozenset({"d1#1", "d2#1", "nobody"}), *[frozenset[str]()] * 5]
    same(ours, theirs, exclude=hidden)
    ours.close()


def test_it_stays_so_through_changes_deletes_and_rollbacks(
    base: PostgresBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rung.retrieval.merging, "MOST", 2)
    folder = KnowledgeBase(tmp_path / "base")

    def both(do: Callable[[Any], Any]) -> None:
        ours, theirs = do(base), do(folder)
        # The store has vectors of earlier versions too.
        assert ours == (replace(theirs, encoded=ours.encoded) if isinstance(ours, Change) else theirs)

    def check() -> None:
        for version in base.versions():
            ours = base.open(LetterEncoder(), version.number)
            theirs = folder.open(LetterEncoder(), version.number)
            assert ours.items == theirs.items
            assert (version.items, version.documents) == (
                len(theirs),
                len({i.payload["document"] for i in theirs.items}),
            )
            for labels in SIGHTS[1:3]:
                same(ours, theirs, seen_by=labels)
            ours.close()

    def put(documents: Sequence[Document], **how: bool) -> Callable[[Any], Any]:
        return lambda one: one.update(documents, LetterEncoder(), **how)

    both(put(DOCUMENTS[:12]))
    both(put([document(3, 99), document(4), document(20), Document("d5", "", " ")]))
    both(lambda one: one.delete(["d1", "d20", "nobody"]))
    check()
    both(lambda one: one.rollback(2).number)
    both(put([document(30), document(2, 77)]))
    check()
    both(lambda one: one.rollback(1).number)
    both(lambda one: one.delete(["d2"]))
    both(put(DOCUMENTS[6:30], remove_others=True))
    check()
    both(lambda one: one.compact().number)
    check()
    both(lambda one: one.prune(2))
    check()
    both(lambda one: one.prune())
    check()


def test_only_what_changed_is_encoded(base: PostgresBase) -> None:
    encoder = LetterEncoder()
    assert base.update(DOCUMENTS[:6], encoder) == Change(1, added=6, encoded=6)
    encoder.encoded.clear()
    assert base.update(DOCUMENTS[:6], encoder) == Change(1, unchanged=6)
    change = base.update([*DOCUMENTS[:6], Document("new", "Title 1", DOCUMENTS[1].text)], encoder)
    assert change == Change(2, added=1, unchanged=6)
    assert encoder.encoded == []


def test_a_killed_update_changes_nothing_and_its_vectors_are_found_done(
    base: PostgresBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rung.retrieval.postgres_base
    import rung.retrieval.postgres_vectors

    monkeypatch.setattr(rung.retrieval.postgres_vectors, "BATCH", 2)
    base.update(DOCUMENTS[:3], LetterEncoder())
    before = base.open(LetterEncoder())
    shown = found(before)

    class Dying(LetterEncoder):
        def encode(self, texts: Sequence[str]) -> object:  # type: ignore[override]
            if len(self.encoded) >= 4:
                raise KeyboardInterrupt
            return super().encode(texts)

    with pytest.raises(KeyboardInterrupt):
        base.update(DOCUMENTS, Dying())

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rung.retrieval.postgres_base, "_publish", dies)
        with pytest.raises(KeyboardInterrupt):
            base.update(DOCUMENTS[:10], LetterEncoder())
    assert found(base.open(LetterEncoder())) == found(before) == shown
    assert [version.number for version in base.versions()] == [1]
    encoder = LetterEncoder()
    # 3 were there from the beginning; 4 were done before the first kill, 7 others before the second.
    assert base.update(DOCUMENTS, encoder).encoded == 40 - 3 - 4 - 7 == len(encoder.encoded)
    assert found(before) == shown, "an index that is open stays the version that it was opened as"


def test_nothing_of_what_a_caller_may_not_see_leaves_the_database(
    base: PostgresBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.update([*DOCUMENTS, Document("secret", "", "the canary deposit", access=("hr",))], LetterEncoder())
    index = base.open(LetterEncoder())
    read: list[str] = []

    class Reading(psycopg.Cursor[Any]):
        def fetchone(self) -> Any:
            read.append(repr(row := super().fetchone()))
            return row

        def fetchall(self) -> list[Any]:
            read.append(repr(rows := super().fetchall()))
            return rows

        def __next__(self) -> Any:
            read.append(repr(row := super().__next__()))
            return row

    index._connection.cursor_factory = Reading
    for labels in (frozenset[str](), frozenset({"staff"})):
        found(index, seen_by=labels)
    said = "".join(read)
    assert "Title" in said
    assert "canary" not in said
    assert '"access": ["hr"' not in said
    found(index, seen_by=frozenset({"hr"}))
    assert "canary" in "".join(read)


def test_a_graph_finds_nearly_what_comparing_all_finds(base: PostgresBase, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [document(n) for n in range(300)]
    base.update(documents, LetterEncoder())
    exact = base.open(LetterEncoder())
    queries = [document(n, 1000 + n).text for n in range(20)]
    wanted = exact.search(queries, 10, mode="dense", seen_by=frozenset({"staff"}))
    monkeypatch.setattr(rung.retrieval.postgres_dense, "GRAPH_FROM", 50)
    base.update([document(300)], LetterEncoder())
    base.delete(["d300", "d1"])
    index = base.open(LetterEncoder())
    near = index.search(queries, 10, mode="dense", seen_by=frozenset({"staff"}))
    plan = explained(index)
    assert "graph_" in plan
    hits = sum(len({hit.item.id for hit in a} & {hit.item.id for hit in b}) for a, b in zip(wanted, near, strict=True))
    assert hits >= 195
    assert all(len(each) == 10 for each in near)


def explained(index: PostgresIndex) -> str:
    """How the server goes about a search by meaning."""
    said: list[str] = []
    with psycopg.connect(index._connection.info.dsn, password=PASSWORD) as connection:
        number = index._base.number
        connection.execute("SET enable_seqscan = off")
        rows = connection.execute(
            f"EXPLAIN SELECT place FROM rung.vectors_{number} v ORDER BY v.vector::halfvec(32) <=> "
            f"(SELECT vector::halfvec(32) FROM rung.vectors_{number} LIMIT 1) LIMIT 5"
        )
        said += [row[0] for row in rows]
    return "\n".join(said)


def test_a_task_builds_and_opens_it_by_its_registry_name(base: PostgresBase, tmp_path: Path) -> None:
    items = [Item(f"e{n}", doc.text, {"inputs": {"q": doc.text}, "answer": "yes"}) for n, doc in enumerate(DOCUMENTS)]
    names = [
        find("retriever", kind).build(items, encoder=LetterEncoder(), indexes=tmp_path / "indexes", kind="examples")
        for kind in ("postgres", "postgres", "index")
    ]
    assert names[0] == names[1] == names[2]
    folder = tmp_path / "indexes" / names[0].split("@")[0]
    ours = create("retriever", "postgres", folder=folder, encoder=LetterEncoder())
    assert ours.id == names[0]
    same(ours, create("retriever", "index", folder=folder, encoder=LetterEncoder()))


def test_texts_that_a_database_cannot_hold_come_back_whole(base: PostgresBase) -> None:
    odd = "half \ud83d and \x00 nothing 押金"
    item = Item(f"{odd}#1", odd, {"document": odd, "title": odd, "metadata": {odd: odd}, "access": [odd]})
    base.update_items([item], LetterEncoder())
    assert base.update_items([item], LetterEncoder()).unchanged == 1
    index = base.open(LetterEncoder())
    for mode in MODES:
        (hits,) = index.search([odd], 3, mode=mode, seen_by=frozenset({odd}), where={odd: odd})
        assert [hit.item for hit in hits] == [item]
        assert index.search([odd], 3, mode=mode, seen_by=frozenset()) == [[]]
    assert base.delete([item.id]).unknown == (item.id,)
    assert base.delete([odd]).deleted == 1


def test_other_makings_are_refused(base: PostgresBase) -> None:
    for missing in (lambda: base.open(), base.versions, lambda: base.delete(["x"]), base.rollback):
        with pytest.raises(DataError, match="E2702"):
            missing()
    with pytest.raises(DataError, match="E2701"):
        base.update([Document("d", "", " ")], LetterEncoder())
    base.update(DOCUMENTS[:3], LetterEncoder())
    for other in (None, LetterEncoder("letters@2")):
        with pytest.raises(DataError, match="E2704"):
            base.update(DOCUMENTS, other)
    with pytest.raises(DataError, match="E2704"):
        base.open(LetterEncoder("letters@2"))
    with pytest.raises(DataError, match="E2713"):
        base.update(DOCUMENTS, LetterEncoder(), recipe={"chunk_words": 20, "chunk_overlap": 3})
    with pytest.raises(DataError, match="E2712"):
        base.open(version=9)
    with pytest.raises(DataError, match="E2716"):
        base.rollback()
    with pytest.raises(DataError, match="E2705"):
        base.open().search(["x"], 1)
    assert base.open().search(["deposit"], 1, mode="lexical")[0]


def test_what_was_pruned_is_out_of_the_tables(base: PostgresBase) -> None:
    base.update([*DOCUMENTS[:4], Document("secret", "", "the canary")], LetterEncoder())
    opened = base.open(LetterEncoder())
    base.delete(["secret"])
    assert base.prune() == [1]
    with pytest.raises(DataError, match="E2712"):
        found(opened)
    with psycopg.connect(opened._connection.info.dsn, password=PASSWORD) as connection:
        number = opened._base.number
        for table, column in (
            ("items", "line"),
            ("lists", "encode(term, 'escape')"),
            ("documents", "encode(document, 'escape')"),
        ):
            rows = connection.execute(f"SELECT string_agg({column}, ' ') FROM rung.{table}_{number}").fetchone()  # type: ignore[arg-type]
            assert rows
            assert "canary" not in rows[0]
            assert "secret" not in rows[0]


def test_a_lost_connection_is_made_again_and_a_lost_server_told_without_the_password(
    base: PostgresBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.update(DOCUMENTS[:5], LetterEncoder())
    index = base.open(LetterEncoder())
    shown = found(index)
    address = index._connection.info.dsn
    with psycopg.connect(address, password=PASSWORD, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (index._connection.info.backend_pid,))
    assert found(index) == shown
    parts = psycopg.conninfo.conninfo_to_dict(address, password=PASSWORD)
    refused = [
        (psycopg.conninfo.make_conninfo(**parts | {"port": "1"}), BackendError, "E2782"),
        (psycopg.conninfo.make_conninfo(**parts | {"password": PASSWORD + "!"}), BackendError, "E2782"),
        (f"postgresql://rung:{PASSWORD}@[::1", UsageError, "E2781"),
        ("", UsageError, "E2780"),
    ]
    for where, kind, code in refused:
        monkeypatch.setenv("RUNG_POSTGRES", where)
        with pytest.raises(kind) as caught:
            PostgresIndex(base.name)
        assert caught.value.code == code
        said = [*caught.value.lines("en"), *caught.value.lines("zh"), repr(caught.value.problems)]
        assert PASSWORD not in "".join(said)
    with pytest.raises(BackendError) as caught:
        PostgresIndex(base.name, address=refused[0][0])
    assert "127.0.0.1:1" in str(caught.value)


def test_a_user_who_may_only_read_can_search_and_change_nothing(base: PostgresBase, postgres_server: str) -> None:
    base.update(DOCUMENTS, LetterEncoder())
    with psycopg.connect(postgres_server, autocommit=True) as owner:
        owner.execute("CREATE ROLE reader LOGIN PASSWORD 'reading'")
        owner.execute("GRANT USAGE ON SCHEMA rung TO reader")
        owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA rung TO reader")
    address = postgres_server.replace(f"rung:{PASSWORD}", "reader:reading")
    same(PostgresIndex(base.name, LetterEncoder(), address=address), base.open(LetterEncoder()), where={"year": "2020"})
    reader = PostgresBase(base.name, address=address)
    assert reader.update(DOCUMENTS[:1], LetterEncoder()).unchanged == 1
    with pytest.raises(BackendError, match="E2784"):
        reader.delete(["d1"])
    assert base.current() == 1


def test_writers_wait_for_each_other(base: PostgresBase) -> None:
    from threading import Thread

    base.update(DOCUMENTS[:1], LetterEncoder())
    failed: list[BaseException] = []

    def put(n: int) -> None:
        try:
            PostgresBase(base.name).update([DOCUMENTS[n]], LetterEncoder())
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=put, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [version.documents for version in base.versions()] == list(range(1, 10))
    assert len(base.open().items) == 9
