"""Final numbers, entities and clauses: scores worked out by hand, in English and Chinese."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Score, parts_matrix
from rung.core.registry import create
from rung.core.task import Example, OutputSpec, Task, Turn

TASK = Task(name="t", instruction="i", inputs=("q",), output=OutputSpec(kind="text"), metrics=("final_number",))


def scores(name: str, pairs: list[tuple[str, str]], asked: str = "?") -> tuple[list[Score], float]:
    """Scores of (answer, reference), and their aggregate."""
    metric = create("metric", name, task=TASK)
    examples = [Example(f"e{n}", {"q": asked}, (right,)) for n, (_, right) in enumerate(pairs)]
    found = metric.score(examples, [Answer(f"e{n}", said) for n, (said, _) in enumerate(pairs)])
    matrix = parts_matrix(found, metric.parts)
    return found, float(metric.aggregate(matrix.sum(axis=0), np.array(float(len(pairs)))))


@pytest.mark.parametrize(
    ("said", "right", "value"),
    [
        ("16 - 3 = 13, so 13 * 2 = 26.\n#### 26", "He has 26.\n#### 26", 1),
        ("#### 26\nThat took 3 steps.", "#### 26", 1),
        ("It costs $1,200.00 in all", "#### 1200", 1),
        ("一共要付一千二百元。", "1200", 1),
        ("答案是１２００", "#### 1,200", 1),
        ("20万元", "200,000", 1),
        ("one half is 1/2", "0.5", 1),
        ("50%", "50", 1),
        ("百分之五十", "0.5", 1),
        ("0.5", "50%", 1),
        ("50%", "0.05%", 0),
        ("18 eggs, then 17", "18", 0),
        ("-18", "18", 0),
        ("no idea", "18", 0),
        ("", "18", 0),
        ("9" * 5000, "18", 0),
    ],
)
def test_final_number(said: str, right: str, value: float) -> None:
    assert scores("final_number", [(said, right)])[1] == value


def test_a_reference_without_a_number_is_a_mistake_in_the_data() -> None:
    with pytest.raises(DataError, match="holds no number"):
        scores("final_number", [("18", "eighteen")])


def entities(**found: list[str]) -> str:
    return json.dumps(found, ensure_ascii=False)


@pytest.mark.parametrize(
    ("said", "right", "parts"),
    [
        (entities(name=["温格"], company=[]), entities(name=["温格"]), (1, 0, 0)),
        (entities(name=["温格", "Johns"]), entities(name=["温格"], game=["黑暗"]), (1, 1, 1)),
        (entities(company=["温格"]), entities(name=["温格"]), (0, 1, 1)),
        (entities(name=["Ｊｏｈｎｓ", "johns"]), entities(name=["Johns"]), (1, 0, 0)),
        ('[{"type": "name", "text": "Ann"}]', entities(name=["Ann"]), (1, 0, 0)),
        ('{"name": "Ann"}', entities(name=["Ann"]), (0, 1, 1)),
        ('{"name": ["Ann", 3]}', entities(name=["Ann", "Bo"]), (0, 1, 2)),
        ('{"name": ["Ann"', entities(name=["Ann"]), (0, 1, 1)),
        ("{}", "{}", (0, 0, 0)),
        ("nothing", "{}", (0, 1, 0)),
    ],
)
def test_entity_counts(said: str, right: str, parts: tuple[int, ...]) -> None:
    (score,), _ = scores("entity_f1", [(said, right)])
    assert tuple(score.parts.get(name, 0) for name in ("tp", "fp", "fn")) == parts
    tp, fp, fn = parts
    assert score.value == (pytest.approx(2 * tp / (2 * tp + fp + fn)) if sum(parts) else 1)


def test_entities_are_counted_over_the_whole_set() -> None:
    pairs = [(entities(a=["x", "y", "z"]), entities(a=["x", "y", "z"])), (entities(a=["x"]), entities(b=["x"]))]
    found, micro = scores("entity_f1", pairs)
    assert [score.value for score in found] == [1, 0]
    assert micro == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))


def test_a_reference_that_is_no_set_of_entities_is_a_mistake_in_the_data() -> None:
    with pytest.raises(DataError, match="no set of entities"):
        scores("entity_f1", [("{}", "[1]")])


NOTES = "Landlord: Orrin Vale; tenant: Mara Lind; home: 14 Larch Street; rent £860 monthly, day 5; from 2027-03-01, 12 months"
LEASE = """1. Parties: Orrin Vale lets 14 Larch Street to Mara Lind.
2. Rent: £860 a month, due on day 5.
3. Term: 12 months from 1 March 2027."""
NOTES_ZH = "出租人：林秋；承租人：周明；房屋：松林路8号；月租3200元；2027-03-01起租12个月"
LEASE_ZH = """第一条 双方：林秋将松林路8号租给周明。
第二条 租金：每月3200元。
第三条 租期：2027年3月1日起12个月。"""


@pytest.mark.parametrize(
    ("said", "right", "counted"),
    [
        (LEASE, 3, 3),
        (LEASE.replace("£860", "£890"), 2, 3),
        (LEASE.replace("day 5", "day 5, later £900"), 2, 3),
        (LEASE.replace("1 March 2027", "March 1, 2027").replace("£860", "860 pounds"), 3, 3),
        (LEASE.replace("12 months", "12 weeks"), 2, 3),
        (LEASE.replace("1 March 2027", "1 April 2027"), 2, 3),
        (LEASE.replace("Mara Lind", "Mara Lindqvist"), 2, 3),
        (LEASE.replace("14 Larch", "41 Larch"), 2, 3),
        ("\n".join(LEASE.split("\n")[::-1]), 3, 3),
        ("**Rent**: £860 per month on day 5\nPets: none", 1, 2),
        (LEASE + "\n" + LEASE, 3, 6),
        ("The rent is £860 a month, by day 5. The term is 9 months.", 1, 2),
        ("Sorry, I cannot.", 0, 0),
        ("", 0, 0),
    ],
)
def test_clauses_of_a_lease(said: str, right: int, counted: int) -> None:
    (score,), whole = scores("clauses", [(said, LEASE)], NOTES)
    assert (score.parts.get("right", 0), score.parts.get("said", 0), score.parts["required"]) == (right, counted, 3)
    assert score.value == whole == pytest.approx(2 * right / (counted + 3))


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (LEASE_ZH, 3),
        ("一、双方：林秋将松林路8号租给周明\n二、租金：每月三千二百元\n三、租期：自2027-03-01起十二个月", 3),
        (LEASE_ZH.replace("3200", "2300"), 2),
        (LEASE_ZH.replace("周明", "周民"), 2),
        (LEASE_ZH.replace("12个月", "12天"), 2),
    ],
)
def test_clauses_of_a_chinese_lease(said: str, right: int) -> None:
    assert scores("clauses", [(said, LEASE_ZH)], NOTES_ZH)[1] == pytest.approx(2 * right / 6)


def test_clauses_may_be_listed_instead_of_written() -> None:
    must: list[dict[str, Any]] = [{"name": "Rent", "must": ["£860", "month"]}, {"name": "Term", "must": ["12 months"]}]
    said = "Rent: 860 pounds each month\nTerm: 12 weeks"
    assert scores("clauses", [(said, json.dumps(must))])[1] == pytest.approx(2 * 1 / 4)
    assert scores("clauses", [(said, json.dumps({"clauses": must}))])[1] == pytest.approx(2 * 1 / 4)


def test_facts_may_come_from_what_was_said_before() -> None:
    metric = create("metric", "clauses", task=TASK)
    history = (Turn("user", "The tenant is Mara Lind."), Turn("assistant", "And the rent?"))
    example = Example("e", {"q": "£860"}, ("1. Tenant: Mara Lind",), history=history)
    right, wrong = (
        metric.score([example], [Answer("e", text)])[0].value for text in ("Tenant: Mara Lind", "Tenant: Ann")
    )
    assert (right, wrong) == (1, 0)


@pytest.mark.parametrize(
    "reference", ["nothing here", "[]", '[{"must": []}]', '[{"name": "a", "must": "b"}]', "[1]", "{"]
)
def test_a_reference_without_clauses_is_a_mistake_in_the_data(reference: str) -> None:
    with pytest.raises(DataError, match="holds no clauses"):
        scores("clauses", [("x", reference)])
