"""A tuned candidate in the programs that its exports are for: llama.cpp on the embedded model, LLaMA-Factory on a tiny one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import pytest
from small_desk import small_project
from tiny_llama import write_tuned_run

import rung
from rung.core.model import Message, Request
from rung.models.transformers_local import TransformersModel
from rung.store.runs import RunFolder

pytestmark = pytest.mark.slow
FACTORY = "RUNG_LLAMAFACTORY_PYTHON"
"""A Python that has LLaMA-Factory, which needs other versions than Rung."""
TASK = """
name: small
instruction: Name the topic of a tenant's question.
inputs: [question]
output: {kind: label, column: topic}
data: {examples: questions.csv, id: id, group: group}
metrics: [accuracy]
methods: [fine_tune]
settings:
  fine_tune: {max_steps: 2, evaluations: 1}
budget: {aftermath: false}
"""
_IN_FACTORY = """
import json, sys
from importlib.machinery import ModuleSpec
from types import ModuleType
import yaml
# It imports torchaudio for sound, which no row has.
sys.modules["torchaudio"] = sound = ModuleType("torchaudio")
sound.__spec__ = ModuleSpec("torchaudio", None)
out, sys.stdout = sys.stdout, sys.stderr
from llamafactory.chat import ChatModel
from llamafactory.train.tuner import run_exp
train = yaml.safe_load(open("train.yaml")) | {"max_steps": 1, "report_to": "none", "disable_tqdm": True}
run_exp(train)
model = ChatModel(yaml.safe_load(open("inference.yaml")) | {"do_sample": False, "max_new_tokens": 8})
rows = []
for row in json.load(open("rung_train.json")):
    turns = [{"role": "user", "content": row["conversations"][0]["value"]}]
    asked, _ = model.engine.template.encode_oneturn(
        model.engine.tokenizer, [*turns, {"role": "assistant", "content": ""}], row["system"]
    )
    rows.append({"ids": list(asked), "text": model.chat(turns, system=row["system"])[0].response_text})
print(json.dumps(rows), file=out)
"""


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return rung.run(small_project(tmp_path_factory.mktemp("desk"), TASK))


@pytest.mark.parametrize(("form", "quant"), [("gguf", "f16"), ("ollama", "q8_0")])
def test_llama_cpp_answers_like_the_embedded_model_that_was_tuned(
    tuned: RunFolder, tmp_path: Path, form: str, quant: str
) -> None:
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is not installed")
    exported = rung.export(tuned.path, to=form, quant=quant, check=6, out=tmp_path / "made")
    assert exported.proved
    rows = {row.name: row for row in exported.record.proof.engines}
    assert rows["gguf"].engine.startswith("llama-cpp-python")
    assert rows["gguf"].tokens_alike == rows["gguf"].n > 3
    assert rows["merged"].differ == 0
    assert not exported.record.proof.untried


def test_llama_factory_trains_on_the_rows_and_answers_with_the_adapter(tmp_path: Path) -> None:
    if not os.environ.get(FACTORY):
        pytest.skip(f"{FACTORY} names no Python that has LLaMA-Factory")
    run = write_tuned_run(tmp_path / "tuned", labelled=False)
    path = rung.export(run.path, to="llama-factory", check=0, out=tmp_path / "made").path
    merged = rung.export(run.path, check=0, out=tmp_path / "whole").path
    done = subprocess.run(
        [os.environ[FACTORY], "-c", _IN_FACTORY],
        cwd=path,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.splitlines()[-1])
    assert (path / "output" / "adapter_model.safetensors").is_file()
    ours = TransformersModel(str(merged), precision="fp32", device="cpu")
    rows = json.loads((path / "rung_train.json").read_text("utf-8"))
    asked = [
        Request(
            messages=(Message("system", row["system"]), Message("user", row["conversations"][0]["value"])), max_tokens=8
        )
        for row in rows
    ]
    assert [row["ids"] for row in theirs] == [ours.encode(request)[0] for request in asked]
    same = [a["text"].strip() == b.text for a, b in zip(theirs, ours.generate(asked), strict=True)]
    # Its numbers are bf16, ours fp32.
    assert sum(same) >= len(rows) - 2, [(a["text"], b.text) for a, b in zip(theirs, ours.generate(asked), strict=True)]
