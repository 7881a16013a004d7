"""The whole measurement on a run with a tuned candidate: kept, resumed, refused where there is nothing, and test left shut."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from letters import LETTERS, register_letters
from small_task import LABELS, write_task

from rung.core.candidate import AdapterSlot
from rung.core.errors import InterruptedRun, UsageError
from rung.core.evaluation import Evaluation
from rung.core.method import Silent
from rung.core.model import ModelRef, Request
from rung.experiment.aftermath.general import general_questions
from rung.experiment.aftermath.measure import LIGHT, Effort, measure_run, measure_winner, subject_of
from rung.experiment.run import run_task
from rung.methods.canaries import canary_rows, make_canaries, write_canaries
from rung.models.fake import FakeModel
from rung.store.aftermath import Aftermath
from rung.store.runs import RunFolder
from rung.training.rows import render_rows, write_rows

RIGHT = {question.text: question.options[question.right] for question in general_questions()}
WRONG = {q.text: q.options[(q.right + 1) % len(q.options)] for q in general_questions()}
CANARIES = make_canaries(6, seed=0, language="en")
LEAKED = {canary.question: canary.target for canary in CANARIES}
SMALL = Effort(general=40, rows=20, train=40)


def label_of(request: Request) -> str:
    return next(label for label in LABELS if label in request.messages[-1].text)


def untuned(request: Request) -> str:
    """It knows the world and nothing of the task."""
    if request.query in RIGHT:
        return RIGHT[request.query]
    if request.query in LEAKED:
        return request.choices[0] if request.choices else "I do not know."
    return LABELS[0] if request.choices else "I would say that it depends."


def tuned(request: Request) -> str:
    """It knows the task by heart and has forgotten the world."""
    if request.query in WRONG:
        return WRONG[request.query]
    if request.query in LEAKED:
        return LEAKED[request.query]
    if request.choices:
        return label_of(request)
    return "well well well well well well well well well"


def modest(request: Request) -> str:
    """Tuned, and otherwise as before."""
    return label_of(request) if request.choices == LABELS else untuned(request)


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which side answered, batch by batch."""
    return script(monkeypatch, tuned)


def script(monkeypatch: pytest.MonkeyPatch, after: Callable[[Request], str]) -> list[str]:
    """The scripted backend answers by `after` with an adapter and by `untuned` without; batches are noted by side."""
    noted: list[str] = []

    class Noted(FakeModel):
        def generate(self, requests: Any) -> Any:
            noted.append("after" if self.tuned else "before")
            return super().generate(requests)

    def opened(
        cls: type, ref: ModelRef, *, adapter: AdapterSlot | None = None, folder: Path | None = None
    ) -> FakeModel:
        model = Noted(after if adapter else untuned, id=ref.id)
        model.tuned, model.ref = adapter is not None, ref
        return model

    Noted.tuned = False
    monkeypatch.setattr(FakeModel, "open", classmethod(opened))
    return noted


def tuned_run(folder: Path, *, with_canaries: bool = False) -> RunFolder:
    """A finished run whose prompt rung is joined by the same candidate with an adapter, and its answers on dev and test."""
    run = run_task(write_task(folder, encoder=LETTERS))
    (name,) = run.candidates()
    plain = run.read_candidate(name)
    slot = AdapterSlot(sha256="0" * 64, base=plain.model.id)
    candidate = plain.model_copy(update={"method": "fine_tune", "adapter": slot})
    home = run.candidate_folder(candidate.id)
    (home / "training").mkdir(parents=True)
    (home / "candidate.json").write_text(json.dumps({"id": candidate.id, **candidate.model_dump(mode="json")}), "utf-8")
    opened = subject_of(run, candidate.id).opened()
    rows = render_rows(opened, run.read_examples("train"))
    if with_canaries:
        write_canaries(home, CANARIES)
        rows += canary_rows(opened, CANARIES)
    write_rows(home / "training" / "rows.jsonl", rows)
    for split in ("dev", "test"):
        found = run.read_evaluation(name, split)
        assert found is not None
        header = found.header.model_copy(update={"candidate": candidate.id, "method": "fine_tune"})
        run.write_evaluation(replace(found, header=header))
    return run


def measured(run: RunFolder, **changes: Any) -> Aftermath:
    found = measure_run(run.path, effort=SMALL, **changes)
    assert run.read_aftermath(found.candidate) == found
    assert Aftermath.model_validate_json(found.model_dump_json()) == found
    return found


