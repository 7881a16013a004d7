"""Quotations and citations that hold, and questions with and without an answer told apart."""

from __future__ import annotations

import numpy as np
import pytest

from rung.core.evaluation import Answer, parts_matrix
from rung.core.model import Failure
from rung.core.registry import create
from rung.core.task import Example, OutputSpec, Task

EN, ZH = "Not in the guidance.", "资料中没有说明。"


def value(
    name: str, examples: list[Example], answers: list[Answer], *, language: str = "en", abstain: str = EN
) -> float:
    task = Task(
        name="t",
        instruction="i",
        inputs=("q",),
        output=OutputSpec(kind="text", abstain=abstain),
        metrics=("token_f1",),
        language=language,
    )
    metric = create("metric", name, task=task)
    parts = parts_matrix(metric.score(examples, answers), metric.parts)
    known = parts[~np.isnan(parts).any(axis=1)]
    return float(metric.aggregate(known.sum(axis=0), np.array(float(len(known)))))


def test_support_is_a_share_of_what_is_quoted_and_cited() -> None:
    examples = [Example(f"e{n}", {"q": "?"}, ("x",)) for n in range(4)]
    answers = [
        Answer(
            "e0", "a", quoted=2, unsupported_quotes=("q",), citations=("d#1", "d#2"), unsupported_citations=("d#2",)
        ),
        Answer("e1", "a", quoted=1, citations=("d#1",)),
        Answer("e2", "a"),
        Answer("e3", "", failure=Failure("timeout")),
    ]
    assert value("quote_support", examples, answers) == pytest.approx(3 / 4)
    assert value("citation_support", examples, answers) == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("language", "abstain", "said"), [("en", EN, "not in the guidance"), ("zh", ZH, "资料中没有说明")]
)
def test_balance_is_the_mean_of_both_kinds_told_right(language: str, abstain: str, said: str) -> None:
    right = [abstain] * 2 + ["four weeks"] * 4
    examples = [Example(f"e{n}", {"q": "?"}, (text,)) for n, text in enumerate(right)]

    def measured(*given: str) -> float:
        answers = [Answer(f"e{n}", text) for n, text in enumerate(given)]
        return value("answerable_balance", examples[: len(given)], answers, language=language, abstain=abstain)

    assert measured(said, "wrong", said, "any", "any", "any") == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert measured(*["any"] * 6) == measured(*[said] * 6) == pytest.approx(0.5)
    assert measured(said, said, *["any"] * 4) == 1.0
    assert np.isnan(measured(said, said))
