"""Changed documents cost what has changed: vectors come from earlier indexes where those are sound and of the same encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from letter_encoder import LetterEncoder
from numpy.typing import NDArray

from rung.core.answer import Item
from rung.retrieval.index import Index, build_index

FIRST = ["The deposit is paid within five days.", "Smoke alarms last seven years.", "押金应在签约后5天内付清。"]
SECOND = [FIRST[0], FIRST[2], "Keys cost 45 pounds."]


class Counting(LetterEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return super().encode(texts)


def built(run: Path, texts: Sequence[str], encoder: LetterEncoder) -> Path:
    (run / "indexes").mkdir(parents=True, exist_ok=True)
    (run / "run.yaml").touch()
    items = [Item(f"d{n}", text, {}) for n, text in enumerate(texts)]
    return run / "indexes" / build_index(items, encoder=encoder, indexes=run / "indexes", kind="passages").split("@")[0]


@pytest.mark.parametrize("run", ["first", "second"])
def test_only_new_texts_are_encoded_and_what_is_gone_is_gone(tmp_path: Path, run: str) -> None:
    """In the same run, or in one beside it."""
    encoder = Counting()
    built(tmp_path / "runs" / "first", FIRST, encoder)
    encoder.asked.clear()
    folder = built(tmp_path / "runs" / run, SECOND, encoder)
    assert encoder.asked == [SECOND[2]]
    assert FIRST[1] not in (folder / "items.jsonl").read_text("utf-8")
    fresh = built(tmp_path / "elsewhere" / "run", SECOND, LetterEncoder())
    assert folder.name == fresh.name
    for query in ("when is the deposit paid", "押金什么时候付"):
        hits = [Index(each, LetterEncoder()).search([query], 3)[0] for each in (folder, fresh)]
        assert hits[0] == hits[1]


def test_a_text_that_stands_twice_is_encoded_once(tmp_path: Path) -> None:
    encoder = Counting()
    built(tmp_path / "runs" / "a", [FIRST[0], FIRST[0], FIRST[1]], encoder)
    assert encoder.asked == FIRST[:2]


def test_damaged_indexes_and_those_of_other_encoders_are_not_used(tmp_path: Path) -> None:
    encoder = Counting()
    damaged = built(tmp_path / "runs" / "a", FIRST, encoder)
    (damaged / "vectors.safetensors").write_bytes(b"\0" * 40)
    other = Counting()
    other.id = "another encoder"
    built(tmp_path / "runs" / "b", FIRST, other)
    encoder.asked.clear()
    built(tmp_path / "runs" / "c", SECOND, encoder)
    assert sorted(encoder.asked) == sorted(SECOND)


def test_a_folder_that_is_no_run_lends_nothing(tmp_path: Path) -> None:
    encoder = Counting()
    built(tmp_path / "runs" / "a", FIRST, encoder)
    (tmp_path / "runs" / "a" / "run.yaml").unlink()
    encoder.asked.clear()
    built(tmp_path / "runs" / "b", SECOND, encoder)
    assert len(encoder.asked) == 3
