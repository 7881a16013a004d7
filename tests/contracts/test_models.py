"""The model contract over the backends that need no weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, answer, ask, say

from rung.core.model import Completion, Failure, Model, Request
from rung.models.cache import CachedModel
from rung.models.fake import FakeModel
from rung.models.openai_api import OpenAIModel
from rung.models.recorded import RecordedModel
from rung.testing import ContractBroken, check_model

ANSWERS = {"good": "pos", "bad": "neg", "so so": "neu"}
CHOICES = ("pos", "neg", "neu")
REQUESTS = [
    *(ask(question) for question in ANSWERS),
    *(ask(question, choices=CHOICES, max_tokens=8) for question in ANSWERS),
    ask("never asked before"),
]


@pytest.fixture(params=["fake", "fake without choices", "recorded", "openai", "cached fake", "cached openai"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Model]:
    def script(_: int, body: Any) -> Any:
        return say(answer(ANSWERS.get(body["messages"][-1]["content"])))

    with FakeEndpoint(script) as endpoint:
        kind = request.param.removeprefix("cached ")
        if kind == "openai":
            made: Any = OpenAIModel("m1", base_url=endpoint.url)
        elif kind == "recorded":
            rows = [json.dumps({"query": question, "answer": text}) for question, text in ANSWERS.items()]
            (tmp_path / "rows.jsonl").write_text("\n".join(rows))
            made = RecordedModel(tmp_path / "rows.jsonl")
        else:
            made = FakeModel(ANSWERS, choices=kind == "fake")
        if request.param.startswith("cached"):
            made = CachedModel(made, tmp_path / "cache.sqlite")
        yield made
        if hasattr(made, "close"):
            made.close()


def test_the_contract_holds(model: Model) -> None:
    check_model(model, REQUESTS)


class _Wrong(FakeModel):
    """A fake that breaks one promise."""

    def __init__(self, fault: str = "") -> None:
        super().__init__(ANSWERS)
        self.fault = fault

    @classmethod
    def open(cls, ref: Any, **_: Any) -> Any:
        return FakeModel({"good": "x"}, id=ref.id)

    def generate(self, requests: Any) -> list[Completion]:
        completions = super().generate(requests)
        match self.fault:
            case "short":
                return completions[:-1]
            case "turned":
                return sorted(completions, key=lambda completion: completion.text)
            case "kind":
                return [Completion(failure=Failure("sulking"), finish="error") for _ in completions]
            case "silent":
                return [Completion() for _ in completions]
            case "scores":
                return [Completion(text=c.text, choice_scores=c.choice_scores[:1]) for c in completions]
            case "negative":
                return [Completion(text="x", seconds=-1.0) for _ in completions]
            case "batch":
                return [Completion(text=f"{c.text or 'x'}{len(completions)}") for c in completions]
        return completions


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        ("short", "one completion"),
        ("turned", "in the order"),
        ("kind", "known kind"),
        ("silent", "has a text"),
        ("scores", "every choice has a score"),
        ("negative", "never negative"),
        ("batch", "does not depend on the other requests"),
        ("", "model of the record"),
    ],
)
def test_the_kit_finds_what_is_broken(fault: str, promise: str) -> None:
    requests: list[Request] = REQUESTS[:3] if fault != "scores" else REQUESTS[3:6]
    with pytest.raises(ContractBroken, match=promise):
        check_model(_Wrong(fault), requests)
