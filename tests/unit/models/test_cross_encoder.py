"""A cross-encoder of a local folder: scores, cost, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_bert import write_bert

from rung.core.answer import create_reranker, open_candidate
from rung.core.candidate import Candidate, OutputSlot, PromptSlot, Recipe, RetrieverSlot
from rung.core.errors import BackendError
from rung.core.finding import Helper
from rung.core.model import ModelRef
from rung.core.registry import Part, parts
from rung.models.cross_encoder import CrossEncoder
from rung.models.fake import FakeModel

NOBODY = Helper(FakeModel(), "en")
PAIRS = [("ask1 w2", "say1 w3 w4"), ("ask1 w2", "w5"), ("w1", "say2 " * 100), ("ask1 w2", "say1 w3 w4")]


def write_cross(folder: Path, classes: int, seed: int = 3) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    write_bert(folder)
    torch.manual_seed(seed)
    config = BertConfig.from_pretrained(folder, num_labels=classes)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("classes", [1, 2])
def test_pairs_are_scored_between_nothing_and_one_in_their_order(tmp_path: Path, classes: int) -> None:
    encoder = CrossEncoder(write_cross(tmp_path / "cross", classes))
    judged = encoder.score(PAIRS, NOBODY)
    assert all(0 < score < 1 for score in judged.scores)
    assert judged.scores[0] == pytest.approx(judged.scores[3], abs=1e-6)
    assert judged.scores[0] != pytest.approx(judged.scores[1], abs=1e-6)
    alone = [encoder.score([pair], NOBODY).scores[0] for pair in PAIRS]
    assert judged.scores == pytest.approx(alone, abs=1e-5)
    assert all(effort.seconds > 0 and effort.tokens_in > 2 for effort in judged.efforts)
    assert encoder.score([], NOBODY).scores == ()


class Nothing:
    """A retriever that finds nothing."""

    id = "a@1"

    def __init__(self, folder: Path, encoder: object = None) -> None:
        self.folder = folder


def test_another_folder_than_the_recorded_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts("retriever"), "nothing", Part("retriever", "nothing", "test_cross_encoder:Nothing"))
    name = f"cross_encoder:{write_cross(tmp_path / 'cross', 1)}"
    made_with = create_reranker(name).id

    def candidate(fingerprint: str) -> Candidate:
        return Candidate(
            method="rag",
            model=ModelRef(kind="fake", id="m"),
            prompt=PromptSlot(instruction="Say.", fields=("question",)),
            retriever=RetrieverSlot(recipe=Recipe(rerank=name, rerank_id=fingerprint, kind="nothing"), index="a@1"),
            output=OutputSlot(),
        )

    opened = open_candidate(candidate(made_with), tmp_path, tmp_path, model=FakeModel())
    assert opened.reranker is not None
    assert opened.reranker.id == made_with
    with pytest.raises(BackendError) as caught:
        open_candidate(candidate("cross_encoder@other"), tmp_path, tmp_path, model=FakeModel())
    assert caught.value.code == "E2733"


def test_what_is_no_cross_encoder_is_refused(tmp_path: Path) -> None:
    for folder, code in (
        (write_cross(tmp_path / "many", 3), "E2732"),
        (write_bert(tmp_path / "headless"), "E2732"),
        (tmp_path, "E3201"),
    ):
        with pytest.raises(BackendError) as caught:
            CrossEncoder(folder)
        assert caught.value.code == code, folder
