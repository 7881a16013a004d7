"""What came between a question and its prompt: what was searched for, what was found, what was left out, and what that took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """What the calls took that were made before a question was put to the model."""

    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    money: float = 0.0

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.seconds + other.seconds,
            self.money + other.money,
        )


@dataclass(frozen=True, slots=True)
class Wording:
    """What is searched for in place of a question; several texts are searched one by one and their lists fused."""

    texts: tuple[str, ...]
    effort: Effort = Effort()
    failure: str = ""
    """Why it is searched as asked after all: the kind of a failure, or `empty`."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A passage with its score, by its id."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """How the passages of a request came about."""

    asked: str
    searched: tuple[str, ...]
    hits: tuple[Scored, ...] = ()
    """As the index ranks them, best first."""
    ranked: tuple[Scored, ...] = ()
    """As they were ranked once more, best first; empty where nobody did that."""
    too_weak: tuple[str, ...] = ()
    """Left out because their score lies far below the first one's."""
    no_room: tuple[str, ...] = ()
    """Left out because the model's context does not hold them."""
    failure: str = ""
    """Why the question was searched as asked where it was to be rewritten."""
    signal: float | None = None
    """The score by which it is decided whether the documents say anything."""
    abstain: bool = False
    """The signal is too low: the answer is that the documents do not say."""
    effort: Effort = Effort()

    @property
    def notes(self) -> tuple[str, ...]:
        """What an answer says of it: `<what>: <which>`, where anything was left out or went another way than planned."""
        said = [f"too_weak: {name}" for name in self.too_weak] + [f"no_room: {name}" for name in self.no_room]
        if self.failure:
            said.append(f"searched_as_asked: {self.failure}")
        if self.abstain:
            said.append(f"abstained_by_score: {self.signal:.4g}")
        return tuple(said)
