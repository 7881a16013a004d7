"""Diagnosis and stability in the reports and on a terminal: in both languages, safe with hostile text, and absent where not made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from report_runs import HOSTILE

from rung.core.evaluation import Answer
from rung.core.model import Failure
from rung.core.task import Example, Language
from rung.experiment.diagnosing.axes import ArmAnswers, Subject, find_axis
from rung.experiment.diagnosing.diagnosis_words import say
from rung.experiment.diagnosing.retrieval_failures import failures_of
from rung.reporting.build import build_report
from rung.reporting.diagnosis import diagnosis_text
from rung.reporting.stability import stability_text
from rung.store.diagnosis import Changed, Diagnosis, KindStability, Mark, Stability
from rung.store.records import Interval
from rung.store.runs import RunFolder

NAMES: dict[str, Mark] = {"r": "right", "w": "wrong", "s": "refused"}


def planted(*, control: bool = True, form: bool = True) -> Diagnosis:
    questions = [Example(f"q{i}", {"q": f"{HOSTILE} {i}"}, ("right",), "", ("a.md",)) for i in range(40)]

    def arm(name: str, marks: str) -> ArmAnswers:
        answers = {
            e.id: Answer(e.id, HOSTILE, passages=("a.md#1",) if i % 2 else ("b.md#1",)) for i, e in enumerate(questions)
        }
        answers["q39"] = Answer("q39", "", failure=Failure("timeout"))
        return ArmAnswers(name, "asked", {e.id: NAMES[m] for e, m in zip(questions, marks, strict=True)}, answers)

    arms = [arm("plain", "r" * 10 + "w" * 20 + "s" * 10), arm("gold", "r" * 30 + "w" * 9 + "s")]
    arms += [arm("control", "r" * 12 + "w" * 27 + "s")] if control else []
    arms += [arm("format", "r" * 10 + "w" * 29 + "s")] if form else []
    rag = arm("rag", "r" * 20 + "w" * 19 + "s")
    retrieval = [failures_of("rag-1", questions, rag.answers, rag.marks, arms[1].marks)]
    return find_axis(Subject("desk", "token_f1", questions, partly=True), [*arms, rag], retrieval=retrieval)


def measured(**changes: Any) -> Stability:
    interval = Interval(point=0.75, low=0.5, high=0.9)
    kinds = (
        KindStability(
            kind="politeness",
            n=20,
            pairs=40,
            agree=30,
            agreement=interval,
            change=Interval(point=-0.1, low=-0.2, high=0.0),
            examples=(Changed(id="q1", question=HOSTILE, before="one", after=HOSTILE),),
        ),
        KindStability(kind="choices", status="not_applicable", why_not=say("no_choices")),
    )
    record: dict[str, Any] = {
        "candidate": "rag-1",
        "method": "rag",
        "model": "m",
        "metric": "accuracy",
        "n": 20,
        "groups": 20,
        "repeats": 2,
        "deterministic": True,
        "seed": 0,
        "agreement": interval,
        "kinds": kinds,
    }
    return Stability(**(record | changes))


def test_the_report_shows_both_where_they_were_made(make_run: Callable[..., RunFolder]) -> None:
    run = make_run("text")
    bare = build_report(run, language="en")["html"].read_text("utf-8")
    assert 'id="diagnosis"' not in bare
    assert 'id="stability"' not in bare
    run.write_diagnosis(planted())
    run.write_stability(measured())
    for language, said in (("en", "Knowledge is missing"), ("zh", "缺的是知识")):
        paths = build_report(run, language=language)  # type: ignore[arg-type]
        html, brief = (paths[kind].read_text("utf-8") for kind in ("html", "md"))
        assert said in html
        assert said in brief
        for id in ("diagnosis", "stability"):
            section = re.search(f'<section id="{id}">.*?</section>', html, re.DOTALL)
            assert section is not None
            assert "<script" not in section[0]
            assert "<img" not in section[0]
            assert "&lt;script&gt;" in section[0]
            assert "\x1b" not in section[0]
        record = json.loads(paths["json"].read_text("utf-8"))
        assert record["diagnosis"]["axis"] == "context"
        assert record["stability"]["agreement"]["point"] == 0.75
    assert "75.0%（50.0–90.0%）" in html
    assert "+45.0" in html


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_terminal_gets_the_same_in_words(language: Language) -> None:
    text = diagnosis_text(planted(), language)
    assert "\x1b" not in text
    assert "{" not in text.replace(HOSTILE.split("{")[1], "").replace("{name}", "")
    said = {
        "en": (
            "Knowledge is missing",
            "with the gold passage",
            "the passage mends it",
            "+45.0",
            "rag-1: of 20 errors",
        ),
        "zh": ("缺的是知识", "给出标准段落", "给段落能改对", "+45.0", "有 20 个错误"),
    }
    for words in said[language]:
        assert words in text.replace("\n", " " if language == "en" else "")
    told = stability_text(measured(), language)
    for words in {"en": ("politely", "not measured", "−10.0"), "zh": ("客套说法", "未测量", "−10.0")}[language]:
        assert words in told


def test_an_arm_that_is_missing_is_told_as_not_identified_and_never_as_zero() -> None:
    text = diagnosis_text(planted(control=False, form=False), "en")
    assert "form (behaviour): not identified" in text
    assert "with format examples: not identified: no answers are recorded for this arm" in text
    assert not re.search(r"^with format examples +\d", text, re.MULTILINE)
    assert "Without a control, no cause is named" in text


def test_the_short_measurement_of_the_winner_is_shown_where_none_was_asked_for(
    make_run: Callable[..., RunFolder],
) -> None:
    run = make_run("label")
    decision = run.read_decision()
    assert decision is not None
    assert decision.winner is not None
    run.write_stability(measured(candidate=decision.winner, light=True))
    html = build_report(run, language="en")["html"].read_text("utf-8")
    assert 'id="stability"' in html
    assert "The short form" in html
