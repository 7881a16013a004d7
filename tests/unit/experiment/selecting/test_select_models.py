"""Base models side by side: the same dev questions, what each takes, who is dominated, and resuming without asking twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_task import scripted, write_task

from rung.cli.models import compare_models
from rung.core.errors import InterruptedRun, UsageError
from rung.core.task import OutputSpec, Task
from rung.experiment.selecting.answering import run_job
from rung.experiment.selecting.select import (
    WEIGHTS,
    _counted,
    _dominates,
    _scored,
    _summary,
    check_weights,
    parse_weights,
)
from rung.reporting.select import models_text
from rung.store.records import Interval, Pair, Text
from rung.store.selection import ModelRow, Selection


def row(name: str, quality: float, seconds: float | None, memory: float | None, money: float | None = 0.0) -> ModelRow:
    return ModelRow(
        name=name,
        kind="fake",
        id=name,
        status="done",
        quality=Interval(point=quality, low=quality - 0.1, high=quality + 0.1),
        seconds_p50=seconds,
        memory_gib=memory,
        money_per_1000=money,
    )


def test_one_call_compares_resumes_and_keeps_what_cannot_be_asked(tmp_path: Path) -> None:
    broken = {"kind": "recorded", "id": "lost", "path": "answers.jsonl"}
    (tmp_path / "answers.jsonl").write_text('{"question": "another one", "answer": "rent"}\n')
    task = write_task(tmp_path, models=[scripted("careful"), scripted("sloppy", 2), broken])
    compared = compare_models(task)
    found = {line.name: line for line in compared.selection.rows}
    assert found["careful"].quality.point == 1.0
    assert found["sloppy"].quality.point is not None
    assert found["sloppy"].quality.point < 0.8
    assert (found["careful"].memory_gib or 0) > 0.01
    assert (found["careful"].seconds_p50 or 0) > 0
    assert found["lost"].status == "failed"
    assert found["lost"].problems[0].code == "E4404"
    assert compared.selection.best == "careful"

    splits = json.loads((compared.folder / "models.json").read_text("utf-8"))
    assert Selection.model_validate(splits) == compared.selection
    places = [folder for folder in (compared.folder / "answers").iterdir() if (folder / "result.json").is_file()]
    stamps = {place: (place / "answers.jsonl").stat().st_mtime_ns for place in places}
    assert len(places) == 2
    again = compare_models(task, language="zh")
    assert again.selection.rows[:2] == compared.selection.rows[:2]
    assert {place: (place / "answers.jsonl").stat().st_mtime_ns for place in places} == stamps

    for page, words in (("models.html", "综合得分最高"), ("models.en.html", "scores highest")):
        text = (compared.folder / page).read_text("utf-8")
        assert words in text
        assert "<svg" in text
    assert not (compared.folder / "models.zh.html").exists()
    told = models_text(again.selection, "zh")
    assert "careful" in told
    assert "lost" in told
    assert all(line.isprintable() for line in told.splitlines())


def test_only_dev_questions_are_asked_and_no_more_than_wanted(tmp_path: Path) -> None:
    task = write_task(tmp_path, models=[scripted("careful")])
    compared = compare_models(task, questions=5)
    (place,) = (compared.folder / "answers").iterdir()
    asked = [json.loads(line)["id"] for line in (place / "questions.jsonl").read_text("utf-8").splitlines()]
    assert len(asked) == compared.selection.questions == 5
    from rung.experiment.setup import prepare

    assert set(asked) <= {example.id for example in prepare(task).examples["dev"]}


def test_models_named_on_the_command_line(tmp_path: Path) -> None:
    task = write_task(tmp_path, models=[scripted("careful"), scripted("sloppy", 2)])
    compared = compare_models(task, models=["sloppy", "careful,revision=2"], questions=3)
    assert {line.name for line in compared.selection.rows} == {"sloppy", "careful (2)"}
    for text in ("careful,revision", ",x=1", "careful,colour=red", "careful,input_price=-1"):
        with pytest.raises(UsageError) as caught:
            compare_models(task, models=[text])
        assert caught.value.code == "E4401"
    with pytest.raises(UsageError) as caught:
        compare_models(task, models=["careful", "careful"])
    assert caught.value.code == "E1234"


def test_weights_are_read_and_add_up_to_one() -> None:
    assert check_weights(parse_weights("quality=3,memory=1")) == {
        "quality": 0.75,
        "seconds": 0.0,
        "memory": 0.25,
        "money": 0.0,
    }
    for text in ("speed=1", "quality", "quality=much"):
        with pytest.raises(UsageError, match="E4402"):
            parse_weights(text)
    for text in ("quality=-1,seconds=2", "quality=0", "quality=nan"):
        with pytest.raises(UsageError, match="E4403"):
            check_weights(parse_weights(text))


@pytest.mark.parametrize(
    ("weights", "best"),
    [(WEIGHTS, "good"), ({"quality": 0.1, "seconds": 0.45, "memory": 0.45, "money": 0.0}, "small")],
)
def test_the_score_follows_its_weights(weights: Mapping[str, float], best: str) -> None:
    scored = _scored([row("good", 0.9, 2.0, 4.0), row("small", 0.5, 1.0, 1.0)], weights)
    points: dict[str, Any] = {line.name: line.score.point for line in scored}
    assert max(points, key=points.__getitem__) == best
    assert points["good"] == pytest.approx(
        0.9 * weights["quality"] + 0.5 * weights["seconds"] + 0.25 * weights["memory"]
    )


def test_what_was_not_measured_leaves_the_score_open() -> None:
    known, unknown = _scored([row("a", 0.9, 1.0, 1.0), row("b", 0.9, 1.0, None)], WEIGHTS)
    assert known.score.point is not None
    assert unknown.score.point is None


def test_dominated_means_no_better_and_taking_more_beyond_the_tolerance() -> None:
    base = row("base", 0.8, 1.0, 1.0)
    assert _dominates(base, row("slow", 0.8, 2.0, 1.0))
    assert _dominates(base, row("worse", 0.7, 1.0, 1.0))
    assert not _dominates(base, row("noise", 0.8, 1.03, 0.98))
    assert not _dominates(base, row("small", 0.7, 2.0, 0.5))
    assert not _dominates(row("worse", 0.7, 0.1, 0.1), base)


def test_what_nobody_was_measured_on_does_not_count() -> None:
    rows = [row("near", 0.9, 1.0, None), row("far", 0.8, 2.0, None)]
    weights = _counted(WEIGHTS, rows)
    assert weights["memory"] == 0.0
    assert sum(weights.values()) == pytest.approx(1.0)
    assert all(line.score.point is not None for line in _scored(rows, weights))


def test_a_model_without_a_score_is_not_said_to_be_beaten() -> None:
    rows = _scored([row("local", 0.5, 1.0, 1.0), row("endpoint", 0.9, 1.0, None)], WEIGHTS)
    gap = Pair(candidate="endpoint", other="local", difference=Interval(point=0.4, low=0.2, high=0.6))
    selection = Selection(
        task="t",
        metric="accuracy",
        questions=50,
        compared=50,
        questions_hash="x",
        currency="USD",
        weights=WEIGHTS,
        tolerance=0.05,
        rows=tuple(rows),
        pairs=(gap,),
        best="local",
        summary=Text(en="", zh=""),
    )
    said = _summary(selection)
    assert "No score for endpoint" in said.en
    assert "takes less" not in said.en
    assert "endpoint 没有综合得分" in said.zh
    alone = _summary(selection.model_copy(update={"rows": tuple(rows[1:]), "best": None, "pairs": ()}))
    assert "No score for endpoint" in alone.en
    assert "could be compared" not in alone.en


def test_money_that_an_earlier_call_spent_counts_towards_the_limit(tmp_path: Path) -> None:
    answer = {"answer": {"example": "q0", "text": "", "money": 0.7, "failure": {"kind": "timeout", "message": ""}}}
    (tmp_path / "answers.jsonl").write_text(
        json.dumps(answer | {"scores": {}, "spent": {"seconds": 1, "cpu": 1}}) + "\n"
    )
    job = {"model": {"kind": "fake", "id": "m"}, "limit": 0.5}
    task = Task(name="t", instruction="i", inputs=("q",), output=OutputSpec(kind="text"), metrics=("exact_match",))
    (tmp_path / "job.json").write_text(json.dumps(job | {"task": task.model_dump(mode="json")}))
    (tmp_path / "questions.jsonl").write_text(json.dumps({"id": "q0", "inputs": {"q": "?"}}) + "\n")
    with pytest.raises(InterruptedRun) as caught:
        run_job(tmp_path)
    assert caught.value.code == "E4003"
