"""The methods of preference tuning and reinforcement: what they are made to learn from, and where they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from letters import register_letters
from small_fit import Notebook, fit, task

from rung.core.answer import Opened
from rung.core.candidate import Candidate
from rung.core.method import Budget
from rung.core.model import Capabilities, Completion, ModelRef
from rung.core.task import OutputSpec
from rung.methods import preference as preference_module
from rung.methods import reinforce as reinforce_module
from rung.methods.own_errors import with_own_errors
from rung.methods.preference import Preference, preference_settings
from rung.methods.reinforce import Reinforce
from rung.methods.slots import new_candidate, prompt_slot


class Tame:
    """A trainable model that scores choices, or writes the same text to everybody."""

    ref = ModelRef(kind="fake", id="tame")

    def __init__(self, *texts: str, choices: bool = True) -> None:
        self.capabilities = Capabilities(trainable=True, adapters=True, choices=choices)
        self.asked: list[Any] = []
        self._texts = texts

    def generate(self, requests):
        self.asked += requests
        if requests[0].choices:
            return [Completion(text=r.choices[0], choice_scores=(-1.0, -2.0, -3.0)[: len(r.choices)]) for r in requests]
        return [Completion(text=self._texts[i % len(self._texts)]) for i, _ in enumerate(requests)]


@pytest.fixture
def tuned(monkeypatch):
    """What a method hands to training, in place of training."""
    calls: list[dict[str, Any]] = []

    def tune(fit, model, budget, candidate, **given):
        calls.append({"fit": fit, "candidate": candidate, **given})
        return candidate

    monkeypatch.setattr(preference_module, "tune", tune)
    monkeypatch.setattr(reinforce_module, "tune", tune)
    return calls


def budget() -> Budget:
    return Budget(journal=Notebook())


def test_known_pairs_are_used_as_they_are(tmp_path, tuned, monkeypatch):
    register_letters(monkeypatch)
    given = fit(tmp_path)
    given = replace(given, train=tuple(replace(e, rejected=("neither",)) for e in given.train))
    model = Tame()
    found = Preference().adapt(given, model, budget())
    assert isinstance(found, Candidate)
    assert model.asked == []
    assert tuned[0]["kind"] == "preference"
    assert tuned[0]["loss"] == "dpo"
    assert tuned[0]["fit"].train == given.train


def test_without_pairs_the_likeliest_wrong_label_is_the_worse_answer(tmp_path, tuned, monkeypatch):
    register_letters(monkeypatch)
    given, model, spent = fit(tmp_path, n=12), Tame(), budget()
    given.folder.mkdir()
    Preference().adapt(given, model, spent)
    learned = tuned[0]["fit"]
    for example in (*learned.train, *learned.dev):
        assert example.rejected == (("neg",) if example.references == ("pos",) else ("pos",))
    assert spent.journal.notes["own_errors"] == {"asked": 20, "pairs": 20}
    asked = len(model.asked)
    Preference().adapt(given, model, budget())
    assert len(model.asked) == asked
    assert tuned[1]["fit"].train == learned.train


def test_thumbs_alone_are_learned_by_kto_with_the_disliked_answers(tmp_path, tuned, monkeypatch):
    register_letters(monkeypatch)
    given = fit(tmp_path)
    disliked = tuple(replace(e, liked=False) for e in given.train[:2])
    Preference().adapt(replace(given, disliked=disliked), Tame(), budget())
    assert tuned[0]["loss"] == "kto"
    assert tuned[0]["fit"].train == (*given.train, *disliked)
    assert preference_settings(replace(given, disliked=disliked)).loss == "kto"
    assert preference_settings(replace(given, disliked=disliked, hints={"loss": "orpo"})).loss == "orpo"


def test_a_written_answer_is_worse_only_where_it_scores_below_the_reference(tmp_path, monkeypatch):
    register_letters(monkeypatch)
    asked = task("text", output=OutputSpec(kind="text", max_tokens=5))
    given = fit(tmp_path, asked=asked, n=4, dev=())
    given.folder.mkdir()
    model = Tame("yes it is", " no idea ", "", choices=False)
    opened = Opened(new_candidate(given, model, "preference", prompt_slot(asked)), model)
    made = with_own_errors(given, opened, budget(), 0.7)
    # Rows are 'yes it is', 'no', 'yes it is', 'no'; said were 'yes it is', 'no idea', nothing, 'yes it is'.
    assert [example.rejected for example in made.fit.train] == [(), ("no idea",), (), ("yes it is",)]
    assert (made.asked, made.found) == (4, 2)
    assert {request.temperature for request in model.asked} == {0.7}


def test_asking_ends_with_its_share_of_the_budget_and_is_then_settled(tmp_path, monkeypatch):
    register_letters(monkeypatch)
    given = fit(tmp_path, n=90)
    given.folder.mkdir()
    model = Tame()
    opened = Opened(new_candidate(given, model, "preference", prompt_slot(given.task)), model)
    clock = iter([0.0, 0.0, 1.0, 100.0])
    monkeypatch.setattr("rung.methods.own_errors.time.monotonic", lambda: next(clock))
    first = with_own_errors(given, opened, Budget(journal=Notebook(), seconds=100.0, started=0.0), 0.7)
    assert first.asked == 64
    again = with_own_errors(given, opened, budget(), 0.7)
    assert again.fit.train == first.fit.train
    assert len(model.asked) == 64


@pytest.mark.parametrize(
    ("method", "changes", "codes"),
    [
        (Preference(), {}, []),
        (Preference(), {"hints": {"own_errors": False}}, ["E2420"]),
        (Preference(), {"hints": {"adapter": "prefix"}}, ["E2423"]),
        (Preference(), {"train": ()}, ["E2406"]),
        (Reinforce(), {}, []),
        (Reinforce(), {"hints": {"adapter": "prompt"}}, ["E2423"]),
    ],
)
def test_blockers(tmp_path, method, changes, codes):
    assert method.blockers(replace(fit(tmp_path), **changes), Tame()) == codes


def test_a_model_that_cannot_be_trained_blocks_both(tmp_path):
    model = Tame()
    model.capabilities = Capabilities()
    for method in (Preference(), Reinforce()):
        assert method.blockers(fit(tmp_path), model) == ["E2405"]
        assert method.opt_in
        assert method.rank in {55, 70}


def test_a_judge_is_no_reward(tmp_path, monkeypatch):
    class Judged:
        needs = frozenset({"judge"})

    monkeypatch.setattr(reinforce_module, "find", lambda kind, name: Judged)
    assert Reinforce().blockers(fit(tmp_path), Tame()) == ["E2421"]


def test_reinforcement_moves_in_smaller_steps_unless_told(tmp_path, tuned):
    Reinforce().adapt(fit(tmp_path), Tame(), budget())
    assert tuned[0]["kind"] == "reinforce"
    assert tuned[0]["learning_rate"] == pytest.approx(1e-4)
    assert tuned[0]["beta"] == 0.0
