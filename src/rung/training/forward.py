"""From token rows to the logits of their targets, and to no others: packed behind a shared prefix, or padded.

Packed, the rows of a micro-batch are one sequence: the tokens that all of them begin with stand once, and every row sees that prefix
and itself, by a mask, at the positions it would have alone. An instruction that every row repeats is then computed once for all of
them, forward and backward, and nothing is padded (the token trees of `models/choices.py`, with gradients). Padded, rows lie side by side,
as the fused attention kernels of a GPU want them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.training.batches import TokenRow, padded
from rung.training.row_attention import layout_of, row_attention

if TYPE_CHECKING:
    import torch

_PLAIN_ATTENTION = 1024
"""Longest sequence, in tokens, whose attention matrix is written out on a CPU: there the fused kernel's backward pass costs more."""
_SCALED = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")
"""Settings of models that do more after the last layer than multiply by the head."""


def shared_length(rows: Sequence[TokenRow]) -> int:
    """How many tokens all prompts begin with, leaving each prompt its last token."""
    prompts = [row.prompt for row in rows]
    if len(prompts) < 2:
        return 0
    first, last, n = min(prompts), max(prompts), 0
    limit = min(len(prompt) for prompt in prompts) - 1
    while n < limit and first[n] == last[n]:
        n += 1
    return n


class Forward:
    """The logits at target tokens of a causal language model.

    `base` is the model as transformers builds it, adapted layers in it or not. Where it wears a soft prompt (`models/soft_prompt.py`),
    that stands before every row.
    """

    def __init__(self, base: Any, *, device: str = "cpu", packed: bool | None = None) -> None:
        self._base, self._device = base, device
        plain = not any(getattr(base.config, name, None) for name in _SCALED)
        self._packed = device == "cpu" or not plain if packed is None else packed
        soft = getattr(base, "soft_prompt", None)
        self._cached = soft.cached if soft else 0
        self._cache = soft.cache if soft else lambda rows: None
        self._before = list(soft.ids[self._cached :]) if soft else []

    def tokens(self, rows: Sequence[TokenRow]) -> int:
        """How many tokens go through the model for these rows, padding included."""
        rows = self._behind(rows)
        if self._packed:
            shared = shared_length(rows)
            return padded(shared + sum(row.length - 1 - shared for row in rows))
        return len(rows) * padded(max(row.length for row in rows))

    @contextmanager
    def attending(self, rows: Sequence[TokenRow]) -> Iterator[None]:
        """What must hold while these rows go through the model, forward and backward: activations may be computed again there."""
        with (
            row_attention(self._base) if self._packed else nullcontext(),
            plain_attention(self._cached + max(row.length for row in self._behind(rows)), self._device),
        ):
            yield

    def __call__(self, rows: Sequence[TokenRow]) -> torch.Tensor:
        """float32 [targets, vocabulary]: row after row, the logits that predict each of its target tokens. To be called inside `attending`."""
        rows = self._behind(rows)
        return self._pack(rows) if self._packed else self._pad(rows)

    def _behind(self, rows: Sequence[TokenRow]) -> Sequence[TokenRow]:
        """The rows behind the virtual tokens that go through the model."""
        return [TokenRow(self._before + row.prompt, row.target) for row in rows] if self._before else rows

    def _pack(self, rows: Sequence[TokenRow]) -> torch.Tensor:
        import torch

        shared = shared_length(rows)
        first = self._cached + shared
        ids, positions = list(rows[0].prompt[:shared]), list(range(self._cached, first))
        wanted: list[int] = []
        # The last target is predicted and never read.
        tails = [[*row.prompt[shared:], *row.target[:-1]] for row in rows]
        for row, tail in zip(rows, tails, strict=True):
            ids += tail
            positions += range(first, first + len(tail))
            wanted += range(len(ids) - len(row.target), len(ids))
        filling = [0] * (padded(len(ids)) - len(ids))
        layout = layout_of(shared, [len(tail) for tail in tails], len(ids) + len(filling), self._device)
        out = self._base(
            input_ids=torch.tensor([ids + filling], device=self._device),
            position_ids=torch.tensor([positions + filling], device=self._device),
            past_key_values=self._cache(1),
            use_cache=False,
            logits_to_keep=torch.tensor(wanted, device=self._device),
            rung_layout=layout,
        )
        logits: torch.Tensor = out.logits[0].float()
        return logits

    def _pad(self, rows: Sequence[TokenRow]) -> torch.Tensor:
        import torch

        width = padded(max(row.length for row in rows))
        ids = np.zeros((len(rows), width), dtype=np.int64)
        where_row: list[int] = []
        where_place: list[int] = []
        for i, row in enumerate(rows):
            ids[i, : row.length] = row.prompt + row.target
            n = len(row.prompt)
            where_row += [i] * len(row.target)
            where_place += range(n - 1, n - 1 + len(row.target))
        # Attention is causal and padding lies on the right, so that no mask is needed.
        decoder = self._base.get_decoder()
        hidden = decoder(
            input_ids=torch.from_numpy(ids).to(self._device), past_key_values=self._cache(len(rows)), use_cache=False
        ).last_hidden_state
        logits: torch.Tensor = self._base.get_output_embeddings()(hidden[where_row, where_place]).float()
        return logits


def plain_attention(width: int, device: str) -> AbstractContextManager[Any]:
    """Plain attention for short sequences on a CPU."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" and width <= _PLAIN_ATTENTION else nullcontext()
