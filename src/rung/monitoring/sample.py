"""What is looked at in answers, the same for test answers and for traffic, so that the two can be compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rung.core.candidate import Candidate
from rung.core.evaluation import Row
from rung.core.task import Example
from rung.store.traffic.records import Trace
from rung.text.script import writing_of

_NUMBER = re.compile(r"#\d+( \(.*\))?$", re.DOTALL)
OTHER = "(other)"
"""Stands for every answer that is none of the labels."""


@dataclass
class Sample:
    """Observations of many answers. A failed answer counts among questions and failures, and nowhere else."""

    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """Questions, where they are kept; as long as `ids`."""
    lengths: list[int] = field(default_factory=list)
    """Of the questions, in characters."""
    languages: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    abstained: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    answer_lengths: list[int] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    money: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """From the request to the whole answer; empty for test answers, which were asked in batches."""
    waiting: list[float] = field(default_factory=list)
    """The part of it that was spent in the queue."""
    looked_up: int = 0
    """Answers before which documents were searched."""
    found_nothing: int = 0
    top_documents: Counter[str] = field(default_factory=Counter)
    signals: list[float] = field(default_factory=list)

    @property
    def n(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Counting:
    """How answers of one candidate are counted. `label_of`: which label an answer is, where the answers are labels."""

    retrieves: bool
    abstain: str
    label_of: Callable[[str], str] | None = None

    @classmethod
    def of(cls, candidate: Candidate) -> Counting:
        output = candidate.output
        known = dict.fromkeys(output.choices)
        return cls(
            retrieves=candidate.retriever is not None,
            abstain=output.abstain or "",
            label_of=(lambda text: text if text in known else OTHER) if known else None,
        )

    def add(self, sample: Sample, seen: _Seen) -> None:
        """Count one answer."""
        sample.ids.append(seen.id)
        sample.texts.append(seen.text)
        sample.lengths.append(seen.chars)
        sample.languages[seen.language] += 1
        if seen.failure:
            sample.failures[seen.failure] += 1
            return
        sample.answered += 1
        sample.money.append(seen.money)
        sample.tokens.append(seen.tokens)
        if seen.confidence is not None:
            sample.confidences.append(seen.confidence)
        if self.retrieves:
            sample.looked_up += 1
            sample.found_nothing += not seen.passages
            if seen.passages:
                sample.top_documents[document_of(seen.passages[0])] += 1
        if seen.abstained:
            sample.abstained += 1
        elif seen.label:
            sample.labels[seen.label] += 1
        else:
            sample.answer_lengths.append(seen.answer_chars)

    def proof(self, rows: Iterable[Row], examples: Mapping[str, Example]) -> Sample:
        """Of the answers to test questions."""
        sample = Sample()
        for row in rows:
            answer, example = row.answer, examples.get(row.answer.example)
            text = example.text if example else ""
            abstained = bool(self.abstain) and answer.text == self.abstain
            self.add(
                sample,
                _Seen(
                    id=answer.example,
                    text=text,
                    chars=len(text),
                    language=writing_of(text),
                    failure=answer.failure.kind if answer.failure else "",
                    abstained=abstained,
                    label=self.label_of(answer.text) if self.label_of else "",
                    answer_chars=len(answer.text),
                    confidence=answer.confidence,
                    money=answer.money,
                    tokens=answer.tokens_in + answer.tokens_out,
                    passages=answer.passages,
                ),
            )
        return sample

    def traffic(self, traces: Iterable[Trace], hashed: Hashed | None = None) -> Sample:
        """Of served answers. `hashed`: tells labels and abstention where the answers' texts are not kept."""
        sample = Sample()
        for trace in traces:
            self.add_trace(sample, trace, hashed)
        return sample

    def add_trace(self, sample: Sample, trace: Trace, hashed: Hashed | None = None) -> None:
        known = trace.measured
        kept = bool(trace.answer) or hashed is None or known is None
        said = trace.answer if kept else hashed.answers.get(known.answer_hash, OTHER)  # type: ignore[union-attr]
        self.add(
            sample,
            _Seen(
                id=trace.id,
                text=trace.text,
                chars=known.input_chars if known else len(trace.text),
                language=known.input_language if known else writing_of(trace.text),
                failure=trace.failure,
                abstained=bool(self.abstain) and said == self.abstain,
                label=self.label_of(said) if self.label_of else "",
                answer_chars=known.answer_chars if known else len(trace.answer),
                confidence=trace.confidence,
                money=trace.money,
                tokens=trace.tokens_in + trace.tokens_out,
                passages=trace.passages,
            ),
        )
        if not trace.failure:
            sample.seconds.append(trace.seconds_total)
            sample.waiting.append(trace.seconds_queue)
        if trace.signal is not None:
            sample.signals.append(trace.signal)


@dataclass(frozen=True)
class Hashed:
    """Known answers by their hash in a database."""

    answers: Mapping[str, str]

    @classmethod
    def of(cls, candidate: Candidate, fingerprint: Callable[[str], str]) -> Hashed:
        output = candidate.output
        return cls({fingerprint(text): text for text in (*output.choices, output.abstain or "") if text})


@dataclass(frozen=True, slots=True)
class _Seen:
    id: str
    text: str
    chars: int
    language: str
    failure: str
    abstained: bool
    label: str
    answer_chars: int
    confidence: float | None
    money: float
    tokens: int
    passages: Sequence[str]


def document_of(passage: str) -> str:
    """The document of a passage, by its id."""
    return _NUMBER.sub("", passage)


def array(values: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
