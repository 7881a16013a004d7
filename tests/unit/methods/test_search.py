"""Searching a grid on dev: what is asked, written down and kept, and that a stopped search comes to the same end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from letters import register_letters
from small_fit import Notebook, fit, rows, task

from rung.core.errors import UsageError
from rung.core.method import Budget
from rung.core.model import Failure, Request
from rung.core.registry import create
from rung.core.task import FitData
from rung.methods.dev_scores import DevScores
from rung.methods.few_shot import few_shot_grid
from rung.methods.prompt import prompt_grid, prompt_setting
from rung.methods.rag import rag_grid
from rung.methods.search import Search, race_order, search, search_of
from rung.methods.tuning import Setting
from rung.models.fake import FakeModel

RACE = Search()


def says(request: Request) -> str | Failure:
    """Right with one sentence of the grid, failing on half with another, and always 'pos' with the rest."""
    instruction = request.messages[0].text
    right = request.query.split()[-1]
    if "single words" in instruction:
        return right
    if "thousands" in instruction and right == "neg":
        return Failure("refused")
    return "pos"


@pytest.fixture
def data(tmp_path: Path) -> FitData:
    return fit(tmp_path, dev=rows(60, "dev"))


def wide(data: FitData, model: FakeModel) -> list[Setting]:
    return [prompt_setting(data, model, point) for point in prompt_grid(data, wide=True)]


def test_the_best_of_a_wide_grid_is_found_with_a_third_of_the_questions(data: FitData) -> None:
    model, notebook = FakeModel(says), Notebook()
    settings = wide(data, model)
    assert len(settings) >= 24
    found = search(data, model, Budget(notebook), settings, RACE)
    asked = sum(map(len, model.calls))
    assert "rule_purpose" in found.name["phrasing"]
    assert asked * 3 <= len(settings) * 60
    assert notebook.notes["race"] == {"settings": len(settings), "calls": asked, "of": len(settings) * 60}
    assert {str(trial.setting) for trial in notebook.trials} == {str(setting.name) for setting in settings}
    assert {trial.n for trial in notebook.trials} > {8}
    failing = [t for t in notebook.trials if "role_practised" in t.setting["phrasing"] and t.failed]
    assert failing
    assert all(trial.failed <= trial.n for trial in failing)


def test_exhaustive_asks_everything(data: FitData) -> None:
    model, notebook = FakeModel(says), Notebook()
    settings = wide(data, model)[:5]
    search(data, model, Budget(notebook), settings, Search(search="exhaustive"))
    assert [trial.n for trial in notebook.trials] == [60] * 5
    assert sum(map(len, model.calls)) == 300


def test_settings_answer_the_same_questions_in_the_same_order(data: FitData) -> None:
    model = FakeModel(says)
    settings = wide(data, model)[:4]
    search(data, model, Budget(Notebook()), settings, RACE)
    first = [[request.query for request in batch] for batch in model.calls[:4]]
    assert first == [[example.text for example in race_order(data)[:8]]] * 4


def test_stopped_anywhere_it_comes_to_the_same_end_and_asks_nothing_twice(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", dev=rows(60, "dev"))
    model, expected = FakeModel(says), Notebook()
    winner = search(whole, model, Budget(expected), wide(whole, model)[:10], RACE)
    total = sum(map(len, model.calls))
    for at in (1, 5, total // 2, total - 9, total):
        part = fit(tmp_path / str(at), dev=rows(60, "dev"))
        notebook = Notebook()
        broken = FakeModel(says, faults={at: KeyboardInterrupt()})
        with pytest.raises(KeyboardInterrupt):
            search(part, broken, Budget(notebook), wide(part, broken)[:10], RACE)
        again = FakeModel(says)
        assert search(part, again, Budget(notebook), wide(part, again)[:10], RACE).name == winner.name
        assert [(t.setting, t.score, t.n, t.failed) for t in notebook.trials] == [
            (t.setting, t.score, t.n, t.failed) for t in expected.trials
        ]
        # At most the batch that was broken off is asked again.
        assert sum(map(len, again.calls)) <= total - at + 32
    assert notebook.notes["race"] == expected.notes["race"]


def test_a_spent_budget_ends_with_what_is_known_and_says_so(data: FitData) -> None:
    model, notebook = FakeModel(says), Notebook()
    settings = wide(data, model)
    found = search(data, model, Budget(notebook, seconds=-1.0), settings, RACE)
    assert found.name == settings[0].name
    assert len(model.calls) == 1
    assert notebook.notes["converged"] is False
    assert [trial.n for trial in notebook.trials] == [8]
    # With more time it is finished, and nobody says that it was broken off.
    search(data, model, Budget(notebook), settings, RACE)
    assert notebook.notes["converged"] is True


def test_equal_candidates_are_asked_once(data: FitData) -> None:
    model = FakeModel(says)
    plain = prompt_setting(data, model, {"phrasing": "plain"})
    scores = DevScores(data, model, Budget(Notebook()))
    first = scores.ask(plain, data.dev)
    assert (scores.ask(Setting({"other": "name"}, plain.candidate), data.dev) == first).all()
    assert len(model.calls) == 1
    trial = scores.trial(plain, data.dev)
    assert (trial.n, trial.failed, trial.score) == (60, 0, 0.5)


def test_a_macro_metric_is_ranked_by_its_own_value(tmp_path: Path) -> None:
    """'always pos' is right on most of a lopsided dev set, and still loses by macro-F1."""
    lopsided = rows(60, "dev", ("pos", "pos", "pos", "neg"))
    asked = task(metrics=("macro_f1",))
    data = fit(tmp_path, asked=asked, dev=lopsided)

    def fair(request: Request) -> str:
        right, number = request.query.split()[-1], int(request.query.split()[1])
        if "label alone" in request.messages[0].text:
            return right if right == "neg" or number % 3 else "neg"
        return "pos"

    model = FakeModel(fair)
    settings = [prompt_setting(data, model, {"phrasing": name}) for name in ("plain", "only_label")]
    notebook = Notebook()
    assert search(data, model, Budget(notebook), settings, RACE).name["phrasing"] == "only_label"


@pytest.mark.parametrize("kind", ["label", "text", "json"])
def test_wide_grids_hold_at_least_24_different_settings(tmp_path: Path, kind: str) -> None:
    data = fit(tmp_path, asked=task(kind))
    for grid in (prompt_grid(data, wide=True), few_shot_grid(data, wide=True), rag_grid(data, wide=True)):
        assert len({str(point) for point in grid}) == len(grid) >= 24
    for grid in (prompt_grid(data), few_shot_grid(data), rag_grid(data)):
        assert len({str(point) for point in grid}) == len(grid) <= 6


@pytest.mark.parametrize("hints", [{"grid": "huge"}, {"search": True}, {"grid": None}])
def test_a_value_that_is_none_is_refused_before_anything_is_asked(tmp_path: Path, hints: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        search_of(hints, "prompt")
    assert refused.value.code == "E2410"
    model = FakeModel(says)
    for name in ("prompt", "few_shot", "rag"):
        with pytest.raises(UsageError):
            create("method", name).estimate(fit(tmp_path, hints=hints), model)
    assert model.calls == []


def test_few_shot_and_prompt_find_what_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)

    def shown(request: Request) -> str:
        """Knows the answer only where six examples are shown."""
        return request.query.split()[-1] if len(request.shots) == 6 else "pos"

    for hints in ({}, {"grid": "wide"}):
        folder = tmp_path / str(len(hints))
        given = fit(folder, n=30, dev=rows(40, "dev"), hints=hints)
        made = create("method", "few_shot").adapt(given, FakeModel(shown), Budget(Notebook()))
        assert made.shots is not None
        assert (made.shots.mode, made.shots.k) == ("nearest", 6)
