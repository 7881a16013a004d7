"""What a training sends through the model, as its memory is planned by it: lengths of rows, and how questions are answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rung.training.batches import TokenRow
from rung.training.settings import TrainSettings

Head = Literal["targets", "tiles", "all"]
"""Which scores of the vocabulary are held: at the targets; at every position, a tile of the vocabulary at a time; at every position, whole."""


@dataclass(frozen=True)
class Scoring:
    """How questions are answered while training: those of dev, or those that reinforcement draws answers to."""

    rows: int
    prompt: float
    """Mean length of a prompt, in tokens."""
    written: int = 0
    """Tokens that an answer may have."""
    choices: int = 0
    """Tokens of the tree of labels, where one of a set is chosen."""
    answered: bool = True
    """False where only the loss on dev is taken."""


@dataclass(frozen=True)
class RowTokens:
    """Lengths of the rows to learn, in tokens, and how they go through the model."""

    mean: float
    longest: int
    target: float
    """Mean length of a target."""
    shared: int = 0
    """Tokens that all rows begin with; they go through the model once for a part."""
    together: int = 1
    """Rows that make one of the batch: the answers of a pair, or those drawn to a question."""
    whole: bool = False
    """Whether such rows stay in one part."""
    padding: float = 1.0
    """Tokens that go through the model for each one of the rows."""
    dropping: bool = False
    """Whether weights of attention are dropped at random, for which they are kept three times."""
    head: Head = "targets"
    reference: bool = False
    """Whether a copy of what is trained, as it was at the beginning, is kept beside it."""
    drawn: Scoring | None = None
    """How the rows are drawn, where the model writes them itself."""

    @classmethod
    def of(cls, rows: Sequence[TokenRow]) -> RowTokens:
        lengths = [row.length for row in rows]
        first, last = min(row.prompt for row in rows), max(row.prompt for row in rows)
        limit = min(len(first), len(last)) - 1
        shared = next((n for n in range(limit) if first[n] != last[n]), max(0, limit))
        return cls(
            sum(lengths) / len(lengths),
            max(lengths),
            sum(len(row.target) for row in rows) / len(rows),
            shared if len(rows) > 1 else 0,
        )

    def stretched(self, times: float) -> RowTokens:
        """Rows whose own part of the prompt is so many times as long."""
        own = max(0.0, self.mean - self.shared - self.target) * (times - 1)
        return replace(self, mean=self.mean + own, longest=int(self.longest + own))

    def compared(self, settings: TrainSettings) -> RowTokens:
        """The same rows as answers that are preferred or not, by TRL's losses; a new adapter needs no copy of itself as the reference."""
        orpo = settings.loss == "orpo"
        return replace(
            self,
            shared=0,
            together=1 if settings.loss == "kto" else 2,
            whole=True,
            head="all" if orpo else "tiles",
            reference=settings.adapter == "full" and not orpo,
        )

    def rewarded(self, settings: TrainSettings, written: int, choices: int = 0) -> RowTokens:
        """The same prompts behind which `written` tokens are drawn, or one of a set of choices, and rewarded."""
        times, prompt = settings.generations, self.mean - self.target
        questions = settings.batch_size * (1 if choices else times)
        return replace(
            self,
            mean=prompt + written,
            longest=int(self.longest - self.target + written),
            target=float(written),
            shared=0,
            together=times,
            head="tiles",
            reference=settings.adapter == "full" and settings.beta > 0,
            drawn=Scoring(questions, prompt, 0 if choices else written, choices),
        )
