"""Probes before dear rungs: headroom is seen where it was planted, and its absence is never called worse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from letters import register_letters
from scipy import stats
from small_fit import Notebook, fit, task

from rung.core.errors import Problem, catalogue
from rung.core.method import Budget, Cost
from rung.core.model import Request
from rung.core.registry import create
from rung.core.task import Document, Example, FitData
from rung.methods.headroom import FEWEST, QUESTIONS, GoldPassages, Headroom, affordable, mean_gain, passage_headroom
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


@pytest.mark.parametrize("knows", [False, True], ids=["ignores its passage", "knows the answers"])
def test_equal_answers_to_few_questions_do_not_rule_a_gain_out(tmp_path: Path, knows: bool) -> None:
    """Sixteen equal answers leave room for a change on one question in five, which is more than the margin."""
    model = FakeModel(lambda r: "word" + r.query.split()[-1].rstrip("?") if knows else "no idea")
    seen = passage_headroom(given(tmp_path), model, Budget(Notebook()), RUNG)
    assert (seen.status, seen.code) == ("unknown", "E4520")
    assert (seen.values["plain"], seen.values["low"], seen.values["high"]) == (f"{knows:.2f}", "-21", "+21")
    told(seen)


def test_a_model_that_its_passages_confuse_has_none(tmp_path: Path) -> None:
    right = FakeModel(lambda r: "no idea" if "[1]" in r.messages[-1].text else "word" + r.query.split()[-1].rstrip("?"))
    seen = passage_headroom(given(tmp_path), right, Budget(Notebook()), RUNG)
    assert (seen.status, seen.code, seen.values["gold"]) == ("none", "E4515", "0.00")
    told(seen)


def test_where_the_margin_is_wide_equal_answers_are_enough(tmp_path: Path) -> None:
    data = fit(tmp_path, asked=task("text", margin=0.25), dev=asked(20), documents=documents(20))
    seen = passage_headroom(data, FakeModel(default="no idea"), Budget(Notebook()), RUNG)
    assert (seen.status, seen.code) == ("none", "E4515")


def test_help_on_few_questions_is_still_headroom(tmp_path: Path) -> None:
    """Four of sixteen: the interval reaches beyond the margin."""

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
    overdrawn = Budget(Notebook(), seconds=-30.0)
    assert affordable(overdrawn, RUNG) == 0.0
    for budget, rung in (
        (Budget(Notebook(), seconds=20.0), RUNG),
        (Budget(Notebook()), Cost(seconds=20.0)),
        (overdrawn, RUNG),
    ):
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


def test_the_interval_of_a_gain_is_guarded_and_goes_by_groups() -> None:
    alone = [""] * 30
    before, after = np.zeros(30), np.array([0.0, 1.0, 0.0, 0.0, 1.0, 0.5] * 5)
    student = stats.ttest_1samp(after, 0.0).confidence_interval(0.95)
    found = mean_gain(before, after, alone)
    assert (found.low, found.high) == pytest.approx((student.low, student.high), abs=0.06)
    # Equal answers throughout: as far as Clopper and Pearson allow.
    still = mean_gain(before, before, alone)
    assert (still.low, still.high) == pytest.approx((-(1 - 0.025 ** (1 / 30)), 1 - 0.025 ** (1 / 30)))
    by_six = mean_gain(before, np.repeat([0.0, 1.0, 0.0, 0.0, 1.0], 6), [f"g{i // 6}" for i in range(30)])
    assert by_six.high - by_six.low > 1.5 * (found.high - found.low)
    assert math.isnan(mean_gain(np.zeros(1), np.zeros(1), [""]).high)


def test_prompts_that_change_nothing_leave_no_headroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)
    method, data = create("method", "optimise_prompt"), fit(tmp_path, asked=task(margin=0.4))
    stubborn = FakeModel(default="pos")
    seen = method.probe(data, stubborn, Budget(Notebook()), None)
    assert (seen.status, seen.code, seen.values["settings"]) == ("none", "E4510", "4")
    told(seen)
    # With the usual margin so few questions could show nothing, and none is asked.
    unasked = FakeModel(default="pos")
    for few in (fit(tmp_path, asked=task(margin=0.4), dev=data.dev[:3]), fit(tmp_path)):
        seen = method.probe(few, unasked, Budget(Notebook()), None)
        assert (seen.status, seen.code, unasked.calls) == ("unknown", "E4513", [])
        told(seen)
    dear = method.probe(data, stubborn, Budget(Notebook(), seconds=1.0), None)
    assert dear.status == "unknown"


def test_one_demonstration_that_helps_is_headroom(tmp_path: Path) -> None:
    data = fit(tmp_path, asked=task(margin=0.4))
    model = FakeModel(lambda request: request.query.split()[-1] if request.shots else "pos")
    seen = create("method", "optimise_prompt").probe(data, model, Budget(Notebook()), None)
    assert (seen.status, seen.values["plain"], seen.values["best"]) == ("headroom", "0.50", "1.00")
    told(seen)