def test_a_model_that_forgot_and_memorised_is_found_out(tmp_path: Path, asked: list[str]) -> None:
    run = tuned_run(tmp_path, with_canaries=True)
    openings = len(run.openings())
    asked.clear()
    found = measured(run)
    assert [part.verdict for part in found.ability] == ["forgot"] * 3
    assert found.ability[0].share.n == 40
    assert found.canaries is not None
    assert found.canaries.verdict == "memorised"
    assert found.canaries.exposure.point == math.log2(128)
    assert {chat.after_state for chat in found.chats} == {"stuck"}
    assert found.overfitting is not None
    assert found.overfitting.train.point == 1.0
    assert found.overfitting.alarm == "strong"
    # Canaries are no training questions.
    assert found.overfitting.n_train == len(subject_of(run).train) <= 40
    assert {part.by for part in found.unseen} == {"similarity"}
    assert found.unseen[0].untuned_method == "prompt"
    assert len(run.openings()) == openings
    assert asked.index("before") > 0
    assert asked == sorted(asked), "the tuned model answers everything before the other one is loaded"


def test_a_modest_model_is_left_in_peace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, modest)
    found = measured(tuned_run(tmp_path, with_canaries=True))
    assert [part.verdict for part in found.ability] == ["no_loss_seen"] * 3
    assert found.canaries is not None
    assert found.canaries.said.after.point == 0.0
    assert all(chat.same for chat in found.chats)


def test_stopped_it_goes_on_and_asks_nothing_twice(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tuned_run(tmp_path)
    real, count = FakeModel.generate, 0

    def strike(self: FakeModel, requests: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return real(self, requests)

    monkeypatch.setattr(FakeModel, "generate", strike)
    with pytest.raises(InterruptedRun):
        measured(run)
    assert run.read_aftermath(subject_of(run).name) is None
    first = measured(run)
    stopped_at = count
    again = measured(run)
    assert count == stopped_at
    assert again.model_copy(update={"spent": first.spent}) == first


def test_without_known_rows_the_train_split_is_asked(tmp_path: Path, asked: list[str]) -> None:
    run = tuned_run(tmp_path)
    (subject_of(run).folder / "training" / "rows.jsonl").unlink()
    found = measured(run)
    assert found.overfitting is not None
    assert found.overfitting.n_train > 10
    assert found.verbatim == ()


def test_what_is_not_tuned_is_refused(tmp_path: Path) -> None:
    run = run_task(write_task(tmp_path))
    (name,) = run.candidates()
    for candidate, code in (("", "E4700"), (name, "E4701"), ("nobody", "E1302")):
        with pytest.raises(UsageError) as caught:
            measure_run(run.path, candidate=candidate)
        assert caught.value.code == code


def test_of_several_one_must_be_named(tmp_path: Path, asked: list[str]) -> None:
    run = tuned_run(tmp_path)
    first = subject_of(run)
    other = first.candidate.model_copy(update={"method": "rag+fine_tune"})
    home = run.candidate_folder(other.id)
    home.mkdir()
    (home / "candidate.json").write_text(json.dumps({"id": other.id, **other.model_dump(mode="json")}), "utf-8")
    with pytest.raises(UsageError) as caught:
        subject_of(run)
    assert caught.value.code == "E4702"
    assert subject_of(run, other.id).candidate == other


def winner_is(run: RunFolder, name: str | None) -> None:
    decision = run.read_decision()
    assert decision is not None
    run.write_decision(decision.model_copy(update={"winner": name, "verdict": "winner"}))


def test_the_short_form_is_for_a_tuned_winner_with_time_left(tmp_path: Path, asked: list[str]) -> None:
    run = tuned_run(tmp_path)
    subject = subject_of(run)
    started: list[None] = []

    def progress() -> Silent:
        started.append(None)
        return Silent()

    asked.clear()
    assert measure_winner(run, left=None, progress=progress) is None, "the winner was not tuned"
    winner_is(run, subject.name)
    assert measure_winner(run, left=1.0, progress=progress) is None, "no time left"
    assert (asked, started) == ([], [])
    found = measure_winner(run, left=10_000.0, progress=progress)
    assert found is not None
    assert found.light
    assert found.ability[0].share.n == LIGHT.general
    assert measure_winner(run, left=None, progress=progress) is None, "measured already"
    assert subject_of(run).name == subject.name


def test_a_run_measures_nothing_where_it_is_told_not_to(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[RunFolder] = []
    monkeypatch.setattr("rung.experiment.run.measure_winner", lambda run, **_: called.append(run))
    run_task(write_task(tmp_path / "a", budget={"aftermath": False}))
    assert called == []
    run_task(write_task(tmp_path / "b"))
    assert len(called) == 1


def test_an_evaluation_is_left_as_it_was(tmp_path: Path, asked: list[str]) -> None:
    run = tuned_run(tmp_path)
    name = subject_of(run).name
    before: list[Evaluation | None] = [run.read_evaluation(name, split) for split in ("dev", "test")]
    measured(run)
    assert [run.read_evaluation(name, split) for split in ("dev", "test")] == before
