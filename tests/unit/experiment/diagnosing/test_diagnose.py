"""A diagnosis from a task to its record, on scripted models and on recordings: planted causes come out, and nothing is asked twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from diagnosis_task import answer_of, lacks, number_of, script, write_document_task
from small_task import count_asked, scripted, write_task

from rung.config import load_config
from rung.core.errors import DataError, InterruptedRun, RungError, UsageError
from rung.core.model import Request
from rung.core.task import Document, Example, OutputSpec, Task
from rung.experiment.diagnosing.arms import format_examples, gold_passages
from rung.experiment.diagnosing.diagnose import diagnose_task
from rung.experiment.diagnosing.recorded_arms import ArmColumns, diagnose_recordings
from rung.experiment.run import run_task
from rung.experiment.setup import prepare
from rung.store.diagnosis import Diagnosis
from rung.store.runs import RunFolder


def found_in(run: RunFolder) -> Diagnosis:
    found = run.read_diagnosis()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("lacking", "axis"),
    [
        ({"knowledge": True}, "context"),
        ({"form": True}, "behaviour"),
        ({"knowledge": True, "form": True}, "both"),
    ],
)
def test_a_planted_lack_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: dict[str, bool], axis: str
) -> None:
    script(monkeypatch, lacks(**lacking))
    found = found_in(diagnose_task(write_document_task(tmp_path)))
    assert found.axis == axis
    assert {arm.name: arm.source for arm in found.arms} == dict.fromkeys(
        ("plain", "control", "gold", "format", "both"), "asked"
    )
    assert found.n == 40
    if axis == "context":
        plain = found.arms[0]
        assert plain.wrong == 0
        assert plain.refused == found.errors > 20


def test_a_model_that_nothing_helps_is_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, lambda request: answer_of(number_of(request)) if number_of(request) % 4 == 0 else "nonsense")
    assert found_in(diagnose_task(write_document_task(tmp_path))).axis == "neither"


def test_only_dev_is_asked_the_gold_passage_holds_the_answer_and_no_example_gives_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = script(monkeypatch, lacks(knowledge=True))
    task = write_document_task(tmp_path)
    diagnose_task(task)
    dev = {example.text for example in prepare(task).examples["dev"]}
    assert {request.query for request in asked} == dev
    for request in asked:
        right = answer_of(number_of(request))
        assert not request.passages or right in request.passages[0].text
        assert all(right not in shot.references[0] and right not in shot.inputs["question"] for shot in request.shots)
        assert len(request.shots) in {0, 3}
    # The control is the same question, asked as another one to any cache.
    assert {request.repeat for request in asked} == {0, 1}
    again = [r for r in asked if r.repeat]
    assert len(again) == len(dev)
    assert not any(r.passages or r.shots for r in again)


def test_without_marked_documents_knowledge_is_not_identified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, lacks(form=True))
    data = {"examples": "questions.csv", "id": "id", "dev_share": 0.4, "test_share": 0.3}
    found = found_in(diagnose_task(write_document_task(tmp_path, data=data)))
    assert (found.axis, found.context) == ("behaviour", "not_identified")
    why = {arm.name: arm.why_missing for arm in found.arms}
    assert why["gold"] is not None
    assert why["both"] is not None


def test_stopped_anywhere_it_goes_on_and_asks_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = lacks(knowledge=True)
    asked = script(monkeypatch, answers)
    expected = found_in(diagnose_task(write_document_task(tmp_path / "whole")))
    whole = len(asked)
    task = write_document_task(tmp_path / "stopped")
    left = [90]

    def stops(request: Request) -> str:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return answers(request)

    script(monkeypatch, stops)
    with pytest.raises(InterruptedRun):
        diagnose_task(task)
    asked = script(monkeypatch, answers)
    found = found_in(diagnose_task(task))
    # A batch of 32 is kept or lost as a whole.
    assert whole - 90 <= len(asked) <= whole - 64
    without_time = {"spent"}
    assert found.model_dump(exclude=without_time) == expected.model_dump(exclude=without_time)


def test_a_run_is_diagnosed_with_its_own_prompt_and_a_local_model_needs_no_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_task(tmp_path, models=[scripted("hasty", 3)])
    count_asked(monkeypatch)
    monkeypatch.setattr("rung.experiment.diagnosing.diagnose.is_deterministic", lambda model: True)
    run = run_task(task)
    diagnosed = diagnose_task(run.path)
    assert diagnosed.path == run.path
    found = found_in(diagnosed)
    assert found.candidate == run.candidates()[0]
    control = next(arm for arm in found.arms if arm.name == "control")
    assert (control.source, control.right) == ("copied", found.arms[0].right)
    assert any("likeliest token" in caution.en for caution in found.cautions)


def test_a_run_without_its_task_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count_asked(monkeypatch)
    task = write_task(tmp_path)
    run = run_task(task)
    task.unlink()
    with pytest.raises(UsageError) as caught:
        diagnose_task(run.path)
    assert caught.value.code == "E4201"


def test_an_unknown_model_and_too_few_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, lacks())
    task = write_document_task(tmp_path)
    with pytest.raises(UsageError) as unknown:
        diagnose_task(task, model="other")
    assert unknown.value.code == "E4206"
    with pytest.raises(DataError) as few:
        diagnose_task(task, questions=9)
    assert few.value.code == "E4203"


# Recordings


def record(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def dev_rows(task: Path, right: Any) -> list[dict[str, Any]]:
    dev = prepare(task).examples["dev"]
    return [{"id": e.id, "answer": e.references[0] if right(i) else "no"} for i, e in enumerate(dev)]


def test_recorded_arms_of_a_task_need_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(monkeypatch, lacks())
    bare = write_document_task(tmp_path)
    plain = [*dev_rows(bare, lambda i: i < 10), {"id": "elsewhere", "answer": "x"}]
    record(tmp_path / "plain.jsonl", plain)
    record(tmp_path / "gold.jsonl", dev_rows(bare, lambda i: i < 30))
    task = write_document_task(tmp_path, arms={"plain": "plain.jsonl", "gold": "gold.jsonl"})
    found = found_in(diagnose_task(task))
    assert asked == []
    assert (found.axis, found.behaviour, found.n, found.outside) == ("context", "not_identified", 40, 1)
    assert found.effects[0].effect.point == pytest.approx(0.5)


def test_recorded_arms_may_be_known_by_the_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = write_document_task(tmp_path)
    dev = prepare(task).examples["dev"]
    rows = [{"question": f" {e.text} ", "answer": e.references[0]} for e in dev]
    found = found_in(diagnose_task(task, arms={"plain": record(tmp_path / "p.jsonl", rows)}))
    assert (found.n, found.axis) == (40, "no_errors")


def test_a_question_that_is_answered_by_its_id_and_by_its_text_is_refused(tmp_path: Path) -> None:
    task = write_document_task(tmp_path)
    dev = prepare(task).examples["dev"]
    rows = [{"id": e.id, "answer": "x"} for e in dev]
    rows.append({"id": dev[0].text, "answer": "x"})
    with pytest.raises(DataError) as caught:
        diagnose_task(task, arms={"plain": record(tmp_path / "p.jsonl", rows)})
    assert (caught.value.code, caught.value.problems[0].where) == ("E4205", f"p.jsonl:{len(rows)}")


def test_arms_of_a_task_file_are_checked_with_the_rest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(write_document_task(tmp_path, arms={"gold": "nowhere.jsonl", "silver": "x"}))
    assert {problem.code for problem in caught.value.problems} == {"E1210", "E1222", "E4202"}


def recorded(tmp_path: Path, **arms: list[dict[str, Any]]) -> dict[str, Path]:
    return {name: record(tmp_path / f"{name}.jsonl", rows) for name, rows in arms.items()}


def labelled(verdicts: str) -> list[dict[str, Any]]:
    told = {"r": "correct", "w": "incorrect", "s": "refusal"}
    return [
        {"id": f"q{i}", "question": f"question {i}", "answer": "a", "label": told[v]} for i, v in enumerate(verdicts)
    ]


def test_recordings_alone_with_a_persons_verdicts(tmp_path: Path) -> None:
    arms = recorded(
        tmp_path,
        plain=labelled("r" * 10 + "s" * 40),
        gold=labelled("r" * 40 + "w" * 10),
        shared=labelled("r" * 15 + "s" * 35),
    )
    found = diagnose_recordings(arms, columns=ArmColumns(label="label"))
    assert (found.axis, found.context, found.behaviour, found.metric) == (
        "context",
        "helps",
        "not_identified",
        "judged",
    )
    assert (found.arms[0].right, found.arms[0].refused) == (10, 40)
    assert [effect.arm for effect in found.effects] == ["gold", "shared"]
    (shared,) = found.retrieval
    assert (shared.n, shared.errors, shared.fixed_by_gold) == (0, 35, 25)


@pytest.mark.parametrize(
    ("arms", "code"),
    [
        ({"gold": labelled("r" * 20)}, "E4202"),
        ({"plain": labelled("r" * 9), "gold": labelled("r" * 9)}, "E4203"),
        ({"plain": labelled("r" * 20), "gold": labelled("r" * 19)}, "E4204"),
        ({"plain": labelled("r" * 20), "gold": labelled("r" * 21)}, "E4204"),
        ({"plain": [*labelled("r" * 20), *labelled("w")]}, "E2652"),
        ({"plain": [{"verdict": "correct"}]}, "E2651"),
    ],
)
def test_recordings_that_do_not_fit_are_refused(tmp_path: Path, arms: dict[str, Any], code: str) -> None:
    with pytest.raises(RungError) as caught:
        diagnose_recordings(recorded(tmp_path, **arms), columns=ArmColumns(label="label"))
    assert caught.value.code == code
    assert "Traceback" not in str(caught.value)


# What the arms show


def test_of_a_long_document_the_passage_with_the_answer_is_shown_and_no_more_than_fits() -> None:
    filler = "The house has rules about bins and bicycles and the garden. " * 30
    text = f"# Bins\n\n{filler}\n\n# Deposits\n\nThe deposit is returned within 14 days of moving out.\n\n# Noise\n\n{filler}"
    example = Example("q", {"q": "When is the deposit returned?"}, ("within 14 days",), "", ("rules.md", "gone.md"))
    found = gold_passages([example], [Document("rules.md", "Rules", text)])
    assert "within 14 days" in found[example.text][0].text
    assert len(found[example.text]) == 2
    assert len(gold_passages([example], [Document("rules.md", "Rules", text)], room=100)[example.text]) == 1
    assert gold_passages([Example("q", {"q": "?"}, ("a",))], [Document("rules.md", "Rules", text)]) == {}


def test_labels_are_shown_once_each_or_the_right_one_is_left_out() -> None:
    def task(labels: int) -> Task:
        names = tuple(f"label {n}" for n in range(labels))
        output = OutputSpec(kind="label", labels=names)
        return Task(name="t", instruction="i", inputs=("q",), output=output, metrics=("accuracy",))

    train = [Example(f"t{n}", {"q": f"text {n}"}, (f"label {n % 8}",)) for n in range(40)]
    asked = [Example("d", {"q": "another"}, ("label 1",))]
    few = format_examples(task(4), train, asked, 0)["another"]
    assert sorted(item.payload["answer"] for item in few) == [f"label {n}" for n in range(4)]
    many = format_examples(task(8), train, asked, 0)["another"]
    assert len(many) == 3
    assert "label 1" not in {item.payload["answer"] for item in many}
