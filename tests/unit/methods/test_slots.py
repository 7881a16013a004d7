"""Filling slots: prompts, outputs and shots as the task and the model ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from letters import LETTERS, LetterEncoder, register_letters
from small_fit import LABELS, fit, rows, task

from rung.core.answer import Item
from rung.core.candidate import Recipe
from rung.core.registry import Part, parts
from rung.core.task import Document, OutputSpec
from rung.methods.few_shot import fixed_shots
from rung.methods.slots import (
    nearest_shots,
    new_candidate,
    output_slot,
    passages_slot,
    prompt_slot,
    recipe_of,
    seeded_sample,
)
from rung.models.fake import FakeModel
from rung.retrieval.index import Index


@pytest.fixture
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)


def test_a_prompt_is_the_task_and_the_sentence_of_its_phrasing() -> None:
    plain = prompt_slot(task())
    assert (plain.instruction, plain.layout, plain.fields) == ("Judge {it}.", "chat", ("text",))
    assert prompt_slot(task(), "only_label").instruction == "Judge {it}.\nAnswer with the label alone."
    assert prompt_slot(task(), layout="bare").instruction == ""
    assert (plain.question_name, plain.answer_name) == ("Text", "Label")
    assert prompt_slot(task("text")).question_name == "Question"


def test_a_prompt_asks_for_the_abstention_and_the_schema_to_the_letter() -> None:
    told = task("text", output=OutputSpec(kind="text", abstain="Not {said}."))
    assert "exactly: Not {said}." in prompt_slot(told, grounded=True).instruction
    assert "Not {said}." not in prompt_slot(told).instruction
    schema = {"type": "object", "properties": {"类别": {"const": "{x}"}}}
    shaped = task("json", output=OutputSpec(kind="json", json_schema=schema))
    assert '{"类别": {"const": "{x}"}}' in prompt_slot(shaped).instruction


def test_a_chinese_task_is_asked_in_chinese() -> None:
    slot = prompt_slot(task(language="zh", instruction="判断。"), "only_label")
    assert not any(char.isascii() and char.isalpha() for char in slot.instruction + slot.question_name)


def test_a_label_is_chosen_where_the_model_can_be_held_and_read_off_the_text_elsewhere() -> None:
    held = output_slot(task(), FakeModel())
    assert (held.choices, held.constrain, held.steps) == (LABELS, True, ())
    free = output_slot(task(), FakeModel(choices=False))
    assert (free.choices, free.constrain) == (LABELS, False)
    assert free.steps[-1].arguments == {"labels": LABELS}
    assert [step.name for step in free.steps][-1] == "match_label"


def test_text_and_json_are_read_as_the_task_says() -> None:
    text = output_slot(task("text", output=OutputSpec(kind="text", max_tokens=9, abstain="No.")), FakeModel())
    assert (text.max_tokens, text.abstain, text.constrain) == (9, "No.", False)
    shaped = output_slot(task("json"), FakeModel())
    assert (shaped.json_schema, shaped.steps[0].name) == ({"type": "object"}, "json")


def test_a_candidate_says_what_it_was_made_from_and_not_where(tmp_path: Path) -> None:
    model = FakeModel()
    made = new_candidate(fit(tmp_path), model, "prompt", prompt_slot(task()))
    assert made.model == model.ref
    assert set(made.made_from) == {"task", "train", "dev"}
    other = new_candidate(fit(tmp_path, n=10), model, "prompt", prompt_slot(task()))
    assert other.made_from["train"] != made.made_from["train"]
    assert other.made_from["dev"] == made.made_from["dev"]
    assert str(tmp_path) not in made.model_dump_json()


@pytest.mark.usefixtures("_letters")
def test_the_pool_of_nearest_examples_is_train_and_never_dev(tmp_path: Path) -> None:
    data = fit(tmp_path)
    slot = nearest_shots(data, 3)
    assert (slot.mode, slot.k, slot.encoder) == ("nearest", 3, LETTERS)
    index = Index(tmp_path / "indexes" / slot.index.split("@")[0], LetterEncoder())
    assert [item.id for item in index.items] == [example.id for example in data.train]
    assert dict(index.items[0].payload) == {"inputs": {"text": "train 0 pos"}, "answer": "pos"}
    assert nearest_shots(data, 5).index == slot.index


@pytest.mark.usefixtures("_letters")
def test_passages_are_cut_by_the_recipe_and_lie_in_the_run(tmp_path: Path) -> None:
    text = " ".join(f"Word{i} is here." for i in range(60))
    data = fit(tmp_path, documents=(Document("a.md", "A", text),))
    recipe = recipe_of(data, k=2, chunk_words=30)
    assert (recipe.encoder, recipe.k, recipe.chunk_overlap, recipe.fusion) == (LETTERS, 2, 5, "rrf")
    slot = passages_slot(data, recipe)
    index = Index(tmp_path / "indexes" / slot.index.split("@")[0], LetterEncoder())
    assert len(index.items) > 3
    payload = index.items[1].payload
    assert index.items[1].text.endswith(text[payload["start"] : payload["end"]])
    assert passages_slot(data, Recipe(chunk_words=60, encoder=LETTERS)).index != slot.index


def test_a_sample_depends_on_its_names_and_keeps_the_order() -> None:
    pool = rows(100, "train")
    sample = seeded_sample(pool, 10, 0, "dev")
    assert sample == seeded_sample(pool, 10, 0, "dev")
    assert list(sample) == sorted(sample, key=lambda e: e.id)
    assert len({e.id for e in sample}) == 10
    assert sample != seeded_sample(pool, 10, 1, "dev")
    assert sample != seeded_sample(pool, 10, 0, "leaning")
    assert seeded_sample(pool, 100, 0) == seeded_sample(pool, 1000, 0) == pool


# Fixed shots


def test_fixed_shots_are_k_rows_of_train_with_different_answers_first(tmp_path: Path) -> None:
    answers = ("a", "a", "a", "b", "a", "c")
    data = fit(tmp_path, asked=task("text"), train=rows(30, "train", answers))
    slot = fixed_shots(data, 4)
    said = [shot.answer for shot in slot.fixed]
    assert (slot.mode, slot.k, len(said)) == ("fixed", 4, 4)
    assert sorted(said[:3]) == ["a", "b", "c"]
    known = {example.id: example for example in data.train}
    for shot in slot.fixed:
        assert (shot.inputs, (shot.answer,)) == (known[shot.id].inputs, known[shot.id].references)
    assert len({shot.id for shot in slot.fixed}) == 4
    assert fixed_shots(data, 4) == slot


def test_there_are_no_more_fixed_shots_than_rows(tmp_path: Path) -> None:
    assert len(fixed_shots(fit(tmp_path, n=3), 8).fixed) == 3


def test_an_answer_that_is_rare_in_a_large_train_is_among_the_different_ones(tmp_path: Path) -> None:
    train = (*rows(1500, "train", ("a", "b", "c")), *rows(1, "rare", ("d",)))
    for seed in range(3):
        slot = fixed_shots(fit(tmp_path, asked=task("text"), train=train, seed=seed), 4)
        assert {shot.answer for shot in slot.fixed} == {"a", "b", "c", "d"}


class Elsewhere:
    """A retriever of somebody else's, which builds what it opens."""

    built: ClassVar[list[str]] = []

    @classmethod
    def build(cls, items: Sequence[Item], *, encoder: object, indexes: Path, kind: str) -> str:
        cls.built.append(kind)
        return "theirs@1"


@pytest.mark.usefixtures("_letters")
def test_an_index_is_built_by_the_retriever_that_will_open_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part("retriever", "elsewhere", f"{__name__}:Elsewhere")
    monkeypatch.setitem(parts("retriever"), "elsewhere", part)
    data = fit(tmp_path, documents=(Document("a.md", "A", "The deposit is returned within a month."),))
    slot = passages_slot(data, Recipe(encoder=LETTERS, kind="elsewhere"))
    assert (slot.index, Elsewhere.built) == ("theirs@1", ["passages"])
