"""The linear baseline: what is saved answers exactly as what was fitted."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from letter_encoder import LetterEncoder

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError, DataError
from rung.core.hashing import hash_file
from rung.core.model import Encoder, ModelRef, Request
from rung.models.encoder_local import open_minilm
from rung.models.linear import UNKNOWN, LinearModel, fit_linear
from rung.models.tfidf import fit_tfidf, restore_tfidf
from rung.testing import check_model

TEXTS = [
    "my card is lost",
    "I lost the card",
    "change my pin",
    "a new pin please",
    "where is my money",
    "money is gone",
]
LABELS = ["card", "card", "pin", "pin", "money", "money"]
KINDS = ("majority", "tfidf", "embedding")


def fit(kind: str, folder: Path, texts: list[str] = TEXTS, labels: list[str] = LABELS) -> LinearModel:
    encoder = LetterEncoder() if kind == "embedding" else None
    name = "letters" if encoder else ""
    ref = fit_linear(kind, texts, labels, folder=folder, encoder_name=name, encoder=encoder, seed=7)
    return LinearModel.open(ModelRef(**ref.model_dump()), folder=folder, encoder=encoder)


def ask(query: str, *choices: str) -> Request:
    return Request((), query=query, choices=choices)


@pytest.mark.parametrize("kind", ["tfidf", "embedding"])
def test_it_learns_and_scores_choices_in_their_order(tmp_path: Path, kind: str) -> None:
    model = fit(kind, tmp_path)
    assert [c.text for c in model.generate([ask(text) for text in TEXTS])] == LABELS
    (done,) = model.generate([ask("the lost card", "pin", "unheard of", "card", "money")])
    assert done.text == "card"
    assert done.finish == "choice"
    assert done.seconds > 0
    assert done.choice_scores[1] == UNKNOWN
    assert max(done.choice_scores) == done.choice_scores[2]
    assert sum(math.exp(score) for score in done.choice_scores) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_reopened_it_answers_exactly_the_same(tmp_path: Path, kind: str) -> None:
    queries = [*TEXTS, "pin money", "", "没见过的话"]
    first = fit(kind, tmp_path)
    again = LinearModel.open(first.ref, folder=tmp_path, encoder=LetterEncoder() if kind == "embedding" else None)
    assert again.ref == first.ref
    assert again.labels == first.labels
    expected = first.log_probabilities(queries)
    assert (again.log_probabilities(queries) == expected).all()
    one_by_one = np.concatenate([again.log_probabilities([query]) for query in queries])
    assert one_by_one == pytest.approx(expected, abs=1e-5)
    check_model(again, [ask("card", *again.labels), ask("new pin", *again.labels[:2]), ask("money")], reopen=False)
    sealed = hash_file(tmp_path / f"linear-{kind}.safetensors")
    assert fit(kind, tmp_path).ref.weights == first.ref.weights
    assert first.ref.weights is not None
    assert first.ref.weights.sha256 == sealed


def test_fitted_tfidf_weights_are_restored_exactly() -> None:
    fitted = fit_tfidf([*TEXTS, "押金退还"], most_terms=1000)
    restored = restore_tfidf(fitted.settings, fitted.arrays)
    assert (fitted(TEXTS) != restored(TEXTS)).nnz == 0
    assert fit_tfidf(TEXTS, most_terms=10)(TEXTS).shape == (6, 10)


def test_majority_is_the_share_of_every_label(tmp_path: Path) -> None:
    model = fit("majority", tmp_path, TEXTS, ["b", "a", "b", "b", "c", "b"])
    (done,) = model.generate([ask("whatever", "a", "b", "c")])
    assert done.text == "b"
    assert np.exp(done.choice_scores) == pytest.approx([1 / 6, 4 / 6, 1 / 6])


@pytest.mark.parametrize("kind", ["tfidf", "embedding"])
def test_two_labels_and_one(tmp_path: Path, kind: str) -> None:
    two = fit(kind, tmp_path / "two", TEXTS[:4], LABELS[:4])
    (done,) = two.generate([ask("card", "card", "pin")])
    assert done.text == "card"
    assert sum(np.exp(done.choice_scores)) == pytest.approx(1)
    one = fit(kind, tmp_path / "one", TEXTS[:2], LABELS[:2])
    (done,) = one.generate([ask("pin", "card", "pin")])
    assert done.choice_scores == (0.0, UNKNOWN)


def test_choices_that_were_never_seen_are_a_failure(tmp_path: Path) -> None:
    known, unknown = fit("tfidf", tmp_path).generate([ask("card", "card", "x"), ask("card", "x", "y")])
    assert known.failure is None
    assert known.text == "card"
    assert unknown.failure is not None
    assert unknown.failure.kind == "error"
    assert unknown.choice_scores == ()


def test_chinese_is_counted_in_characters(tmp_path: Path) -> None:
    texts = ["押金什么时候退", "押金要交多少", "房东不修热水器", "灯坏了谁来修"]
    model = fit("tfidf", tmp_path, texts, ["押金", "押金", "维修", "维修"])
    assert [c.text for c in model.generate([ask("退押金的事"), ask("热水器坏了，找谁修")])] == ["押金", "维修"]


def test_texts_without_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="E2710"):
        fit("tfidf", tmp_path, ["", "  "], ["a", "b"])


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_changed_and_missing_files_are_refused(tmp_path: Path, suffix: str) -> None:
    model = fit("tfidf", tmp_path)
    path = (tmp_path / "linear-tfidf").with_suffix(suffix)
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BackendError, match="E3211"):
        LinearModel.open(model.ref, folder=tmp_path)
    path.unlink()
    with pytest.raises(BackendError, match="E3210"):
        LinearModel.open(model.ref, folder=tmp_path)


def test_another_encoder_and_an_adapter_are_refused(tmp_path: Path) -> None:
    ref = fit("embedding", tmp_path).ref
    with pytest.raises(BackendError) as caught:
        LinearModel.open(ref, folder=tmp_path, encoder=LetterEncoder("letters@2"))
    assert caught.value.code == "E3206"
    assert "letters@1" in str(caught.value)
    assert "letters@2" in str(caught.value)
    with pytest.raises(BackendError, match="E3212"):
        LinearModel.open(ref, folder=tmp_path, adapter=AdapterSlot(sha256="0", base="x"))


@pytest.mark.datasets
@pytest.mark.slow
def test_banking77_is_as_good_as_published(datasets: Path, tmp_path: Path) -> None:
    """Encoder with a linear head: 0.92 or better on the official test split (Casanueva et al. 2020 report 0.93)."""

    def read(name: str) -> tuple[list[str], list[str]]:
        with (datasets / "banking77" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [row["text"] for row in rows], [row["category"] for row in rows]

    train, test = read("train"), read("test")
    encoder: Encoder = open_minilm()
    accuracy = {}
    for kind in ("tfidf", "embedding"):
        ref = fit_linear(kind, *train, folder=tmp_path, encoder_name="minilm", encoder=encoder)
        model = LinearModel.open(ref, folder=tmp_path)
        done = model.generate([ask(text, *model.labels) for text in test[0]])
        accuracy[kind] = np.mean([c.text == label for c, label in zip(done, test[1], strict=True)])
    assert accuracy["tfidf"] > 0.90
    assert max(accuracy.values()) >= 0.92
