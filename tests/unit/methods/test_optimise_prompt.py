"""The optimised prompt: what helps is found within the call budget, whether a rule, a writer or an example holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from letters import register_letters
from small_fit import Notebook, fit, rows, task

from rung.core.errors import UsageError
from rung.core.method import Budget
from rung.core.model import Completion, Failure, Request
from rung.core.task import FitData
from rung.methods.instructions import phrasings
from rung.methods.optimise_prompt import OptimisePrompt
from rung.methods.slots import prompt_slot, sentences
from rung.methods.writer import written_instructions
from rung.models.fake import FakeModel

RULES = {"writer": "rules"}


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)


SECRET = "Look at the last word."


def data(folder: Path, kind: str = "label", **hints: Any) -> FitData:
    answers = ("pos", "neg") if kind == "label" else ("yes it is", "no")
    return fit(folder, asked=task(kind), n=60, dev=rows(60, "dev", answers), hints=hints)


def asks_for_instruction(request: Request) -> bool:
    return "better instruction" in request.messages[0].text


def knows(mark: str) -> Any:
    """Right where its instruction holds `mark`, 'pos' elsewhere; writes one instruction with the secret in it."""

    def says(request: Request) -> str:
        if asks_for_instruction(request):
            return f'Instruction: "{SECRET}"' if "plain" in request.messages[0].text else "Do your best."
        return request.query.split()[-1] if mark in request.messages[0].text else "pos"

    return says


def test_a_sentence_that_helps_is_found_by_rule(tmp_path: Path) -> None:
    model, notebook = FakeModel(knows("most specific")), Notebook()
    made = OptimisePrompt().adapt(data(tmp_path, **RULES, demos=2), model, Budget(notebook))
    assert made.method == "optimise_prompt"
    assert "most specific" in made.prompt.instruction
    assert made.prompt.instruction.startswith("Judge {it}.")
    assert sum(map(len, model.calls)) <= 600


def test_a_written_instruction_that_helps_is_found(tmp_path: Path) -> None:
    model, notebook = FakeModel(knows(SECRET)), Notebook()
    made = OptimisePrompt().adapt(data(tmp_path), model, Budget(notebook))
    assert made.prompt.instruction == SECRET
    assert made.prompt.phrasing.startswith("written")
    assert SECRET in notebook.notes["written"].values()


def test_demonstrations_are_questions_of_train_that_the_model_has_right(tmp_path: Path) -> None:
    """'pos' is all it knows without examples; with examples it knows the rest."""
    model = FakeModel(lambda r: r.query.split()[-1] if r.shots else "pos")
    notebook = Notebook()
    made = OptimisePrompt().adapt(data(tmp_path, **RULES), model, Budget(notebook))
    assert made.shots is not None
    assert made.shots.mode == "fixed"
    assert {shot.answer for shot in made.shots.fixed} == {"pos"}
    assert all(shot.id.startswith("train") for shot in made.shots.fixed)
    assert notebook.notes["demonstrations"] == {"tried": 60, "right": 30, "bootstrapped": True}


def test_where_nothing_is_right_the_reference_answers_are_shown(tmp_path: Path) -> None:
    model = FakeModel(lambda r: r.query.removeprefix("dev 1 ") if r.shots else "wrong")
    notebook = Notebook()
    OptimisePrompt().adapt(data(tmp_path, "text", **RULES), model, Budget(notebook))
    assert notebook.notes["demonstrations"]["bootstrapped"] is False


@pytest.mark.parametrize("calls", [100, 250, 600])
@pytest.mark.parametrize("kind", ["label", "text"])
def test_no_more_is_asked_than_the_budget_says(tmp_path: Path, kind: str, calls: int) -> None:
    model = FakeModel(knows("specific") if kind == "label" else (lambda request: "no"))
    OptimisePrompt().adapt(data(tmp_path, kind, calls=calls), model, Budget(Notebook()))
    asked = [r for batch in model.calls for r in batch if not asks_for_instruction(r)]
    assert len(asked) <= calls


def test_stopped_anywhere_it_comes_to_the_same_prompt(tmp_path: Path) -> None:
    whole = FakeModel(knows(SECRET))
    expected = OptimisePrompt().adapt(data(tmp_path / "whole"), whole, Budget(Notebook()))
    total = sum(map(len, whole.calls))
    for at in (1, 60, 62, 100, total // 2, total - 1):
        given, notebook = data(tmp_path / str(at)), Notebook()
        with pytest.raises(KeyboardInterrupt):
            OptimisePrompt().adapt(given, FakeModel(knows(SECRET), faults={at: KeyboardInterrupt()}), Budget(notebook))
        again = FakeModel(knows(SECRET))
        assert OptimisePrompt().adapt(given, again, Budget(notebook)) == expected
        settings = [str(trial.setting) for trial in notebook.trials]
        assert len(set(settings)) == len(settings)


def test_a_writer_that_fails_or_rambles_is_left_out(tmp_path: Path) -> None:
    answers = iter([Failure("timeout"), "", "x" * 5000, Completion(text="  **Judge well.**\n")])
    writer = FakeModel(lambda request: next(answers), choices=False)
    given = data(tmp_path)
    assert written_instructions(given, writer, 4) == ["Judge well."]
    # Kept: a search that goes on has the same instructions, whatever the writer would say now.
    assert written_instructions(given, FakeModel(default="Other."), 4) == ["Judge well."]


def test_time_that_is_up_leaves_the_plain_prompt_and_says_so(tmp_path: Path) -> None:
    model, notebook = FakeModel(knows(SECRET)), Notebook()
    made = OptimisePrompt().adapt(data(tmp_path, **RULES), model, Budget(notebook, seconds=-1.0))
    assert made.prompt.instruction == "Judge {it}."
    assert notebook.notes["converged"] is False


def test_the_writer_sees_train_and_no_other_question(tmp_path: Path) -> None:
    writer = FakeModel(default="Judge well.")
    written_instructions(data(tmp_path), writer, 4)
    for request in writer.calls[0]:
        assert "train" in request.messages[0].text
        assert "dev" not in request.messages[0].text
        assert "Judge {it}." in request.messages[0].text
    assert len({request.messages[0].text for request in writer.calls[0]}) == 4


def test_a_writer_of_its_own_is_opened_by_its_kind(tmp_path: Path) -> None:
    writer = {"kind": "fake", "id": "w", "options": {"default": SECRET}}
    model = FakeModel(knows(SECRET))
    charged: list[str] = []

    def account(opened: Any) -> Any:
        charged.append(opened.ref.id)
        return opened

    made = OptimisePrompt().adapt(data(tmp_path, writer=writer), model, Budget(Notebook(), charged=account))
    assert made.prompt.instruction == SECRET
    assert charged == ["w"]
    assert not any(asks_for_instruction(request) for batch in model.calls for request in batch)


@pytest.mark.parametrize(
    ("hints", "code"),
    [
        ({"calls": 3}, "E2412"),
        ({"calls": "many"}, "E2412"),
        ({"demos": 0}, "E2412"),
        ({"writer": "bob"}, "E2411"),
        ({"writer": {"kind": "fake", "colour": 1}}, "E2411"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, hints: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        OptimisePrompt().estimate(data(tmp_path, **hints), FakeModel(default="pos"))
    assert refused.value.code == code


@pytest.mark.parametrize("kind", ["label", "text", "json"])
def test_phrasings_are_many_and_different_in_both_languages(kind: Any) -> None:
    names = phrasings(kind)
    assert names[0] == "plain"
    assert len(set(names)) == len(names) >= 18
    for language in ("en", "zh"):
        said = {prompt_slot(task(kind, language=language), name).instruction for name in names}
        assert len(said) == len(names)


def test_both_languages_hold_the_same_sentences() -> None:
    found = sentences()
    assert found["en"].keys() == found["zh"].keys()
    for name, text in found["zh"].items():
        assert not text or any("\u4e00" <= char <= "\u9fff" for char in text), name
