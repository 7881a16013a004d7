"""Answers begun beside others that are being written are those that each would get alone."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from live_server import LiveServer, candidate_of, until
from tiny_llama import LABELS, write_model

from rung.core.answer import Opened
from rung.core.model import Completion, Message, Request
from rung.core.streaming import stream
from rung.models.soft_prompt import SoftPrompt
from rung.models.transformers_local import TransformersModel
from rung.serving.hosting import Hosted
from rung.serving.live import LiveEngine


def ask(text: str, **fields: Any) -> Request:
    return Request(messages=(Message("user", text),), **{"max_tokens": 12, **fields})


ASKED = {
    "a": ask("rent", max_tokens=30),
    "b": ask("the deposit 押金 of the whole house", max_tokens=5),
    "c": ask("repairs", temperature=1.3, seed=5, top_p=0.9, max_tokens=20),
    "d": ask("repairs", choices=LABELS),
    "e": ask("heating", temperature=0.7, seed=6, max_tokens=9),
    "f": ask("x " * 400),
    "g": ask("the rent and the deposit", max_tokens=1),
}


@pytest.fixture
def model(tmp_path: Any) -> TransformersModel:
    return TransformersModel(str(write_model(tmp_path / "m")), precision="fp32", device="cpu")


def alone(model: TransformersModel, request: Request) -> Completion:
    *_, last = stream(model, request)
    assert last.completion is not None
    return replace(last.completion, seconds=0.0)


def told(model: TransformersModel, asked: Mapping[str, Request], every: int) -> dict[str, tuple[str, Completion]]:
    """Pieces and completions of requests of which one is begun every so many steps."""
    waiting, texts, done = list(asked.items()), defaultdict[str, str](str), {}
    steps = 0
    while waiting or model.busy():
        if waiting and steps % every == 0:
            model.begin(*waiting.pop(0))
        for id, delta in model.step():
            texts[id] += delta.text
            if delta.completion is not None:
                done[id] = replace(delta.completion, seconds=0.0)
        steps += 1
    return {id: (texts[id], completion) for id, completion in done.items()}


@pytest.mark.parametrize("every", [1, 2, 7])
def test_each_gets_what_it_would_get_alone_whoever_comes_and_goes(model: TransformersModel, every: int) -> None:
    expected = {id: alone(model, request) for id, request in ASKED.items()}
    found = told(model, ASKED, every)
    for id, completion in expected.items():
        pieces, last = found[id]
        assert last == completion, id
        assert pieces == last.text


def test_an_answer_ends_at_its_stop_string_and_the_others_go_on(model: TransformersModel) -> None:
    whole = alone(model, ASKED["a"]).text
    mark = next(letter for letter in whole[3:] if letter.isalnum() and whole.index(letter) > 0)
    stopping = replace(ASKED["a"], stop=(mark,))
    found = told(model, {"stopping": stopping, "whole": ASKED["a"]}, 1)
    assert found["stopping"][0] == found["stopping"][1].text == whole.partition(mark)[0].strip()
    assert found["stopping"][1].finish == "stop"
    assert found["whole"][1].text == whole


def test_what_is_called_off_says_what_had_come_of_it(model: TransformersModel) -> None:
    long = ask("the rent of the house", max_tokens=200)
    for id in ("gone", "kept"):
        model.begin(id, long)
    for _ in range(5):
        model.step()
    model.begin("late", long)
    model.begin("choice", ASKED["d"])
    for id in ("gone", "late", "choice", "nobody"):
        model.cancel(id)
    ended = {id: delta.completion for id, delta in model.step() if delta.completion is not None}
    assert {id: each.finish for id, each in ended.items()} == dict.fromkeys(("gone", "late", "choice"), "cancelled")
    assert (ended["gone"].tokens_out, ended["late"].tokens_out) == (5, 0)
    rest = told(model, {}, 1)
    assert rest["kept"][1].text == alone(model, long).text


def test_no_more_run_at_once_than_there_is_room_for(model: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.models.transformers_local.BATCH_ROWS", 2)
    monkeypatch.setattr("rung.models.transformers_local.BATCH_TOKENS", 40)
    widths: list[int] = []
    forward = model._answering.module.forward

    def watched(*args: Any, **more: Any) -> Any:
        widths.append(more["attention_mask"].numel())
        return forward(*args, **more)

    expected = {id: alone(model, request).text for id, request in ASKED.items()}
    monkeypatch.setattr(model._answering.module, "forward", watched)
    # One that is larger than all the room goes alone.
    found = told(model, ASKED, 1)
    assert {id: completion.text for id, (_, completion) in found.items()} == expected
    assert max(widths) <= 60


def test_an_error_leaves_room_for_what_comes_next(model: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = alone(model, ASKED["a"])
    model.begin("a", ASKED["a"])
    model.step()
    with monkeypatch.context() as patched:
        patched.setattr(model._answering.module, "forward", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.step()
    model.cancel("a")
    assert told(model, {"b": ASKED["a"]}, 1)["b"][1] == expected


def test_other_caches_arguments_and_virtual_tokens_are_answered_in_batches(
    model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = model._loaded.module
    assert model.joins()
    module.soft_prompt = SoftPrompt((340,))
    assert not model.joins()
    del module.soft_prompt
    with monkeypatch.context() as patched:
        patched.setattr(module, "forward", lambda input_ids, attention_mask, past_key_values: None)
        assert not model.joins()
    module.config.sliding_window = 8
    module.config.layer_types = ["sliding_attention"] * module.config.num_hidden_layers
    assert not model.joins()


def test_streams_of_several_callers_run_beside_each_other(
    model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(candidate_of(model, max_tokens=40), model)
    engine = LiveEngine(opened, batch=4)
    rows: list[int] = []
    forward = model._answering.module.forward

    def watched(*args: Any, **more: Any) -> Any:
        assert until(lambda: engine.running + engine.waiting == 3 or bool(rows))
        rows.append(len(more["input_ids"]))
        return forward(*args, **more)

    with LiveServer(Hosted("small", opened, engine)) as server:
        expected = server.chat("rent").json["choices"][0]["message"]["content"]
        monkeypatch.setattr(model._answering.module, "forward", watched)
        texts: list[str] = []

        def ask_streamed() -> None:
            lines = server.chat("rent", stream=True).body.decode().splitlines()
            events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
            texts.append("".join(event["choices"][0]["delta"].get("content", "") for event in events))

        callers = [threading.Thread(target=ask_streamed) for _ in range(3)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(60)
    assert texts == [expected] * 3
    assert 3 in rows


def test_a_candidate_that_is_let_go_gives_its_weights_back_whatever_was_frozen(model: TransformersModel) -> None:
    opened = Opened(candidate_of(model, max_tokens=4), model)
    with LiveServer(Hosted("small", opened, LiveEngine(opened, batch=4))) as server:
        assert server.chat("rent").status == 200
        weights = weakref.ref(model._loaded.module)
        gc.freeze()
        try:
            assert server.hosted.close()
            assert weights() is None
            assert gc.get_freeze_count() > 0
        finally:
            gc.unfreeze()
