"""Taking a model's own leaning off its label scores, fitted on train and chosen on dev."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small_fit import LABELS, Notebook, fit, rows, task

from rung.core.answer import answer_many
from rung.core.candidate import Candidate
from rung.core.method import Budget
from rung.core.model import Completion, Failure, Request
from rung.core.task import FitData
from rung.methods.calibrate import calibrate
from rung.methods.few_shot import fixed_shots
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.tuning import metric_of, open_for, score_of
from rung.models.fake import FakeModel


def leaning(bias: float, fault: str = "") -> FakeModel:
    """Knows the right label, and likes 'pos' by `bias` nats whatever is asked; fails on queries that hold `fault`."""

    def says(request: Request) -> Completion | Failure:
        if fault and fault in request.query:
            return Failure("server")
        right = request.query.split()[-1]
        likes = {"pos": bias, "neg": 0.0}
        scores = tuple(-8.0 + likes[label] + (label == right) for label in request.choices)
        return Completion(text=request.choices[scores.index(max(scores))], choice_scores=scores, finish="choice")

    return FakeModel(says)


def plain(data: FitData, model: FakeModel, **slots: Any) -> Candidate:
    return new_candidate(data, model, "prompt", prompt_slot(data.task), **slots)


def share_right(data: FitData, model: FakeModel, candidate: Candidate) -> float:
    return score_of(data, metric_of(data), data.dev, answer_many(open_for(data, candidate, model), data.dev))


def test_a_leaning_is_measured_on_train_and_taken_off(tmp_path: Path) -> None:
    data, model, notebook = fit(tmp_path), leaning(5.0), Notebook()
    before = plain(data, model)
    after = calibrate(data, model, Budget(notebook), before)
    assert (share_right(data, model, before), share_right(data, model, after)) == (0.5, 1.0)
    assert after.output.prior_weight == 1.0
    assert after.output.priors == pytest.approx([-2.5, -7.5])
    assert after.model_copy(update={"output": before.output}) == before
    assert [[request.query for request in batch] for batch in model.calls[:2]] == [
        [example.text for example in data.train],
        [example.text for example in data.dev],
    ]
    assert [(t.setting["normalise"], t.setting["prior_weight"], t.score) for t in notebook.trials] == [
        (normalise, weight, 1.0 if weight == 1.0 else 0.5)
        for normalise in ("sum", "mean")
        for weight in (0.0, 0.5, 1.0)
    ]


def test_an_even_model_is_left_as_it_is(tmp_path: Path) -> None:
    data, model = fit(tmp_path), leaning(0.0)
    assert calibrate(data, model, Budget(Notebook()), plain(data, model)) == plain(data, model)


def test_length_is_one_of_the_leanings_that_are_tried(tmp_path: Path) -> None:
    """A long label sums up more log-probability; per character the two are even."""
    labels = ("no", "yes, and at once")
    asked = task(output={"kind": "label", "labels": labels})

    def says(request: Request) -> Completion:
        right = next(label for label in labels if request.query.endswith(label))
        scores = tuple(len(label) * (-1.0 + 0.5 * (label == right)) for label in request.choices)
        return Completion(text="no", choice_scores=scores, finish="choice")

    model, notebook = FakeModel(says), Notebook()
    data = fit(tmp_path, asked=asked, train=rows(12, "train", labels), dev=rows(8, "dev", labels))
    after = calibrate(data, model, Budget(notebook), plain(data, model))
    assert share_right(data, model, after) == 1.0
    tried = {(t.setting["normalise"], t.setting["prior_weight"]): t.score for t in notebook.trials}
    assert (tried["sum", 0.0], tried["mean", 0.0]) == (0.5, 1.0)


def test_no_training_question_shows_its_own_answer_while_leanings_are_measured(tmp_path: Path) -> None:
    data, model = fit(tmp_path), leaning(1.0)
    calibrate(data, model, Budget(Notebook()), plain(data, model, shots=fixed_shots(data, 4)))
    asked = model.calls[0]
    assert [request.query for request in asked] == [example.text for example in data.train]
    for example, request in zip(data.train, asked, strict=True):
        assert example.id not in {shot.id for shot in request.shots}
    assert any(len(request.shots) == 3 for request in asked)


def test_what_is_not_constrained_is_not_asked(tmp_path: Path) -> None:
    model = FakeModel(choices=False)
    for kind in ("label", "text"):
        data = fit(tmp_path, asked=task(kind))
        assert calibrate(data, model, Budget(Notebook()), plain(data, model)) == plain(data, model)
    assert model.calls == []


@pytest.mark.parametrize("fault", ["train 3", "dev 5"])
def test_a_failed_request_leaves_the_candidate_alone(tmp_path: Path, fault: str) -> None:
    data, model, notebook = fit(tmp_path), leaning(5.0, fault), Notebook()
    assert calibrate(data, model, Budget(notebook), plain(data, model)) == plain(data, model)
    assert notebook.trials == []


def test_calibrating_again_after_an_interruption_adds_no_trial_twice(tmp_path: Path) -> None:
    data, model, notebook = fit(tmp_path), leaning(5.0), Notebook()
    first = calibrate(data, model, Budget(notebook), plain(data, model))
    trials = list(notebook.trials)
    assert calibrate(data, model, Budget(notebook), plain(data, model)) == first
    assert notebook.trials == trials
    assert first.output.choices == LABELS


def test_a_stopped_calibration_asks_nothing_again_and_comes_to_the_same(tmp_path: Path) -> None:
    data, whole = fit(tmp_path / "whole"), leaning(5.0)
    wanted = calibrate(data, whole, Budget(Notebook()), plain(data, whole))
    asked = [request.query for batch in whole.calls for request in batch]

    data, stopped = fit(tmp_path / "stopped"), leaning(5.0)
    real, calls = stopped.generate, []

    def stops(requests: Sequence[Request]) -> list[Completion]:
        calls.append(requests)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(requests)

    stopped.generate = stops  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        calibrate(data, stopped, Budget(Notebook()), plain(data, stopped))
    for _ in range(2):
        assert calibrate(data, stopped, Budget(Notebook()), plain(data, stopped)) == wanted
    assert [request.query for batch in stopped.calls for request in batch] == asked
    # Another prompt is another candidate, and is asked.
    other = new_candidate(data, stopped, "prompt", prompt_slot(data.task, "expert"))
    calibrate(data, stopped, Budget(Notebook()), other)
    assert sum(map(len, stopped.calls)) == 2 * len(asked)
