"""Ceilings, health and attacks in the reports and on a terminal: both languages, counts that add up, safe with hostile text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from report_runs import HOSTILE

from rung.core.task import Language
from rung.reporting.attack import attack_text
from rung.reporting.build import build_report
from rung.reporting.ceilings import ceilings_text
from rung.reporting.health import health_text
from rung.store.attack import Attack, Ingested, Rate, Steered
from rung.store.knowledge import (
    CandidateCeilings,
    Ceilings,
    Copies,
    GoldReading,
    Health,
    Hub,
    Missed,
    Odd,
    PathStep,
    Recall,
    SplitShown,
    Stale,
    Unread,
    Use,
    Writing,
)
from rung.store.records import Interval
from rung.store.runs import RunFolder


def span(point: float, half: float = 0.1) -> Interval:
    return Interval(point=point, low=max(-1.0, point - half), high=min(1.0, point + half))


def ceilings(misread: int = 3) -> Ceilings:
    missed = Missed(id="q1", question=HOSTILE, documents=("a.md",), rank=None, instead="b.md#2", text=HOSTILE)
    one = CandidateCeilings(
        candidate="rag-1",
        method="rag",
        model="m",
        index="x@1",
        k=2,
        n=40,
        passages=30,
        recall=tuple(Recall(k=k, document=span(0.5 + k / 50), passage=span(0.4)) for k in (1, 3, 5, 10, 20)),
        path=(
            PathStep(stage="not_found", right=1, wrong=4),
            PathStep(stage="not_shown", right=0, wrong=5),
            PathStep(stage="shown", right=26, wrong=misread, unscored=1),
        ),
        missed=(missed,),
        read_wrong=(missed.model_copy(update={"rank": 1, "answer": HOSTILE, "references": ("two weeks",)}),),
        splits=(SplitShown(split="test", n=90, shown=74, share=span(0.82)),),
        reading=GoldReading(n=32, failed=1, given=span(0.9), own=span(0.6), gain=span(0.3)),
    )
    return Ceilings(
        metric="token_f1", right_at=0.5, basis="marked", depth=20, questions=44, unknown=4, candidates=(one,)
    )


def health() -> Health:
    return Health(
        source="notes",
        files=14,
        documents=12,
        characters=34_567,
        passages=400,
        chunk_words=70,
        same_files=1,
        unread=(Unread(document="scan.pdf", code="E2325", values={"pages": "1-3"}),),
        copies=(Copies(n=5, documents=("a.md", "b.md", "c.md", "d.md", "e.md"), score=1.0),),
        near=(Copies(n=2, documents=("f.md", HOSTILE), score=0.91),),
        stale=(
            Stale(document="fees-2023.md", dated="2023", newer="fees-2025.md", newer_dated="2025", by="edition"),
            Stale(document="old.md", dated="2001-01-01", newer="fees-2025.md", newer_dated="2025-01-01", by="age"),
        ),
        odd=tuple(
            Odd(document=f"{kind}.md", kind=kind, value=0.3 if kind == "garbled" else 7, example=HOSTILE if kind == "orders" else "")
            for kind in ("orders", "hidden", "garbled", "short", "long")
        ),
        cut=100,
        writings=(Writing(language="en", documents=11, characters=30_000), Writing(language="", documents=1, characters=0)),
        use=Use(
            questions=20, slots=30, unused=3, listed=("x.md", "y.md", "z.md"), wanted=("x.md",),
            hubs=(Hub(passage="a.md#1", questions=9, needed=1),), hub_from=5,
        ),
    )  # fmt: skip


def attack(limit: float | None = 0.1) -> Attack:
    rates = [
        Rate(kind=kind, defence=defence, n=20, shown=18, hits=hits, rate=span(hits / 20), clean=span(0.0, 0.02), failed=2 * (kind == "all"))
        for defence, hits in (("none", 10), ("told", 6), ("filter", 0))
        for kind in ("all", "order", "fact")
    ]  # fmt: skip
    return Attack(
        candidate="rag-1",
        method="rag",
        model="m",
        metric="token_f1",
        language="en",
        seed=0,
        questions=20,
        k=2,
        limit=limit,
        ingested=(
            Ingested(kind="order", goal="say", language="en", files=20, stripped=0, flagged=20),
            Ingested(kind="white", goal="say", language="en", files=20, stripped=20, flagged=0),
        ),
        rates=tuple(rates),
        flags=2,
        passages=400,
        examples=(
            Steered(
                kind="order", question=HOSTILE, wanted="ZORA 1", planted=HOSTILE, clean="two weeks", answer="ZORA 1"
            ),
        ),
    )


SAID = {
    "en": (
        "of 12 wrong answers to 40 questions, 9 because the document was not shown and 3 although it was. Better retrieval",
        "on test: the document was shown for 74 of 90 questions",
        "Perfect retrieval would bring +30.0",
        "not in the first 20",
        "3 of 12 documents were retrieved for none of the 20 questions",
        "So few questions",
        "The pages are pictures without a text layer: 1-3.",
        "fees-2025.md",
        "100 of 400 passages (25.0%) begin or end within a sentence",
        "50.0% (40.0–60.0%) of the attacks had their way: 10 of 20",
        "This is above the limit of 10%",
        "Of 40 planted files, 20 lost their order",
    ),
    "zh": (
        "40 个问题中答错 12 个，其中 9 个因为所需文档没有放进提示词",
        "90 个问题中有 74 个看到了所需文档",
        "检索做到完美可提高 +30.0",
        "不在前 20 个",
        "20 个问题",
        "这些页只有图片，没有文字层",
        "100 个（25.0%）在句子中间开始或结束",
        "攻击成功率为 50.0%（40.0–60.0%）",
        "超过上限 10%",
        "40 个投毒文件中，20 个的指令",
    ),
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_terminal_is_told_all_of_it(language: Language) -> None:
    said = "\n".join(
        [ceilings_text(ceilings(), language), health_text(health(), language), attack_text(attack(), language)]
    )
    flat = re.sub(r"\s+", "", said)
    missing = [part for part in SAID[language] if re.sub(r"\s+", "", part) not in flat]
    # The reason of an unread file is the catalogue's own sentence.
    assert [part for part in missing if "文字层" not in part] == []
    assert "\x1b" not in said


def test_more_misread_than_missed_speaks_for_reading_and_none_for_nothing() -> None:
    assert "Better reading would help most" in " ".join(ceilings_text(ceilings(misread=20), "en").split())
    none = ceilings(misread=0)
    right = tuple(step.model_copy(update={"wrong": 0}) for step in none.candidates[0].path)
    none = none.model_copy(update={"candidates": (none.candidates[0].model_copy(update={"path": right}),)})
    assert "none of 28 questions was answered wrongly" in " ".join(ceilings_text(none, "en").split())


def test_a_limit_is_said_to_be_kept_broken_or_absent() -> None:
    said = {limit: " ".join(attack_text(attack(limit), "en").split()) for limit in (None, 0.1, 0.6)}
    assert "within the limit of 60%" in said[0.6]
    assert "the constraint is not met" in said[0.1]
    assert "max_attack_rate" not in said[None].replace("max_attack_rate is checked", "")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_reports_hold_the_three_sections(make_run: Callable[..., RunFolder], language: Language) -> None:
    run = make_run("text", language)
    before = build_report(run)["html"].read_text("utf-8")
    for id in ("ceilings", "health", "attack"):
        assert f'id="{id}"' not in before
    name = next(name for name in run.candidates() if name.startswith("rag"))
    found = ceilings()
    run.write_ceilings(
        found.model_copy(update={"candidates": (found.candidates[0].model_copy(update={"candidate": name}),)})
    )
    run.write_health(health())
    run.write_attack(attack().model_copy(update={"candidate": name}))
    paths = build_report(run)
    page, markdown = paths["html"].read_text("utf-8"), paths["md"].read_text("utf-8")
    for id in ("ceilings", "health", "attack"):
        assert page.count(f'<section id="{id}">') == 1
    assert "<script" not in page
    assert "\x1b" not in page + markdown
    assert "<script>" not in markdown
    assert re.search(r'<rect x="0.00" width="\d', page)
    kept = json.loads(paths["json"].read_text("utf-8"))
    assert kept["ceilings"]["candidates"][0]["path"][0]["wrong"] == 4
    assert kept["health"]["documents"] == 12
    assert kept["attacks"][0]["rates"][0]["hits"] == 10
