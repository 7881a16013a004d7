"""What tuning cost, in the reports and on a terminal: both languages, alarms and all-clears, safe with hostile text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from report_runs import HOSTILE

from rung.core.task import Language
from rung.reporting.aftermath import aftermath_text, view_aftermath
from rung.reporting.aftermath_picture import draw_aftermath
from rung.reporting.build import build_report
from rung.reporting.numbers import Numbers
from rung.reporting.words import Words
from rung.store.aftermath import (
    Ability,
    Aftermath,
    CanaryPart,
    Change,
    Chat,
    CurveReading,
    Overfitting,
    Planted,
    Unseen,
    Verbatim,
)
from rung.store.records import Interval
from rung.store.runs import RunFolder


def span(point: float, half: float = 0.05) -> Interval:
    return Interval(point=point, low=max(-1.0, point - half), high=min(1.0, point + half))


def change(name: str, before: float, after: float, n: int = 100) -> Change:
    return Change(name=name, n=n, before=span(before), after=span(after), change=span(after - before), lost=9)


def measured(**changes: Any) -> Aftermath:
    verdicts: tuple[Literal["forgot", "fell", "no_loss_seen"], ...] = ("fell", "no_loss_seen", "forgot")
    ability = [
        Ability(verdict=verdict, share=change(name, 0.6, after), kinds=(change("order", 0.5, 0.4, 20),), smallest=0.07)
        for verdict, name, after in zip(verdicts, ("all", "en", "zh"), (0.53, 0.6, 0.4), strict=True)
    ]
    chats = (
        Chat(
            language="en",
            prompt="Hi?",
            before=HOSTILE,
            after="no " * 30,
            before_state="said",
            after_state="stuck",
            same=False,
        ),
        Chat(
            language="zh", prompt="你好？", before="好", after="", before_state="said", after_state="empty", same=False
        ),
    )
    record: dict[str, Any] = {
        "candidate": "fine_tune-1",
        "method": "fine_tune",
        "model": "m",
        "metric": "accuracy",
        "language": "en",
        "margin": 0.02,
        "seed": 0,
        "questions_hash": "abc",
        "ability": ability,
        "chats": chats,
        "unseen": (
            Unseen(
                by="similarity", n_near=30, n_far=30, near=span(0.9), far=span(0.7), change=span(-0.2), verdict="falls",
                how="encoder", untuned=span(-0.01), untuned_method="prompt",
            ),
        ),
        "overfitting": Overfitting(
            n_train=40, n_dev=90, train=span(0.98), dev=span(0.78), gap=span(0.2), alarm="strong"
        ),
        "curve": CurveReading(
            shape="rising", scored=5, best_step=30, last_step=80, dev_best=0.4, dev_last=0.62, kept_step=30
        ),
        "verbatim": (
            Verbatim(rows="all", share=change("verbatim all", 0.0, 0.3, 40)),
            Verbatim(rows="personal", share=change("verbatim personal", 0.0, 0.5, 4)),
        ),
        "canaries": CanaryPart(
            n=12, candidates=128, highest=7.0, chance=1.4,
            exposure=Interval(point=5.1, low=4.0, high=6.0), before=Interval(point=1.3, low=0.6, high=2.4),
            said=change("canaries", 0.0, 0.25, 12), planted=(Planted(times=16, n=4, said=3, exposure=Interval(point=6.5)),),
            verdict="memorised",
        ),
    }  # fmt: skip
    return Aftermath(**(record | changes))


SAID = {
    "en": (
        "What tuning cost",
        "It fell",
        "Chinese: It forgot",
        "A strong alarm",
        "lowest at step 30 (0.40) and rose to 0.62 by step 80",
        "It falls on unseen questions",
        "It repeats rows",
        "of 12 random codes it says 3",
        "5.1 (4.0–6.0) bits",
    ),
    "zh": (
        "微调的代价",
        "有所下降",
        "中文：出现遗忘",
        "强警报",
        "第 30 步最低（0.40）",
        "在没见过的问题上得分下降",
        "会复述微调前的模型不会复述的行",
        "12 个随机编号中，一问就能说出 3 个",
    ),
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_terminal_gets_it_in_words(language: Language) -> None:
    text = aftermath_text(measured(), language, columns=400)
    for words in SAID[language]:
        assert words in text
    assert "\x1b" not in text
    assert text.count("\n! ") == 6


@pytest.mark.parametrize("language", ["en", "zh"])
def test_all_clear_has_no_warning(language: Language) -> None:
    fine = measured(
        ability=[Ability(verdict="no_loss_seen", share=change("all", 0.6, 0.6), smallest=0.07)],
        overfitting=Overfitting(n_train=40, n_dev=90, train=span(0.8), dev=span(0.78), gap=span(0.02), alarm="none"),
        curve=CurveReading(shape="level", scored=5),
        unseen=(),
        verbatim=(Verbatim(rows="all", share=change("verbatim all", 0.02, 0.02)),),
        canaries=None,
        chats=(),
        light=True,
    )
    view = view_aftermath(fine, "x", Words(language), Numbers(Words(language)))
    assert {part.tone for part in view.parts} == {"fine"}
    assert "7.0" in view.parts[0].said[0]
    assert len(view.notes) == 1


def test_every_verdict_has_its_words() -> None:
    for language in ("en", "zh"):
        words = Words(language)  # type: ignore[arg-type]
        for alarm in ("none", "slight", "clear", "strong", "unknown"):
            gap = Overfitting(n_train=1, n_dev=1, train=span(0.5), dev=span(0.5), gap=span(0.0), alarm=alarm)  # type: ignore[arg-type]
            told = view_aftermath(measured(overfitting=gap), "x", words, Numbers(words))
            assert any("50.0%" in line for part in told.parts for line in part.said), alarm
        for verdict in ("falls", "holds", "unclear"):
            for by in ("similarity", "label", "group"):
                found = Unseen(
                    by=by, n_near=5, n_far=6, near=span(0.5), far=span(0.5), change=span(0.0), verdict=verdict  # type: ignore[arg-type]
                )  # fmt: skip
                assert view_aftermath(measured(unseen=(found,)), "x", words, Numbers(words))
        for verdict in ("forgot", "fell", "no_loss_seen", "unknown"):
            part = Ability(verdict=verdict, share=change("all", 0.5, 0.5))  # type: ignore[arg-type]
            assert view_aftermath(measured(ability=[part]), "x", words, Numbers(words)).parts[0].said


def test_the_reports_show_it_in_both_languages(make_run: Callable[..., RunFolder]) -> None:
    run = make_run("label")
    decision = run.read_decision()
    assert decision is not None
    assert decision.winner is not None
    assert run.read_candidate(decision.winner).adapter is not None
    bare = build_report(run, language="en")["html"].read_text("utf-8")
    assert "nobody has measured what that cost" in bare
    run.write_aftermath(measured(candidate=decision.winner))
    for language in ("en", "zh"):
        paths = build_report(run, language=language)  # type: ignore[arg-type]
        html, brief = (paths[kind].read_text("utf-8") for kind in ("html", "md"))
        section = re.search('<section id="aftermath">.*?</section>', html, re.DOTALL)
        assert section is not None
        for words in SAID[language]:
            assert words in section[0]
        for unsafe in ("<script", "<img", "\x1b"):
            assert unsafe not in section[0]
        assert section[0].count("<svg") >= 2
        assert "nobody has measured" not in html
        assert SAID[language][0] in brief
        (record,) = json.loads(paths["json"].read_text("utf-8"))["aftermaths"]
        assert record["overfitting"]["alarm"] == "strong"


def test_the_picture_has_a_bar_for_each_side_and_none_where_nothing_is_known() -> None:
    words = Words("en")
    drawn = draw_aftermath(measured(), words, Numbers(words))
    assert drawn is not None
    for said in ("English · before", "Chinese · after", "accuracy · training questions", "98.0% (93.0–100.0%)"):
        assert said.casefold() in drawn.wide.casefold()
        assert said.casefold() in drawn.narrow.casefold()
    assert draw_aftermath(measured(ability=[], verbatim=(), overfitting=None), words, Numbers(words)) is None
