"""BLEU and chrF against sacrebleu, whole and resampled."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from rung.core.evaluation import Answer, Metric, parts_matrix
from rung.core.registry import create
from rung.core.task import Example, Language, OutputSpec, Task

EN = (
    ("The tenant pays four weeks' rent as deposit.", ("The tenant pays four weeks' rent as a deposit.",)),
    ("Repairs are due in 14 days!", ("Repairs are due within 14 days.", "The landlord has 14 days for repairs.")),
    ("no", ("No, unless the contract says so.",)),
    ("ＮＯ, unless the contract says so", ("No, unless the contract says so.",)),
    ("", ("Ask the registry.",)),
    ("...", ("Ask the registry.",)),
    ("The registry keeps £2,400.50 (two thousand).", ("The registry keeps £2,400.50.",)),
    ("something else entirely", ("",)),
)
ZH = (
    ("押金为一个月租金，退租时退还。", ("押金是一个月的租金，退租时退还。",)),
    ("房东应在１４天内维修", ("房东须在14天内完成维修。", "维修期限为十四天。")),
    ("不可以", ("除非合同另有约定，否则不可以。",)),
    ("", ("请咨询登记处。",)),
    ("？！", ("请咨询登记处。",)),
    ("用Apple Pay支付2400元", ("可以用 Apple Pay 支付 2,400 元。",)),
    ("完全无关的另一句话", ("",)),
)
TEXTS: dict[Language, tuple[tuple[str, tuple[str, ...]], ...]] = {"en": EN, "zh": ZH}


def metric_of(name: str, language: Language) -> Metric:
    output = OutputSpec(kind="text")
    task = Task(name="t", instruction="i", inputs=("q",), output=output, metrics=(name,), language=language)
    metric: Metric = create("metric", name, task=task)
    return metric


def parts_of(metric: Metric, rows: tuple[tuple[str, tuple[str, ...]], ...]) -> np.ndarray:
    examples = [Example(f"e{n}", {}, right) for n, (_, right) in enumerate(rows)]
    return parts_matrix(
        metric.score(examples, [Answer(f"e{n}", said) for n, (said, _) in enumerate(rows)]), metric.parts
    )


def theirs(name: str, language: Language, rows: list[tuple[str, tuple[str, ...]]]) -> float:
    said = [answer for answer, _ in rows]
    most = max(len(right) for _, right in rows)
    right = [[texts[k] if k < len(texts) else None for _, texts in rows] for k in range(most)]
    if name == "bleu":
        return sacrebleu.corpus_bleu(said, right, tokenize="zh" if language == "zh" else "13a").score
    return sacrebleu.corpus_chrf(said, right).score


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_resamples_equal_sacrebleu(name: str, language: Language) -> None:
    rows = TEXTS[language]
    metric = metric_of(name, language)
    parts = parts_of(metric, rows)
    rng = np.random.default_rng(0)
    alone = [[n] for n in range(len(rows))]
    drawn = [list(range(len(rows))), *rng.integers(0, len(rows), size=(40, len(rows))).tolist(), *alone]
    totals = np.stack([parts[which].sum(axis=0) for which in drawn])
    ours = metric.aggregate(totals, np.array([float(len(which)) for which in drawn]))
    expected = [theirs(name, language, [rows[n] for n in which]) / 100 for which in drawn]
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    assert 0.2 < ours[0] < 0.9


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_known_answers(name: str) -> None:
    metric = metric_of(name, "zh")
    perfect = parts_of(metric, (("退租时退还押金", ("退租时退还押金",)),))[0]
    assert metric.aggregate(perfect, np.array(1.0)) == pytest.approx(1)
    nothing = parts_of(metric, (("退租时退还押金", ("房东不同意",)),))[0]
    assert metric.aggregate(nothing, np.array(1.0)) == 0


def test_bleu_by_hand() -> None:
    """Six words of six, then 4 of 5, 2 of 4 and 1 of 3; as long as the reference, so no brevity penalty."""
    metric = metric_of("bleu", "en")
    parts = parts_of(metric, (("a b c d f e", ("b c d f a e",)),))[0]
    np.testing.assert_array_equal(parts, [6, 3, 2, 1, 6, 5, 4, 3, 6, 6])
    assert metric.aggregate(parts, np.array(1.0)) == pytest.approx((1 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    short = np.array([3, 2, 1, 1, 3, 2, 1, 1, 3, 6], dtype=float)
    assert metric.aggregate(short, np.array(1.0)) == pytest.approx(np.exp(-1))


def test_a_sentence_has_a_value_of_its_own() -> None:
    rows = (("four weeks", ("four weeks",)), ("four", ("two",)))
    for name in ("bleu", "chrf"):
        metric = metric_of(name, "en")
        examples = [Example(f"e{n}", {}, right) for n, (_, right) in enumerate(rows)]
        scores = metric.score(examples, [Answer(f"e{n}", said) for n, (said, _) in enumerate(rows)])
        assert scores[0].value == pytest.approx(1)
        assert scores[1].value < 0.2
