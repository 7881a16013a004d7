"""Feasibility: planted data sets that must be advised differently, and evidence that outranks what people say."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rung.cli.assess import assess, init_assess, write_assessment
from rung.config.questionnaire import blank_questionnaire, read_questionnaire
from rung.core.errors import UsageError
from rung.core.model import Capabilities
from rung.core.registry import parts
from rung.experiment.assessing.evidence import rough_tokens
from rung.experiment.plan import planned_methods
from rung.models.fake import FakeModel
from rung.reporting.assess import assessment_markdown, assessment_text
from rung.store.assessment import Assessment, Rung

FAKE = {"kind": "fake", "id": "scripted", "options": {"answers": {}}}
OUTSIDE = {"kind": "openai", "id": "far", "base_url": "https://api.example.com/v1", "api_key_env": "NO_SUCH_KEY"}
TOPICS = {
    "rent": ("pay", "late", "raise"),
    "repairs": ("boiler", "window", "damp"),
    "deposit": ("return", "cap", "keep"),
}
PLACES = ("Ashby", "Borrow", "Caxton", "Dunmore", "Elsfield", "Farley", "Garth", "Hexton", "Ivel", "Jarrow")


def write(folder: Path, rows: Sequence[tuple[str, str]], *, kind: str, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("question", "answer"), *rows])
    config: dict[str, Any] = {
        "name": "desk",
        "language": "en",
        "instruction": "Answer the question.",
        "inputs": ["question"],
        "output": {"kind": kind, "column": "answer"},
        "data": {"examples": "questions.csv"},
        "models": [FAKE],
        "methods": ["baseline", "prompt", "few_shot", "rag", "fine_tune", "rag+fine_tune"],
    }
    (folder / "task.yaml").write_text(json.dumps(config | changes, ensure_ascii=False), "utf-8")
    return folder / "task.yaml"


def labelled(each: int) -> list[tuple[str, str]]:
    """Questions whose label can be read off one word."""
    return [
        (f"{place} {n}: about the {word}?", topic)
        for topic, words in TOPICS.items()
        for n in range(each)
        for word, place in [(words[n % 3], PLACES[n % 10])]
    ]


def quoted(folder: Path, n: int) -> list[tuple[str, str]]:
    """Questions whose answers stand in documents, one passage each."""
    (folder / "documents").mkdir(parents=True)
    rows = []
    for i in range(n):
        place = f"{PLACES[i % 10]}{i}"
        (folder / "documents" / f"{i:03}.md").write_text(
            f"# {place}\n\nThe office at {place} opens at {i + 3} minutes past eight every weekday.\n", "utf-8"
        )
        rows.append((f"When does the office at {place} open?", f"{i + 3} minutes past eight"))
    return rows


def of(study: Assessment, method: str, model: str | None = None) -> Rung:
    return next(rung for rung in study.rungs if rung.method == method and model in (None, rung.model))


def keys(rung: Rung) -> set[str]:
    return {reason.basis for reason in rung.reasons}


def fact(study: Assessment, key: str) -> float | None:
    return next((found.value for found in study.facts if found.key == key), None)


def complete(study: Assessment) -> None:
    """Nothing is left unfilled, and everything is said in both languages."""
    assert Assessment.model_validate_json(study.model_dump_json()) == study
    for language, text in (("en", study.summary.en), ("zh", study.summary.zh)):
        assert text
        for made in (assessment_text(study, language), assessment_markdown(study, language)):  # type: ignore[arg-type]
            assert "{" not in made
            assert "None" not in made
    for rung in study.rungs:
        assert rung.reasons
        for reason in rung.reasons:
            assert any("\u4e00" <= char <= "\u9fff" for char in reason.text.zh), reason.text.zh


def test_plenty_of_labels_a_floor_that_reaches_the_target_and_no_hurry_for_models(tmp_path: Path) -> None:
    study = assess(write(tmp_path, labelled(60), kind="label", target=0.8))
    complete(study)
    floor = fact(study, "floor")
    assert floor is not None
    assert floor > 0.9
    assert of(study, "baseline").advice == "first"
    assert of(study, "prompt").advice == "later"
    assert "data" in keys(of(study, "prompt"))
    assert of(study, "rag").advice == "no"
    assert any("documents" in text.en for text in of(study, "rag").missing)
    assert study.rungs[0].method == "baseline"


def test_answers_that_stand_in_documents_call_for_retrieval(tmp_path: Path) -> None:
    rows = quoted(tmp_path, 60)
    study = assess(write(tmp_path, rows, kind="text", documents="documents"))
    complete(study)
    assert (fact(study, "extractable") or 0) > 0.95
    assert of(study, "rag").advice == "first"
    assert of(study, "prompt").advice == "next"
    assert fact(study, "floor") is not None
    (documents,) = [found for found in study.facts if found.key == "documents"]
    assert documents.value == 60


def test_answers_that_are_not_in_the_documents_do_not(tmp_path: Path) -> None:
    rows = [
        (question, f"call extension {n * 7919 % 10_000:04}") for n, (question, _) in enumerate(quoted(tmp_path, 60))
    ]
    study = assess(write(tmp_path, rows, kind="text", documents="documents"))
    assert fact(study, "extractable") == 0
    assert of(study, "rag").advice == "later"


def test_tiny_data_are_assessed_and_nothing_is_claimed_of_them(tmp_path: Path) -> None:
    study = assess(write(tmp_path, labelled(2), kind="label"))
    complete(study)
    assert fact(study, "floor") is None
    assert "too few to hold a test apart" in study.summary.en
    assert any("there is none yet" in step.en for step in study.plan)
    assert all(rung.advice == "no" for rung in study.rungs if rung.method not in {"baseline"})


def test_few_examples_of_a_label_are_counted_label_by_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = labelled(60)[:130]
    model = FakeModel(id="trainable")
    model.capabilities = Capabilities(trainable=True, choices=True)
    monkeypatch.setattr("rung.experiment.assessing.assess.open_model", lambda *_: model)
    study = assess(write(tmp_path, rows, kind="label"))
    complete(study)
    tuned = of(study, "fine_tune")
    assert tuned.advice in {"next", "first"}
    scarce = assess(write(tmp_path / "scarce", labelled(12), kind="label"))
    tuned = of(scarce, "fine_tune")
    assert tuned.advice == "later"
    (wanted,) = tuned.missing
    assert all(f"{topic} (" in wanted.en for topic in TOPICS)
    assert any(wanted == text for text in scarce.missing)


def test_data_that_may_not_leave_forbid_endpoints_of_others(tmp_path: Path) -> None:
    task = write(tmp_path, labelled(40), kind="label", models=[FAKE, OUTSIDE])
    study = assess(task, said=["data_may_leave=false"])
    complete(study)
    assert of(study, "prompt", "far").advice == "no"
    assert "may not leave" in of(study, "prompt", "far").reasons[0].text.en
    assert of(study, "prompt", "scripted").advice != "no"
    assert any("far" in conflict.shown.en for conflict in study.conflicts)
    unknown = assess(task)
    assert "data_may_leave" in unknown.unknown
    assert of(unknown, "prompt", "far").advice != "no" or "leave" not in of(unknown, "prompt", "far").reasons[0].text.en
    local = {**OUTSIDE, "id": "near", "base_url": "http://localhost:8000/v1", "api_key_env": None}
    near = assess(write(tmp_path / "near", labelled(40), kind="label", models=[local]), said=["data_may_leave=false"])
    assert not near.conflicts


def test_evidence_outranks_answers_and_both_are_told(tmp_path: Path) -> None:
    task = write(tmp_path, quoted(tmp_path, 60), kind="text", documents="documents")
    study = assess(task, said=["knowledge_changes=never"])
    (conflict,) = study.conflicts
    assert "word for word" in conflict.shown.en
    assert of(study, "rag").advice == "first"
    task = write(
        tmp_path / "zh", labelled(40), kind="label", language="zh", cost={"monthly_volume": 500}, models=[FAKE]
    )
    study = assess(task, said=["monthly_volume=900"])
    complete(study)
    assert len(study.conflicts) == 2
    assert any("500" in c.shown.en and "900" in c.said.en for c in study.conflicts)
    assert study.costs is not None
    assert study.costs.monthly_volume == 900


def test_limits_that_people_name_lower_the_advice(tmp_path: Path) -> None:
    task = write(tmp_path, quoted(tmp_path, 40), kind="text", documents="documents")
    free = assess(task)
    assert of(free, "rag").advice == "first"
    held = assess(task, said=["max_latency=0.001", "monthly_volume=1000000000", "monthly_budget=1"])
    assert of(held, "rag").advice == "later"
    assert "estimate" in keys(of(held, "rag"))
    assert of(held, "baseline").advice == "first"


def test_what_answers_are_worth_says_how_many_must_be_right(tmp_path: Path) -> None:
    study = assess(write(tmp_path, labelled(20), kind="label"), said=["right_value=1", "wrong_cost=3"])
    assert fact(study, "worth") == pytest.approx(0.75)


def test_contradicting_examples_are_counted(tmp_path: Path) -> None:
    rows = labelled(30)
    study = assess(write(tmp_path, [*rows, *((question, "rent") for question, _ in rows[40:50])], kind="label"))
    # Those that lie in test are not looked at.
    assert 3 <= (fact(study, "repeats") or 0) <= 10
    assert any("contradict" in text.en for text in study.missing)


def test_every_registered_method_is_advised_on_and_without_a_choice_those_that_need_no_asking(tmp_path: Path) -> None:
    task = write(tmp_path, labelled(40), kind="label", methods=[])
    asked = {rung.method for rung in assess(task).rungs}
    assert asked == set(planned_methods(())) < set(parts("method"))
    named = write(tmp_path, labelled(40), kind="label", methods=sorted(parts("method")))
    assert {rung.method for rung in assess(named).rungs} == set(parts("method"))


def test_a_file_of_examples_is_enough(tmp_path: Path) -> None:
    write(tmp_path, quoted(tmp_path, 40), kind="text")
    study = assess(tmp_path / "questions.csv")
    assert study.task == "questions"
    assert (fact(study, "extractable") or 0) > 0.9


def test_the_study_is_written_in_both_languages_and_opens_no_test_split(tmp_path: Path) -> None:
    study = assess(write(tmp_path, labelled(30), kind="label"))
    out = tmp_path / "out" / "assess.html"
    for path, words in zip(write_assessment(study, out, "zh"), ("可行性评估", "Feasibility"), strict=True):
        text = path.read_text("utf-8")
        assert words in text
        assert "<svg" in text
        assert "<script" not in text
    write_assessment(study, out.with_suffix(".json"), "en")
    assert json.loads(out.with_suffix(".json").read_text("utf-8"))["task"] == "desk"
    with pytest.raises(UsageError, match="E4412"):
        write_assessment(study, out.with_suffix(".pdf"), "en")
    assert not (tmp_path / "runs").exists()


def test_the_questionnaire_that_is_written_loads_and_every_line_is_explained(tmp_path: Path) -> None:
    path = init_assess(tmp_path)
    blank = read_questionnaire(path)
    assert set(blank.unanswered) >= {"right_value", "data_may_leave", "skills"}
    text = blank_questionnaire()
    assert text.count("#") >= 2 * len(type(blank).model_fields)
    with pytest.raises(UsageError, match="E1306"):
        init_assess(tmp_path)
    path.write_text(
        text.replace("data_may_leave:", "data_may_leave: false").replace("skills:", "skills: none"), "utf-8"
    )
    filled = read_questionnaire(path, ["monthly_volume=70", "skills=training"])
    assert (filled.data_may_leave, filled.monthly_volume, filled.skills) == (False, 70, "training")


@pytest.mark.parametrize(
    ("pairs", "code"),
    [(["volume=3"], "E4410"), (["monthly_volume=many"], "E4410"), (["skills=guru"], "E4410"), (["skills"], "E4411")],
)
def test_answers_that_are_none(pairs: list[str], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_questionnaire(None, pairs)
    assert caught.value.code == code


def test_tokens_are_counted_in_both_scripts() -> None:
    assert rough_tokens("How long does it take?") == pytest.approx(5 * 1.35)
    assert rough_tokens("押金多久退还") == pytest.approx(6 * 1.5)
    assert rough_tokens("") == 0


def test_where_nothing_is_advised_first_the_best_advised_rungs_are(tmp_path: Path) -> None:
    study = assess(write(tmp_path, labelled(40), kind="label", methods=["prompt", "few_shot"]))
    complete(study)
    assert {rung.advice for rung in study.rungs} == {"next"}
    assert study.summary.en.startswith("Start with: ")
    assert "–" not in study.summary.en.split(".")[0]
    none = assess(write(tmp_path / "none", labelled(40), kind="label", methods=["rag"]))
    complete(none)
    assert none.summary.en.startswith("Nothing can be tried yet")
