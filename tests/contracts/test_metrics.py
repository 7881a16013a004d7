"""Every registered metric keeps the contract of a metric, and the kit notices when one does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from rung.core.evaluation import Answer, Score
from rung.core.model import Failure
from rung.core.registry import create, parts
from rung.core.task import Example, OutputSpec, Task
from rung.metrics.scoring import score_each
from rung.testing import ContractBroken, check_metric

OUTPUTS = {
    "label": (
        OutputSpec(kind="label", labels=("租金", "押金", "维修")),
        ["租金", "押金", "维修", "押金"],
        ["租金", "维修", "维修", "?"],
    ),
    "text": (OutputSpec(kind="text"), ["four weeks", "£7.50", "no", "五天内"], ["Four weeks.", "£7", "no", "三天内"]),
    "long": (
        OutputSpec(kind="text"),
        ["the tenant pays one month of rent as deposit", "押金为一个月租金，退租时退还", "no more than five days"],
        ["the tenant pays one month of rent", "押金为两个月租金，退租时退还。", "No more than FIVE days!"],
    ),
    "abstain": (
        OutputSpec(kind="text", abstain="Not in the notes."),
        [*["Not in the notes."] * 4, "four weeks", "two weeks", "no", "yes"],
        [*["not in the notes", "Not in the notes."] * 2, "four weeks", "two", "Not in the notes.", "yes"],
    ),
    "number": (OutputSpec(kind="text"), ["#### 18", "1,200", "一半是50%", "7"], ["so 18", "一千二百", "0.5", "none"]),
    "entities": (
        OutputSpec(kind="json"),
        ['{"name":["Ann"]}', '{"name":["温格"],"game":["x"]}', "{}", '{"a":["b"]}'],
        ['{"name":["Ann"]}', '{"name":["温格"]}', "{}", '{"a":"b"}'],
    ),
    "clauses": (
        OutputSpec(kind="text"),
        ["1. Rent: £860", "第一条 租金：3200元\n第二条 租期：12个月", "Fee: £10", "Fee: £10"],
        ["Rent: £860", "租金：3200元", "Fee: £11", "nothing"],
    ),
    "json": (OutputSpec(kind="json"), ['{"a":1}', '{"a":[1]}', "{}", '{"a":2}'], ['{"a":1}', "[", "{}", '{"b":1}']),
}
ANSWERS_OF = {
    "accuracy": "label",
    "macro_f1": "label",
    "macro_precision": "label",
    "macro_recall": "label",
    "exact_match": "text",
    "token_f1": "text",
    "json_match": "json",
    "entity_f1": "entities",
    "final_number": "number",
    "clauses": "clauses",
    "rouge_l": "text",
    "meteor_like": "text",
    "bleu": "long",
    "chrf": "long",
    **dict.fromkeys(("retrieval_recall", "retrieval_mrr", "retrieval_ndcg"), "passages"),
    **dict.fromkeys(("citation_precision", "citation_recall", "citation_support", "quote_support"), "passages"),
    **dict.fromkeys(("answered_share", "abstain_precision", "abstain_recall", "answered_f1"), "abstain"),
    "answerable_balance": "abstain",
}


def case(kind: str) -> tuple[Task, list[Example], list[Answer]]:
    """A task with four answered questions, one that failed, one without reference, and one that is both."""
    output, right, said = OUTPUTS["text" if kind == "passages" else kind]
    task = Task(name="t", instruction="i", inputs=("q",), output=output, metrics=("any",))
    examples = [Example(f"e{n}", {"q": "?"}, (text,)) for n, text in enumerate(right)]
    answers = [Answer(f"e{n}", text) for n, text in enumerate(said)]
    examples += [
        Example("failed", {"q": "?"}, (right[0],)),
        Example("open", {"q": "?"}, ()),
        Example("both", {"q": "?"}, ()),
    ]
    answers += [
        Answer("failed", "", failure=Failure("timeout")),
        Answer("open", said[0]),
        Answer("both", "", failure=Failure("empty")),
    ]
    if kind == "passages":
        examples = [replace(example, documents=(f"{n % 2}.md", "2.md")) for n, example in enumerate(examples)]
        examples.append(replace(examples[0], id="unmarked", documents=()))
        answers = [
            replace(answer, passages=("0.md#1", "1.md#7", "2.md#1")[n % 3 :]) for n, answer in enumerate(answers)
        ]
        answers = [
            replace(answer, citations=answer.passages[:1], quoted=2, unsupported_quotes=("no",) * (n % 3))
            for n, answer in enumerate(answers)
        ]
        answers.append(replace(answers[0], example="unmarked"))
    return task, examples, answers


@pytest.mark.parametrize("name", parts("metric"))
def test_registered_metrics_keep_the_contract(name: str) -> None:
    assert name in ANSWERS_OF, "say above which kind of answer this metric reads"
    task, examples, answers = case(ANSWERS_OF[name])
    metric = create("metric", name, task=task)
    assert metric.name == name
    check_metric(metric, examples, answers)


class Share:
    """A metric that keeps its contract; the classes below each break one promise."""

    name = "share"
    better: Literal["higher", "lower"] = "higher"
    needs = frozenset({"references"})
    parts: tuple[str, ...] = ("right",)

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return score_each(examples, answers, self.judge)

    def judge(self, example: Example, answer: Answer) -> Score:
        right = float(answer.text in example.references)
        return Score("scored", right, {"right": right})

    def aggregate(self, totals: Any, n: Any) -> Any:
        return np.divide(totals[..., 0], n, out=np.full(np.shape(n), np.nan), where=np.asarray(n) > 0)


class FailuresAreZero(Share):
    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return [self.judge(example, answer) for example, answer in zip(examples, answers, strict=True)]


class LosesOrder(Share):
    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return sorted(super().score(examples, answers), key=lambda score: (score.status, score.value))


class DropsFailures(Share):
    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return [score for score in super().score(examples, answers) if score.status != "failed"]


class TakesAnything(Share):
    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return [
            Score("failed") if a.failure else Score("unscored") if not e.references else self.judge(e, a)
            for e, a in zip(examples, answers, strict=False)
        ]


class UnknownPart(Share):
    def judge(self, example: Example, answer: Answer) -> Score:
        return Score("scored", 1.0, {"wrong": 1.0})


class NothingIsZero(Share):
    def aggregate(self, totals: Any, n: Any) -> Any:
        return totals[..., 0] / np.maximum(n, 1)


class LooksAtTheBatch(Share):
    def aggregate(self, totals: Any, n: Any) -> Any:
        found = super().aggregate(totals, n)
        return found if found.ndim < 2 else found - np.nanmean(found)


class FirstAxisOnly(Share):
    def aggregate(self, totals: Any, n: Any) -> Any:
        return super().aggregate(totals.reshape(-1, 1), np.reshape(n, -1))


class NotTheMean(Share):
    def aggregate(self, totals: Any, n: Any) -> Any:
        return super().aggregate(totals, n) ** 2


def test_the_kit_accepts_a_plain_metric() -> None:
    _, examples, answers = case("label")
    check_metric(Share(), examples, answers)
    check_metric(NotTheMean(), examples, answers, mean=False)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (FailuresAreZero, "never wrong"),
        (LosesOrder, "example"),
        (DropsFailures, "one score for every example"),
        (TakesAnything, "refused"),
        (UnknownPart, "no part that the metric does not list"),
        (NothingIsZero, "nan, never to 0"),
        (LooksAtTheBatch, "every resample by itself"),
        (FirstAxisOnly, "is a number"),
        (NotTheMean, "is the mean"),
    ],
)
def test_the_kit_notices(broken: type[Share], promise: str) -> None:
    _, examples, answers = case("label")
    with pytest.raises(ContractBroken, match=promise):
        check_metric(broken(), examples, answers)
