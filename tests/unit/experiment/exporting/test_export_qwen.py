"""Qwen2 and Qwen3 as GGUF: biases, norms and the cutting of text arrive, read back by transformers and by llama.cpp."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_llama import LABELS, write_model, write_tuned_run

import rung
from rung.core.errors import UsageError
from rung.core.model import Message, Request
from rung.experiment.exporting.modelfile import find_family
from rung.models.gguf_file import read_shape, write_gguf
from rung.models.gguf_tokenizer import read_tokenizer

KINDS: dict[str, dict[str, Any]] = {"Qwen2": {}, "Qwen3": {"head_dim": 128, "tie_word_embeddings": False}}
"""Qwen3's heads are 128 wide in every size; larger models of both keep an output matrix of their own."""
TEXTS = ("the rent is 12 345.75", "押金什么时候退还？", "it's\tTwo  spaces\n\nand 3rd", "  <b>Überraschung</b> ")


@pytest.fixture(scope="module", params=KINDS)
def qwen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp(request.param), family=request.param, **KINDS[request.param])


def test_every_weight_arrives_under_its_own_name(qwen: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    told = write_gguf(qwen, tmp_path / "model.gguf", "bf16", name="tiny")
    assert told["pre"] == "qwen2"
    back = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf").state_dict()
    ours = AutoModelForCausalLM.from_pretrained(qwen).state_dict()
    assert back.keys() == ours.keys()
    assert any(name.endswith(("q_proj.bias", "q_norm.weight")) for name in ours)
    for name, weights in back.items():
        assert (weights - ours[name]).abs().max() <= 2**-8 * ours[name].abs().max(), name


def test_llama_cpp_cuts_text_scores_and_writes_like_transformers(qwen: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is not installed")
    from rung.models.llama_cpp_local import LlamaCppModel
    from rung.models.transformers_local import TransformersModel

    path = tmp_path / "model.gguf"
    write_gguf(qwen, path, "f16", name="tiny")
    ours, theirs = TransformersModel(str(qwen), precision="fp32", device="cpu"), LlamaCppModel(path)
    asked = [Request(messages=(Message("user", text),), choices=LABELS) for text in TEXTS]
    assert [theirs.encode(request, "rent 12") for request in asked] == [
        ours.encode(request, "rent 12") for request in asked
    ]
    for a, b in zip(ours.generate(asked), theirs.generate(asked), strict=True):
        # Nats, of scores that lie some twenty apart.
        assert np.abs(np.array(a.choice_scores) - np.array(b.choice_scores)).max() < 0.3
    free = [Request(messages=request.messages, max_tokens=5) for request in asked]
    same = [a.text == b.text for a, b in zip(ours.generate(free), theirs.generate(free), strict=True)]
    assert sum(same) >= len(TEXTS) - 1
    theirs.release()


def test_a_tuned_qwen_is_exported_with_its_proof(tmp_path: Path) -> None:
    run = write_tuned_run(tmp_path, family="Qwen2")
    exported = rung.export(run.path, to="ollama", quant="q8_0", check=4, out=tmp_path / "made")
    assert exported.proved
    assert {row.name: row.same for row in exported.record.proof.engines if row.tolerance is not None} == {
        "merged": 4,
        "gguf": 4,
    }


def change(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_a_window_of_attention_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "qwen", family="Qwen2")
    assert read_shape(folder).architecture == "qwen2"
    change(folder, "config.json", use_sliding_window=True)
    with pytest.raises(UsageError, match="window") as caught:
        read_shape(folder)
    assert caught.value.code == "E6205"


def test_biases_in_a_model_that_has_none_are_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "qwen", family="Qwen2")
    change(folder, "config.json", architectures=["LlamaForCausalLM"])
    with pytest.raises(UsageError, match="26 tensors where 20 are expected"):
        write_gguf(folder, tmp_path / "model.gguf", "f16", name="tiny")
    assert not (tmp_path / "model.gguf").exists()


def test_letters_are_composed_only_where_qwen_does_so(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "qwen", family="Qwen2")
    record = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    size = read_shape(folder).vocabulary
    assert read_tokenizer(folder, size).pre == "qwen2"
    change(folder, "tokenizer.json", normalizer={"type": "NFKC"})
    with pytest.raises(UsageError, match="NFKC"):
        read_tokenizer(folder, size)
    cut = record["pre_tokenizer"]
    cut["pretokenizers"][0]["pattern"] = {"Regex": r"\s+"}
    change(folder, "tokenizer.json", normalizer=record["normalizer"], pre_tokenizer=cut)
    with pytest.raises(UsageError, match="in a way of its own"):
        read_tokenizer(folder, size)


def test_qwens_template_is_chatml_with_its_usual_system_message(tmp_path: Path) -> None:
    usual = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    template = (
        "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
        "{%- else %}{{- '<|im_start|>system\n" + usual + "<|im_end|>\n' }}{%- endif %}"
        "{%- for message in messages %}{%- if message.role != 'system' or not loop.first %}"
        "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}{%- endif %}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
    )
    folder = write_model(tmp_path / "qwen", family="Qwen2", template=template)
    family = find_family(folder, "ollama")
    assert (family.name, family.usual) == ("chatml", usual)
