"""Contrastive tuning of a sentence encoder: a text closer to what belongs to it than to anything else in its batch.

The loss of a pair is the cross-entropy of finding its positive among all positives and negatives of the batch by their cosines
(Henderson et al. 2017, arXiv 1705.00652, section 4; van den Oord et al. 2018, arXiv 1807.03748, eq. 4):

    -log( exp(a.p / t) / (exp(a.p / t) + sum over n of exp(a.n / t)) )

where n runs over the batch's other texts that share no family with the pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import DataError, UsageError
from rung.core.hashing import seed_from
from rung.core.model import TrainingParts
from rung.training.attach import add_lora
from rung.training.pairs import DevSet, Pair
from rung.training.row_tokens import RowTokens
from rung.training.settings import TrainSettings, setting

if TYPE_CHECKING:
    import torch

AT_ONCE = 16
"""Texts that go through the network side by side; sorted by length, so that little is padded."""


@dataclass(frozen=True)
class ContrastSettings:
    """What only contrastive tuning needs. Raises UsageError E2410 for a value that cannot be."""

    scale: float = setting(
        20.0,
        "cosines are multiplied by it (1 / temperature): the larger, the more the hardest negatives count",
        "余弦值乘以该数（温度的倒数）：越大，最难的负例越重要",
    )
    hard_negatives: int = setting(
        1,
        "texts for each pair that look right and are wrong, found in the index; 0: only the other texts of a batch",
        "每对文本配几个从索引中找出的难负例；0 表示只用同一批中的其他文本",
    )
    pairs: int = setting(
        0,
        "pairs made of each training text; 0: about 4,000 in all, at most 16 for one text",
        "每条训练文本生成多少对；0 表示总共约 4000 对，每条最多 16 对",
    )

    def __post_init__(self) -> None:
        for name, low, high in (("scale", 0.1, 1000.0), ("hard_negatives", 0, 16), ("pairs", 0, 1000)):
            if not low <= getattr(self, name) <= high:
                raise UsageError("E2410", name=name, value=getattr(self, name), known=f"{low} - {high}")


_OWN = frozenset(field.name for field in fields(ContrastSettings))
_SHARED = """adapter rank alpha targets dropout optimiser learning_rate schedule warmup weight_decay beta1 beta2
    max_grad_norm batch_size micro_tokens epochs max_steps max_seconds max_length evaluations patience save_steps seed"""
SETTINGS = _OWN | frozenset(_SHARED.split())
"""Names that a block of task.yaml may set for contrastive tuning."""
ADAPTERS = ("full", "lora", "dora")
_RATES = {"full": 3e-5, "lora": 5e-4, "dora": 5e-4}


def contrast_settings(given: dict[str, Any]) -> tuple[TrainSettings, ContrastSettings]:
    """Settings of both kinds from one block, with the defaults of an encoder where it says nothing.

    Raises UsageError E2410 for an adapter that an encoder cannot wear.
    """
    adapter = given.get("adapter", "full")
    if adapter not in ADAPTERS:
        raise UsageError("E2410", name="adapter", value=adapter, known=", ".join(ADAPTERS))
    defaults: dict[str, Any] = {
        "adapter": adapter,
        "learning_rate": _RATES[adapter],
        "batch_size": 16,
        "micro_tokens": 4096,
        "epochs": 1.0,
        "warmup": 0.1,
        "max_length": 256,
        "evaluations": 4,
        "save_steps": 200,
    }
    own = {name: value for name, value in given.items() if name in _OWN}
    shared = {name: value for name, value in given.items() if name not in _OWN}
    return TrainSettings(**{**defaults, **shared}), ContrastSettings(**own)


def attach_encoder(parts: TrainingParts, settings: TrainSettings) -> Any:
    """The encoder's network with what is to be trained in it. Raises UsageError E2412 for layers that it does not have."""
    import torch

    if settings.adapter == "full":
        parts.module.requires_grad_(True)
        return parts.module
    torch.manual_seed(seed_from(settings.seed, "lora") % (1 << 63))
    return add_lora(parts, settings, "FEATURE_EXTRACTION")


@dataclass(frozen=True)
class _Gathered:
    """One part of a batch that is too large for memory at once: what its texts' vectors are to be moved by."""

    gradient: torch.Tensor
    """[texts, d]"""
    loss: float
    seed: int
    """Of its dropout, which must fall alike both times."""


