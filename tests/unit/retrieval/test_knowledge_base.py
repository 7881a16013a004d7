"""A knowledge base: what is found depends on what it holds, never on how it came there; nothing is lost or left behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from letter_encoder import LetterEncoder
from numpy.typing import NDArray

import rung.retrieval.base
import rung.retrieval.embedding
import rung.retrieval.merging
import rung.retrieval.segment
from rung.core.answer import Hit, Item
from rung.core.errors import BackendError, DataError, InterruptedRun, WriteError
from rung.core.lock import folder_lock
from rung.core.task import Document
from rung.retrieval.base import Change, KnowledgeBase
from rung.retrieval.index import Index
from rung.retrieval.versions import numbers

WORDS = ["deposit", "alarm", "repair", "key", "rent", "押金", "报警器", "H-10", "is", "paid", "every", "year"]
QUERIES = ["when is the deposit paid", "押金 报警器", "h-10 key every", "zzz"]
MODES = ("rrf", "lexical", "dense")


def text_of(seed: int) -> str:
    drawn = random.Random(seed)
    return " ".join(drawn.choices(WORDS, k=drawn.randint(1, 12)))


def documents(texts: dict[str, str]) -> list[Document]:
    return [Document(id, "", text) for id, text in texts.items()]


TEXTS = {f"d{n}": text_of(n) for n in range(6)}


def found(index: Index, k: int = 4, **narrowed: object) -> list[list[list[tuple[str, float]]]]:
    return [
        [[(hit.item.id, hit.score) for hit in hits] for hits in index.search(QUERIES, k, mode=mode, **narrowed)]
        for mode in MODES
    ]


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.item.id for hit in hits]


def built(folder: Path, texts: dict[str, str]) -> KnowledgeBase:
    base = KnowledgeBase(folder)
    base.update(documents(texts), LetterEncoder())
    return base


STEP = st.one_of(
    st.tuples(st.just("put"), st.dictionaries(st.sampled_from("abcdefg"), st.integers(0, 9), min_size=1, max_size=4)),
    st.tuples(st.just("delete"), st.sets(st.sampled_from("abcdefg"), min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["compact", "prune"]), st.none()),
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=1, max_size=7), most=st.sampled_from([1, 2, 8]))
def test_any_history_gives_what_one_build_gives(steps: list[tuple[str, object]], most: int) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rung.retrieval.merging, "MOST", most)
        base, held = KnowledgeBase(Path(name) / "base"), {"z": "the deposit alarm"}
        base.update(documents(held), LetterEncoder())
        for what, given in steps:
            if what == "put":
                texts = {id: text_of(seed) for id, seed in given.items()}  # type: ignore[attr-defined]
                base.update(documents(texts), LetterEncoder())
                held |= texts
            elif what == "delete":
                base.delete(given)  # type: ignore[arg-type]
                held = {id: text for id, text in held.items() if id not in given}  # type: ignore[operator]
            else:
                getattr(base, what)()
        fresh = built(Path(name) / "fresh", held)
        index = base.open(LetterEncoder())
        assert index.items == fresh.open().items
        assert found(index) == found(fresh.open(LetterEncoder()))


def test_only_what_changed_is_cut_and_encoded(tmp_path: Path) -> None:
    base, encoder = KnowledgeBase(tmp_path / "base"), LetterEncoder()
    assert base.update(documents(TEXTS), encoder) == Change(1, added=6, encoded=6)
    encoder.encoded.clear()
    assert base.update(documents(TEXTS), encoder) == Change(1, unchanged=6)
    change = base.update(documents({**TEXTS, "d1": "a new text", "new": TEXTS["d2"], "blank": " "}), encoder)
    assert change == Change(2, added=1, changed=1, unchanged=5, encoded=1, blank=("blank",))
    assert encoder.encoded == ["a new text"]
    assert base.open().id == "base@2"


def test_one_page_of_a_long_document_costs_one_page(tmp_path: Path) -> None:
    pages = ["\n\n".join(f"Clause {n}.{i} says {text_of(100 * n + i)}." for i in range(12)) for n in range(8)]
    base, encoder = KnowledgeBase(tmp_path / "base"), LetterEncoder()
    first = base.update([Document("long", "", "\n\n".join(f"# Part {n}\n\n{p}" for n, p in enumerate(pages)))], encoder)
    pages[3] = pages[3].replace("Clause 3.4", "Clause 3.four")
    encoder.encoded.clear()
    change = base.update(
        [Document("long", "", "\n\n".join(f"# Part {n}\n\n{p}" for n, p in enumerate(pages)))], encoder
    )
    assert change.changed == 1
    assert 0 < change.encoded == len(encoder.encoded) <= first.encoded / 4


def test_deleted_documents_are_gone_at_once_and_come_back_with_the_version(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    before = base.open(LetterEncoder())
    shown = found(before)
    assert base.delete(["d2", "d2", "nobody"]) == Change(2, deleted=1, unknown=("nobody",))
    after = base.open(LetterEncoder())
    assert len(after) == 5
    assert "d2#1" not in str(found(after, 9))
    assert before.latest().id == "base@2"
    assert found(before.latest()) == found(after)
    assert after.latest() is after
    assert found(before) == shown, "an index that is open stays the version that it was opened as"
    assert found(base.open(LetterEncoder(), 1)) == shown
    assert base.rollback().number == 1
    assert found(base.open(LetterEncoder())) == shown
    # A number is never given twice.
    assert base.update(documents({"x": "more"}), LetterEncoder()).version == 3
    assert [version.documents for version in base.versions()] == [6, 5, 7]
    with pytest.raises(DataError, match="E2712"):
        base.open(version=9)
    base.rollback(1)
    with pytest.raises(DataError, match="E2716"):
        base.rollback()


def test_everything_can_go(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    base.delete(TEXTS)
    index = base.open(LetterEncoder())
    assert len(index) == 0
    assert index.search(QUERIES, 3) == [[]] * 4
    base.prune()
    base.update(documents({"x": "a key"}), LetterEncoder())
    assert ids(base.open(LetterEncoder()).search(["key"], 3)[0]) == ["x#1"]


def test_removing_others_makes_the_base_what_was_given(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    change = base.update(documents({"d0": TEXTS["d0"], "x": "more"}), LetterEncoder(), remove_others=True)
    assert change == Change(2, added=1, deleted=5, unchanged=1, encoded=1)
    assert [item.id for item in base.open().items] == ["d0#1", "x#1"]


def test_a_document_that_lost_its_text_is_gone(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    change = base.update(documents({"d0": " "}), LetterEncoder())
    assert (change.deleted, change.blank) == (1, ("d0",))
    assert "d0#1" not in [item.id for item in base.open().items]


@pytest.mark.parametrize("keep", [1, 2])
def test_pruning_leaves_no_text_that_no_version_holds(tmp_path: Path, keep: int) -> None:
    base = built(tmp_path / "base", {**TEXTS, "secret": "the secret canary"})
    base.delete(["secret"])
    base.update(documents({"x": "more", "d1": "changed"}), LetterEncoder())
    shown = [found(base.open(LetterEncoder(), number)) for number in (2, 3)]
    assert b"canary" in everything(base.folder)
    assert base.prune(keep) == [1, 2][: 3 - keep]
    assert b"canary" not in everything(base.folder)
    assert [found(base.open(LetterEncoder(), number)) for number in numbers(base.folder)] == shown[-keep:]
    assert base.prune(keep) == []


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_many_updates_stay_few_segments(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    for n in range(20):
        base.update(documents({f"n{n}": text_of(50 + n)}), LetterEncoder())
        assert len(base.versions()[-1].members) <= rung.retrieval.merging.MOST
    base.compact()
    assert len(base.versions()[-1].members) == 1
    assert base.versions()[-1].number == 21
    everyone = TEXTS | {f"n{n}": text_of(50 + n) for n in range(20)}
    assert found(base.open(LetterEncoder())) == found(built(tmp_path / "fresh", everyone).open(LetterEncoder()))


def test_other_makings_are_refused(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    for other in (None, LetterEncoder("letters@2")):
        with pytest.raises(DataError, match="E2704"):
            base.update(documents({"x": "more"}), other)
    with pytest.raises(DataError, match="E2704"):
        base.open(LetterEncoder("letters@2"))
    with pytest.raises(DataError, match="E2713"):
        base.update(documents({"x": "more"}), LetterEncoder(), recipe={"chunk_words": 50, "chunk_overlap": 5})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(DataError, match="E2717"):
        built(tmp_path / "mine", TEXTS)
    with pytest.raises(DataError, match="E2702"):
        KnowledgeBase(tmp_path / "none").delete(["a"])
    with pytest.raises(DataError, match="E2701"):
        built(tmp_path / "empty", {"a": " "})


def test_items_are_kept_as_they_are(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path / "pool")
    items = [Item(id, text, {"answer": id}) for id, text in TEXTS.items()]
    base.update_items(items, LetterEncoder(), kind="examples")
    changed = [*items[:-1], Item("d5", TEXTS["d5"], {"answer": "another"})]
    assert base.update_items(changed, LetterEncoder(), kind="examples") == Change(2, changed=1, unchanged=5)
    assert base.open().items == tuple(changed)


def test_items_of_one_document_come_and_go_with_it(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path / "pool")
    items = [Item(f"lease#{n}", f"Clause {n} of the lease.", {"document": "lease"}) for n in (1, 2, 3)]
    base.update_items(items, LetterEncoder())
    assert base.update_items(items, LetterEncoder()) == Change(1, unchanged=1)
    assert base.update_items(items[:2], LetterEncoder()).changed == 1
    assert base.open().items == tuple(items[:2])
    base.delete(["lease"])
    assert base.open().items == ()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("CURRENT", "E2703"),
        ("versions/000002.json", "E2703"),
        ("segments/*/items.jsonl", "E2738"),
        ("segments/*/lexical.safetensors", "E2738"),
        ("segments/*/vectors.safetensors", "E2738"),
    ],
)
def test_damage_is_refused_and_a_base_built_anew_is_whole(tmp_path: Path, name: str, code: str) -> None:
    base = built(tmp_path / "base", TEXTS)
    base.update(documents({"x": "more"}), LetterEncoder())
    for path in base.folder.glob(name):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(DataError, match=code):
        base.open(LetterEncoder())
    shutil.rmtree(base.folder)
    base.update(documents({**TEXTS, "x": "more"}), LetterEncoder())
    assert len(base.open(LetterEncoder())) == len(TEXTS) + 1


def test_damage_of_a_new_segment_leaves_the_version_before_it(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    shown = found(base.open(LetterEncoder()))
    before = set((base.folder / "segments").iterdir())
    base.update(documents({"x": "more"}), LetterEncoder())
    (fresh,) = set((base.folder / "segments").iterdir()) - before
    (fresh / "items.jsonl").write_bytes(b"torn")
    with pytest.raises(DataError, match="rollback") as caught:
        base.open(LetterEncoder())
    assert caught.value.code == "E2738"
    assert base.rollback().number == 1
    assert found(base.open(LetterEncoder())) == shown


def test_a_renamed_document_costs_no_encoding_and_its_old_name_is_gone(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path / "base")
    old = Document("old name.md", "The lease", "When is the deposit paid back?")
    base.update([old, Document("other.md", "Other", "pay every year")], LetterEncoder())
    renamed = replace(old, id="new/name.md")
    change = base.update(
        [renamed, Document("other.md", "Other", "pay every year")], LetterEncoder(), remove_others=True
    )
    assert (change.added, change.deleted, change.unchanged, change.encoded) == (1, 1, 1, 0)
    hits = base.open(LetterEncoder()).search(["deposit"], 5)[0]
    assert [hit.item.payload["document"] for hit in hits if "deposit" in hit.item.text] == ["new/name.md"]


def test_an_encoder_that_changed_its_length_is_refused(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    shorter = LetterEncoder(dimensions=16)
    for work in (
        lambda: base.open(shorter).search(["deposit"], 1),
        lambda: base.update(documents({"x": "more"}), shorter),
        lambda: base.update(documents({"x": "more", "again": TEXTS["d1"]}), shorter),
    ):
        with pytest.raises(BackendError, match="16 dimensions, and 32"):
            work()
    assert base.versions()[-1].number == 1


def test_one_writer_at_a_time_and_readers_never_wait(tmp_path: Path) -> None:
    base = built(tmp_path / "base", TEXTS)
    with folder_lock(base.folder):
        for write in (lambda: base.delete(["d1"]), base.compact, base.prune, base.rollback):
            with pytest.raises(InterruptedRun, match="E2711"):
                write()
        assert len(base.open(LetterEncoder())) == 6


@pytest.mark.parametrize("module", [rung.retrieval.segment, rung.retrieval.embedding])
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object) -> None:
    base = built(tmp_path / "base", TEXTS)
    shown = found(base.open(LetterEncoder()))

    def full(file: object, arrays: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_arrays" if module is rung.retrieval.segment else "write_whole", full)
        with pytest.raises((WriteError, OSError)) as caught:
            base.update(documents({"x": "more"}), LetterEncoder())
    if module is rung.retrieval.segment:
        assert "E5002" in str(caught.value)
    assert found(base.open(LetterEncoder())) == shown
    assert base.update(documents({"x": "more"}), LetterEncoder()).version == 2


def test_embedding_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rung.retrieval.embedding, "BATCH", 4)

    class Stopped(LetterEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if len(self.encoded) >= 8:
                raise KeyboardInterrupt
            return super().encode(texts)

    base, texts = KnowledgeBase(tmp_path / "base"), {f"n{n:02}": f"number {n} {text_of(n)}" for n in range(14)}
    with pytest.raises(KeyboardInterrupt):
        base.update(documents(texts), Stopped())
    (damaged, *_) = (base.folder / "embedding").rglob("*.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    encoder = LetterEncoder()
    change = base.update(documents(texts), encoder)
    assert change == Change(1, added=14, encoded=10)
    assert len(encoder.encoded) == 10
    assert not (base.folder / "embedding").exists()
    assert found(base.open(LetterEncoder())) == found(built(tmp_path / "fresh", texts).open(LetterEncoder()))


def test_killed_writers_leave_the_old_version_and_are_made_good(tmp_path: Path) -> None:
    """Killed at whatever moment; what is served is one of the two versions, and the same update finishes."""
    script = (
        "import sys; from pathlib import Path; from letter_encoder import LetterEncoder\n"
        "from rung.core.task import Document; from rung.retrieval.base import KnowledgeBase\n"
        "import rung.retrieval.embedding as e; e.BATCH = 8\n"
        "print('ready', flush=True)\n"
        "documents = [Document(f'd{n}', '', f'text {n} of round {sys.argv[2]}') for n in range(int(sys.argv[2]), 60)]\n"
        "KnowledgeBase(Path(sys.argv[1])).update(documents, LetterEncoder(), remove_others=True)\n"
    )
    base = KnowledgeBase(tmp_path / "base")
    base.update(documents({"d0": "text"}), LetterEncoder())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    sizes, drawn = {1}, random.Random(4)
    for round in range(2):
        command = [sys.executable, "-c", script, str(base.folder), str(round)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(drawn.random() * 0.3)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        sizes.add(60 - round)
        assert len(base.open(LetterEncoder())) in sizes
    wanted = {f"d{n}": f"text {n} of round 9" for n in range(60)}
    base.update(documents(wanted), LetterEncoder(), remove_others=True)
    base.prune()
    fresh = built(tmp_path / "fresh", wanted)
    assert base.open().items == fresh.open().items
    assert found(base.open(LetterEncoder())) == found(fresh.open(LetterEncoder()))
    assert len(list((base.folder / "segments").iterdir())) == len(base.versions()[-1].members)
