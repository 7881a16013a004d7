"""The local engines beside each other at 1, 8 and 32 requests: transformers' own `generate`, our backend on it, OpenVINO in 8 and 16 bits.

`tokens_per_second`: new tokens, the reading of the prompts included, median over rounds in which the engines take turns. Under `new`
every prompt is new from its first word on, so that no engine has read any of it before; under `alike` prompts of the same length
begin with the same two thirds, as a candidate's do with its instruction and its examples, and end with a question of their own. `ratio`: against `generate` of transformers as it comes, in bf16
and one padded batch, in the same round; `ratio_backend`: against our own backend, which answers with the same library.
`accuracy`: the label task of examples/tenants-desk with the three nearest solved examples in the prompt, answered as a constrained
choice on the test questions; `difference`: against transformers, with the 95 % interval of a paired bootstrap over questions. `same_answer`:
share of questions with the same label. ROUNDS, COUNTS (as 1,8,32), TOKENS and QUESTIONS make it smaller.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import ROOT, finish, median, say

from rung.core.answer import answer_many, open_candidate
from rung.core.model import Completion, Message, Model, Request
from rung.experiment.plan import fit_data
from rung.experiment.setup import prepare
from rung.methods.slots import nearest_shots, new_candidate, output_slot, prompt_slot
from rung.models.embedded import embedded_folder
from rung.models.openvino_local import OpenVINOModel
from rung.models.transformers_local import TransformersModel

ROUNDS = int(os.environ.get("ROUNDS", "5"))
COUNTS = tuple(int(count) for count in os.environ.get("COUNTS", "1,8,32").split(","))
TOKENS = int(os.environ.get("TOKENS", "32"))
QUESTIONS = int(os.environ.get("QUESTIONS", "1000"))
WORDS = 130
"""Words of a prompt: some 200 tokens."""
DRAWS = 10_000
KINDS = ("new", "alike")
PLAIN = "transformers generate"
FIRST = "transformers"


class PlainModel:
    """What a user gets who loads the weights and calls `generate` on all prompts at once."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, logging

        logging.set_verbosity_error()
        folder = embedded_folder()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)

    def generate(self, requests: list[Request]) -> list[Completion]:
        import torch

        shown = [[{"role": each.role, "content": each.text} for each in request.messages] for request in requests]
        prompts = self._tokenizer.apply_chat_template(
            shown, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            out = self._model.generate(**prompts, max_new_tokens=TOKENS, do_sample=False)
        written = out[:, prompts["input_ids"].shape[1] :]
        end = self._tokenizer.eos_token_id
        return [Completion(tokens_out=[*row.tolist(), end].index(end)) for row in written]


def opened() -> dict[str, Any]:
    return {
        PLAIN: PlainModel(),
        FIRST: TransformersModel(precision="bf16", device="cpu"),
        "openvino q8_0": OpenVINOModel(precision="q8_0"),
        "openvino f16": OpenVINOModel(precision="f16"),
    }


def prompts(n: int, round: int, kind: str) -> list[Request]:
    """Questions over passages of the example's documents; `new` ones begin unlike each other, `alike` ones begin alike."""
    words = " ".join(
        path.read_text("utf-8") for path in sorted((ROOT / "examples/tenants-desk/documents").iterdir())
    ).split()
    own = WORDS if kind == "new" else WORDS // 3
    found = []
    for i in range(n):
        start = (7919 * (round * 1000 + i)) % (len(words) - WORDS)
        passage = " ".join(words[start : start + own])
        number = f"{round}-{n}-{i}: "
        told = "you explain house rules to tenants, at length."
        if kind == "new":
            system, asked = number + told, f"Explain: {passage}"
        else:
            system, asked = f"{told} {' '.join(words[-(WORDS - own) :])}", f"Explain {number}{passage}"
        found.append(Request((Message("system", system), Message("user", asked)), max_tokens=TOKENS))
    return found


def tokens_per_second(model: Model, requests: list[Request]) -> float:
    started = time.perf_counter()
    completions = model.generate(requests)
    seconds = time.perf_counter() - started
    assert not any(completion.failure for completion in completions)
    return sum(completion.tokens_out for completion in completions) / seconds


def speeds(models: dict[str, Any], kind: str) -> dict[str, dict[int, list[float]]]:
    found: dict[str, dict[int, list[float]]] = {name: {count: [] for count in COUNTS} for name in models}
    # Engines make their code for a batch's shape when they first meet it.
    for count in COUNTS:
        for model in models.values():
            model.generate(prompts(count, ROUNDS, kind))
    for round in range(ROUNDS):
        for count in COUNTS:
            for name, model in models.items():
                found[name][count].append(tokens_per_second(model, prompts(count, round, kind)))
            line = ", ".join(f"{name} {found[name][count][-1]:.1f}" for name in models)
            say(f"{kind}, round {round + 1}/{ROUNDS}, {count} requests, new tokens per second: {line}")
    return found


def labels(models: dict[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """Every engine's label of every test question, and the right ones."""
    prepared = prepare(ROOT / "examples" / "tenants-desk" / "labels.yaml")
    asked = prepared.examples["test"][:QUESTIONS]
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        fit = fit_data(prepared, Path(folder), Path(folder), "few_shot")
        shots = nearest_shots(fit, 3)
        for name, model in models.items():
            output = output_slot(fit.task, model).model_copy(update={"constrain": True})
            candidate = new_candidate(
                fit, model, "few_shot", prompt_slot(fit.task, layout="compact"), shots=shots, output=output
            )
            candidate_opened = open_candidate(candidate, Path(folder), Path(folder) / "indexes", model=model)
            # The first call reads the weights and lays them out.
            answer_many(candidate_opened, asked[:2])
            started = time.perf_counter()
            found[name] = [answer.text for answer in answer_many(candidate_opened, asked)]
            say(f"{name}: {len(asked)} labels in {time.perf_counter() - started:.1f} s")
    return found, [example.references[0] for example in asked]


def against(first: list[bool], other: list[bool]) -> list[float]:
    """Difference of two accuracies on the same questions, and its 95 % interval."""
    gaps = np.array(other, dtype=float) - np.array(first, dtype=float)
    drawn = np.random.default_rng(7).integers(0, len(gaps), (DRAWS, len(gaps)))
    low, high = np.quantile(gaps[drawn].mean(axis=1), [0.025, 0.975])
    return [round(float(gaps.mean()), 4), round(float(low), 4), round(float(high), 4)]


def beside(name: str, speeds: dict[int, list[float]], theirs: dict[int, list[float]]) -> dict[str, Any]:
    """The median ratio of the same rounds, and the smallest and the largest."""
    ratios = {count: [a / b for a, b in zip(speeds[count], theirs[count], strict=True)] for count in COUNTS}
    return {
        name: {count: round(median(each), 2) for count, each in ratios.items()},
        f"{name}_range": {count: [round(min(each), 2), round(max(each), 2)] for count, each in ratios.items()},
    }


def main() -> None:
    models = opened()
    found = {kind: speeds(models, kind) for kind in KINDS}
    ours = {name: model for name, model in models.items() if name != PLAIN}
    said, right = labels(ours)
    correct = {name: [a == b for a, b in zip(answers, right, strict=True)] for name, answers in said.items()}
    engines: dict[str, Any] = {PLAIN: {"precision": "bf16"} | {kind: plain_of(found[kind][PLAIN]) for kind in KINDS}}
    for name, model in ours.items():
        engines[name] = {"engine": model.ref.engine, "precision": model.ref.precision}
        for kind in KINDS:
            engines[name][kind] = plain_of(found[kind][name]) | beside("ratio", found[kind][name], found[kind][PLAIN])
            if name != FIRST:
                engines[name][kind] |= beside("ratio_backend", found[kind][name], found[kind][FIRST])
        engines[name]["accuracy"] = round(sum(correct[name]) / len(right), 4)
        if name != FIRST:
            engines[name] |= {
                "difference": against(correct[FIRST], correct[name]),
                "same_answer": round(sum(map(str.__eq__, said[name], said[FIRST])) / len(right), 4),
            }
    size = {"rounds": ROUNDS, "requests": list(COUNTS), "tokens": TOKENS, "questions": len(right)}
    finish("engines", size, engines=engines)


def plain_of(speeds: dict[int, list[float]]) -> dict[str, Any]:
    return {"tokens_per_second": {count: round(median(speeds[count]), 1) for count in COUNTS}}


if __name__ == "__main__":
    main()
