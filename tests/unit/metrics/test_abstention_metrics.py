"""The "I don't know" policy, scored apart from right and wrong answers."""

from __future__ import annotations

import numpy as np
import pytest

from rung.core.errors import DataError
from rung.core.evaluation import Answer, parts_matrix
from rung.core.model import Failure
from rung.core.registry import create
from rung.core.task import Example, Language, OutputSpec, Task

NAMES = ("answered_share", "abstain_precision", "abstain_recall", "answered_f1")


def task(language: Language, abstain: str | None) -> Task:
    return Task(
        name="desk",
        instruction="Answer.",
        inputs=("question",),
        output=OutputSpec(kind="text", abstain=abstain),
        metrics=("token_f1",),
        language=language,
    )


def measure(pairs: list[tuple[str, str | None]], language: Language, abstain: str) -> dict[str, tuple[float, int]]:
    """Value and number of scored answers of each metric, from (reference, answer); None is a failure."""
    examples = [Example(f"e{n}", {}, (right,)) for n, (right, _) in enumerate(pairs)]
    answers = [
        Answer(f"e{n}", said or "", failure=Failure("timeout") if said is None else None)
        for n, (_, said) in enumerate(pairs)
    ]
    found = {}
    for name in NAMES:
        metric = create("metric", name, task=task(language, abstain))
        parts = parts_matrix(metric.score(examples, answers), metric.parts)
        known = parts[~np.isnan(parts).any(axis=1)]
        found[name] = (float(metric.aggregate(known.sum(axis=0), np.array(float(len(known))))), len(known))
    return found


@pytest.mark.parametrize(
    ("language", "abstain", "variants", "answer", "half"),
    [
        ("en", "Not in the guidance.", ("not in the guidance", "NOT IN GUIDANCE!"), "four weeks", "four days"),
        ("zh", "资料中没有说明。", ("资料中没有说明", "　资料中没有说明．"), "四周", "四天"),
    ],
)
def test_the_four_measures(language: Language, abstain: str, variants: tuple[str, str], answer: str, half: str) -> None:
    found = measure(
        [
            (abstain, variants[0]),  # right to abstain
            (abstain, answer),  # should have abstained
            (answer, variants[1]),  # should have answered
            (answer, answer),
            (answer, half),
            (answer, None),
            (abstain, None),
        ],
        language,
        abstain,
    )
    assert found["answered_share"] == (pytest.approx(3 / 5), 5)
    assert found["abstain_precision"] == (pytest.approx(1 / 2), 2)
    assert found["abstain_recall"] == (pytest.approx(1 / 2), 2)
    assert found["answered_f1"] == (pytest.approx(3 / 4), 2)


def test_what_does_not_occur_is_nan_and_never_zero() -> None:
    found = measure([("four weeks", "four weeks"), ("two", "three")], "en", "Unknown.")
    assert found["answered_share"] == (1, 2)
    assert np.isnan(found["abstain_precision"][0])
    assert np.isnan(found["abstain_recall"][0])
    assert found["answered_f1"] == (0.5, 2)


def test_the_abstain_text_inside_an_answer_is_no_abstention() -> None:
    assert measure([("Unknown.", "Unknown. Perhaps four weeks.")], "en", "Unknown.")["abstain_recall"] == (0, 1)


def test_empty_answers_and_bare_punctuation_are_answers() -> None:
    found = measure([("four", ""), ("four", "…"), ("Unknown.", "?")], "en", "Unknown.")
    assert found["answered_share"] == (1, 3)
    assert found["answered_f1"] == (0, 2)


def test_answers_without_a_reference_count_for_coverage_only() -> None:
    for name in NAMES:
        (score,) = create("metric", name, task=task("en", "Unknown.")).score(
            [Example("e", {}, ())], [Answer("e", "unknown")]
        )
        assert score.status == ("scored" if name == "answered_share" else "unscored")


@pytest.mark.parametrize("name", NAMES)
def test_a_task_without_an_abstain_text_is_told_so(name: str) -> None:
    with pytest.raises(DataError) as caught:
        create("metric", name, task=task("en", None))
    assert caught.value.code == "E2610"
    assert name in str(caught.value)
    assert "abstain" in str(caught.value)
