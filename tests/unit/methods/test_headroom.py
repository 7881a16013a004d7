"""Probes before dear rungs: headroom is seen where it was planted, and its absence is never called worse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from letters import register_letters
from small_fit import Notebook, fit, task

from rung.core.errors import Problem, catalogue
from rung.core.method import Budget, Cost
from rung.core.model import Request
from rung.core.registry import create
from rung.core.task import Document, Example, FitData
from rung.methods.headroom import FEWEST, QUESTIONS, GoldPassages, Headroom, mean_gain, passage_headroom
from rung.models.fake import FakeModel

RUNG = Cost(seconds=10_000.0)
FILLER = " ".join(f"Sentence number {n} of no interest to anybody." for n in range(60))


def documents(n: int) -> tuple[Document, ...]:
    return tuple(
        Document(f"d{i}.md", f"Note {i}", f"{FILLER}\n\nThe code of {i} is word{i}.\n\n{FILLER}") for i in range(n)
    )


def asked(n: int, *, known: bool = True) -> tuple[Example, ...]:
    return tuple(
        Example(f"q{i:02}", {"text": f"What is the code of {i}?"}, (f"word{i}",), documents=(f"d{i}.md",) * known)
        for i in range(n)
    )


def given(folder: Path, n: int = 20, *, known: bool = True, **changes: Any) -> FitData:
    return fit(folder, asked=task("text"), dev=asked(n, known=known), documents=documents(n), **changes)


def reader(request: Request) -> str:
    """Copies the code where the prompt holds it, and says nothing of use elsewhere."""
    text = request.messages[-1].text
    wanted = request.query.split()[-1].rstrip("?")
    return f"word{wanted}" if f"The code of {wanted} is" in text else "no idea"


def told(seen: Headroom) -> None:
    """Both languages, every value filled in."""
    assert seen.code in catalogue()
    for language in ("en", "zh"):
        text = Problem(seen.code, values=dict(seen.values)).message(language)
        assert text
        assert not {"{", "}"} & set(text)
        assert "worse" not in text


def test_a_model_that_reads_its_passage_has_headroom(tmp_path: Path) -> None:
    model = FakeModel(reader)
    seen = passage_headroom(given(tmp_path), model, Budget(Notebook()), RUNG)
    assert (seen.status, seen.code) == ("headroom", "E4516")
    assert (seen.values["plain"], seen.values["gold"]) == ("0.00", "1.00")
    assert sum(map(len, model.calls)) == 2 * QUESTIONS["text"]
    told(seen)


def test_a_model_that_ignores_its_passage_has_none(tmp_path: Path) -> None:
    seen = passage_headroom(given(tmp_path), FakeModel(default="no idea"), Budget(Notebook()), RUNG)
    assert (seen.status, seen.code) == ("none", "E4515")
    told(seen)


def test_a_model_that_knows_the_answers_has_none(tmp_path: Path) -> None:
    knowing = FakeModel(lambda request: "word" + request.query.split()[-1].rstrip("?"))
    seen = passage_headroom(given(tmp_path), knowing, Budget(Notebook()), RUNG)
    assert (seen.status, seen.values["plain"]) == ("none", "1.00")


def test_help_on_few_questions_is_still_headroom(tmp_path: Path) -> None:
    """Two of sixteen: the interval reaches beyond the margin."""

    def sometimes(request: Request) -> str:
        return reader(request) if request.query.rstrip("?").split()[-1] in {"3", "4", "5", "7"} else "no idea"

    assert passage_headroom(given(tmp_path), FakeModel(sometimes), Budget(Notebook()), RUNG).status == "headroom"


def test_without_known_documents_the_probe_is_not_possible(tmp_path: Path) -> None:
    model = FakeModel(reader)
    seen = passage_headroom(given(tmp_path, known=False), model, Budget(Notebook()), RUNG)
    assert (seen.status, seen.code, seen.values["n"]) == ("unknown", "E4514", "0")
    assert model.calls == []
    told(seen)
    few = passage_headroom(given(tmp_path, FEWEST - 1), model, Budget(Notebook()), RUNG)
    assert few.status == "unknown"


def test_a_probe_that_costs_too_much_is_not_made(tmp_path: Path) -> None:
    model = FakeModel(reader)
    for budget, rung in ((Budget(Notebook(), seconds=20.0), RUNG), (Budget(Notebook()), Cost(seconds=20.0))):
        seen = passage_headroom(given(tmp_path), model, budget, rung)
        assert (seen.status, seen.code) == ("unknown", "E4512")
        told(seen)
    assert model.calls == []


def test_the_right_passage_is_the_one_that_holds_the_answer(tmp_path: Path) -> None:
    gold = GoldPassages(given(tmp_path))
    example = asked(20)[5]
    found = gold.of(example)
    assert all("word5" in item.text for item in found)
    assert all(item.payload["document"] == "d5.md" for item in found)
    assert [hit.item for hit in gold.search([example.text], 1)[0]] == found[:1]
    unheld = Example("x", {"text": "Which sentence is number 7 of?"}, ("nowhere",), documents=("d1.md",))
    near = GoldPassages(fit(tmp_path, asked=task("text"), dev=(unheld,), documents=documents(3))).of(unheld)
    assert near
    assert GoldPassages(fit(tmp_path, asked=task("text"), dev=(unheld,))).of(unheld) == []


def test_the_interval_of_a_gain() -> None:
    import numpy as np
    from scipy import stats

    gains = np.array([0.0, 1.0, 0.0, -1.0, 1.0, 0.5])
    expected = stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)
    found = mean_gain(gains)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (mean_gain(np.zeros(9)).low, mean_gain(np.zeros(9)).high) == (0.0, 0.0)
    assert math.isnan(mean_gain(np.zeros(1)).high)


def test_prompts_that_change_nothing_leave_no_headroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)
    method, data = create("method", "optimise_prompt"), fit(tmp_path)
    stubborn = FakeModel(default="pos")
    seen = method.probe(data, stubborn, Budget(Notebook()), None)
    assert (seen.status, seen.code, seen.values["settings"]) == ("none", "E4510", "4")
    told(seen)
    assert method.probe(fit(tmp_path, dev=data.dev[:3]), stubborn, Budget(Notebook()), None).code == "E4513"
    dear = method.probe(data, stubborn, Budget(Notebook(), seconds=1.0), None)
    assert dear.status == "unknown"


def test_one_demonstration_that_helps_is_headroom(tmp_path: Path) -> None:
    data = fit(tmp_path)
    model = FakeModel(lambda request: request.query.split()[-1] if request.shots else "pos")
    seen = create("method", "optimise_prompt").probe(data, model, Budget(Notebook()), None)
    assert (seen.status, seen.values["plain"], seen.values["best"]) == ("headroom", "0.50", "1.00")
    told(seen)
