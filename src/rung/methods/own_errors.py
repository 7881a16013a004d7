"""Pairs from the model's own errors: what it would answer instead of the right answer, on train and dev."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rung.core.answer import Opened, choice_logits, finish, prepare
from rung.core.append_log import AppendLog, read_log
from rung.core.evaluation import Answer, Metric
from rung.core.hashing import seed_from
from rung.core.method import Budget
from rung.core.model import Completion, Request
from rung.core.task import Example, FitData
from rung.methods.slots import seeded_sample
from rung.methods.tuning import metric_of
from rung.training.rows import held_out

FILE = "own_errors.jsonl"
"""In the method's own folder: {id, rejected}, a line for every question asked, and {done} at the end."""
_MOST = 2000
"""Questions asked where an answer is a choice."""
_MOST_WRITTEN = 400
"""The same where every answer is written out."""
_MOST_DEV = 100
_SHARE = 0.3
"""Of the budget, at most so much goes to asking."""
_CHUNK = 32


@dataclass(frozen=True)
class Pairs:
    """Fit data whose examples hold pairs."""

    fit: FitData
    asked: int
    found: int


def with_own_errors(fit: FitData, opened: Opened, budget: Budget, temperature: float) -> Pairs:
    """Examples without a worse answer get the model's own, where it has one.

    A choice: the likeliest of the wrong ones, whether or not the model prefers it. A text: one answer drawn at `temperature`, if
    it scores below the reference by the task's metric or cannot be read at all. What was asked before is not asked again.
    """
    written = not opened.candidate.output.constrain
    most = _MOST_WRITTEN if written else _MOST
    wanted = [example for example in fit.train if example.references and not example.rejected]
    train = seeded_sample(wanted, most, fit.seed, "own errors")
    wanted = [example for example in fit.dev if example.references and not example.rejected]
    dev = seeded_sample(wanted, min(_MOST_DEV, most // 4), fit.seed, "own errors")
    # Dev first: a budget that ends early should still leave pairs to choose a step by.
    found = _asked(fit, opened, budget, (*dev, *train), temperature)

    def paired(examples: Sequence[Example]) -> tuple[Example, ...]:
        return tuple(
            replace(example, rejected=(found[example.id],))
            if found.get(example.id) and not example.rejected
            else example
            for example in examples
        )

    return Pairs(
        replace(fit, train=paired(fit.train), dev=paired(fit.dev)),
        len(found),
        sum(bool(text) for text in found.values()),
    )


def _asked(
    fit: FitData, opened: Opened, budget: Budget, examples: Sequence[Example], temperature: float
) -> dict[str, str]:
    """The worse answer to each question, '' where there is none."""
    path = fit.folder / FILE
    lines = read_log(path)
    found = {line["id"]: line["rejected"] for line in lines if "id" in line}
    if any("done" in line for line in lines):
        return found
    metric, started = metric_of(fit), time.monotonic()
    left = [example for example in examples if example.id not in found]
    with AppendLog(path) as log:
        for start in range(0, len(left), _CHUNK):
            if budget.seconds is not None and time.monotonic() - started > _SHARE * budget.seconds:
                break
            part = left[start : start + _CHUNK]
            worse = _worse(fit, opened, metric, part, temperature)
            log.add({"id": example.id, "rejected": text} for example, text in zip(part, worse, strict=True))
            found |= {example.id: text for example, text in zip(part, worse, strict=True)}
            budget.progress.update(start + len(part), len(left), "the model's own errors")
        # Other pairs in a run that is taken up again would not fit the checkpoints of the first.
        log.add([{"done": True}])
    return found


def _worse(fit: FitData, opened: Opened, metric: Metric, examples: Sequence[Example], temperature: float) -> list[str]:
    seed = seed_from(fit.seed, "own errors") % (1 << 31)
    requests = [
        request if request.choices else replace(request, temperature=temperature, seed=seed)
        for request in prepare(opened, examples, exclude=held_out(examples))
    ]
    completions = opened.model.generate(requests)
    if opened.candidate.output.constrain:
        return [
            _likeliest_wrong(opened, example, completion)
            for example, completion in zip(examples, completions, strict=True)
        ]
    return _below(opened, metric, examples, requests, completions)


def _likeliest_wrong(opened: Opened, example: Example, completion: Completion) -> str:
    import numpy as np

    output = opened.candidate.output
    if not completion.choice_scores:
        return ""
    logits = choice_logits(np.array(completion.choice_scores), output)
    order = [output.choices[i] for i in np.argsort(-logits, kind="stable")]
    return next((choice for choice in order if choice not in example.references), "")


def _below(
    opened: Opened,
    metric: Metric,
    examples: Sequence[Example],
    requests: Sequence[Request],
    completions: Sequence[Completion],
) -> list[str]:
    answers = [
        finish(opened, example, request, completion)
        for example, request, completion in zip(examples, requests, completions, strict=True)
    ]
    right = metric.score(examples, [Answer(example.id, example.references[0]) for example in examples])
    sign = 1.0 if metric.better == "higher" else -1.0
    found = []
    for completion, score, best in zip(completions, metric.score(examples, answers), right, strict=True):
        text = completion.text.strip()
        below = score.status == "failed" or (score.status == "scored" and sign * (best.value - score.value) > 0)
        found.append(text if completion.failure is None and below else "")
    return found
