"""Every registered method keeps the contract before anything is spent, and the kit notices when one does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_fit import fit, task

from rung.core.candidate import Candidate
from rung.core.errors import catalogue
from rung.core.method import Budget, Cost
from rung.core.model import Capabilities, Model
from rung.core.registry import Part, create, parts
from rung.core.task import Document, FitData
from rung.models.fake import FakeModel
from rung.testing import ContractBroken, check_method

DOCUMENTS = (Document("a.md", "A", "The rent is due on the first day."),)
LLM = ("prompt", "few_shot", "optimise_prompt", "rag")
TUNED = (
    "soft_prompt",
    "pretrain",
    "fine_tune",
    "distill",
    "few_shot+fine_tune",
    "preference",
    "rag+fine_tune",
    "reinforce",
)
RAG = ("rag", "rag+fine_tune", "contrastive", "pretrain")
HEADS = ("contrastive_labels",)
TAUGHT = ("distill",)


def given(kind: str, folder: Path, **changes: Any) -> FitData:
    return fit(folder, asked=task(kind), encoder="minilm", **changes)


def asked_model(**capabilities: Any) -> FakeModel:
    model = FakeModel(default="pos")
    model.capabilities = Capabilities(
        choices=True, **({"adapters": capabilities.get("trainable", False)} | capabilities)
    )
    return model


def blocked(*groups: tuple[tuple[str, ...], str]) -> dict[str, list[str]]:
    return {name: [code] for names, code in groups for name in names}


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, list[str]]]] = {
    # kind of answer, data, capabilities -> what is blocked, and why
    "all can run": (
        "text",
        {"documents": DOCUMENTS},
        {"trainable": True},
        blocked((HEADS, "E2430"), (TAUGHT, "E2465")),
    ),
    "labels": ("label", {}, {"trainable": True}, blocked((RAG, "E2404"), (TAUGHT, "E2465"))),
    "json": (
        "json",
        {"documents": DOCUMENTS},
        {"trainable": True},
        blocked((("baseline",), "E2401"), (HEADS, "E2430"), (TAUGHT, "E2465")),
    ),
    "an endpoint": ("text", {"documents": DOCUMENTS}, {}, blocked((TUNED, "E2405"), (HEADS, "E2430"))),
    "no language model": (
        "text",
        {"documents": DOCUMENTS},
        {"language_model": False},
        blocked(((*LLM, "contrastive"), "E2403"), (TUNED, "E2405"), (HEADS, "E2430")),
    ),
    "few examples": (
        "text",
        {"documents": DOCUMENTS, "n": 4},
        {"trainable": True},
        blocked((("few_shot",), "E2402"), (TUNED, "E2406"), (HEADS, "E2430")),
    ),
    "nothing to learn from": (
        "text",
        {"n": 0},
        {"trainable": True},
        blocked(
            (("baseline", "few_shot"), "E2402"), (("rag", "contrastive"), "E2404"), (TUNED, "E2406"), (HEADS, "E2430")
        ),
    ),
}


@pytest.fixture(autouse=True)
def _untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.methods.estimate._TIMED", {})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", parts("method"))
def test_registered_methods_keep_the_contract(name: str, case: str, tmp_path: Path) -> None:
    kind, data, capabilities, expected = CASES[case]
    method, given_data, model = create("method", name), given(kind, tmp_path, **data), asked_model(**capabilities)
    check_method(method, given_data, model)
    blockers = method.blockers(given_data, model)
    assert blockers == expected.get(name, [])
    assert set(blockers) <= set(catalogue())


def test_a_call_that_costs_money_is_not_made_for_an_estimate(tmp_path: Path) -> None:
    model = asked_model()
    for name in parts("method"):
        check_method(create("method", name), given("text", tmp_path, documents=DOCUMENTS), model)
    assert model.calls == []


def test_an_estimate_grows_with_the_work(tmp_path: Path) -> None:
    model = asked_model(trainable=True)
    for name in ("fine_tune", "few_shot+fine_tune"):
        small, large = (create("method", name).estimate(given("label", tmp_path, n=n), model) for n in (10, 1000))
        assert large.seconds > 10 * small.seconds > 0


def test_the_ladder_goes_from_cheap_to_dear() -> None:
    ranks = {name: create("method", name).rank for name in parts("method")}
    assert sorted(ranks, key=lambda name: ranks[name]) == [
        "baseline",
        "prompt",
        *HEADS,
        *(name for name in LLM if name != "prompt"),
        "contrastive",
        *TUNED,
    ]
    assert len(set(ranks.values())) == len(ranks)


class Echo:
    """A method that keeps its contract; the classes below each break one promise."""

    name = "echo"
    rank = 7

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return [] if fit.train else ["There is nothing to echo."]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        return Cost(seconds=1.0)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        raise AssertionError("the kit must not adapt")


class OtherName(Echo):
    name = "ekko"


class SamePlace(Echo):
    rank = 20


class NoPlace(Echo):
    rank = "first"


class UnknownCode(Echo):
    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return ["E9999"]


class OneWord(Echo):
    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return ["no"]


class NoList(Echo):
    def blockers(self, fit: FitData, model: Model) -> Any:
        return None


class Moody(Echo):
    moods = 0

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        self.moods += 1
        return ["Not now."] * (self.moods % 2)


class Negative(Echo):
    def estimate(self, fit: FitData, model: Model) -> Cost:
        return Cost(seconds=1.0, money=-0.5)


class Endless(Echo):
    def estimate(self, fit: FitData, model: Model) -> Cost:
        return Cost(seconds=float("nan"))


class Eager(Echo):
    def estimate(self, fit: FitData, model: Model) -> Cost:
        fit.folder.mkdir(exist_ok=True)
        (fit.folder / "adapter.bin").write_text("trained already")
        return Cost()


def register(monkeypatch: pytest.MonkeyPatch, made: type[Echo]) -> None:
    monkeypatch.setitem(parts("method"), "echo", Part("method", "echo", f"{__name__}:{made.__name__}"))


def test_the_kit_accepts_a_plain_method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register(monkeypatch, Echo)
    check_method(Echo(), given("text", tmp_path), FakeModel())
    check_method(Echo(), given("text", tmp_path, train=()), FakeModel())


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (OtherName, "registered under"),
        (SamePlace, "no other method holds"),
        (NoPlace, "whole number"),
        (UnknownCode, "code of the catalogue"),
        (OneWord, "code of the catalogue"),
        (NoList, "is a list"),
        (Moody, "same blockers"),
        (Negative, "never negative"),
        (Endless, "finite"),
        (Eager, "nothing is written"),
    ],
)
def test_the_kit_notices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: type[Echo], promise: str) -> None:
    register(monkeypatch, broken)
    with pytest.raises(ContractBroken, match=promise):
        check_method(broken(), given("text", tmp_path), FakeModel())


def test_a_name_that_belongs_to_another_method_is_noticed(tmp_path: Path) -> None:
    class Impostor(Echo):
        name = "prompt"

    with pytest.raises(ContractBroken, match="registered under"):
        check_method(Impostor(), given("text", tmp_path), FakeModel())
