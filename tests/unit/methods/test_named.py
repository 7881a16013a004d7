"""Methods by name: variants and stages, their settings and what task.yaml may say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_fit import fit, task

from rung.core.candidate import AdapterSlot
from rung.core.errors import UsageError
from rung.core.method import Budget
from rung.core.model import Capabilities
from rung.core.task import Document
from rung.methods.named import hints_of, is_method, method_named
from rung.methods.stages import Staged
from rung.models.fake import FakeModel

SETTINGS = {
    "fine_tune": {"rank": 4, "epochs": 2},
    "fine_tune-dora": {"epochs": 5},
    "rag+fine_tune+preference": {"preference": {"beta": 0.2}, "rag": {"k": 1}},
}


@pytest.mark.parametrize(
    "name",
    [
        "prompt",
        "fine_tune-dora",
        "fine_tune-mine",
        "pretrain+fine_tune",
        "rag+fine_tune-aware",
        "few_shot+pretrain+fine_tune",
    ],
)
def test_it_goes_by_its_name_and_has_a_place_on_the_ladder(name):
    method = method_named(name)
    assert method.name == name
    assert isinstance(method.rank, int)


@pytest.mark.parametrize(
    "name", ["fine_tune+rag", "baseline+fine_tune", "fine_tune+prompt", "few_shot+", "nothing-dora"]
)
def test_stages_that_cannot_follow_each_other_are_refused(name):
    with pytest.raises(UsageError):
        method_named(name)
    assert not is_method(name)


def test_a_variant_stands_on_the_settings_of_what_it_varies():
    assert hints_of(SETTINGS, "fine_tune") == {"rank": 4, "epochs": 2}
    assert hints_of(SETTINGS, "fine_tune-dora") == {"rank": 4, "adapter": "dora", "epochs": 5}
    assert hints_of(SETTINGS, "fine_tune-full")["adapter"] == "full"
    assert hints_of(SETTINGS, "rag+fine_tune-aware") == {"aware": True}


def test_stages_have_a_block_each():
    assert hints_of(SETTINGS, "rag+fine_tune+preference") == {
        "rag": {"k": 1},
        "fine_tune": {"rank": 4, "epochs": 2},
        "preference": {"beta": 0.2},
    }


class Notebook:
    def __init__(self):
        self.notes = {}

    def find(self, setting):
        return None

    def add(self, trial):
        raise AssertionError("no stage here tries settings")

    def note(self, key, value):
        self.notes[key] = value


class Stage:
    """Trains by writing down what it was given."""

    rank = 40
    trained = True
    seen: list = []

    def __init__(self, name):
        self.name = name

    def blockers(self, fit, model):
        return []

    def estimate(self, fit, model):
        raise AssertionError

    def adapt(self, fit, model, budget):
        raise AssertionError

    def train_on(self, fit, model, budget, candidate):
        start = None if candidate.adapter is None else (fit.folder / candidate.adapter.path / "weights").read_text()
        self.seen.append((self.name, dict(fit.hints), start))
        (fit.folder / "training").mkdir()
        (fit.folder / "training" / "rows.jsonl").write_text(self.name + "\n")
        (fit.folder / "adapter").mkdir()
        (fit.folder / "adapter" / "weights").write_text(f"{start or ''}>{self.name}")
        budget.journal.note("converged", self.name != "one")
        budget.journal.note("curve", [self.name])
        return candidate.model_copy(update={"adapter": AdapterSlot(sha256=self.name, base="fake")})


def test_each_stage_goes_on_from_the_weights_of_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(Stage, "seen", [])
    data = fit(tmp_path, asked=task("text"))
    data = replace(data, folder=tmp_path / "candidate", hints={"one": {"rank": 2}, "two": {"beta": 1}})
    data.folder.mkdir()
    notebook = Notebook()
    staged = Staged("one+two", {"one": Stage("one"), "two": Stage("two")})
    made = staged.adapt(data, FakeModel(default="x"), Budget(notebook))
    assert Stage.seen == [("one", {"rank": 2}, None), ("two", {"beta": 1}, ">one")]
    assert made.method == "one+two"
    assert (made.adapter.path, made.adapter.sha256) == ("adapter", "two")
    assert (data.folder / "adapter" / "weights").read_text() == ">one>two"
    assert (data.folder / "training" / "rows.jsonl").read_text() == "one\ntwo\n"
    assert not (data.folder / "stages").exists()
    assert notebook.notes["converged"] is False
    assert notebook.notes["curve"] == ["two"]
    assert [stage["stage"] for stage in notebook.notes["stages"]] == ["one", "two"]


def test_blockers_are_those_of_all_stages(tmp_path):
    model = FakeModel(default="x")
    model.capabilities = Capabilities(trainable=True)
    staged = method_named("pretrain+fine_tune")
    data = fit(tmp_path, asked=task("text"))
    assert staged.blockers(data, model) == ["E2404"]
    with_documents = replace(data, documents=(Document("a", "A", "The rent is due."),))
    assert staged.blockers(with_documents, model) == []
    model.capabilities = Capabilities()
    assert staged.blockers(with_documents, model) == ["E2405"]
