"""Contrastive tuning as rungs: which pairs are made, what is never a negative, and candidates that outlive a moved run folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_fit import Notebook, fit, task
from tiny_bert import ASKED, FILLER, SAID, TOPICS, padded_with, write_bert

from rung.core.answer import answer_many, create_encoder, open_candidate
from rung.core.candidate import Candidate
from rung.core.errors import BackendError, UsageError
from rung.core.method import Budget
from rung.core.registry import create
from rung.core.task import Document, Example, OutputSpec
from rung.methods.contrastive import TUNED, Contrastive, ContrastiveLabels
from rung.methods.label_pairs import label_dev, label_pairs
from rung.methods.passage_pairs import passage_pairs
from rung.methods.slots import encoder_named, passages_slot, recipe_of
from rung.models.fake import FakeModel
from rung.retrieval.chunk import chunk_documents

LABELS = ("red", "green", "blue")
QUICK = {"learning_rate": 0.01, "epochs": 4, "evaluations": 2}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"folder:{write_bert(tmp_path_factory.mktemp('bert'))}"


def labelled(n: int, name: str, seed: int) -> tuple[Example, ...]:
    """Two words mean each label, and share no letter of it."""
    rng = np.random.default_rng(seed)
    said = [(LABELS[i % 3], (ASKED[i % 3], SAID[i % 3])[i // 3 % 2]) for i in range(n)]
    return tuple(
        Example(f"{name}{i}", {"text": padded_with(word, rng)}, (label,)) for i, (label, word) in enumerate(said)
    )


def label_fit(folder: Path, encoder: str, **changes):
    asked = task(output=OutputSpec(kind="label", labels=LABELS))
    values = {"train": labelled(24, "t", 1), "dev": labelled(12, "d", 2), "encoder": encoder, "hints": QUICK}
    return fit(folder, asked=asked, **{**values, **changes})


def desk_fit(folder: Path, encoder: str, **changes):
    """Each document says its own word; questions ask for it by another."""
    rng = np.random.default_rng(4)
    documents = tuple(
        Document(f"{n}.md", "", f"{' '.join(rng.choice(FILLER, 6))} {SAID[n]} w{n} w{n + 1} fact{n}.")
        for n in range(TOPICS)
    )
    rows = [
        Example(
            f"q{i}",
            {"text": padded_with(ASKED[i % TOPICS], rng)},
            (f"fact{i % TOPICS}",),
            documents=(f"{i % TOPICS}.md",),
        )
        for i in range(TOPICS * 7)
    ]
    values = {
        "train": tuple(rows[:40]),
        "dev": tuple(rows[40:]),
        "documents": documents,
        "encoder": encoder,
        "hints": QUICK,
    }
    return fit(folder, asked=task("text"), **{**values, **changes})


def mined(given, hard=2):
    recipe = recipe_of(given, k=1, chunk_words=70)
    items = chunk_documents(given.documents, chunk_words=70, overlap=11)
    folder = given.run / "indexes" / passages_slot(given, recipe).index.split("@")[0]
    index = create("retriever", "index", folder=folder, encoder=encoder_named(given.encoder))
    return passage_pairs(given, items, index, hard=hard)


def test_pairs_of_labels_and_their_nearest_strangers(tmp_path, encoder):
    given = label_fit(tmp_path, encoder)
    label = {example.asked: example.references[0] for example in given.train}
    pairs = label_pairs(given, hard=2, per_text=3)
    assert len(pairs) == 3 * len(given.train)
    assert len({(pair.anchor, pair.positive) for pair in pairs}) == len(pairs)
    vectors = encoder_named(encoder)
    for pair in pairs:
        assert label[pair.anchor] == label[pair.positive]
        assert pair.anchor != pair.positive
        assert len(pair.negatives) == 2
        assert all(negative.families == (f"label:{label[negative.text]}",) for negative in pair.negatives)
        assert all(label[negative.text] != label[pair.anchor] for negative in pair.negatives)
    first = next(pair for pair in pairs if pair.id.endswith("/0"))
    strangers = [text for text in label if label[text] != label[first.anchor]]
    cosines = (vectors.encode([first.anchor]) @ vectors.encode(strangers).T)[0]
    assert cosines[strangers.index(first.negatives[0].text)] == pytest.approx(cosines.max(), abs=1e-5)
    assert pairs == label_pairs(given, hard=2, per_text=3)


def test_a_label_seen_once_is_paired_with_itself(tmp_path, encoder):
    rows = (*labelled(6, "t", 1), Example("lone", {"text": "w1 w2"}, ("blue",)))
    alone = (*[row for row in rows if row.references[0] != "blue"], rows[-1])
    pairs = label_pairs(label_fit(tmp_path, encoder, train=alone), hard=0, per_text=5)
    assert [(pair.anchor, pair.positive) for pair in pairs if pair.id.startswith("lone")] == [("w1 w2", "w1 w2")]


def test_dev_asks_for_labels_by_training_texts_only(tmp_path, encoder):
    given = label_fit(tmp_path, encoder)
    dev = label_dev(given)
    assert {query.text for query in dev.queries} == {example.asked for example in given.dev}
    assert {text for _, text in dev.texts} == {example.asked for example in given.train}


def test_passages_that_hold_the_answer_and_passages_that_do_not(tmp_path, encoder):
    given = desk_fit(tmp_path, encoder)
    found = mined(given)
    assert found.note == {"questions": 40, "without_passage": 0, "by_rank": 0, "documents": 0}
    for pair, example in zip(found.pairs, given.train, strict=True):
        assert example.references[0] in pair.positive
        assert pair.families == (f"document:{example.documents[0]}",)
        assert len(pair.negatives) == 2
        assert all(example.references[0] not in negative.text for negative in pair.negatives)
    assert all(query.wanted for query in found.dev.queries)
    assert len(found.dev.queries) == 16


def test_an_answer_in_other_words_takes_the_best_passage_of_its_document(tmp_path, encoder):
    rows = tuple(
        Example(f"q{i}", {"text": SAID[i % TOPICS]}, ("nowhere said",), documents=(f"{i % TOPICS}.md",))
        for i in range(40)
    )
    found = mined(desk_fit(tmp_path, encoder, train=rows))
    assert found.note["by_rank"] == found.note["questions"] == 40
    assert all(f"fact{i % TOPICS}" in pair.positive for i, pair in enumerate(found.pairs))


def test_without_a_named_document_the_answer_must_stand_in_a_near_passage(tmp_path, encoder):
    rows = [Example(f"q{i}", {"text": SAID[i % TOPICS]}, (f"fact{i % TOPICS}",)) for i in range(40)]
    rows += [Example("short", {"text": SAID[0]}, ("a",)), Example("none", {"text": SAID[1]}, ("unheard of",))]
    found = mined(desk_fit(tmp_path, encoder, train=tuple(rows)))
    assert found.note["questions"] == 40
    assert found.note["without_passage"] == 2


def test_documents_make_pairs_of_themselves_where_nothing_is_known(tmp_path, encoder):
    text = "# Deposits\n\nThe deposit is four weeks of rent at the most. It is paid back within ten days of the end.\n"
    documents = tuple(Document(f"{n}.md", f"Note {n}", text.replace("four", f"word{n}")) for n in range(10))
    found = mined(desk_fit(tmp_path, encoder, train=(), dev=(), documents=documents))
    assert found.note["questions"] == 0
    assert found.note["documents"] == len(found.pairs) > 10
    assert found.dev.queries
    for pair in found.pairs:
        assert pair.anchor not in pair.positive
        assert pair.families[0] not in {name for negative in pair.negatives for name in negative.families}


def test_a_few_documents_are_told_apart_passage_by_passage(tmp_path, encoder):
    given = desk_fit(tmp_path, encoder)
    whole = Document(
        "0.md", "", "\n\n".join(f"# Part {d.id}\n\n{d.text}\n" + "w1 w2 w3 " * 20 for d in given.documents)
    )
    rows = tuple(Example(e.id, e.inputs, e.references, documents=("0.md",)) for e in given.train)
    found = mined(desk_fit(tmp_path, encoder, documents=(whole,), train=rows))
    assert found.note["questions"] == 40
    assert all(pair.negatives for pair in found.pairs)
    assert all(pair.families[0].startswith("passage:0.md#") for pair in found.pairs)


def moved(folder: Path, candidate: Candidate, given) -> Path:
    """What a run does with a finished candidate, and what people do with a run."""
    run = folder / "runs" / "one"
    target = run / "candidates" / candidate.id
    target.parent.mkdir(parents=True)
    given.folder.rename(target)
    if (given.run / "indexes").is_dir():
        (given.run / "indexes").rename(run / "indexes")
    return run.rename(folder / "elsewhere")


def test_few_labels_tune_an_encoder_that_answers_wherever_its_folder_goes(tmp_path, encoder):
    given = label_fit(tmp_path / "work", encoder)
    given.folder.mkdir(parents=True)
    book = Notebook()
    candidate = ContrastiveLabels().adapt(given, FakeModel(), Budget(book))
    assert candidate.method == "contrastive_labels"
    assert candidate.model.options["encoder"] == TUNED
    assert book.notes["converged"] is True
    assert book.notes["pairs"]["n"] == 24 * 7
    assert book.notes["training"]["best_dev"] > 0.7
    assert 0.0 < book.notes["contrast"]["dev_before"] <= 1.0
    assert book.trials[0].score > 0.5
    again = ContrastiveLabels().adapt(given, FakeModel(), Budget(Notebook()))
    assert again == candidate
    run = moved(tmp_path, candidate, given)
    record = Candidate.model_validate_json(candidate.model_dump_json())
    opened = open_candidate(record, run / "candidates" / candidate.id, run / "indexes")
    answers = answer_many(opened, given.dev)
    right = [a.text == e.references[0] for a, e in zip(answers, given.dev, strict=True)]
    assert np.mean(right) == book.trials[0].score
    other = shutil.copytree(run / "candidates" / candidate.id, tmp_path / "other")
    shutil.rmtree(other / "encoder")
    shutil.copytree(encoder.removeprefix("folder:"), other / "encoder")
    with pytest.raises(BackendError, match="E3206"):
        open_candidate(record, other, run / "indexes")


def test_the_best_of_several_seeds_and_trials_is_the_encoder_that_is_kept(tmp_path, encoder):
    hints = {**QUICK, "epochs": 2, "seeds": 2, "search": {"trials": 2, "learning_rate": [0.001, 0.05]}}
    given = label_fit(tmp_path, encoder, hints=hints)
    given.folder.mkdir(parents=True)
    book = Notebook()
    candidate = ContrastiveLabels().adapt(given, FakeModel(), Budget(book))
    assert len(book.notes["search"]["trials"]) == 2
    seeds = book.notes["seeds"]
    assert [seed["seed"] for seed in seeds] == [0, 1]
    assert book.notes["training"]["best_dev"] == max(seed["best_dev"] for seed in seeds)
    assert book.notes["seed_spread"]["n"] == 2
    assert sorted(path.name for path in given.folder.rglob("encoder") if path.is_dir()) == ["encoder"]
    again = Notebook()
    assert ContrastiveLabels().adapt(given, FakeModel(), Budget(again)) == candidate
    assert again.notes["seeds"] == seeds


def test_a_search_of_what_an_encoder_does_not_have_is_refused(tmp_path, encoder):
    for search in ({"neftune": [0, 5]}, {"adapter": ["full", "qlora"]}, {"hard_negatives": [1, 2]}):
        with pytest.raises(UsageError, match="E2441"):
            ContrastiveLabels().estimate(label_fit(tmp_path, encoder, hints={"search": search}), FakeModel())
    with pytest.raises(UsageError, match="E2410"):
        Contrastive().estimate(desk_fit(tmp_path, encoder, hints={"search": {"trials": 4}}), FakeModel())


def test_passages_are_found_by_the_tuned_encoder_wherever_its_folder_goes(tmp_path, encoder):
    given = desk_fit(tmp_path / "work", encoder, hints={**QUICK, "epochs": 20})
    given.folder.mkdir(parents=True)
    book = Notebook()
    candidate = Contrastive().adapt(given, FakeModel(default="yes"), Budget(book))
    assert candidate.retriever is not None
    assert candidate.retriever.recipe.encoder == TUNED
    assert candidate.model == FakeModel(default="yes").ref
    assert book.notes["training"]["best_dev"] > book.notes["contrast"]["dev_before"] + 0.2
    run = moved(tmp_path, candidate, given)
    folder = run / "candidates" / candidate.id
    opened = open_candidate(candidate, folder, run / "indexes", model=FakeModel())
    assert opened.passages is not None
    plain = encoder_named(encoder)
    tuned = create_encoder(TUNED, folder)
    found = {}
    for name, used in (("plain", plain), ("tuned", tuned)):
        asked = used.encode([example.asked for example in given.dev])
        said = used.encode([document.text for document in given.documents])
        best = (asked @ said.T).argmax(axis=1)
        found[name] = np.mean([given.documents[n].id in e.documents for n, e in zip(best, given.dev, strict=True)])
    assert found["plain"] < 0.4
    assert found["tuned"] > 0.6
    hits = opened.passages.search([given.dev[0].asked], 1, mode="dense")[0]
    assert hits[0].item.payload["document"] in {document.id for document in given.documents}
