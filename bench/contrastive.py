"""A few labels a class: a linear head on MiniLM as it is, against one on MiniLM tuned by contrast on the same few labels.

BANKING77 (77 intents, English) on questions of its official test split drawn with a seed, and EPRSTMT of FewCLUE (2 classes, Chinese: which
MiniLM has never read) on the official public test. 8 and 16 labels a class. `difference`: tuned less untuned on the same questions,
with a 95 % interval of the paired bootstrap. Training ends by steps and not by the clock, so that a slow machine comes to the same figure.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from harness import finish, need_datasets, read_rows, say

from rung.core.answer import answer_many, open_candidate
from rung.core.candidate import Candidate, OutputSlot
from rung.core.method import Budget
from rung.core.task import Example, FitData, OutputSpec, Task
from rung.experiment.journal import FileJournal
from rung.methods.contrastive import ContrastiveLabels
from rung.methods.slots import encoder_named, prompt_slot
from rung.models.fake import FakeModel
from rung.models.linear import fit_linear
from rung.stats.bootstrap import guarded_interval, resample

PER_CLASS = (8, 16)
TEST = 1000
DEV = 200
STEPS = {"banking77": 120, "eprstmt": 30}
# SetFit (Tunstall et al. 2022, arXiv 2209.11055) reports other data sets with MPNet; nothing there can be set beside these figures.
Rows = Sequence[tuple[str, str]]


def banking77(folder: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(text, label) of train and of the drawn part of test."""
    parts = []
    for name in ("train", "test"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            parts.append([(row["text"], row["category"].replace("_", " ")) for row in csv.DictReader(file)])
    order = np.random.default_rng(7).permutation(len(parts[1]))[:TEST]
    return parts[0], [parts[1][i] for i in sorted(order)]


def eprstmt(folder: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(sentence, label): all few-shot rows of the five splits, and the public test."""
    names = [f"{kind}_{split}" for kind in ("train", "dev") for split in range(5)]
    rows = [(row["sentence"], row["label"]) for name in names for row in read_rows(folder / f"{name}.jsonl")]
    test = [(row["sentence"], row["label"]) for row in read_rows(folder / "test_public.jsonl")]
    held = {text for text, _ in test}
    return [row for row in dict.fromkeys(rows) if row[0] not in held], test


def drawn(rows: Rows, each: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """`each` rows of every label, and at most DEV of the others for dev; the smaller draw lies within the larger."""
    by_label: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for i in np.random.default_rng(7).permutation(len(rows)):
        by_label[rows[i][1]].append(rows[i])
    train = [row for label in sorted(by_label) for row in by_label[label][:each]]
    rest = [row for label in sorted(by_label) for row in by_label[label][max(PER_CLASS) :]]
    order = np.random.default_rng(8).permutation(len(rest))[:DEV]
    return train, [rest[i] for i in order]


def examples(rows: Rows, name: str) -> tuple[Example, ...]:
    return tuple(Example(f"{name}{n}", {"text": text}, (label,)) for n, (text, label) in enumerate(rows))


def rights(candidate: Candidate, folder: Path, run: Path, test: Sequence[Example]) -> list[float]:
    answers = answer_many(open_candidate(candidate, folder, run / "indexes"), test, chunk=256)
    return [float(answer.text == example.references[0]) for answer, example in zip(answers, test, strict=True)]


def untuned(fit: FitData, folder: Path) -> Candidate:
    """The baseline's embedding head, and nothing chosen on dev: both heads are fitted alike."""
    ref = fit_linear(
        "embedding",
        [example.asked for example in fit.train],
        [example.references[0] for example in fit.train],
        folder=folder,
        encoder_name=fit.encoder,
        encoder=encoder_named(fit.encoder),
    )
    output = OutputSlot(choices=fit.task.output.labels, constrain=True)
    return Candidate(method="baseline", model=ref, prompt=prompt_slot(fit.task, layout="bare"), output=output)


def compared(plain: Sequence[float], tuned: Sequence[float]) -> dict:
    """Accuracies and their difference; whole questions are resampled, with both answers."""
    rng = np.random.default_rng(7)
    found = {}
    for name, values in (("plain", plain), ("tuned", tuned), ("difference", np.subtract(tuned, plain))):
        parts = np.asarray(values, float)[:, None, None]
        drawn_parts = resample(parts, None, lambda totals, n: totals[..., 0] / n, rng)
        bounds = guarded_interval(drawn_parts, lowest=-1.0 if name == "difference" else 0.0)
        point = float(drawn_parts.point[0])
        found[name] = [round(value, 4) for value in (point, float(bounds.low[0]), float(bounds.high[0]))]
    return found


def measure(name: str, rows: Rows, test_rows: Rows, each: int) -> dict:
    train, dev = drawn(rows, each)
    test = examples(test_rows, "test")
    labels = tuple(sorted({label for _, label in rows}))
    with tempfile.TemporaryDirectory() as work:
        task = Task(
            name=name,
            instruction="Name the label.",
            inputs=("text",),
            output=OutputSpec(kind="label", labels=labels),
            metrics=("accuracy",),
            language="zh" if name == "eprstmt" else "en",
        )
        run = Path(work) / "run"
        fit = FitData(
            task,
            examples(train, "train"),
            examples(dev, "dev"),
            (),
            run,
            run / "cell",
            # The last scoring alone: what is kept is then the end of the training, which dev has not chosen.
            hints={"max_steps": STEPS[name], "evaluations": 1},
        )
        fit.folder.mkdir(parents=True)
        started = time.perf_counter()
        candidate = ContrastiveLabels().adapt(fit, FakeModel(), Budget(FileJournal(fit.folder)))
        seconds = time.perf_counter() - started
        tuned = rights(candidate, fit.folder, run, test)
        plain = rights(untuned(fit, run / "plain"), run / "plain", run, test)
    found = {**compared(plain, tuned), "train": len(train), "n": len(test), "seconds": round(seconds, 1)}
    say(f"{name}, {each} a class: {found}")
    return found


def main() -> None:
    source = need_datasets("banking77", "fewclue_tnews_eprstmt_bustm")
    data = {
        "banking77": banking77(source / "banking77"),
        "eprstmt": eprstmt(source / "fewclue_tnews_eprstmt_bustm" / "eprstmt"),
    }
    found = {name: {f"labels_{each}": measure(name, *rows, each) for each in PER_CLASS} for name, rows in data.items()}
    finish("contrastive", {name: len(rows[1]) for name, rows in data.items()}, **found, steps=STEPS)


if __name__ == "__main__":
    main()
