"""Contrastive tuning of an encoder: its loss, what is never held against a text, memory, resuming, and what it leaves on disk."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_bert import ASKED, SAID, TOPICS, padded_with, toy_pairs, write_bert

from rung.core.errors import DataError, UsageError, WriteError
from rung.core.hashing import seed_from
from rung.models.encoder_local import LocalEncoder, open_folder
from rung.training import room
from rung.training.attach import base_of
from rung.training.contrastive import ContrastLoss, attach_encoder, contrast_settings, hidden, reciprocal_rank
from rung.training.encoder_job import EncoderJob, save_encoder, train_encoder, write_encoder_job
from rung.training.loop import Loop
from rung.training.pairs import DevSet, Negative, Pair, Query, read_dev, read_pairs, write_dev, write_pairs


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> LocalEncoder:
    return open_folder(write_bert(tmp_path_factory.mktemp("bert")))


def dev_set(n: int = 24) -> DevSet:
    pairs = toy_pairs(n, seed=99)
    texts = tuple((f"p{i}", pair.positive) for i, pair in enumerate(pairs))
    wanted = [tuple(f"p{k}" for k in range(n) if k % TOPICS == i % TOPICS) for i in range(n)]
    return DevSet(tuple(Query(p.anchor, w) for p, w in zip(pairs, wanted, strict=True)), texts, tuple(pairs))


class Trained:
    """A loop over toy pairs, with all that it is made of."""

    def __init__(self, encoder, pairs=None, dev=None, **given):
        self.settings, self.contrast = contrast_settings({"learning_rate": 0.01, "epochs": 2, "save_steps": 3, **given})
        self.parts = encoder.training_parts()
        self.dev = dev or dev_set()
        self.module = attach_encoder(self.parts, self.settings)
        pairs = toy_pairs(96, negatives=1) if pairs is None else pairs
        self.objective = ContrastLoss(base_of(self.module), self.parts, pairs, self.dev, self.settings, self.contrast)
        self.loop = Loop(self.module, self.objective, self.settings, score_dev=self.score)

    def score(self, module):
        return reciprocal_rank(self.parts.evaluator(base_of(module)), self.dev)

    @property
    def weights(self):
        return {name: weight.detach().clone() for name, weight in self.loop.masters.weights.items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_loss_is_the_formula(encoder):
    pairs = [
        Pair("a", "ask0 w1", "say0 w2", (Negative("say1 w3", ("t1",)),), ("t0",)),
        Pair("b", "ask1 w4", "say1 w5", (Negative("say2 w6", ("t2",)),), ("t1",)),
        Pair("c", "ask0 w7", "say0 w8", (Negative("say3 w9", ("t3",)),), ("t0",)),
    ]
    made = Trained(encoder, pairs, scale=7.0)
    made.module.eval()
    found = float(made.objective.loss_sum([0, 1, 2]).detach())
    columns = ["say0 w2", "say1 w5", "say0 w8", "say1 w3", "say2 w6", "say3 w9"]
    cosines = encoder.encode([pair.anchor for pair in pairs]) @ encoder.encode(columns).T
    # By hand: a pair's own positive, and what neither its label nor its words keep out.
    against = {0: [1, 3, 4, 5], 1: [0, 2, 4, 5], 2: [1, 3, 4, 5]}
    expected = sum(
        -math.log(math.exp(7 * row[i]) / (math.exp(7 * row[i]) + sum(math.exp(7 * row[k]) for k in against[i])))
        for i, row in enumerate(cosines.astype(np.float64))
    )
    assert found == pytest.approx(expected, rel=1e-5)
    assert made.objective.units([0, 1, 2]) == 3


def test_a_right_text_is_never_held_against_a_question():
    pairs = [
        Pair("a", "q1", "same passage", (), ("document:x", "group:1")),
        Pair("b", "q2", "same passage", (), ("document:y",)),
        Pair("c", "q3", "other", (Negative("q1", ("document:z",)), Negative("far", ("document:x",))), ("group:1",)),
    ]
    # Columns: the three positives, then the negatives of c.
    assert hidden(pairs).tolist() == [
        [True, True, True, True, True],
        [True, True, False, False, False],
        [True, False, True, False, False],
    ]


def test_a_batch_of_one_label_teaches_nothing_and_breaks_nothing(encoder):
    pairs = [Pair(str(n), f"ask0 w{n}", f"ask0 w{n + 5}", (), ("label:0",)) for n in range(4)]
    objective = Trained(encoder, pairs).objective
    loss = objective.loss_sum([0, 1, 2, 3])
    assert float(loss.detach()) == 0.0
    assert objective.units([0, 1, 2, 3]) == 1
    loss.backward()


def test_in_parts_the_gradient_is_that_of_the_whole_batch(encoder):
    gradients, losses = [], []
    for tokens in (10_000, 40):
        made = Trained(encoder)
        made.module.eval()  # Dropout falls otherwise in other places.
        batch = list(range(10))
        parts = made.objective.parts(batch, tokens)
        assert sorted(i for part in parts for i in part) == batch
        losses.append(0.0)
        for part in parts:
            loss = made.objective.loss_sum(part)
            loss.backward()
            losses[-1] += float(loss.detach())
        gradients.append({n: p.grad for n, p in made.module.named_parameters() if p.grad is not None})
    assert len(parts) > 3
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, whole in gradients[0].items():
        assert torch.allclose(whole, gradients[1][name], atol=1e-5), name


def test_dropout_falls_alike_both_times(encoder):
    made = Trained(encoder)
    made.module.train()
    torch.manual_seed(seed_from("step"))
    parts = made.objective.parts(list(range(8)), 40)
    known = made.objective._gathered[tuple(parts[1])]
    torch.manual_seed(known.seed)
    first = made.objective._encode([made.objective._ids[i] for i in parts[1]])
    torch.manual_seed(known.seed)
    assert torch.equal(first, made.objective._encode([made.objective._ids[i] for i in parts[1]]))
    assert made.objective.loss_sum(parts[1]).item() == pytest.approx(known.loss)


@pytest.mark.parametrize(("adapter", "rank", "recall"), [("full", 0.85, 0.75), ("lora", 0.5, 0.2)])
def test_it_finds_what_shares_no_word(encoder, adapter, rank, recall, tmp_path):
    made = Trained(encoder, epochs=8, adapter=adapter, rank=8)
    before = made.score(made.module.eval())
    result = made.loop.run()
    assert before < 0.35
    assert result.best > rank
    save_encoder(made.module, made.parts, tmp_path / "tuned")
    tuned = open_folder(tmp_path / "tuned")
    rng = np.random.default_rng(5)
    asked = tuned.encode([padded_with(word, rng) for word in ASKED * 3])
    said = tuned.encode([padded_with(word, rng) for word in SAID])
    found = ((asked @ said.T).argmax(axis=1) == np.tile(np.arange(TOPICS), 3)).mean()
    assert found > recall


def test_the_cached_encoder_is_not_changed_by_training(encoder):
    before = encoder.encode(["ask0 w1"])
    Trained(encoder, epochs=1).loop.run()
    assert np.array_equal(encoder.encode(["ask0 w1"]), before)


@pytest.mark.parametrize("micro_tokens", [4096, 64])
def test_it_resumes_to_the_same_bits(encoder, micro_tokens, tmp_path):
    whole = Trained(encoder, micro_tokens=micro_tokens)
    whole.loop.run()
    first = Trained(encoder, micro_tokens=micro_tokens)

    def die(progress, planned):
        if progress.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.loop.run(tmp_path, report=die)
    second = Trained(encoder, micro_tokens=micro_tokens)
    second.loop.run(tmp_path)
    assert second.loop.progress.step == whole.loop.progress.step > 8
    assert same(whole.weights, second.weights)


def test_what_is_saved_is_read_with_equal_vectors_by_us_and_by_sentence_transformers(encoder, tmp_path):
    made = Trained(encoder, epochs=1)
    made.loop.run()
    texts = ["ask0 w1 w2", "say3", "w5 w6 w7 say1 ask2"]
    expected = made.parts.evaluator(made.module.eval()).encode(texts)
    save_encoder(made.module, made.parts, tmp_path / "tuned")
    assert np.array_equal(open_folder(tmp_path / "tuned").encode(texts), expected)
    theirs = pytest.importorskip("sentence_transformers")
    loaded = theirs.SentenceTransformer(str(tmp_path / "tuned"), device="cpu", local_files_only=True)
    assert np.abs(loaded.encode(texts) - expected).max() < 1e-5
    assert loaded.max_seq_length == encoder.max_tokens


def test_a_folder_that_is_written_anew_is_read_anew(encoder, tmp_path):
    made = Trained(encoder)
    save_encoder(made.module, made.parts, tmp_path)
    first = open_folder(tmp_path)
    assert open_folder(tmp_path) is first
    made.loop.run()
    save_encoder(made.module, made.parts, tmp_path)
    assert open_folder(tmp_path).id != first.id


def test_it_is_planned_and_takes_fewer_tokens_or_does_not_begin_without_room(tmp_path, monkeypatch):
    place = write_bert(tmp_path / "bert")
    settings, contrast = contrast_settings({"max_steps": 1, "micro_tokens": 4096})
    job = EncoderJob(f"folder:{place}", open_folder(place).id, settings, contrast)

    def result_in(folder):
        write_encoder_job(folder, job, toy_pairs(32, negatives=1), dev_set())
        return train_encoder(folder, lambda progress, planned: None, lambda: False)

    free = result_in(tmp_path / "free")
    assert free.notes == []
    assert free.facts["memory_plan"]["peak"] > free.facts["memory_plan"]["activations"] > 0
    monkeypatch.setattr(room, "memory_there", lambda device: 1)
    assert [(note["kind"], note["micro_tokens"]) for note in result_in(tmp_path / "scarce").notes] == [
        ("planned_memory", 32)
    ]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(WriteError) as caught:
        result_in(tmp_path / "full")
    assert caught.value.code == "E5010"


def test_texts_are_counted_as_they_are_padded(encoder):
    pairs = [Pair(str(n), "ask0", "say0 " + "w1 " * 9, families=()) for n in range(8)]
    found = Trained(encoder, pairs, batch_size=8).objective.row_tokens()
    # With both special tokens: 3 and 12, side by side in one block of 16.
    assert (found.mean, found.together, found.longest) == (7.5, 2, 8)
    assert found.padding == pytest.approx(16 * 12 / (8 * 15))


def test_the_rank_of_the_first_right_text_counts_and_ties_are_no_gain():
    class Plane:
        id = "plane"

        def encode(self, texts):
            return np.array([[math.cos(int(t)), math.sin(int(t))] for t in texts], np.float32)

    texts = (("a", "0"), ("b", "1"), ("c", "2"), ("c", "3"))
    assert reciprocal_rank(Plane(), DevSet((Query("0", ("a",)), Query("0", ("b", "c"))), texts)) == pytest.approx(0.75)
    assert reciprocal_rank(Plane(), DevSet((Query("0", ("a",)),), (("a", "0"), ("b", "0")))) == pytest.approx(0.5)
    assert reciprocal_rank(Plane(), DevSet((Query("0", ("nowhere",)),), texts)) == 0.0


def test_pairs_come_back_as_they_were_written(tmp_path: Path):
    pairs = [Pair("1", "押金\u2028?", "half \ud800 pair", (Negative("n", ("document:x",)),), ("label:a", "group:b"))]
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    assert read_pairs(tmp_path / "pairs.jsonl") == pairs
    dev = DevSet((Query("q", ("a", "b")),), (("a", "text"),), tuple(pairs))
    write_dev(tmp_path / "dev.json", dev)
    assert read_dev(tmp_path / "dev.json") == dev


def test_values_that_cannot_be_are_refused(encoder):
    for given in ({"adapter": "prefix"}, {"scale": 0.0}, {"hard_negatives": 17}, {"pairs": -1}):
        with pytest.raises(UsageError):
            contrast_settings(given)
    with pytest.raises(DataError, match="E2890"):
        Trained(encoder, [])
