"""The row of all data work: whatever a file of training or test data says about one question, and nothing lost.

Every format that Rung reads becomes records, every step of data work takes and gives records, and every format that it writes is
made from them. `formats/record.schema.json` says the same to other programs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from rung.core.hashing import hash_json
from rung.core.task import Example, Frozen, SplitName
from rung.core.task import Turn as Said

Role = Literal["system", "user", "assistant", "tool"]
Where = tuple[str | int, ...]
"""The path of a text inside a record: ('inputs', 'question'), ('messages', 2, 'content'), ('answers', 0)."""


class Turn(Frozen):
    """One message of a dialogue."""

    role: Role
    content: str
    name: str = ""
    calls: tuple[dict[str, Any], ...] = ()
    """Calls of tools, as OpenAI's messages write them."""
    call_id: str = ""
    """Which call a tool's message answers."""
    trained: bool | None = None
    """Whether training should learn this turn; None leaves it to the usual rule: answers only."""


class Span(Frozen):
    """A marked piece of a text: characters `start` to `end` (exclusive)."""

    start: int
    end: int
    label: str
    field: str = ""
    """The input field that it lies in; the only one when empty."""


class Record(Frozen):
    """One row. What it is for follows from what it holds: see `kind`."""

    id: str
    inputs: dict[str, str] = {}
    """What is asked, by field: {'question': ...}, {'instruction': ..., 'input': ...}."""
    system: str = ""
    messages: tuple[Turn, ...] = ()
    """A dialogue; where it ends with the assistant, that turn is the answer."""
    answers: tuple[str, ...] = ()
    """The answers that count as right; any one of them will do."""
    rejected: tuple[str, ...] = ()
    """Answers that are worse than `answers`: preference pairs."""
    liked: bool | None = None
    """A thumb up or down for `answers`."""
    positives: tuple[str, ...] = ()
    """Texts that belong to the question: contrastive tuning and retrieval."""
    negatives: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    documents: tuple[str, ...] = ()
    """Ids of the documents that hold the answer."""
    split: SplitName | None = None
    group: str = ""
    """Rows of one customer, conversation or fact."""
    time: str = ""
    """When it was said, ISO 8601."""
    language: str = ""
    source: str = ""
    """File and line, or where else it comes from."""
    licence: str = ""
    """SPDX name of the source's licence; '' where nobody has said."""
    subject: str = ""
    """The person whom it is about: `rung data forget` finds it by this."""
    synthetic: bool = False
    """Drafted by a model; never in test unless a person has confirmed it."""
    labelled: dict[str, str] = {}
    """What each annotator said."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Whatever else its source said, so that writing it back loses nothing."""

    @property
    def kind(self) -> Literal["preference", "feedback", "triplet", "spans", "dialogue", "answered", "unanswered"]:
        """What the row can be used for, from what it holds."""
        if self.rejected:
            return "preference"
        if self.liked is not None:
            return "feedback"
        if self.positives:
            return "triplet"
        if self.spans:
            return "spans"
        if self.messages:
            return "dialogue"
        return "answered" if self.answers else "unanswered"

    @property
    def question(self) -> str:
        """What is asked, as one text: the input fields, else the last thing a user says."""
        fields = "\n".join(value for value in self.inputs.values() if value)
        said = [turn.content for turn in self.messages if turn.role == "user"]
        return fields or (said[-1] if said else "")

    @property
    def answer(self) -> str:
        """The first right answer; '' where there is none."""
        if self.answers:
            return self.answers[0]
        last = self.messages[-1] if self.messages else None
        return last.content if last is not None and last.role == "assistant" else ""

    @property
    def hash(self) -> str:
        """Hash of all that it says; its id and split are no part of that."""
        return hash_json(self.model_dump(mode="json", exclude={"id", "split"}, exclude_defaults=True))

    def texts(self) -> Iterator[tuple[Where, str]]:
        """Every text that a model or a person would read, with its path."""
        for field, value in self.inputs.items():
            yield ("inputs", field), value
        if self.system:
            yield ("system",), self.system
        for n, turn in enumerate(self.messages):
            yield ("messages", n, "content"), turn.content
        for name in ("answers", "rejected", "positives", "negatives"):
            for n, text in enumerate(getattr(self, name)):
                yield (name, n), text

    def with_texts(self, change: Callable[[Where, str], str]) -> Record:
        """The record with every text changed. Spans of a changed text are the caller's to move."""
        changed: dict[str, Any] = {"inputs": {k: change(("inputs", k), v) for k, v in self.inputs.items()}}
        if self.system:
            changed["system"] = change(("system",), self.system)
        changed["messages"] = tuple(
            turn.model_copy(update={"content": change(("messages", n, "content"), turn.content)})
            for n, turn in enumerate(self.messages)
        )
        for name in ("answers", "rejected", "positives", "negatives"):
            changed[name] = tuple(change((name, n), text) for n, text in enumerate(getattr(self, name)))
        return self.model_copy(update=changed)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without what it does not say."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_example(self, inputs: Sequence[str] = ()) -> Example:
        """The example of a task whose input fields are these; all of its own where none are named.

        A dialogue becomes what was said before and the last thing said to the assistant. What tools gave back counts as said
        to it, and its calls as said by it, as JSON; messages of the system have no place in an example.
        """
        fields = {name: self.inputs.get(name, "") for name in inputs} if inputs else dict(self.inputs)
        answers = self.answers or ((self.answer,) if self.answer else ())
        history = _history(self.messages)
        if any(fields.values()):
            if history and not self.answers and history[-1].role == "assistant":
                history = history[:-1]
        else:
            last = max((n for n, turn in enumerate(history) if turn.role == "user"), default=-1)
            fields = {next(iter(fields), "question"): history[last].text if last >= 0 else self.question}
            history = history[: max(0, last)]
        return Example(
            self.id,
            fields,
            answers,
            self.group,
            self.documents,
            rejected=self.rejected,
            liked=self.liked,
            history=tuple(history),
        )

    @classmethod
    def from_example(cls, example: Example, split: SplitName | None = None) -> Record:
        return cls(
            id=example.id,
            inputs=dict(example.inputs),
            messages=tuple(Turn(role=turn.role, content=turn.text) for turn in example.history),
            answers=example.references,
            rejected=example.rejected,
            liked=example.liked,
            group=example.group,
            documents=example.documents,
            split=split,
        )


def _history(messages: Sequence[Turn]) -> list[Said]:
    """Messages as turns of two speakers that follow each other by turns, as chat templates want them."""
    turns: list[Said] = []
    for message in messages:
        if message.role == "system":
            continue
        calls = [json.dumps(call, ensure_ascii=False, sort_keys=True) for call in message.calls]
        text = "\n".join(part for part in (message.content, *calls) if part)
        role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1].role == role:
            text = f"{turns.pop().text}\n{text}"
        turns.append(Said(role, text))
    return turns


def by_id(records: Sequence[Record]) -> Mapping[str, Record]:
    """Records by their ids; the later of two with one id."""
    return {record.id: record for record in records}
