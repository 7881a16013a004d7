"""What a training learns from: rows in, a loss out. The loop knows no more of it than this."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from rung.core.errors import DataError
from rung.training.batches import TokenRow
from rung.training.forward import Forward
from rung.training.settings import TrainSettings

if TYPE_CHECKING:
    import torch

MOST_CUT = 0.5
"""Share of rows too long to learn from above which training is refused: what is left would be another task."""


class Objective(Protocol):
    """Rows by number. Gradients of `loss_sum` over the parts of a batch add up to those of the whole."""

    lengths: list[int]
    """Tokens of each row: batches are made of rows of like length."""

    def parts(self, batch: Sequence[int], tokens: int) -> list[list[int]]:
        """A batch in parts of at most so many tokens each; a single row always fits."""
        ...

    def units(self, batch: Sequence[int]) -> int:
        """What the summed loss of a batch is divided by: target tokens, pairs."""
        ...

    def around(self, rows: Sequence[int]) -> AbstractContextManager[None]:
        """What must hold from the loss of these rows to the end of its backward pass."""
        ...

    def loss_sum(self, rows: Sequence[int]) -> torch.Tensor:
        """Summed loss of rows, with gradients."""
        ...

    def dev_loss(self) -> float:
        """Mean loss on dev, without gradients; 0 where there is no dev."""
        ...


class TargetLoss:
    """Negative log-likelihood, in nats, of the targets of token rows."""

    def __init__(
        self, forward: Forward, rows: Sequence[TokenRow], dev: Sequence[TokenRow], settings: TrainSettings
    ) -> None:
        usable = [row for row in rows if row.length <= settings.max_length and row.prompt and row.target]
        self.skipped = len(rows) - len(usable)
        if not usable or self.skipped > MOST_CUT * len(rows):
            raise DataError("E2801", n=self.skipped, total=len(rows), limit=settings.max_length)
        self.rows, self.dev = usable, [row for row in dev if row.prompt and row.target]
        self.lengths = [row.length for row in usable]
        self._forward, self._settings, self._tokens = forward, settings, settings.micro_tokens

    def parts(self, batch: Sequence[int], tokens: int) -> list[list[int]]:
        self._tokens = tokens
        return split(self.rows, batch, tokens, self._forward)

    def units(self, batch: Sequence[int]) -> int:
        return sum(len(self.rows[i].target) for i in batch)

    def around(self, rows: Sequence[int]) -> AbstractContextManager[None]:
        return self._forward.attending([self.rows[i] for i in rows])

    def loss_sum(self, rows: Sequence[int]) -> torch.Tensor:
        return self._loss([self.rows[i] for i in rows], self._settings.label_smoothing)

    def _loss(self, rows: Sequence[TokenRow], smoothing: float) -> torch.Tensor:
        import torch

        logits = self._forward(rows)
        wanted = torch.tensor([token for row in rows for token in row.target], device=logits.device)
        return torch.nn.functional.cross_entropy(logits, wanted, reduction="sum", label_smoothing=smoothing)

    def dev_loss(self) -> float:
        import torch

        if not self.dev:
            return 0.0
        parts = split(self.dev, range(len(self.dev)), self._tokens * 4, self._forward)
        with torch.inference_mode():
            total = sum(self._value([self.dev[i] for i in part]) for part in parts)
        return total / sum(len(row.target) for row in self.dev)

    def _value(self, rows: Sequence[TokenRow]) -> float:
        with self._forward.attending(rows):
            return float(self._loss(rows, 0.0))


def split(rows: Sequence[TokenRow], batch: Sequence[int], tokens: int, forward: Any) -> list[list[int]]:
    """Row numbers of a batch in parts that stay within `tokens` as they go through the model; shortest rows first."""
    parts: list[list[int]] = []
    part: list[int] = []
    for i in sorted(batch, key=lambda i: rows[i].length):
        if part and forward.tokens([rows[n] for n in (*part, i)]) > tokens:
            parts.append(part)
            part = []
        part.append(i)
    return [*parts, part] if part else parts
