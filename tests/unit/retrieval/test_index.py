"""The index: published whole, checked when opened, searched exactly."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from letter_encoder import LetterEncoder
from numpy.typing import NDArray

import rung.retrieval.segment
from rung.core.answer import Hit, Item
from rung.core.errors import BackendError, DataError, WriteError
from rung.core.registry import create
from rung.retrieval.arrays import Arrays
from rung.retrieval.hybrid import Ranking, fuse
from rung.retrieval.index import Index, build_index
from rung.retrieval.lexical import build_lexical

TEXTS = {
    "a": "The deposit is paid within five days.",
    "b": "Smoke alarms are changed every seven years.",
    "c": "押金应在签约后5天内付清。",
    "d": "烟雾报警器满7年由房东更换。",
    "e": "Form H-10 goes to the Repairs Office.",
    "f": "The deposit is kept by the deposit office.",
}
ITEMS = [Item(id, text, {"inputs": {"q": text}, "answer": id}) for id, text in TEXTS.items()]
QUERIES = ["when is the deposit paid", "押金什么时候付", "form h-10", "zzz"]
FILES = (
    "items.jsonl",
    "items.safetensors",
    "marks.json",
    "lexical.safetensors",
    "vectors.safetensors",
    "manifest.json",
)


def build(folder: Path, items: list[Item] = ITEMS, encoder: LetterEncoder | None = None) -> Path:
    name = build_index(items, encoder=encoder or LetterEncoder(), indexes=folder, kind="pool")
    return folder / name.removesuffix("@1")


def ids(hits: list[Hit]) -> str:
    return "".join(hit.item.id for hit in hits)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("indexes"))


@pytest.fixture
def index(folder: Path) -> Index:
    return Index(folder, LetterEncoder())


def test_opening_restores_what_was_built(folder: Path, index: Index) -> None:
    assert index.id == f"{folder.name}@1"
    assert index.items == tuple(ITEMS)
    registered = create("retriever", "index", folder=folder, encoder=LetterEncoder())
    for mode in ("rrf", "lexical", "dense"):
        assert registered.search(QUERIES, 3, mode=mode) == index.search(QUERIES, 3, mode=mode)


def test_bm25_is_the_published_formula() -> None:
    lexical = build_lexical(["apple pear", "apple apple plum", "plum"])
    (scores,) = lexical.scores(["apple quince"])
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = [idf * tf / (tf + 1.5 * (0.25 + 0.75 * length / 2)) for tf, length in ((1, 2), (2, 3), (0, 1))]
    assert scores == pytest.approx(expected, rel=1e-5)


def test_fusion_is_the_published_formula() -> None:
    def ranking(*positions: int) -> Ranking:
        return Ranking(np.array(positions), np.zeros(len(positions), np.float32))

    fused = fuse([ranking(4, 2, 9), ranking(2, 7)], 3)
    assert fused.positions.tolist() == [2, 4, 7]
    assert fused.scores == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_chinese_and_english_are_found_lexically(index: Index) -> None:
    found = index.search(["报警器多久换一次", "when are alarms changed"], 1, mode="lexical")
    assert [ids(hits) for hits in found] == ["d", "b"]


def test_dense_search_is_the_exact_cosine(index: Index) -> None:
    encoder = LetterEncoder()
    cosines = encoder.encode(QUERIES) @ encoder.encode(list(TEXTS.values())).T
    for hits, row in zip(index.search(QUERIES, 4, mode="dense"), cosines, strict=True):
        assert ids(hits) == "".join("abcdef"[n] for n in np.argsort(-row)[:4])
        assert [hit.score for hit in hits] == pytest.approx(np.sort(row)[::-1][:4], abs=2e-6)


@pytest.mark.parametrize("mode", ["rrf", "lexical", "dense"])
def test_excluded_items_never_come_back_and_others_take_their_place(index: Index, mode: str) -> None:
    (free,) = index.search(QUERIES[:1], 2, mode=mode)
    hidden = frozenset({free[0].item.id, "not in the index"})
    again, untouched = index.search([QUERIES[0], QUERIES[0]], 2, mode=mode, exclude=[hidden, frozenset()])
    assert hidden.isdisjoint(ids(again))
    assert ids(untouched) == ids(free)
    if mode != "lexical":
        assert len(again) == 2


def test_equal_scores_come_in_the_order_of_ids(tmp_path: Path) -> None:
    twins = [Item(id, "the same words") for id in "jcahbidgfe"]
    index = Index(build(tmp_path, twins), LetterEncoder())
    for mode in ("rrf", "lexical", "dense"):
        assert ids(index.search(["same words"], 4, mode=mode)[0]) == "abcd"


def test_blank_and_unknown_questions(index: Index) -> None:
    assert index.search(["", " \n"], 3) == [[], []]
    assert index.search(["zzz"], 3, mode="lexical") == [[]]
    assert ids(index.search(["zzz"], 3)[0]) == ids(index.search(["zzz"], 3, mode="dense")[0])
    assert index.search([], 3) == []
    assert index.search(["deposit"], 0) == [[]]
    assert len(index.search(["deposit"], 99)[0]) == len(ITEMS)


def test_many_questions_are_encoded_once_and_answered_as_single_ones(folder: Path) -> None:
    encoder = LetterEncoder()
    index = Index(folder, encoder)
    single = [index.search([query], 3)[0] for query in QUERIES]
    encoder.encoded.clear()
    assert index.search(["", *QUERIES], 3) == [[], *single]
    assert encoder.encoded == QUERIES


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_refused_and_built_anew(tmp_path: Path, name: str) -> None:
    folder = build(tmp_path)
    sound = {file: (folder / file).read_bytes() for file in FILES}
    for at in (0, len(sound[name]) // 2, len(sound[name]) - 1):
        data = bytearray(sound[name])
        data[at] ^= 1
        (folder / name).write_bytes(data)
        with pytest.raises(DataError) as caught:
            Index(folder, LetterEncoder())
        assert caught.value.code == "E2703"
        assert name in str(caught.value)
    build(tmp_path)
    assert {file: (folder / file).read_bytes() for file in FILES} == sound
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_cut_off_missing_and_misplaced_files_are_refused(tmp_path: Path) -> None:
    folder = build(tmp_path)
    (folder / "items.jsonl").write_bytes((folder / "items.jsonl").read_bytes()[:-5])
    with pytest.raises(DataError, match="E2703"):
        Index(folder, LetterEncoder())
    (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match="E2702"):
        Index(folder, LetterEncoder())
    with pytest.raises(DataError, match="E2702"):
        Index(tmp_path / "none", LetterEncoder())
    build(tmp_path).rename(tmp_path / "other")
    with pytest.raises(DataError, match="E2707"):
        Index(tmp_path / "other", LetterEncoder())


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = build(tmp_path)
    monkeypatch.setattr(rung.retrieval.segment, "FORMAT", 3)
    with pytest.raises(DataError, match="E2706"):
        Index(folder, LetterEncoder())


def test_another_encoder_is_refused_with_both_fingerprints(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        Index(folder, LetterEncoder("letters@2"))
    assert caught.value.code == "E2704"
    assert "letters@1" in str(caught.value)
    assert "letters@2" in str(caught.value)


def test_without_an_encoder_only_terms_can_be_searched(tmp_path: Path, folder: Path) -> None:
    name = build_index(ITEMS, encoder=None, indexes=tmp_path, kind="pool")
    for index in (Index(tmp_path / name.split("@")[0]), Index(folder)):
        assert ids(index.search(["form h-10"], 1, mode="lexical")[0]) == "e"
        for mode in ("rrf", "dense"):
            with pytest.raises(DataError, match="E2705"):
                index.search(["form"], 1, mode=mode)


def test_the_name_covers_items_encoder_and_kind_but_not_the_order(tmp_path: Path) -> None:
    first = build(tmp_path)
    assert build(tmp_path, ITEMS[::-1]) == first
    others = [
        build(tmp_path, ITEMS[:-1]),
        build(tmp_path, [*ITEMS[:-1], Item("f", TEXTS["f"], {"answer": "g"})]),
        build(tmp_path, encoder=LetterEncoder("letters@2")),
        tmp_path / build_index(ITEMS, encoder=LetterEncoder(), indexes=tmp_path, kind="passages").split("@")[0],
    ]
    assert len({first, *others}) == 5


def test_a_sound_index_is_reused_without_encoding(tmp_path: Path) -> None:
    build(tmp_path)
    encoder = LetterEncoder()
    build(tmp_path, encoder=encoder)
    assert encoder.encoded == []


def test_texts_without_terms_and_broken_characters_are_kept(tmp_path: Path) -> None:
    odd = [Item("a", "?!"), Item("b", "\ud800 \u2028 x"), Item("c", "…")]
    index = Index(build(tmp_path, odd), LetterEncoder())
    assert index.items == tuple(odd)
    assert len(index.search(["?!"], 3)[0]) == 3
    assert Index(build(tmp_path, odd[:1]), LetterEncoder()).search(["words"], 3, mode="lexical") == [[]]


def test_equal_ids_and_no_items_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="E2700"):
        build(tmp_path, [*ITEMS, ITEMS[0]])
    with pytest.raises(DataError, match="E2701"):
        build(tmp_path, [])


@pytest.mark.parametrize("fault", ["nan", "zero", "long", "few"])
def test_unusable_vectors_are_refused(tmp_path: Path, fault: str) -> None:
    class Broken(LetterEncoder):
        def encode(self, texts: object) -> NDArray[np.float32]:
            vectors = super().encode(texts)  # type: ignore[arg-type]
            if fault == "few":
                return vectors[1:]
            vectors[2] = {"nan": np.nan, "zero": 0.0, "long": 3.0}[fault]
            return vectors

    with pytest.raises(BackendError, match="E3205"):
        build(tmp_path, encoder=Broken())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = rung.retrieval.segment.write_arrays

    def full(file: BinaryIO, arrays: Arrays) -> None:
        if "vectors" in arrays:
            raise OSError(28, "No space left on device")
        write(file, arrays)

    monkeypatch.setattr(rung.retrieval.segment, "write_arrays", full)
    with pytest.raises(WriteError, match="E5002"):
        build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_once_it_is_old(tmp_path: Path) -> None:
    old, young = tmp_path / ".1.tmp", tmp_path / ".2.tmp"
    for left in (old, young):
        left.mkdir()
        (left / "items.jsonl").write_text("{")
    long_ago = time.time() - 86400
    os.utime(old, (long_ago, long_ago))
    build(tmp_path)
    assert not old.exists()
    assert young.exists()


def test_two_processes_build_the_same_index(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from letter_encoder import LetterEncoder\n"
        "from rung.core.answer import Item; from rung.retrieval.index import build_index\n"
        "items = [Item(f'{n:04}', f'text number {n} 第{n}条') for n in range(300)]\n"
        "for round in range(12):\n"
        "    print(build_index(items[round:], encoder=LetterEncoder(), indexes=Path(sys.argv[1]), kind='pool'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": "random"}
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said[0] == said[1]
    names = said[0].split()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(name.split("@")[0] for name in names)
    assert all(len(Index(tmp_path / name.split("@")[0], LetterEncoder()).items) >= 289 for name in names)


def test_no_file_is_a_pickle(folder: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    moved = shutil.copytree(folder, tmp_path / "copies" / folder.name)
    assert json.loads((moved / "manifest.json").read_text())["items"] == len(ITEMS)
    assert Index(moved, LetterEncoder()).items == tuple(ITEMS)
