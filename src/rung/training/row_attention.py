"""Attention of many rows that lie behind one shared prefix in one sequence: each row sees the prefix and itself.

A mask over the whole sequence would cost its length squared; here the prefix attends to itself once, and the rows are laid side by side
for as long as attention lasts, so that what is computed is rows x longest row x (prefix + longest row).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "rung_rows"


@dataclass(frozen=True)
class Layout:
    """Where the rows of a packed sequence stand: `prefix` tokens first, then the rows, then filling."""

    prefix: int
    gather: torch.Tensor
    """int64 [rows x longest]: the place in the sequence of each row's tokens; 0 behind a row's end."""
    scatter: torch.Tensor
    """int64 [tokens behind the prefix]: where each of them stands in `gather`; filling goes to the first row's first token."""
    rows: int


def layout_of(prefix: int, lengths: list[int], width: int, device: str) -> Layout:
    """The layout of rows of these lengths behind a prefix, in a sequence of `width` tokens."""
    import torch

    longest = max(lengths)
    gather = torch.zeros((len(lengths), longest), dtype=torch.long)
    scatter = torch.zeros(width - prefix, dtype=torch.long)
    start = 0
    for row, length in enumerate(lengths):
        gather[row, :length] = torch.arange(prefix + start, prefix + start + length)
        scatter[start : start + length] = torch.arange(row * longest, row * longest + length)
        start += length
    return Layout(prefix, gather.flatten().to(device), scatter.to(device), len(lengths))


def rows_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    rung_layout: Layout,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: [1, heads, width, d] in, [1, width, heads, d] out.

    Keys and values may have more places than the queries: what stands first comes from a cache, and everything sees it.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attend

    layout, prefix = rung_layout, rung_layout.prefix
    cached = key.shape[2] - query.shape[2]
    seen = cached + prefix
    grouped: dict[str, Any] = {"scale": scaling, "dropout_p": dropout, "enable_gqa": key.shape[1] != query.shape[1]}

    def tails(states: torch.Tensor) -> torch.Tensor:
        """[rows, heads, longest, d]"""
        found = states[0].index_select(1, layout.gather)
        return found.view(found.shape[0], layout.rows, -1, found.shape[2]).transpose(0, 1)

    def behind(states: torch.Tensor) -> torch.Tensor:
        """[rows, heads, seen + longest, d]"""
        own = tails(states[:, :, cached:])
        return torch.cat([states[:, :, :seen].expand(layout.rows, -1, -1, -1), own], dim=2) if seen else own

    asked = tails(query)
    longest = asked.shape[2]

    def causal(length: int, before: int) -> torch.Tensor:
        return torch.ones((length, before + length), dtype=torch.bool, device=query.device).tril(before)

    found = attend(asked, behind(key), behind(value), attn_mask=causal(longest, seen), **grouped)
    out = found.transpose(0, 1).flatten(1, 2).index_select(1, layout.scatter)
    if prefix:
        how: dict[str, Any] = {"attn_mask": causal(prefix, cached)} if cached else {"is_causal": True}
        head = attend(query[:, :, :prefix], key[:, :, :seen], value[:, :, :seen], **how, **grouped)
        out = torch.cat([head[0], out], dim=1)
    return out.transpose(0, 1)[None], None


@contextmanager
def row_attention(base: Any) -> Iterator[None]:
    """For as long as this lasts, `base` attends by rows; its calls take `rung_layout=`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, rows_attention)
    before = base.config._attn_implementation
    base.config._attn_implementation = NAME
    try:
        yield
    finally:
        base.config._attn_implementation = before
