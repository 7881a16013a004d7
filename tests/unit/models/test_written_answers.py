"""Streaming, stop strings and nucleus sampling of the transformers backend, on a tiny random model; and of the fake one."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tiny_llama import LABELS, write_model

from rung.core.model import Completion, Message, Request
from rung.core.streaming import stream
from rung.models.drawing import draw
from rung.models.fake import FakeModel
from rung.models.transformers_local import TransformersModel


def ask(text: str, **fields: Any) -> Request:
    return Request(messages=(Message("user", text),), **{"max_tokens": 12, **fields})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TransformersModel:
    return TransformersModel(str(write_model(tmp_path_factory.mktemp("base") / "m")), precision="fp32", device="cpu")


def streamed(model: Any, request: Request) -> tuple[str, Completion]:
    *pieces, last = stream(model, request)
    assert last.completion is not None
    return "".join(piece.text for piece in (*pieces, last)), last.completion


@pytest.mark.parametrize(
    "request_",
    [
        ask("rent"),
        ask("the deposit 押金", max_tokens=40),
        ask("repairs", temperature=1.3, seed=5, top_p=0.9),
        ask("repairs", choices=LABELS),
        ask("x " * 400),
    ],
)
def test_pieces_joined_are_the_answer(model: TransformersModel, request_: Request) -> None:
    (whole,) = model.generate([request_])
    text, last = streamed(model, request_)
    assert text == last.text == whole.text
    assert replace(last, seconds=0.0) == replace(whole, seconds=0.0)


def test_an_answer_ends_before_a_stop_string_alone_and_in_a_batch(model: TransformersModel) -> None:
    requests = [ask(text, max_tokens=30) for text in ("rent", "the deposit", "repairs of the heating")]
    plain = [completion.text for completion in model.generate(requests)]
    mark = next(letter for letter in plain[0][3:] if letter.isalnum() and plain[0].index(letter) > 0)
    stopping = [replace(request, stop=(mark, "never said")) for request in requests]
    found = model.generate(stopping)
    for completion, text, request in zip(found, plain, stopping, strict=True):
        assert completion.text == text.partition(mark)[0].strip()
        assert completion.finish == ("stop" if mark in text else "length")
        assert streamed(model, request)[1].text == completion.text
    assert found[0].tokens_out < 30


def test_requests_of_other_stop_strings_or_nuclei_are_not_answered_together(model: TransformersModel) -> None:
    requests = [ask("a"), ask("b", stop=("x",)), ask("c", top_p=0.5), ask("d", stop=("x",))]
    prompts = {i: model.encode(request)[0] for i, request in enumerate(requests)}
    assert sorted(map(sorted, model._batches(requests, prompts))) == [[0], [1, 3], [2]]


def test_a_narrow_nucleus_leaves_only_the_likeliest_token(model: TransformersModel) -> None:
    narrow = ask("rent", temperature=0.9, top_p=1e-6, seed=3)
    assert model.generate([narrow])[0].text == model.generate([ask("rent")])[0].text


@pytest.mark.parametrize("leave", ["cancelled", "closed"])
def test_a_reader_that_goes_away_frees_the_weights(model: TransformersModel, leave: str) -> None:
    gone: list[bool] = []
    running = model.stream(ask("the rent of the house", max_tokens=200), lambda: bool(gone))
    next(running)
    if leave == "closed":
        running.close()  # type: ignore[attr-defined]
    else:
        gone.append(True)
        *_, last = running
        assert last.completion is not None
        assert last.completion.finish == "cancelled"
        assert last.completion.tokens_out < 200
    assert not [thread for thread in threading.enumerate() if thread.name == "rung-writer"]


def test_what_goes_wrong_in_the_writing_is_a_failure(model: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model._loaded.module, "generate", broken)
    _, last = streamed(model, ask("rent"))
    assert last.failure is not None
    assert last.failure.kind == "error"
    assert "memory" in last.failure.message


def test_a_scripted_answer_ends_before_a_stop_string() -> None:
    model = FakeModel({"q": "one two three"})
    (completion,) = model.generate([Request((Message("user", "q"),), query="q", stop=("three", " two"))])
    assert (completion.text, completion.tokens_out) == ("one", 1)


def test_a_drawn_token_lies_in_the_nucleus_and_as_often_as_it_should() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    generator = np.random.default_rng(0)
    request = ask("x", temperature=1.0, top_p=0.7)
    drawn = np.bincount([draw(logits, request, generator) for _ in range(4000)], minlength=4) / 4000
    assert drawn[2:].sum() == 0
    assert drawn[0] == pytest.approx(0.625, abs=0.03)
    hot = np.bincount([draw(logits, ask("x", temperature=9.0), generator) for _ in range(4000)], minlength=4) / 4000
    assert hot.min() > 0.15
    assert draw(logits, ask("x"), generator) == 0
    assert draw(logits, ask("x", temperature=1.0, top_p=0.0), generator) == 0