class ContrastLoss:
    """An Objective over pairs.

    Every pair is compared with its whole batch. Where a batch is larger than memory allows, its vectors are computed first
    without gradients, the loss gives each vector its gradient, and the parts then go through the network a second time, one
    by one (Gao et al. 2021, arXiv 2101.06983, section 3): the same gradient, for a third more work.
    """

    def __init__(
        self,
        module: Any,
        parts: TrainingParts,
        pairs: Sequence[Pair],
        dev: DevSet,
        settings: TrainSettings,
        contrast: ContrastSettings,
    ) -> None:
        self._module, self._vectors = module, parts.extra["vectors"]
        self._settings, self._scale = settings, contrast.scale
        most = min(settings.max_length, parts.extra["max_tokens"])
        self.pairs, self.dev = list(pairs), list(dev.pairs)
        if not self.pairs:
            raise DataError("E2890")
        self._ids = [parts.encode(_texts(pair), most) for pair in self.pairs]
        self._dev_ids = [parts.encode(_texts(pair), most) for pair in self.dev]
        self.lengths = [sum(map(len, ids)) for ids in self._ids]
        self._gathered: dict[tuple[int, ...], _Gathered] = {}

    def parts(self, batch: Sequence[int], tokens: int) -> list[list[int]]:
        self._gathered = {}
        found: list[list[int]] = [[]]
        for i in sorted(batch, key=lambda i: self.lengths[i]):
            if found[-1] and sum(self.lengths[n] for n in (*found[-1], i)) > tokens:
                found.append([])
            found[-1].append(i)
        if len(found) > 1:
            self._gather(found)
        return found

    def row_tokens(self) -> RowTokens:
        """Lengths of the texts as they go through the network: pair by pair, and padded among their like."""
        every = [len(ids) for pair in self._ids for ids in pair]
        each, mean = len(every) / len(self._ids), sum(self.lengths) / len(self.lengths)
        # As many pairs as a part has; the order of a batch is not known yet, and not needed.
        size = int(max(1, min(self._settings.batch_size, self._settings.micro_tokens / mean)))
        wide = 0
        for start in range(0, len(self._ids), size):
            lengths = sorted(len(ids) for pair in self._ids[start : start + size] for ids in pair)
            blocks = [lengths[n : n + AT_ONCE] for n in range(0, len(lengths), AT_ONCE)]
            wide += sum(len(block) * block[-1] for block in blocks)
        return RowTokens(
            mean / each,
            round(max(self.lengths) / each),
            0.0,
            together=round(each),
            whole=True,
            padding=wide / sum(every),
        )

    def units(self, batch: Sequence[int]) -> int:
        """Pairs that have anything to be told from."""
        pairs = [self.pairs[i] for i in batch]
        return max(1, int((~hidden(pairs)).any(axis=1).sum()))

    def around(self, rows: Sequence[int]) -> AbstractContextManager[None]:
        return nullcontext()

    def loss_sum(self, rows: Sequence[int]) -> torch.Tensor:
        import torch

        ids = [self._ids[i] for i in rows]
        known = self._gathered.get(tuple(rows))
        if known is None:
            return self._losses([self.pairs[i] for i in rows], self._encode(ids), ids).sum()
        torch.manual_seed(known.seed)
        moved = (self._encode(ids) * known.gradient).sum()
        return moved - moved.detach() + known.loss

    def dev_loss(self) -> float:
        import torch

        total, units, size = 0.0, 0, self._settings.batch_size
        with torch.inference_mode():
            for start in range(0, len(self.dev), size):
                pairs, ids = self.dev[start : start + size], self._dev_ids[start : start + size]
                total += float(self._losses(pairs, self._encode(ids), ids).sum())
                units += int((~hidden(pairs)).any(axis=1).sum())
        return total / max(1, units)

    def _gather(self, parts: Sequence[Sequence[int]]) -> None:
        import torch

        first = torch.initial_seed()
        seeds = [(first + n) % (1 << 63) for n in range(len(parts))]
        vectors = []
        with torch.no_grad():
            for part, seed in zip(parts, seeds, strict=True):
                torch.manual_seed(seed)
                vectors.append(self._encode([self._ids[i] for i in part]))
        whole = torch.cat(vectors).requires_grad_(True)
        order = [i for part in parts for i in part]
        losses = self._losses([self.pairs[i] for i in order], whole, [self._ids[i] for i in order])
        losses.sum().backward()  # type: ignore[no-untyped-call]
        assert whole.grad is not None
        gradients = torch.split(whole.grad, [len(part) for part in vectors])
        shares = torch.split(losses.detach(), [len(part) for part in parts])
        for part, gradient, share, seed in zip(parts, gradients, shares, seeds, strict=True):
            self._gathered[tuple(part)] = _Gathered(gradient, float(share.sum()), seed)

    def _encode(self, rows: Sequence[Sequence[Sequence[int]]]) -> torch.Tensor:
        """Unit vectors [texts, d] of the texts of pairs, pair after pair: anchor, positive, negatives."""
        import torch

        texts = [ids for row in rows for ids in row]
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        blocks = [
            self._vectors(self._module, [texts[n] for n in order[start : start + AT_ONCE]])
            for start in range(0, len(order), AT_ONCE)
        ]
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        found: torch.Tensor = torch.cat(blocks)[back.to(blocks[0].device)]
        return found

    def _losses(
        self, pairs: Sequence[Pair], vectors: torch.Tensor, ids: Sequence[Sequence[Sequence[int]]]
    ) -> torch.Tensor:
        """[pairs]: the loss of every pair."""
        import torch

        starts = np.cumsum([0, *(len(row) for row in ids)])
        anchors = starts[:-1].tolist()
        positives = [start + 1 for start in anchors]
        negatives = [n for start, row in zip(anchors, ids, strict=True) for n in range(start + 2, start + len(row))]
        cosines = vectors[anchors] @ vectors[positives + negatives].T
        mask = torch.from_numpy(hidden(pairs)).to(vectors.device)
        # A pair's own positive is hidden as a negative, and is what is to be found.
        mask.fill_diagonal_(False)
        logits = (cosines * self._scale).masked_fill(mask, float("-inf"))
        return torch.nn.functional.cross_entropy(
            logits, torch.arange(len(pairs), device=vectors.device), reduction="none"
        )


