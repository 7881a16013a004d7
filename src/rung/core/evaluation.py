"""The Evaluation: what one candidate answered on one split, scored example by example, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rung.core.model import Failure
from rung.core.task import Example, Frozen

Status = Literal["scored", "failed", "unscored"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A candidate's answer to one example, after post-processing."""

    example: str
    text: str
    raw: str = ""
    """What the model said, where post-processing changed it."""
    failure: Failure | None = None
    confidence: float | None = None
    """Probability of the chosen label among the choices, where the backend scores choices."""
    citations: tuple[str, ...] = ()
    """Ids of passages that the answer names; always among `passages`."""
    passages: tuple[str, ...] = ()
    shots: tuple[str, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    money: float = 0.0
    finish: str = "stop"
    served_by: str = ""
    notes: tuple[str, ...] = ()
    """What did not go as planned between question and prompt (`no_room: <passage>`, `too_weak: <passage>`, ...), and what
    post-processing did: `mask_personal: phone 1`, `forbidden: refused, ...`."""
    quoted: int = 0
    """Quotations that were looked for in the passages."""
    unsupported_quotes: tuple[str, ...] = ()
    """Those that stand in none of the passages cited, or shown where none is cited."""
    unsupported_citations: tuple[str, ...] = ()
    """Ids of cited passages that do not hold what they are cited for; always among `citations`."""
    shown: str = ""
    """What a reader sees, where that is not `text`: with a disclaimer, say, or the safe message in place of a refused answer."""

    @property
    def reads(self) -> str:
        """What a reader sees; '' where there is nothing to show."""
        return self.shown or self.text


@dataclass(frozen=True, slots=True)
class Score:
    """One metric on one answer. `parts` are additive sufficient statistics, by name; a missing name is 0."""

    status: Status
    value: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)


class Metric(Protocol):
    """Scores answers one by one, and aggregates sums of their parts.

    `aggregate(totals, n)`: totals float [..., p] are the parts summed over examples (in the order of `parts`), n [...] the
    number of examples summed over; returns float [...]. It is called on all resamples at once. No examples: nan.
    """

    name: str
    better: Literal["higher", "lower"]
    needs: frozenset[str]
    """What it reads besides the answer: 'references', 'passages', 'judge'."""
    parts: tuple[str, ...]

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]: ...

    def aggregate(self, totals: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]: ...


def parts_matrix(scores: Sequence[Score], parts: Sequence[str]) -> NDArray[np.float64]:
    """float [n, p]: the parts of every score; rows of scores that are not `scored` are nan."""
    column = {name: j for j, name in enumerate(parts)}
    out = np.zeros((len(scores), len(column)))
    for i, score in enumerate(scores):
        if score.status != "scored":
            out[i] = np.nan
            continue
        for name, value in score.parts.items():
            out[i, column[name]] = value
    return out


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an evaluation file."""

    answer: Answer
    scores: Mapping[str, Score]
    group: str = ""


class Summary(Frozen):
    """One metric over one evaluation. scored + failed + unscored = n."""

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    scored: int
    failed: int
    unscored: int


class Resources(Frozen):
    """What answering took, as measured."""

    latency_p50: float | None = None
    """Seconds for one answer, one question at a time."""
    latency_p95: float | None = None
    latency_n: int = 0
    seconds: float = 0.0
    """Wall-clock seconds of the whole evaluation, in batches."""
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    money: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    peak_memory_gib: float = 0.0


class EvaluationHeader(Frozen):
    """The record around the rows: whose answers, on which split, scored by what."""

    schema_version: int = 1
    candidate: str
    method: str
    model: str
    split: str
    split_hash: str
    n: int
    metrics: tuple[str, ...]
    index: str = ""
    """`<hash>@<version>` of the documents' index that was used."""
    resumed: bool = False


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation. Readers never recompute it."""

    header: EvaluationHeader
    rows: tuple[Row, ...]
    summaries: Mapping[str, Summary]
    resources: Resources
    extra: Mapping[str, Any] = field(default_factory=dict)
