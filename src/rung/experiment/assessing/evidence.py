"""What a task's data show before any model is asked: sizes, labels, repeats, answers that stand in documents, and a floor.

Test stays closed: everything here but its size is read off train and dev.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from rung.core.evaluation import Answer, Row, Summary
from rung.core.hashing import seed_from
from rung.core.model import Failure, Request
from rung.core.registry import create
from rung.core.task import Document, Example, Task
from rung.data.leakage.copies import find_duplicates
from rung.experiment.evaluate import summarise
from rung.methods.slots import seeded_sample
from rung.models.linear import LinearModel, fit_linear
from rung.retrieval.chunk import chunk_documents
from rung.retrieval.lexical import build_lexical
from rung.text.normalise import normalise_answer
from rung.text.script import CJK, language_of

FOLDS = 5
MOST_QUESTIONS = 1500
"""Questions that the floor and the documents are looked at with: seconds, not minutes."""
PASSAGES = 3
PASSAGE_WORDS = 70
_CJK_CHARACTER = re.compile(f"[{CJK}]")
MOST_QUOTES = 300
"""Answers that are looked up in the documents."""
SHORTEST_QUOTE = 2
"""Characters below which an answer is found in any text, and shows nothing."""


@dataclass(frozen=True)
class Evidence:
    """What was seen. Shares are of train and dev questions; None: not looked at, or nothing to look at."""

    examples: int
    train: int
    test: int
    test_units: int
    """Groups of the test split, or its questions where they have none."""
    labels: dict[str, int] = field(default_factory=dict)
    """Training examples of each label."""
    majority: float | None = None
    repeats: int = 0
    conflicts: int = 0
    """Questions that stand twice with answers that contradict each other."""
    chinese: float = 0.0
    question_tokens: float = 0.0
    """Median, roughly."""
    longest_tokens: float = 0.0
    answer_tokens: float = 0.0
    documents: int = 0
    document_tokens: float = 0.0
    abstained: float = 0.0
    """Share of answers that are the task's own 'the documents do not say'."""
    extractable: float | None = None
    """Of the other answers: share that stands word for word in some document."""
    retrieved: float | None = None
    """Of those answers: share that stands in the best passages by shared words."""
    floor: Summary | None = None
    """What the simplest thing without a language model scores, cross-validated."""


def gather(
    task: Task,
    known: Sequence[Example],
    train: Sequence[Example],
    test: Sequence[Example],
    documents: Sequence[Document],
) -> Evidence:
    """`known`: the examples that may be looked at; of `test` only the size is."""
    label = task.output.kind == "label"
    firsts = Counter(example.references[0] for example in train if example.references)
    repeats = find_duplicates({"": known})
    sample = seeded_sample(known, MOST_QUESTIONS, "evidence")
    answers = [example for example in sample if example.references and not _abstains(task, example)]
    quotes = _Quotes(documents, task) if documents and task.output.kind == "text" else None
    looked_up = seeded_sample(answers, MOST_QUOTES, "quotes")
    quoted = [example for example in looked_up if quotes and quotes.extractable(example)]
    found = quotes.retrieved(quoted) if quotes else []
    lengths = [rough_tokens(example.asked) for example in known]
    return Evidence(
        examples=len(known) + len(test),
        train=len(train),
        test=len(test),
        test_units=sum(not e.group for e in test) + len({e.group for e in test if e.group}),
        labels={name: firsts[name] for name in task.output.labels or sorted(firsts)} if label else {},
        majority=max(firsts.values()) / len(train) if label and firsts else None,
        repeats=len(repeats.pairs),
        conflicts=len(repeats.conflicts),
        chinese=_mean([language_of(example.asked) == "zh" for example in known]) or 0.0,
        question_tokens=median(lengths) if lengths else 0.0,
        longest_tokens=max(lengths, default=0.0),
        answer_tokens=_mean([rough_tokens(e.references[0]) for e in known if e.references]) or 0.0,
        documents=len(documents),
        document_tokens=sum(rough_tokens(document.text) for document in documents),
        abstained=1 - len(answers) / len(sample) if sample else 0.0,
        extractable=len(quoted) / len(looked_up) if quotes and looked_up else None,
        retrieved=_mean(found),
        floor=_floor(task, sample) if task.output.kind != "json" else None,
    )


