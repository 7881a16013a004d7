"""OpenVINO over a tiny random model: the contract, adapters, pieces as they come, and files that are damaged."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_llama import LABELS, write_lora, write_model

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError, UsageError
from rung.core.hashing import hash_file
from rung.core.model import Completion, Message, ModelRef, Request
from rung.core.streaming import Delta, stream
from rung.models import openvino_files, openvino_trial
from rung.models.openvino_local import OpenVINOModel
from rung.models.transformers_local import TransformersModel
from rung.testing import check_model

pytest.importorskip("openvino_genai", reason="openvino-genai is not installed (rung[openvino])")


def ask(text: str, **fields: Any) -> Request:
    return Request(
        messages=(Message("system", "Name the topic."), Message("user", text)), **{"max_tokens": 12, **fields}
    )


QUESTIONS = ("Question about the rent", "the deposit 押金 and the heating", "repairs \U0001f3e0 12 34")
ASKED = [ask(text) for text in QUESTIONS]
CHOSEN = [ask(text, choices=LABELS) for text in QUESTIONS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("RUNG_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def model(base: Path, cache: Path) -> OpenVINOModel:
    return OpenVINOModel(str(base), precision="f16")


@pytest.fixture(scope="module")
def twin(base: Path) -> TransformersModel:
    return TransformersModel(str(base), precision="fp32", device="cpu")


def test_the_contract_holds(model: OpenVINOModel) -> None:
    check_model(model, [*ASKED, *CHOSEN, ask("x " * 300)])


def test_prompts_are_cut_as_transformers_cuts_them(model: OpenVINOModel, twin: TransformersModel) -> None:
    assert [model.encode(request, "rent 租金") for request in ASKED] == [twin.encode(r, "rent 租金") for r in ASKED]


def test_scores_of_choices_are_those_of_the_same_weights(model: OpenVINOModel, twin: TransformersModel) -> None:
    # The same words before every question: they are read once.
    requests = [
        replace(request, messages=(Message("system", "shared words " * 9), *request.messages)) for request in CHOSEN
    ]
    ours = np.array([completion.choice_scores for completion in model.generate(requests)])
    theirs = np.array([completion.choice_scores for completion in twin.generate(requests)])
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()
    assert (ours.argmax(1) == theirs.argmax(1)).all()


def test_it_says_mostly_what_transformers_says(model: OpenVINOModel, twin: TransformersModel) -> None:
    first = [replace(request, max_tokens=3) for request in ASKED]
    assert [c.text for c in model.generate(first)] == [c.text for c in twin.generate(first)]


def test_an_answer_ends_at_its_length_and_counts(model: OpenVINOModel) -> None:
    (completion,) = model.generate([ASKED[0]])
    assert (completion.finish, completion.tokens_out) == ("length", 12)
    assert completion.tokens_in == len(model.encode(ASKED[0])[0])


def streamed(model: Any, request: Request) -> tuple[str, Completion]:
    pieces = list(stream(model, request))
    last = pieces[-1].completion
    assert last is not None
    assert all(piece.completion is None for piece in pieces[:-1])
    return "".join(piece.text for piece in pieces), last


@pytest.mark.parametrize("request_", [*ASKED, *CHOSEN, ask("rent", temperature=1.0, seed=4), ask("x " * 300)])
def test_pieces_joined_are_the_answer(model: OpenVINOModel, request_: Request) -> None:
    text, last = streamed(model, request_)
    (whole,) = model.generate([request_])
    assert text == last.text == whole.text
    assert (last.finish, last.tokens_out, last.failure, last.choice_scores) == (
        whole.finish,
        whole.tokens_out,
        whole.failure,
        pytest.approx(whole.choice_scores, rel=0.02),
    )


def test_a_sampled_answer_depends_on_its_seed_and_not_on_its_company(model: OpenVINOModel) -> None:
    sampled = [ask("rent", temperature=1.0, seed=seed) for seed in (1, 2, 1)]
    together = [completion.text for completion in model.generate([*sampled, *ASKED])][:3]
    assert together[0] == together[2] != together[1]
    assert together == [model.generate([request])[0].text for request in sampled]


def test_a_narrow_top_p_leaves_only_the_likeliest_token(model: OpenVINOModel) -> None:
    narrow = replace(ASKED[0], temperature=0.7, top_p=0.0001, seed=3)
    assert model.generate([narrow])[0].text == model.generate([ASKED[0]])[0].text


def test_an_answer_ends_before_a_stop_string(model: OpenVINOModel) -> None:
    whole = model.generate([ASKED[0]])[0].text
    # A character of its own: what a random model writes may also hold broken ones.
    mark = next(letter for letter in whole[3:] if letter.isalnum() and whole.index(letter) > 0)
    request = replace(ASKED[0], stop=("never said", mark))
    (completion,) = model.generate([request])
    assert completion.text == whole[: whole.index(mark)].strip()
    assert completion.finish == "stop"
    assert completion.tokens_out <= 12
    assert streamed(model, request)[0] == completion.text


def test_json_is_what_the_schema_allows(model: OpenVINOModel) -> None:
    schema = {
        "type": "object",
        "properties": {"sure": {"type": "boolean"}},
        "required": ["sure"],
        "additionalProperties": False,
    }
    found = model.generate([ask(text, json_schema=schema, max_tokens=120) for text in QUESTIONS])
    ended = [json.loads(completion.text) for completion in found if completion.finish == "stop"]
    assert ended
    assert all(list(each) == ["sure"] and isinstance(each["sure"], bool) for each in ended)


def test_a_schema_that_cannot_be_kept_fails_alone(model: OpenVINOModel) -> None:
    expected = model.generate([ASKED[0]])[0].text
    lost = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}, "required": ["a"]}
    good = {"type": "array", "items": {"type": "boolean"}, "maxItems": 1}
    requests = [ASKED[0], *(ask("rent", json_schema=schema) for schema in (lost, good, {"type": 5}))]
    for _ in range(2):
        found = model.generate(requests)
        assert [completion.failure and completion.failure.kind for completion in found] == [
            None,
            "error",
            None,
            "error",
        ]
        assert found[0].text == expected
        assert found[2].text.startswith("[")
    assert model.generate(requests[:1])[0].text == expected


def test_an_engine_that_dies_fails_its_requests_and_answers_the_next(model: OpenVINOModel) -> None:
    expected = model.generate([ASKED[0]])[0].text
    running = model.stream(replace(ASKED[0], max_tokens=200))
    next(running)
    child = model._open_batcher()._child
    assert child is not None
    child.kill()
    *_, last = running
    assert last.completion is not None
    assert last.completion.failure is not None
    assert last.completion.failure.message == "it died of signal 9"
    assert model.generate([ASKED[0]])[0].text == expected
    model.release()
    assert model.generate([ASKED[0]])[0].text == expected


def test_nobody_is_told_that_openvino_is_used() -> None:
    code = """
