"""Questions that the model rewrote, in the report: whether it paid on dev, before and after, in both languages."""

from __future__ import annotations

from typing import Any

import pytest
from report_runs import HOSTILE
from test_report_training import MakeRun, noted, pages

SAMPLES = [
    {"question": "Hello, what about the gas?", "searched": ["gas, meter, supplier"], "before": None, "after": 2.0},
    {"question": HOSTILE, "searched": [HOSTILE, "押金"], "before": 1.0, "after": 14.0, "failure": "empty"},
]


def step(why: str, **more: Any) -> dict[str, Any]:
    return {"part": "query", "value": "rewritten", "kept": why == "gain", "why": why, **more}


TOLD = {"before": 0.6, "after": 0.725, "by": "marks", "n": 40, "k": 3, "samples": SAMPLES}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            ("among the first 3 rose from 60.0% to 72.5% (+12.5 points, at least +2.0 points)", "2 of 40 questions"),
        ),
        ("zh", ("由 60.0% 升至 72.5%", "40 个问题中的 2 个")),
    ],
)
def test_a_rewriting_that_paid_is_shown_with_its_gain_and_a_handful_of_questions(
    make_run: MakeRun, language: str, said: tuple[str, ...]
) -> None:
    html, markdown = pages(noted(make_run(), "rag", refined=[step("gain", low=0.02, **TOLD)]), language)
    for page in (html, markdown):
        assert said[0] in page
        assert "gas, meter, supplier" in page
        assert "14" in page
    assert said[1] in html
    assert HOSTILE not in html


@pytest.mark.parametrize(
    ("why", "more", "said"),
    [
        ("no_gain", {"low": -0.03, **TOLD}, "the lower end of the interval (−3.0 points) shows no gain"),
        ("no_gain", {"low": None, **TOLD}, "the lower end of the interval (no interval)"),
        ("behind", {"low": 0.01, **TOLD}, "but the answers got worse"),
        ("no_room", {"before": 1.0}, "was 100.0% already"),
        ("dear", {}, "more of the time left"),
        ("no_gain", {"low": -0.1, **TOLD, "by": "metric"}, "score before"),
    ],
)
def test_a_rewriting_that_did_not_pay_or_was_not_tried_says_why(
    make_run: MakeRun, why: str, more: dict[str, Any], said: str
) -> None:
    html, _ = pages(noted(make_run(), "rag", refined=[step(why, **more)]), "en")
    assert said in html


def test_a_run_that_rewrote_nothing_has_no_such_section(make_run: MakeRun) -> None:
    other = {"part": "order", "value": "best_last", "kept": True, "why": "gain"}
    html, markdown = pages(noted(make_run(), "rag", refined=[other]), "en")
    assert "rewritten by the model" not in html + markdown
