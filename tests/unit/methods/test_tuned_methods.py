"""Distillation, pre-training and stages on a real, tiny model; rows for reading passages."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from letters import LETTERS, register_letters
from small_fit import Notebook, fit, task
from tiny_llama import write_model

from rung.core.answer import open_candidate
from rung.core.errors import DataError
from rung.core.method import Budget
from rung.core.task import Document, Example, FitData, OutputSpec
from rung.methods.combine import with_passages
from rung.methods.grounded_rows import grounded_rows
from rung.methods.named import method_named
from rung.methods.tuning import open_for
from rung.models.transformers_local import TransformersModel

SHORT = {"rank": 2, "max_steps": 3, "evaluations": 1, "epochs": 1.0}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "tiny", max_position_embeddings=1024)


@pytest.fixture
def model(base) -> TransformersModel:
    return TransformersModel(str(base), precision="fp32", device="cpu")


def given(tmp_path: Path, **changes) -> FitData:
    data = fit(tmp_path, **changes)
    data.folder.mkdir()
    return data


def test_a_teacher_is_asked_once_and_only_its_good_answers_are_learned(tmp_path, model):
    asked = task("label")
    data = given(tmp_path, asked=asked, n=24)
    teacher = {"kind": "fake", "id": "teacher", "options": {"default": "pos"}}
    data = replace(data, hints={"teacher": teacher, "keep": 0.5, **SHORT})
    notebook = Notebook()
    made = method_named("distill").adapt(data, model, Budget(notebook))
    assert notebook.notes["teacher"] == {"asked": 24, "failed": 0, "kept": 12, "least": 0.5}
    rows = [json.loads(line) for line in (data.folder / "training" / "rows.jsonl").read_text().splitlines()]
    assert {row["target"] for row in rows} == {"pos"}
    assert len(rows) == 12
    assert made.adapter is not None
    log = data.folder / "teacher.jsonl"
    before = log.read_text()
    method_named("distill").adapt(data, model, Budget(Notebook()))
    assert log.read_text() == before


def test_a_teacher_that_is_mostly_wrong_is_refused(tmp_path, model):
    data = given(tmp_path, asked=task("label"), n=12)
    teacher = {"kind": "fake", "id": "teacher", "options": {"default": "pos"}}
    with pytest.raises(DataError) as caught:
        method_named("distill").adapt(replace(data, hints={"teacher": teacher}), model, Budget(Notebook()))
    assert caught.value.code == "E2466"
    assert method_named("distill").blockers(data, model) == ["E2465"]


def test_documents_are_learned_first_and_answers_on_top_of_them(tmp_path, model, base):
    documents = (Document("a", "A", "The rent is due on the first day of the month. " * 12),)
    data = given(tmp_path, asked=task("label"), documents=documents)
    hints = {"pretrain": {**SHORT, "block_words": 20}, "fine_tune": SHORT}
    notebook = Notebook()
    made = method_named("pretrain+fine_tune").adapt(replace(data, hints=hints), model, Budget(notebook))
    assert [stage["stage"] for stage in notebook.notes["stages"]] == ["pretrain", "fine_tune"]
    assert not (data.folder / "stages").exists()
    opened = open_candidate(made, data.folder, tmp_path / "indexes")
    answers = opened.model.generate([])
    assert answers == []
    assert made.adapter.base == str(base)


@pytest.fixture
def _letters(monkeypatch):
    register_letters(monkeypatch)


FACTS = ["gas", "water", "lift", "roof", "cellar", "garden", "window", "heating"]


def reading(tmp_path: Path, *, abstain: str | None = None) -> FitData:
    output = OutputSpec(kind="text", abstain=abstain)
    asked = task("text", output=output, has_documents=True)
    documents = tuple(
        Document(f"{fact}.md", fact, f"The {fact} is kept by firm {n} of the town.") for n, fact in enumerate(FACTS)
    )
    train = tuple(
        Example(f"t{n}", {"text": f"Who keeps the {fact}?"}, (f"firm {n}",), documents=(f"{fact}.md",))
        for n, fact in enumerate(FACTS)
    )
    unknown = Example("u", {"text": "Who keeps the moon?"}, ("firm of the sky",))
    return given(tmp_path, asked=asked, train=(*train, unknown), documents=documents, encoder=LETTERS)


@pytest.mark.usefixtures("_letters")
def test_rows_always_show_the_passage_with_the_answer_at_places_drawn_by_lot(tmp_path, model):
    data = reading(tmp_path)
    candidate = with_passages(replace(data, hints={"k": 3}), model, "rag+fine_tune").candidate
    made = grounded_rows(data, open_for(data, candidate, model), 0.5)
    assert made.counts == {"gold": 8, "abstain": 0, "found": 1}
    places = Counter()
    for example, row in zip(data.train[:8], made.rows, strict=False):
        shown = [passage.document for passage in row.request.passages]
        assert len(shown) == 3
        assert shown.count(example.documents[0]) == 1
        assert all(passage.text in row.request.messages[-1].text for passage in row.request.passages)
        places[shown.index(example.documents[0])] += 1
    assert len(places) > 1
    again = grounded_rows(data, open_for(data, candidate, model), 0.5)
    assert again == made


@pytest.mark.usefixtures("_letters")
def test_where_the_task_can_abstain_some_rows_teach_it(tmp_path, model):
    data = reading(tmp_path, abstain="not stated")
    candidate = with_passages(replace(data, hints={"k": 2}), model, "rag+fine_tune").candidate
    made = grounded_rows(data, open_for(data, candidate, model), 0.5)
    taught = [row for row in made.rows if row.target == "not stated"]
    assert made.counts["abstain"] == len(taught) > 0
    by_id = {example.id: example for example in data.train}
    for row in taught:
        assert by_id[row.id].documents[0] not in [passage.document for passage in row.request.passages]
    assert grounded_rows(data, open_for(data, candidate, model), 0.0).counts["abstain"] == 0
