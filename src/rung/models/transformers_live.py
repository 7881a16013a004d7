"""Several answers written with a transformers model at once, each begun while others are being written: continuous batching."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rung.core.model import Completion, Request
from rung.models.local_weights import Loaded
from rung.models.pieces import Pieces
from rung.models.soft_prompt import worn
from rung.models.transformers_writing import decoding, left_padded

_TAKEN = frozenset({"position_ids", "past_key_values", "logits_to_keep"})
"""What a model must be told, besides ids and their mask."""


def can_join(module: Any) -> bool:
    """Whether an answer can be begun beside others: no virtual tokens, and a cache of keys and values that all layers keep whole."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    if worn(module).ids or not _TAKEN.issubset(inspect.signature(module.forward).parameters):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=module.config).layers)


class Row:
    """One answer on its way."""

    def __init__(self, prompt: Sequence[int], request: Request, pieces: Pieces, draw: Any) -> None:
        self.prompt = list(prompt)
        self.request = request
        self.completion: Completion | None = None
        self.draw = draw
        """A generator of random numbers of its own, so that what is drawn depends on no other; None where nothing is."""
        self.last = 0
        """The token that was written last."""
        self._pieces = pieces
        self._fresh = ""
        self._count = 0
        self._begun = time.perf_counter()

    def take_text(self) -> str:
        fresh, self._fresh = self._fresh, ""
        return fresh

    def take_in(self, token: int, end: int) -> None:
        self.last = token
        self._count += 1
        if token == end:
            self.finish("stop")
            return
        self._fresh += self._pieces.add([token])
        if self._pieces.stopped:
            self.finish("stop")
        elif self._count >= self.request.max_tokens:
            self.finish("length")

    def finish(self, how: str) -> None:
        """End it with what has come."""
        self._fresh += self._pieces.end(cut=how != "stop")
        done = Completion(text=self._pieces.text, finish=how, tokens_in=len(self.prompt), tokens_out=self._count)
        self.completion = replace(done, seconds=time.perf_counter() - self._begun)


class LiveBatch:
    """A left-padded batch that rows join and leave. At most `rows` rows, and `tokens` tokens with all that they may still write."""

    def __init__(self, loaded: Loaded, *, rows: int, tokens: int) -> None:
        self._loaded = loaded
        self._most_rows, self._most_tokens = rows, tokens
        self._decode = decoding(loaded.tokenizer)
        self._end: int = loaded.tokenizer.eos_token_id
        self._waiting: list[Row] = []
        self._rows: list[Row] = []
        self._cache: Any = None
        """Keys and values of the rows, `mask` columns wide."""
        self._mask: Any = None
        """[rows, tokens]: 0 where a row is padded."""

    def begin(self, prompt: Sequence[int], request: Request) -> Row:
        """Admit a request: it is written from a later `advance` on."""
        import torch

        draw = None
        if request.temperature > 0:
            draw = torch.Generator(self._loaded.device).manual_seed(request.seed)
        row = Row(prompt, request, Pieces(self._decode, request.stop), draw)
        self._waiting.append(row)
        return row

    def stop(self, row: Row) -> None:
        """End one with what has come of it."""
        if row.completion is None:
            row.finish("cancelled")

    def advance(self) -> None:
        """One token for every row, and the first one of those for whom there is room.

        An error leaves the batch empty: what ran is lost, what comes next begins anew.
        """
        import torch

        try:
            with torch.inference_mode():
                self._leave()
                if self._rows:
                    self._write()
                    self._leave()
                if joining := self._joining():
                    self._join(joining)
        except BaseException:
            self._rows, self._waiting, self._cache, self._mask = [], [], None, None
            raise

    def _write(self) -> None:
        """The next token of every row."""
        import torch

        device = self._loaded.device
        ids = torch.tensor([[row.last] for row in self._rows], device=device)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._rows), 1)], 1)
        places = self._mask.sum(1, keepdim=True) - 1
        self._take(self._rows, self._forward(ids, self._mask, places, self._cache))

    def _join(self, rows: list[Row]) -> None:
        """Read the prompts of rows together, write their first token, and put them beside the others."""
        import torch
        from transformers import DynamicCache

        device = self._loaded.device
        ids, mask = left_padded([row.prompt for row in rows], self._end)
        cache: Any = DynamicCache(config=self._loaded.module.config)
        mask = mask.to(device)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        self._take(rows, self._forward(ids.to(device), mask, places, cache))
        if self._rows:
            most = max(ids.shape[1], self._mask.shape[1])
            for ours, theirs in zip(self._cache.layers, cache.layers, strict=True):
                ours.keys = torch.cat([_wide(ours.keys, most), _wide(theirs.keys, most)])
                ours.values = torch.cat([_wide(ours.values, most), _wide(theirs.values, most)])
            pad = torch.nn.functional.pad
            mask = torch.cat([pad(each, (most - each.shape[1], 0)) for each in (self._mask, mask)])
        else:
            self._cache = cache
        self._mask = mask
        self._rows += rows
        self._leave()

    def _forward(self, ids: Any, mask: Any, places: Any, cache: Any) -> Any:
        """float32 scores [rows, V] of the next token."""
        found = self._loaded.module(
            input_ids=ids,
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return found.logits[:, -1].float()

    def _take(self, rows: Sequence[Row], scores: Any) -> None:
        best = scores.argmax(-1).tolist()
        for i, row in enumerate(rows):
            token = best[i] if row.draw is None else _drawn(scores[i : i + 1], row.request, row.draw)
            row.take_in(token, self._end)

    def _joining(self) -> list[Row]:
        """Those who have waited longest and for whom there is room; one at least where nothing runs."""
        self._waiting = [row for row in self._waiting if row.completion is None]
        room = self._most_rows - len(self._rows)
        longest = max((len(row.prompt) + row.request.max_tokens for row in self._rows), default=0)
        joining: list[Row] = []
        for row in self._waiting[:room]:
            longest = max(longest, len(row.prompt) + row.request.max_tokens)
            n = len(self._rows) + len(joining) + 1
            if n > 1 and n * longest > self._most_tokens:
                break
            joining.append(row)
        self._waiting = self._waiting[len(joining) :]
        return joining

    def _leave(self) -> None:
        """Let rows go that have ended, and columns that only padded them."""
        import torch

        staying = [i for i, row in enumerate(self._rows) if row.completion is None]
        if len(staying) == len(self._rows):
            return
        self._rows = [self._rows[i] for i in staying]
        if not staying:
            self._cache = self._mask = None
            return
        kept = torch.tensor(staying, device=self._mask.device)
        self._mask = self._mask[kept]
        first = int(self._mask.any(0).int().argmax())
        self._mask = self._mask[:, first:]
        for layer in self._cache.layers:
            layer.keys = layer.keys[kept, :, first:]
            layer.values = layer.values[kept, :, first:]


def _wide(states: Any, width: int) -> Any:
    """[rows, heads, tokens, size] with as many columns of zeros before it as it lacks."""
    import torch

    return torch.nn.functional.pad(states, (0, 0, width - states.shape[2], 0))


def _drawn(scores: Any, request: Request, draw: Any) -> int:
    """A token by its chance, as transformers' own `generate` draws it."""
    import torch
    from transformers import TopPLogitsWarper

    scores = scores / request.temperature
    if request.top_p < 1:
        scores = TopPLogitsWarper(request.top_p)(None, scores)
    return int(torch.multinomial(torch.softmax(scores, -1), 1, generator=draw))
