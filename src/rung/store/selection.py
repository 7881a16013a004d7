"""The records of a comparison of base models, as they lie in `models.json`."""

from __future__ import annotations

from typing import Literal

from rung.core.task import Frozen
from rung.store.records import Interval, Pair, Stated, Text


class ModelRow(Frozen):
    """One model. What was not measured is None: an endpoint's memory, the time of recorded answers."""

    name: str
    kind: str
    id: str
    engine: str = ""
    precision: str = ""
    status: Literal["done", "failed"]
    problems: tuple[Stated, ...] = ()
    """Why a model that failed could not be compared."""
    scored: int = 0
    failed: int = 0
    unscored: int = 0
    quality: Interval = Interval(point=None)
    """The deciding metric, over the questions that every sound model has a score for, with its own 95 % interval."""
    seconds_p50: float | None = None
    """Seconds for one answer, one question at a time."""
    seconds_p95: float | None = None
    memory_gib: float | None = None
    """Peak of the process that answered, Python and reading the weights included."""
    tokens_in: float = 0.0
    """Per answer."""
    tokens_out: float = 0.0
    money_per_1000: float | None = None
    """Fees and computing time of 1,000 answers, at the prices of task.yaml."""
    score: Interval = Interval(point=None)
    """The weighted sum; its interval is that of the quality in it."""
    dominated_by: tuple[str, ...] = ()
    """Models that score at least as high and take no more of anything measured."""


class Selection(Frozen):
    """The same dev questions to several models. It helps to choose what to run, and proves nothing: test stays closed."""

    schema_version: int = 1
    task: str
    language: Literal["en", "zh"] = "en"
    metric: str
    split: Literal["dev"] = "dev"
    questions: int
    compared: int
    """Questions that every sound model has a score for: the qualities are over these."""
    questions_hash: str
    currency: str
    weights: dict[str, float]
    """Of quality, seconds, memory and money in the score; they add up to 1."""
    tolerance: float
    """Resources closer than this share are taken as equal: measurements vary."""
    rows: tuple[ModelRow, ...]
    """Highest score first, models that failed last."""
    pairs: tuple[Pair, ...] = ()
    """Simultaneous over all pairs; `candidate` and `other` are names of models."""
    best: str | None = None
    summary: Text
