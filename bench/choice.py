"""Constrained choice over 77 labels: our token tree against one forward pass for each label, in turn, in one process.

`ratio`: requests per second, ours over theirs, bf16, median over pairs; a pair is one request scored the usual way and eight
scored our way. `identical`: share of prompts with the same best label in fp32, a difference counting only where the
usual way's two best labels are more than 0.001 nats apart.
"""

from __future__ import annotations

import csv
import json
import time

import numpy as np
from harness import finish, median, need_datasets, say

from rung.core.model import Message, Request
from rung.models.choices import build_tree, score_choices
from rung.models.transformers_local import TransformersModel

PAIRS = 20
BATCH = 8
PROMPTS = 60


def requests_of(folder, labels, n, shots):
    train = list(csv.DictReader((folder / "train.csv").open(encoding="utf-8")))
    test = list(csv.DictReader((folder / "test.csv").open(encoding="utf-8")))
    rng = np.random.default_rng(7)
    found = []
    for row in [test[i] for i in rng.permutation(len(test))[:n]]:
        shown = [train[i] for i in rng.permutation(len(train))[:shots]]
        lines = [f"Text: {shot['text']}\nLabel: {shot['category'].replace('_', ' ')}" for shot in shown]
        body = "\n\n".join([*lines, f"Text: {row['text']}\nLabel:"])
        found.append(
            Request(
                (Message("system", "Name the intent of a bank customer's message."), Message("user", body)),
                choices=labels,
            )
        )
    return found


def usual_way(model, request):
    """Every label appended to the prompt and scored in a forward pass of its own: what an evaluation harness does."""
    import torch

    prompt, _ = model.encode(request)
    module = model.training_parts().module
    scores = []
    with torch.inference_mode():
        for label in request.choices:
            _, target = model.encode(request, label)
            ids = torch.tensor([prompt + target[:-1]])
            logp = torch.log_softmax(module(ids).logits[0, len(prompt) - 1 :].float(), dim=-1)
            scores.append(float(logp.gather(1, torch.tensor(target)[:, None]).sum()))
    return scores


def harness_way(model):
    """The real harness over the same module, where it is installed: (request) -> scores."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return None
    parts = model.training_parts()
    judge = HFLM(pretrained=parts.module, tokenizer=model._loaded.tokenizer, batch_size=1)

    def score(request):
        prompt, _ = model.encode(request)
        rows = [(("", ""), prompt, model.encode(request, label)[1]) for label in request.choices]
        return [pair[0] for pair in judge._loglikelihood_tokens(rows, disable_tqdm=True)]

    assert Instance is not None
    return score


def main() -> None:
    folder = need_datasets("banking77") / "banking77"
    labels = tuple(name.replace("_", " ") for name in json.loads((folder / "categories.json").read_text()))
    model = TransformersModel(precision="bf16")
    requests = requests_of(folder, labels, PAIRS * BATCH, shots=5)
    their_way = harness_way(model) or (lambda request: usual_way(model, request))
    peer = "lm_eval" if harness_way(model) else "one forward pass a label"
    model.generate(requests[:BATCH])
    ratios, ours, theirs = [], [], []
    for pair in range(PAIRS):
        batch = requests[pair * BATCH : (pair + 1) * BATCH]
        started = time.perf_counter()
        their_way(batch[0])
        usual = time.perf_counter() - started
        started = time.perf_counter()
        model.generate(batch)
        tree = (time.perf_counter() - started) / BATCH
        ratios.append(usual / tree)
        ours.append(tree)
        theirs.append(usual)
        say(f"pair {pair + 1}/{PAIRS}: {peer} {usual:.2f} s, tree {tree:.3f} s a request, ratio {usual / tree:.1f}")
    model.release()
    exact = TransformersModel(precision="fp32")
    short = requests_of(folder, labels, PROMPTS, shots=0)
    tree = build_tree([exact.encode(short[0], label)[1] for label in labels])
    same, widest = 0, 0.0
    for start in range(0, PROMPTS, 6):
        part = short[start : start + 6]
        scored = score_choices(exact.training_parts().module, [exact.encode(r)[0] for r in part], tree)
        for request, row in zip(part, scored, strict=True):
            reference = np.array(usual_way(exact, request))
            best, second = np.sort(reference)[::-1][:2]
            same += int(np.argmax(row) == np.argmax(reference) or best - second <= 0.001)
            widest = max(widest, float(np.abs(reference - row).max()))
        say(f"fp32: {start + len(part)}/{PROMPTS} prompts, {same} the same, largest difference {widest:.5f} nats")
    prompt_tokens = median([float(len(model.encode(request)[0])) for request in requests])
    finish(
        "choice",
        {"pairs": PAIRS, "prompts": PROMPTS, "labels": len(labels)},
        ratio=round(median(ratios), 2),
        ratio_low=round(min(ratios), 2),
        ratio_high=round(max(ratios), 2),
        identical=same / PROMPTS,
        largest_difference_nats=round(widest, 6),
        seconds_per_request=round(median(ours), 4),
        peer=peer,
        peer_seconds_per_request=round(median(theirs), 3),
        prompt_tokens=prompt_tokens,
    )


if __name__ == "__main__":
    main()
