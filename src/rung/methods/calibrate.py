"""Label-prior calibration: a model's own leaning towards some labels, measured on train and taken off.

Small models say their favourite label whatever is asked; what a question adds to a label's usual score is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Opened, choice_logits, prepare
from rung.core.append_log import AppendLog, read_log
from rung.core.candidate import Candidate, OutputSlot
from rung.core.evaluation import Answer
from rung.core.method import Budget, Trial
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.slots import seeded_sample
from rung.methods.tuning import dev_sample, metric_of, open_for, score_of
from rung.training.rows import held_out

FILE = "label_scores.jsonl"
"""In the method's own folder: {candidate, example, scores}, a line for every question asked; scores are null where it failed."""
BLOCK = 32
LEANING_QUESTIONS = 48
"""Training questions over which a label's mean score is taken as the model's leaning."""


def calibrate(fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
    """Choose length normalisation and prior correction from scores that are computed once; other candidates pass unchanged.

    The prior of a label is its mean score over training questions, which are not the ones being judged (after contextual
    calibration: Zhao et al. 2021, arXiv 2102.09690; averaged over real questions: Zhou et al. 2024, arXiv 2309.17249).
    """
    if not candidate.output.constrain:
        return candidate
    dev, metric = dev_sample(fit), metric_of(fit)
    pool = seeded_sample(fit.train, LEANING_QUESTIONS, fit.seed, "leaning")
    opened = open_for(fit, candidate, model)
    budget.progress.update(0, 2, "measuring the model's leanings")
    leaning = _label_scores(fit, opened, pool, dict(zip((e.id for e in fit.train), held_out(fit.train), strict=True)))
    budget.progress.update(1, 2, "calibrating")
    rows = _label_scores(fit, opened, dev, {})
    if leaning is None or rows is None:
        return candidate
    raw, scores = np.array(leaning), np.array(rows)
    options: list[tuple[float, OutputSlot]] = []
    for normalise in ("sum", "mean"):
        plain = candidate.output.model_copy(update={"normalise": normalise})
        priors = tuple(float(x) for x in choice_logits(raw, plain).mean(axis=0))
        for weight in (0.0, 0.5, 1.0):
            output = plain.model_copy(update={"priors": priors if weight else (), "prior_weight": weight})
            score = score_of(fit, metric, dev, _answers(dev, choice_logits(scores, output), output))
            options.append((score, output))
            setting = {"normalise": normalise, "prior_weight": weight}
            if budget.journal.find(setting) is None:
                budget.journal.add(Trial(setting, score, len(dev)))
    budget.progress.update(2, 2)
    return candidate.model_copy(update={"output": max(options, key=lambda option: option[0])[1]})


def _label_scores(
    fit: FitData, opened: Opened, examples: Sequence[Example], hidden: Mapping[str, frozenset[str]]
) -> list[list[float]] | None:
    """The score of every label for each question, in order; None where an answer failed.

    `hidden`: by question, the solved examples that it may not be shown. Each block is on disk before the next is asked, and
    none is asked twice.
    """
    path, name = fit.folder / FILE, opened.candidate.id
    kept = {line["example"]: line["scores"] for line in read_log(path) if line["candidate"] == name}
    missing = [example for example in examples if example.id not in kept]
    with AppendLog(path) as log:
        for start in range(0, len(missing), BLOCK):
            part = missing[start : start + BLOCK]
            requests = prepare(opened, part, exclude=[hidden.get(example.id, frozenset()) for example in part])
            found = [
                None if completion.failure else list(completion.choice_scores)
                for completion in opened.model.generate(requests)
            ]
            log.add(
                {"candidate": name, "example": example.id, "scores": scores}
                for example, scores in zip(part, found, strict=True)
            )
            kept |= {example.id: scores for example, scores in zip(part, found, strict=True)}
    scores = [kept[example.id] for example in examples]
    return None if None in scores else scores


def _answers(examples: Sequence[Example], logits: NDArray[np.float64], output: OutputSlot) -> list[Answer]:
    return [
        Answer(example.id, output.choices[int(place)])
        for example, place in zip(examples, logits.argmax(axis=1), strict=True)
    ]
