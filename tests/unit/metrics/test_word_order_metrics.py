"""ROUGE-L and the METEOR-like metric, in both languages."""

from __future__ import annotations

import random

import pytest

from rung.core.evaluation import Answer
from rung.core.registry import create
from rung.core.task import Example, Language, OutputSpec, Task


def value(name: str, references: tuple[str, ...], text: str, language: Language = "en") -> float:
    task = Task(
        name="desk",
        instruction="Answer.",
        inputs=("question",),
        output=OutputSpec(kind="text"),
        metrics=(name,),
        language=language,
    )
    (score,) = create("metric", name, task=task).score([Example("e", {}, references)], [Answer("e", text)])
    assert score.status == "scored"
    assert sum(score.parts.values()) == score.value
    return float(score.value)


@pytest.mark.parametrize(
    ("references", "text", "language", "f1"),
    [
        # Lin 2004, section 3.1: "police killed the gunman"; order tells the second apart from the first.
        (("police killed gunman",), "police kill gunman", "en", 2 / 3),
        (("police killed gunman",), "gunman kill police", "en", 1 / 3),
        (("red", "dark blue sea"), "dark green sea", "en", 2 / 3),
        (("five days",), "Five  DAYS!", "en", 1),
        (("租金评议会",), "评议会租金", "zh", 2 * 3 / 10),
        (("押金为一个月租金",), "押金是一个月的租金", "zh", 2 * 7 / 17),
        (("5天ＡＢＣ",), "５天abc。", "zh", 1),
    ],
)
def test_rouge_l(references: tuple[str, ...], text: str, language: Language, f1: float) -> None:
    assert value("rouge_l", references, text, language) == pytest.approx(f1)


def test_rouge_l_is_lins_definition() -> None:
    rng = random.Random(0)
    for _ in range(50):
        said, right = (rng.choices("ijklmn", k=rng.randint(1, 12)) for _ in range(2))
        table = [[0] * (len(right) + 1) for _ in range(len(said) + 1)]
        for i, mine in enumerate(said):
            for j, theirs in enumerate(right):
                table[i + 1][j + 1] = table[i][j] + 1 if mine == theirs else max(table[i][j + 1], table[i + 1][j])
        recall, precision = table[-1][-1] / len(right), table[-1][-1] / len(said)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        assert value("rouge_l", (" ".join(right),), " ".join(said)) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("references", "text", "language", "score"),
    [
        (("rent",), "rents", "en", 1),
        (("tenant paid rent",), "tenants paid rent", "en", 1),
        # Two of two words, in two runs: a penalty of one half.
        (("rent paid",), "paid rent", "en", 0.5),
        # m = 2 in one run, P = 2/3, R = 2/4.
        (("landlord repairs old boiler",), "landlord repairs quickly", "en", 10 / 3 / (0.5 + 6)),
        # m = 4, runs = 2, P = R = 1: 1 - 0.5 (1 / 3)^3.
        (("租金押金",), "押金租金", "zh", 1 - 0.5 / 27),
        (("用Apple退还",), "用apples退还", "zh", 1),
        (("blue", "dark red"), "dark red", "en", 1),
        (("blue",), "red", "en", 0),
    ],
)
def test_meteor_like(references: tuple[str, ...], text: str, language: Language, score: float) -> None:
    assert value("meteor_like", references, text, language) == pytest.approx(score)


@pytest.mark.parametrize("name", ["rouge_l", "meteor_like", "token_f1", "exact_match"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_empty_and_bare_punctuation(name: str, language: Language) -> None:
    assert value(name, ("",), "", language) == 1
    assert value(name, ("四周",), "", language) == 0
    assert value(name, ("",), "四周", language) == 0
    assert value(name, ("四周",), "？！…", language) == 0
    assert value(name, ("？",), "?", language) == 1
    assert value(name, ("。", "四周"), "四周。", language) == 1
