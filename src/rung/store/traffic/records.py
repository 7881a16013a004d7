"""The records of served traffic: one answer with its way, one person's word on it, one key to the door."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from rung.core.task import Turn

Role = Literal["champion", "challenger", "shadow"]
Rating = Literal[-1, 0, 1]
SCOPES = ("answer", "feedback", "metrics", "admin")
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]


class _Random:
    """80 random bits at a time, fetched from the system for many ids at once: every fetch lets all other threads go first."""

    def __init__(self) -> None:
        self._left: list[int] = []
        if hasattr(os, "register_at_fork"):
            # A child would else draw what its parent draws.
            os.register_at_fork(after_in_child=self._left.clear)

    def draw(self) -> int:
        try:
            return self._left.pop()
        except IndexError:
            fetched = secrets.token_bytes(2560)
            first, *rest = (int.from_bytes(fetched[n : n + 10], "big") for n in range(0, len(fetched), 10))
            self._left.extend(rest)
            return first


_RANDOM = _Random()
_SHIFTS = range(120, -1, -10)


def new_id(prefix: str) -> str:
    """`<prefix>-` and 26 characters that rise with time: a ULID (github.com/ulid/spec), in small letters.

    `rq` for an answer, `fb` for feedback, `key` for a key. Its last 80 bits are random, so that nobody guesses one.
    """
    number = (time.time_ns() // 1_000_000) << 80 | _RANDOM.draw()
    return f"{prefix}-" + "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a trace's texts where the texts themselves are not kept, or not as they were."""

    input_chars: int = 0
    input_language: str = ""
    """By its script, as `rung.text.script.writing_of` tells it."""
    input_hash: str = ""
    """Keyed with a secret of the database: equal texts have equal hashes there, and nowhere else."""
    answer_chars: int = 0
    answer_hash: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """One answer that was served, and how it came about."""

    id: str
    at: datetime
    """When the request came in; aware."""
    route: str = ""
    run: str = ""
    candidate: str = ""
    role: Role = "champion"
    parent: str = ""
    """The trace whose shadow this is."""
    key: str = ""
    """Id of the key, never its secret."""
    tenant: str = "default"
    prompt_hash: str = ""
    """SHA-256 of the rendered messages."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    history: tuple[Turn, ...] = ()
    answer: str = ""
    raw: str = ""
    failure: str = ""
    """The kind of a `core.model.Failure`; empty for an answer."""
    finish: str = ""
    status: int = 200
    """Of the HTTP answer."""
    passages: tuple[str, ...] = ()
    index: str = ""
    """`name@version`."""
    shots: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    confidence: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    seconds_queue: float = 0.0
    seconds_engine: float = 0.0
    seconds_total: float = 0.0
    money: float = 0.0
    streamed: bool = False
    cancelled: bool = False
    flags: tuple[str, ...] = ()
    """What post-processing and retrieval noted."""
    served_by: str = ""
    consent: bool = False
    """It may be used for training."""
    signal: float | None = None
    """Score of retrieval by which it is decided whether the documents say anything."""
    measured: Measured | None = None
    """Filled by the store."""

    @property
    def text(self) -> str:
        """The input fields as one text, as `core.task.Example.text` has them."""
        return "\n".join(value for value in self.inputs.values() if value)

    def texts(self) -> Iterator[str]:
        """Every text of a person or of the model that it holds."""
        yield from self.inputs.values()
        yield from (turn.text for turn in self.history)
        yield self.answer
        yield self.raw


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of an answer."""

    id: str
    trace: str
    at: datetime
    key: str = ""
    tenant: str = "default"
    rating: Rating = 0
    corrected: str = ""
    """What the answer should have been."""
    comment: str = ""
    consent: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """Somebody who may ask. The secret is not in it."""

    id: str
    name: str
    tenant: str
    scopes: frozenset[str]
    labels: frozenset[str] | None
    """Access labels: documents that it may see (`seen_by` of a search); None: everything."""
    requests_per_minute: int | None
    tokens_per_day: int | None
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None

    def valid(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)
