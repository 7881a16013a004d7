"""The quality page: both languages, nothing that runs or loads, every figure with what it stands on."""

from __future__ import annotations

import re
from functools import cache

import pytest

from rung.core.errors import catalogue
from rung.core.task import Language
from rung.data.quality.notes import take_notes
from rung.data.quality.record import (
    Agreement,
    Conflict,
    Confusion,
    Copies,
    Coverage,
    Curve,
    CurvePoint,
    Diversity,
    Dot,
    Estimate,
    Fault,
    LabelCount,
    LabelErrors,
    Look,
    Personal,
    Quality,
    Reason,
    Skipped,
    Topic,
    Topics,
    Volume,
)
from rung.data.quality.vocabulary import count_vocabulary, measure_lengths
from rung.reporting.quality import quality_page
from rung.reporting.quality_text import quality_markdown, quality_text

HOSTILE = "<script>alert(1)</script> | `x` \u202e [a](http://evil.example)"
REASONS = (
    Reason(kind="label", weight=0.9, values={"given": "a", "suggested": HOSTILE, "own": 0.0, "rival": 1.0}),
    Reason(kind="conflict", weight=0.7, values={"id": "r2", "answer": HOSTILE, "split": "test"}),
    Reason(kind="duplicate", weight=0.35, values={"id": "r2", "split": "test", "near": True}),
    Reason(kind="duplicate", weight=0.15, values={"id": "r3", "split": "train", "near": False}),
    Reason(kind="length", weight=0.25, values={"which": "answer", "n": 4000, "median": 40}),
    Reason(kind="outlier", weight=0.25),
    Reason(kind="personal", weight=0.3, values={"n": 2, "kinds": {"phone": 2}}),
    Reason(kind="answer", weight=0.5, values={"fault": "unsupported", "share": "20%", "document": "d.md"}),
)


def estimate(point: float, n: int = 90) -> Estimate:
    return Estimate(point=point, low=point - 0.05, high=point + 0.05, n=n)


@cache
def whole(labels: int = 3) -> Quality:
    """A check in which every part has something to say."""
    texts = [f"question number {n} about rent" for n in range(60)]
    points = tuple(CurvePoint(rows=10 * 2**n, score=estimate(0.5 + 0.1 * n), lowest=0.4, highest=0.9) for n in range(4))
    quality = Quality(
        name=HOSTILE,
        kind="label",
        language="en",
        n=120,
        splits={"train": 80, "test": 40},
        rejected=2,
        vectors="minilm@1",
        labels=LabelErrors(
            judged=80,
            unjudged=4,
            head=estimate(0.8),
            wrong=estimate(0.06),
            suspected=5,
            confusions=(Confusion(given=HOSTILE, suggested="b", n=2),),
            test_judged=40,
            test_suspected=3,
        ),
        conflicts=1,
        conflict_list=(Conflict(ids=("r1", "r2"), answers=("a", HOSTILE), text=HOSTILE, near=False),),
        agreement=Agreement(kind="fleiss", kappa=estimate(0.5), agreement=0.7, annotators=("a", "b", "c")),
        faults=tuple(
            Fault(kind=kind, n=1, of=80, ids=("r1",))
            for kind in ("empty", "copied", "refusal", "truncated", "language", "unsupported", "json")
        ),
        personal=Personal(rows=2, kinds={"phone": 2}),
        diversity=Diversity(
            vocabulary=count_vocabulary(texts, "en"),
            questions=measure_lengths(texts),
            answers=measure_lengths([*texts, "x" * 900]),
            copies=Copies(n=120, exact=10, near=4, across=2),
            topics=Topics(
                topics=tuple(
                    Topic(number=n, words=("rent", HOSTILE), n=40, share=0.5, example=HOSTILE, answers=("a",))
                    for n in (1, 2)
                ),
                silhouette=0.2,
                method="tsne",
                map=tuple(Dot(x=n, y=n % 7, topic=1 + n % 2) for n in range(30)),
                n=80,
            ),
            coverage=Coverage(
                documents=4, reached=1, sections=9, sections_reached=3, named=True, missed=("b", "c", "d")
            ),
        ),
        volume=Volume(
            labels=tuple(LabelCount(label=f"{HOSTILE}{n}", n=max(0, 60 - n)) for n in range(labels)),
            below={"5": 1, "16": 2, "50": labels},
            curve=Curve(points=points, doubled=estimate(0.85), gain=estimate(0.06), seeds=3),
        ),
        rows=(Look(id="r1", split="train", text=HOSTILE, answer="a", suggested="b", weight=0.9, reasons=REASONS),) * 15,
        to_look_at=20,
        test_to_look_at=3,
        skipped=(Skipped(measure="curve", code="E2871", values={"n": 4, "needed": 80}),),
        seconds={"labels": 1.0},
    )
    return quality.model_copy(update={"findings": take_notes(quality)})


@cache
def page_of(labels: int, language: Language) -> str:
    return quality_page(whole(labels), language, other="quality.zh.html")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("labels", [3, 77])
def test_the_page_runs_nothing_and_loads_nothing(language: Language, labels: int) -> None:
    page = page_of(labels, language)
    assert "<script" not in page
    assert "\u202e" not in page
    assert not re.search(r"(?:src|href)=\"(?!quality\.zh\.html)", page)
    assert "default-src 'none'" in page
    assert page.count("<svg") > 8
    assert "{" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_figures_stand_with_their_rows_and_interval(language: Language) -> None:
    page = page_of(3, language)
    for said in ("80.0%", "75.0–85.0%", "6.0%", "1.0–11.0%", "85.0% (80.0–90.0%)", "0.50"):
        assert said in page
    text = quality_text(whole(), language)
    assert "E2863" in text
    assert "r1" in text
    assert ("under 0.1%" if language == "en" else "不到 0.1%") in text


def test_every_finding_and_reason_has_words_in_both_languages() -> None:
    codes = {note.code for note in whole().findings}
    assert codes >= {
        "E2851",
        "E2852",
        "E2853",
        "E2854",
        "E2855",
        "E2856",
        "E2857",
        "E2859",
        "E2861",
        "E2863",
        "E2865",
        "E2866",
        "E2867",
    }
    assert [note.level for note in whole().findings] == sorted((note.level for note in whole().findings), reverse=True)
    assert codes <= set(catalogue())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_markdown_holds_the_same_and_no_markup_of_the_data(language: Language) -> None:
    text = quality_markdown(whole(), language)
    assert not re.search(r"(?<!\\)<", text)
    assert "](http" not in text.replace("\\](", "")
    assert text.count("\n## ") == 6
    assert "75.0–85.0%" in text


def test_an_almost_empty_check_is_still_a_page() -> None:
    empty = Quality(
        name="few",
        kind="text",
        language="zh",
        n=1,
        splits={"": 1},
        vectors="tfidf",
        personal=Personal(rows=0, kinds={}),
        diversity=Diversity(copies=Copies(n=1, exact=0, near=0, across=0)),
        volume=Volume(),
    )
    for language in ("en", "zh"):
        assert "few" in quality_page(empty, language)  # type: ignore[arg-type]
        assert "few" in quality_text(empty, language)  # type: ignore[arg-type]
