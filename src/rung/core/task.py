"""The Task and its plain values: what is asked, on which examples and documents, and how it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from rung.core.hashing import hash_json

OutputKind = Literal["label", "text", "json"]
Language = Literal["en", "zh"]
SplitName = Literal["train", "dev", "test"]


class Frozen(BaseModel):
    """Base of every record that is written to disk: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class StepRef(Frozen):
    """One post-processing step, by registry name."""

    name: str
    arguments: dict[str, Any] = {}


class OutputSpec(Frozen):
    """What an answer is: one label of a set, free text, or JSON that fits a schema."""

    kind: OutputKind
    labels: tuple[str, ...] = ()
    json_schema: dict[str, Any] | None = None
    max_tokens: int = 64
    abstain: str | None = None
    """The exact text that means "the documents do not say"."""
    steps: tuple[StepRef, ...] = ()
    """Done to every answer after it has been read, and before it is scored."""
    shown: tuple[StepRef, ...] = ()
    """Done after that for the reader alone; the metrics score the text before them."""
    safe: str = ""
    """What a reader gets in place of an answer that a step refuses, or on which one breaks."""

    def silent(self) -> set[str]:
        """Names of the fields that older tasks do not have and that say nothing here."""
        return {name for name in ("steps", "shown", "safe") if not getattr(self, name)}


class Constraints(Frozen):
    """Limits that a winner must keep; unlike cost, they are never traded against quality."""

    max_latency_p95: float | None = None
    """Seconds for one answer, 95th percentile, one question at a time."""
    max_memory_gib: float | None = None
    max_failure_share: float = 0.02
    """Share of questions without a usable answer above which a candidate cannot win."""


class Task(Frozen):
    """What is asked. Knows no model, and holds no rows."""

    name: str
    instruction: str
    inputs: tuple[str, ...]
    output: OutputSpec
    metrics: tuple[str, ...]
    """Metric names; the first one decides."""
    language: Language = "en"
    has_documents: bool = False
    target: float | None = None
    margin: float = 0.02
    constraints: Constraints = Constraints()

    @property
    def metric(self) -> str:
        return self.metrics[0]

    @property
    def hash(self) -> str:
        return hash_json(self.model_dump(mode="json", exclude={"output": self.output.silent()}))


@dataclass(frozen=True, slots=True)
class Turn:
    """Something said earlier in a dialogue."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """One question with the answers that count as right."""

    id: str
    inputs: Mapping[str, str]
    references: tuple[str, ...]
    group: str = ""
    """Examples of one group (a fact, a customer, a conversation) never lie in two splits."""
    documents: tuple[str, ...] = ()
    """Ids of the documents known to hold the answer, where the team has marked them."""
    rejected: tuple[str, ...] = ()
    """Answers known to be worse than the first reference: preference pairs."""
    liked: bool | None = None
    """A thumb up or down for the first reference; where it is down, that answer is wrong."""
    history: tuple[Turn, ...] = ()
    """What was said before the question, oldest first."""

    @property
    def text(self) -> str:
        """The input fields as one text: the question, in a dialogue the last one."""
        return "\n".join(value for value in self.inputs.values() if value)

    @property
    def asked(self) -> str:
        """All that the user has said: what retrieval, duplicates and the baseline look at.

        In a dialogue the question alone may be no more than a "yes".
        """
        said = [turn.text for turn in self.history if turn.role == "user"]
        return "\n".join([*said, self.text]) if said else self.text

    @property
    def hash(self) -> str:
        """Of what it says; fields that say nothing are left out, so that examples without them keep their hash."""
        more: dict[str, Any] = {}
        if self.rejected:
            more["rejected"] = self.rejected
        if self.liked is not None:
            more["liked"] = self.liked
        if self.history:
            more["history"] = [[turn.role, turn.text] for turn in self.history]
        said = [dict(self.inputs), self.references]
        return hash_json([*said, more] if more else said)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page, a sheet or a slide begins in a document's text."""

    start: int
    """Characters from the beginning of the text."""
    label: str
    """What a reader calls it: 'p. 3', 'Sheet1', 'slide 2'."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the team's documents, as text."""

    id: str
    title: str
    text: str
    meta: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    """In the order of the text; empty for a file that has no pages."""
    access: tuple[str, ...] = ()
    """Labels of those who may see it: whoever has one of them. Empty: everyone may."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What a search may be narrowed by, such as a department or a year; `meta` is what the parser knows."""

    def place(self, start: int) -> str:
        """The page, sheet or slide that holds a character; '' where the file has none."""
        before = [mark.label for mark in self.marks if mark.start <= start]
        return before[-1] if before else ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: characters `start` to `end` of its text."""

    id: str
    document: str
    title: str
    text: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class SharedBase:
    """A version of a knowledge base that holds the task's documents, already cut and encoded."""

    id: str
    """`<name>@<version>`."""
    where: str
    """Its folder, or `postgres:NAME`."""
    kind: str
    """Registry name of the retriever that opens it."""
    encoder: str
    """Id of the encoder that made its vectors; "" where it has none."""
    chunk_words: int
    chunk_overlap: int
    documents: int
    items: int

    @property
    def name(self) -> str:
        return self.id.rpartition("@")[0]

    @property
    def version(self) -> int:
        return int(self.id.rpartition("@")[2])


class Split(Frozen):
    """A frozen list of example ids with the hash of their contents."""

    name: SplitName
    ids: tuple[str, ...]
    hash: str


@dataclass(frozen=True)
class FitData:
    """All that a method may see: the task, train and dev, documents. Never test."""

    task: Task
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    documents: tuple[Document, ...]
    run: Path
    """The run folder: indexes lie in `run/indexes`."""
    folder: Path
    """Where this method may write: becomes the candidate's folder."""
    encoder: str = "minilm"
    """Registry name of the sentence encoder that retrieval and the baseline use."""
    seed: int = 0
    hints: Mapping[str, Any] = field(default_factory=dict)
    """The method's own block of task.yaml, already checked."""
    disliked: tuple[Example, ...] = ()
    """Training examples with a thumb down: their reference is an answer that was not wanted. Kept apart from `train`, so that
    no method takes it for a right one unawares; `train` holds those with a thumb up."""

    base: SharedBase | None = None
    """The knowledge base that the documents come from: they are searched in it, and not cut and encoded anew."""

    @cached_property
    def made_from(self) -> dict[str, str]:
        """Hashes of what a candidate is made from."""
        parts = {"train": self.train, "dev": self.dev} | ({"disliked": self.disliked} if self.disliked else {})
        return {"task": self.task.hash, **{name: hash_json([e.hash for e in part]) for name, part in parts.items()}}