import multiprocessing, sys, threading
def told(self): raise SystemExit('a process to tell of it')
multiprocessing.Process.start = told
from rung.models.openvino_import import openvino, openvino_genai
openvino_genai().GenerationConfig(), openvino().Core()
loaded = [name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module is not None]
assert not loaded, loaded
assert threading.active_count() == 1
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_other_threads_go_on_while_it_answers(model: OpenVINOModel) -> None:
    found: dict[int, str] = {}

    def answer(n: int) -> None:
        found[n] = model.generate([ASKED[n]])[0].text

    expected = [completion.text for completion in model.generate(ASKED)]
    threads = [threading.Thread(target=answer, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    pieces = "".join(delta.text for delta in model.stream(ASKED[0]))
    for thread in threads:
        thread.join(60)
    assert [found[n] for n in range(3)] == expected
    assert pieces == expected[0]


def test_several_answers_run_at_once_and_one_is_cancelled(model: OpenVINOModel) -> None:
    requests = {"a": ASKED[0], "b": replace(ASKED[1], max_tokens=200), "c": CHOSEN[0], "d": ask("x " * 300)}
    for id in ("a", "b", "c", "d"):
        model.begin(id, requests[id])
    came: dict[str, list[Delta]] = {id: [] for id in requests}
    cancelled = False
    for n in range(300):
        if n == 4:
            model.begin("e", ASKED[2])
            came["e"] = []
        if not cancelled and len(came["b"]) > 1:
            model.cancel("b")
            cancelled = True
        for id, delta in model.step():
            came[id].append(delta)
        if not model.busy():
            break
    last = {id: deltas[-1].completion for id, deltas in came.items()}
    assert all(last.values())
    whole = {id: model.generate([request])[0] for id, request in (("a", ASKED[0]), ("e", ASKED[2]))}
    for id, completion in whole.items():
        assert "".join(delta.text for delta in came[id]) == completion.text
    assert last["b"] is not None
    assert last["b"].finish == "cancelled"
    assert 0 < last["b"].tokens_out < 100
    assert last["c"] is not None
    assert last["c"].text == model.generate([CHOSEN[0]])[0].text
    assert last["d"] is not None
    assert last["d"].failure is not None
    model.cancel("nobody")


def test_a_reader_that_goes_away_stops_the_answer(model: OpenVINOModel) -> None:
    running = model.stream(replace(ASKED[0], max_tokens=200))
    next(running)
    running.close()
    batcher = model._open_batcher()
    assert not batcher._running
    asked = iter([False, False, True])
    *_, last = model.stream(replace(ASKED[0], max_tokens=200), lambda: next(asked))
    assert last.completion is not None
    assert last.completion.finish == "cancelled"
    assert not batcher._running
    # The engine has let go of both: its next news is of others only.
    model.generate(ASKED[:1])
    batcher._say({"begin": "idle", "prompt": [1], "end": 2, "max_tokens": 1, "temperature": 0, "schema": ""})
    news: list[str] = []
    while "idle" not in news:
        news += batcher._hear()["news"]
    assert news == ["idle"]


def slot_of(base: Path, folder: Path) -> AdapterSlot:
    return AdapterSlot(path="adapter", sha256=write_lora(base, folder / "adapter"), base=str(base), kind="lora")


def test_an_adapter_is_merged_before_it_answers(model: OpenVINOModel, base: Path, tmp_path: Path) -> None:
    slot = slot_of(base, tmp_path)
    ours = OpenVINOModel.open(model.ref, adapter=slot, folder=tmp_path)
    record = model.ref.model_copy(update={"kind": "transformers", "engine": "transformers-cpu", "precision": "fp32"})
    theirs = TransformersModel.open(record, adapter=slot, folder=tmp_path)
    found, expected = ours.generate(CHOSEN), theirs.generate(CHOSEN)
    scores = np.array([completion.choice_scores for completion in expected])
    assert (
        np.abs(np.array([completion.choice_scores for completion in found]) - scores).max()
        < 0.02 * np.abs(scores).max()
    )
    plain = np.array([completion.choice_scores for completion in model.generate(CHOSEN)])
    assert np.abs(plain - scores).max() > 0.05 * np.abs(scores).max()


def test_the_wrong_adapter_is_refused(model: OpenVINOModel, base: Path, tmp_path: Path) -> None:
    slot = slot_of(base, tmp_path)
    for change, code in (({"base": "other"}, "E3004"), ({"sha256": "0" * 64}, "E3005"), ({"kind": "prefix"}, "E3074")):
        with pytest.raises(BackendError) as caught:
            OpenVINOModel.open(model.ref, adapter=slot.model_copy(update=change), folder=tmp_path)
        assert caught.value.code == code


def test_another_engine_or_other_weights_are_refused(model: OpenVINOModel) -> None:
    assert model.ref.weights is not None
    other = model.ref.weights.model_copy(update={"sha256": "0" * 64})
    for change, code in (({"engine": "openvino-2020.1-f32"}, "E3073"), ({"weights": other}, "E3003")):
        with pytest.raises(BackendError) as caught:
            OpenVINOModel.open(model.ref.model_copy(update=change))
        assert caught.value.code == code


@pytest.mark.parametrize("precision", ["q4_0", "Q4_0", "int4"])
def test_four_bits_are_refused_with_the_reason(base: Path, precision: str) -> None:
    with pytest.raises(BackendError, match="nine points") as caught:
        OpenVINOModel.open(ModelRef(kind="openvino", id=str(base), precision=precision))
    assert caught.value.code == "E3070"


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "manifest"])
def test_a_damaged_file_is_made_anew(model: OpenVINOModel, base: Path, damage: str) -> None:
    expected = model.generate([ASKED[0]])[0].text
    folder = model._files()
    path = folder / ("MANIFEST.json" if damage == "manifest" else openvino_files.GGUF)
    before = hash_file(path)
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 0x40
        path.write_bytes(bytes(data[: len(data) // 2] if damage in ("cut", "manifest") else data))
    again = OpenVINOModel(str(base), precision="f16")
    assert again.generate([ASKED[0]])[0].text == expected
    assert hash_file(path) == before


def test_what_openvino_cannot_read_is_an_error_and_not_kept(
    base: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(folder: Path, path: Path, quant: str, **_: Any) -> dict[str, Any]:
        path.write_bytes(b"GGUF" + bytes(600))
        return {}

    monkeypatch.setattr(openvino_files, "write_gguf", spoil)
    monkeypatch.setattr(openvino_files, "_FORMAT", -1)
    before = sorted(cache.iterdir())
    with pytest.raises(BackendError) as caught:
        OpenVINOModel(str(base), precision="f16").generate(ASKED[:1])
    assert caught.value.code == "E3072"
    assert [path for path in sorted(cache.iterdir()) if path not in before and path.suffix != ".lock"] == []


def test_a_process_that_dies_on_a_file_is_an_error_with_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "child"
    script.write_text("#!/bin/sh\nkill -FPE $$\n", "utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(openvino_trial.sys, "executable", str(script))
    with pytest.raises(BackendError, match="signal 8") as caught:
        openvino_trial.try_file(tmp_path / "m.gguf", {})
    assert caught.value.code == "E3072"


def test_a_model_that_gguf_cannot_hold_is_refused(cache: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"mlp_bias": True}), "utf-8")
    with pytest.raises(BackendError, match="biases") as caught:
        OpenVINOModel(str(folder), precision="f16").generate(ASKED[:1])
    assert caught.value.code == "E3071"


def test_without_openvino_the_extra_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_files, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"rung\[openvino\]"):
        OpenVINOModel(str(base))


def test_a_single_core_never_counts_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_files, "precision_of", lambda *_: "bf16")
    monkeypatch.setattr(openvino_files.os, "sched_getaffinity", lambda _: {1}, raising=False)
    assert openvino_files.arithmetic_here() == "f32"
    monkeypatch.setattr(openvino_files.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert openvino_files.arithmetic_here() == "bf16"


def test_training_is_that_of_transformers(model: OpenVINOModel, twin: TransformersModel) -> None:
    parts = model.training_parts()
    assert parts.encode(ASKED[0], "rent") == twin.encode(ASKED[0], "rent")
    assert type(parts.evaluator(parts.module)) is TransformersModel