def _texts(pair: Pair) -> list[str]:
    return [pair.anchor, pair.positive, *(negative.text for negative in pair.negatives)]


def hidden(pairs: Sequence[Pair]) -> NDArray[np.bool_]:
    """bool [pairs, positives and negatives of all pairs]: what is not held against a pair.

    It is its own positive, or shares a family with it, or says the same as its anchor or its positive: held against it, a right text
    would be pushed away.
    """
    texts = [pair.positive for pair in pairs] + [negative.text for pair in pairs for negative in pair.negatives]
    families = [pair.families for pair in pairs] + [n.families for pair in pairs for n in pair.negatives]
    by_text: dict[str, list[int]] = {}
    by_family: dict[str, list[int]] = {}
    for column, (text, names) in enumerate(zip(texts, families, strict=True)):
        by_text.setdefault(text, []).append(column)
        for name in names:
            by_family.setdefault(name, []).append(column)
    found = np.zeros((len(pairs), len(texts)), np.bool_)
    for row, pair in enumerate(pairs):
        found[row, by_text.get(pair.anchor, [])] = True
        found[row, by_text[pair.positive]] = True
        for name in pair.families:
            found[row, by_family.get(name, [])] = True
    return found


def reciprocal_rank(encoder: Any, dev: DevSet) -> float:
    """Mean over dev's questions of 1 / rank of the first text that belongs to one, by cosine; 0 where there is no question."""
    if not dev.queries:
        return 0.0
    names = list(dict.fromkeys(name for name, _ in dev.texts))
    places = {name: n for n, name in enumerate(names)}
    vectors = np.asarray(encoder.encode([text for _, text in dev.texts]), np.float64)
    centres = np.zeros((len(names), vectors.shape[1]))
    np.add.at(centres, [places[name] for name, _ in dev.texts], vectors)
    centres /= np.maximum(1e-12, np.linalg.norm(centres, axis=1, keepdims=True))
    # Rounded, so that equal texts tie whatever they were encoded with.
    scores = np.round(np.asarray(encoder.encode([query.text for query in dev.queries]), np.float64) @ centres.T, 6)
    total = 0.0
    for row, query in zip(scores, dev.queries, strict=True):
        right = [places[name] for name in query.wanted if name in places]
        if right:
            # Of equals the wrong ones come first: a network that maps all to one point has found nothing.
            total += 1.0 / (1 + int((row > row[right].max()).sum() + (np.delete(row, right) == row[right].max()).sum()))
    return total / len(dev.queries)
