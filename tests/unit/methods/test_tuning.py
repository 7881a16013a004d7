"""Choosing on dev: the same questions for all, nothing tried twice, and no gain from failing."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_fit import LABELS, Notebook, fit, rows, task

from rung.core.evaluation import Answer
from rung.core.method import Budget, Trial
from rung.core.model import Failure, Request
from rung.core.task import Example
from rung.methods.few_shot import fixed_shots
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.tuning import (
    DEV_LIMIT,
    DEV_LIMIT_WRITTEN,
    Setting,
    best,
    dev_sample,
    metric_of,
    score_of,
    try_settings,
)
from rung.models.fake import FakeModel

PHRASINGS = ("plain", "only_label", "expert")


def says(request: Request) -> str | Failure:
    """Right with one phrasing, failing on half with another, and always 'pos' with the rest."""
    instruction = request.messages[0].text
    right = request.query.split()[-1]
    if "label alone" in instruction:
        return right
    if "careful and exact" in instruction and right == "neg":
        return Failure("refused")
    return "pos"


@pytest.fixture
def model() -> FakeModel:
    return FakeModel(says)


def settings(folder: Path, model: FakeModel, names: tuple[str, ...] = PHRASINGS) -> list[Setting]:
    data = fit(folder)
    return [Setting({"phrasing": p}, new_candidate(data, model, "prompt", prompt_slot(data.task, p))) for p in names]


def test_every_setting_is_asked_the_same_dev_questions_and_written_down(tmp_path: Path, model: FakeModel) -> None:
    data, notebook = fit(tmp_path), Notebook()
    tried = list(try_settings(data, model, Budget(notebook), settings(tmp_path, model)))
    asked = [[request.query for request in batch] for batch in model.calls]
    assert asked == [[example.text for example in data.dev]] * 3
    assert [(trial.score, trial.n, trial.failed) for _, trial in tried] == [(0.5, 8, 0), (1.0, 8, 0), (0.5, 8, 4)]
    assert [trial for _, trial in tried] == notebook.trials
    assert best(tried).name == {"phrasing": "only_label"}


def test_a_setting_is_on_paper_before_the_next_one_is_asked(tmp_path: Path, model: FakeModel) -> None:
    notebook = Notebook()
    for n, _ in enumerate(try_settings(fit(tmp_path), model, Budget(notebook), settings(tmp_path, model)), 1):
        assert (len(notebook.trials), len(model.calls)) == (n, n)


def test_what_was_tried_before_an_interruption_is_not_tried_again(tmp_path: Path, model: FakeModel) -> None:
    known = Trial({"phrasing": "plain"}, 0.125, 8, 3.5)
    notebook = Notebook([known])
    tried = list(try_settings(fit(tmp_path), model, Budget(notebook), settings(tmp_path, model)))
    assert len(model.calls) == 2
    assert tried[0][1] is known
    assert len(notebook.trials) == 3


def test_a_spent_budget_stops_after_the_first_setting_and_says_so(tmp_path: Path, model: FakeModel) -> None:
    notebook = Notebook()
    tried = list(try_settings(fit(tmp_path), model, Budget(notebook, seconds=-1.0), settings(tmp_path, model)))
    assert [setting.name["phrasing"] for setting, _ in tried] == ["plain"]
    assert notebook.notes == {"converged": False}
    # What an earlier process has tried costs nothing now.
    known = Notebook([Trial({"phrasing": p}, 0.5, 8) for p in PHRASINGS])
    assert len(list(try_settings(fit(tmp_path), model, Budget(known, seconds=-1.0), settings(tmp_path, model)))) == 3
    assert known.notes == {}


def test_of_equals_the_cheaper_one_that_was_tried_first_stays(tmp_path: Path, model: FakeModel) -> None:
    tried = [(setting, Trial(setting.name, 0.5, 8)) for setting in settings(tmp_path, model)]
    assert best(tried).name == {"phrasing": "plain"}


def test_failing_is_no_gain(tmp_path: Path) -> None:
    data = fit(tmp_path)
    metric = metric_of(data)
    right = [Answer(example.id, example.references[0]) for example in data.dev]
    half = [a if n % 2 else Answer(a.example, "", failure=Failure("timeout")) for n, a in enumerate(right)]
    none = [Answer(a.example, "", failure=Failure("timeout")) for a in right]
    assert [score_of(data, metric, data.dev, answers) for answers in (right, half, none)] == [1.0, 0.5, 0.0]


def test_failing_is_no_gain_by_a_macro_average_either(tmp_path: Path) -> None:
    """Half of it wrong at best, and half of it missing; without any answer there is nothing to average."""
    data = fit(tmp_path, asked=task(metrics=("macro_f1",)))
    metric = metric_of(data)
    right = [Answer(example.id, example.references[0]) for example in data.dev]
    half = [a if n < 4 else Answer(a.example, "", failure=Failure("timeout")) for n, a in enumerate(right)]
    none = [Answer(a.example, "", failure=Failure("timeout")) for a in right]
    assert [score_of(data, metric, data.dev, answers) for answers in (right, half, none)] == [1.0, 0.25, 0.0]


def test_an_unlabelled_row_is_no_solved_example(tmp_path: Path) -> None:
    data = fit(tmp_path)
    open_row = Example("open", {"text": "nobody knows"}, ())
    given = fit(tmp_path, train=(open_row, *data.train))
    assert {shot.answer for shot in fixed_shots(given, 12).fixed} == set(LABELS)


def test_dev_is_sampled_once_for_all_and_less_of_it_where_answers_are_written(tmp_path: Path) -> None:
    large = rows(DEV_LIMIT * 3, "dev")
    labels = fit(tmp_path, dev=large)
    assert len(dev_sample(labels)) == DEV_LIMIT
    assert dev_sample(labels) == dev_sample(labels)
    assert len(dev_sample(labels, 10)) == 10
    assert len(dev_sample(fit(tmp_path, asked=task("text"), dev=large))) == DEV_LIMIT_WRITTEN
    assert {example.references[0] for example in dev_sample(labels)} == set(LABELS)
