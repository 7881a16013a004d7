"""Exact match and token F1."""

from __future__ import annotations

import pytest

from rung.core.evaluation import Answer
from rung.core.registry import create
from rung.core.task import Example, Language, OutputSpec, Task


def value(name: str, references: tuple[str, ...], text: str, language: Language = "en") -> float:
    task = Task(
        name="desk",
        instruction="Answer.",
        inputs=("question",),
        output=OutputSpec(kind="text", abstain="The documents do not say."),
        metrics=(name,),
        language=language,
    )
    metric = create("metric", name, task=task)
    (score,) = metric.score([Example("e", {"question": "?"}, references)], [Answer("e", text)])
    assert score.status == "scored"
    assert sum(score.parts.values()) == score.value
    return float(score.value)


@pytest.mark.parametrize(
    ("references", "text", "language", "right"),
    [
        (("four weeks' rent",), "Four weeks’ rent.", "en", 1),
        (("£2,400",), "£2400", "en", 1),
        (("7",), "7.50", "en", 0),
        (("the Registry", "Deposit Registry"), "deposit registry", "en", 1),
        (("5天内",), "５天内。", "zh", 1),
        (("5天内",), "在5天内", "zh", 0),
        (("The documents do not say.",), "the documents do not say", "en", 1),
        (("four weeks",), "The documents do not say.", "en", 0),
        (("A",), "An", "en", 0),
    ],
)
def test_exact_match(references: tuple[str, ...], text: str, language: Language, right: int) -> None:
    assert value("exact_match", references, text, language) == right


@pytest.mark.parametrize(
    ("references", "text", "language", "f1"),
    [
        (("within 5 working days",), "5 working days", "en", 2 * 3 / 7),
        (("the cat sat",), "a cat", "en", 2 * 1 / 3),
        (("blue",), "red", "en", 0),
        (("blue blue",), "blue", "en", 2 / 3),
        (("red", "dark blue"), "dark blue sea", "en", 2 * 2 / 5),
        (("租金评议会",), "评议会", "zh", 2 * 3 / 8),
        (("用Apple Pay付款",), "apple pay", "zh", 2 * 2 / 7),
        (("两只",), "2只", "zh", 0.5),
    ],
)
def test_token_f1(references: tuple[str, ...], text: str, language: Language, f1: float) -> None:
    assert value("token_f1", references, text, language) == pytest.approx(f1)