def rough_tokens(text: str) -> float:
    """Tokens of a text, roughly: 1.35 a word, 1.5 a Chinese character. Models differ by a third either way."""
    characters = sum(1 for char in text if _CJK_CHARACTER.match(char))
    words = len(_CJK_CHARACTER.sub(" ", text).split())
    return 1.35 * words + 1.5 * characters


def _mean(values: Sequence[float | bool]) -> float | None:
    return sum(map(float, values)) / len(values) if values else None


def _abstains(task: Task, example: Example) -> bool:
    return task.output.abstain is not None and example.references[0] == task.output.abstain


class _Quotes:
    """Looks answers up in documents, word for word after normalisation."""

    def __init__(self, documents: Sequence[Document], task: Task) -> None:
        self._language = task.language
        self._whole = [self._form(document.text) for document in documents]
        items = chunk_documents(documents, chunk_words=PASSAGE_WORDS, overlap=PASSAGE_WORDS // 6)
        self._passages = [self._form(item.text) for item in items]
        self._lexical = build_lexical([item.text for item in items]) if items else None

    def _form(self, text: str) -> str:
        plain = normalise_answer(text, self._language)
        return plain if self._language == "zh" else f" {plain} "

    def _stands_in(self, example: Example, texts: Sequence[str]) -> bool:
        forms = [self._form(reference) for reference in example.references]
        return any(len(form.strip()) >= SHORTEST_QUOTE and form in text for form in forms for text in texts)

    def extractable(self, example: Example) -> bool:
        return self._stands_in(example, self._whole)

    def retrieved(self, examples: Sequence[Example]) -> list[bool]:
        if self._lexical is None or not examples:
            return []
        scores = self._lexical.scores([example.asked for example in examples])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :PASSAGES]
        return [self._stands_in(e, [self._passages[i] for i in row]) for e, row in zip(examples, best, strict=True)]


def _folds(examples: Sequence[Example]) -> list[list[Example]]:
    """Whole groups dealt out at random; every fold holds something, or there is none."""
    units: dict[str, list[Example]] = {}
    for number, example in enumerate(examples):
        units.setdefault(example.group or f"\0{number}", []).append(example)
    names = sorted(units)
    if len(names) < 2 * FOLDS:
        return []
    order = np.random.default_rng(seed_from("folds")).permutation(len(names))
    folds: list[list[Example]] = [[] for _ in range(FOLDS)]
    for place, i in enumerate(order):
        folds[place % FOLDS] += units[names[i]]
    return folds


def _floor(task: Task, examples: Sequence[Example]) -> Summary | None:
    """Labels: TF-IDF with a linear head. Text: the answer of the question with the most words in common. None for too few."""
    folds = _folds([example for example in examples if example.references])
    if not folds:
        return None
    metric = create("metric", task.metric, task=task)
    if metric.needs - {"references"}:
        return None
    rows: list[Row] = []
    for held in folds:
        rest = [example for fold in folds if fold is not held for example in fold]
        answers = _linear(held, rest) if task.output.kind == "label" else _nearest(held, rest)
        given = [
            Answer(example.id, text, failure=None if text else Failure("empty"))
            for example, text in zip(held, answers, strict=True)
        ]
        scores = metric.score(held, given)
        rows += [Row(a, {metric.name: s}, e.group) for e, a, s in zip(held, given, scores, strict=True)]
    return summarise(metric, rows)


def _linear(held: Sequence[Example], rest: Sequence[Example]) -> list[str]:
    texts, labels = [e.asked for e in rest], [e.references[0] for e in rest]
    with TemporaryDirectory() as folder:
        ref = fit_linear("tfidf", texts, labels, folder=Path(folder))
        model = LinearModel.open(ref, folder=Path(folder))
        done = model.generate([Request(messages=(), query=example.asked) for example in held])
    return [completion.text for completion in done]


def _nearest(held: Sequence[Example], rest: Sequence[Example]) -> list[str]:
    lexical = build_lexical([example.asked for example in rest])
    scores = lexical.scores([example.asked for example in held])
    return [rest[int(best)].references[0] for best in scores.argmax(axis=1)]
