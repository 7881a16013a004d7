"""What a training will take before it starts: memory at its peak by parts, and room on disk for its checkpoints.

Every part is counted from the model's sizes, the settings and the lengths of the rows; the figures that are marked so were measured, and
bench/memory.py compares what they lead to with what trainings take.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from rung.core.model import Sizes
from rung.training.batches import padded
from rung.training.checkpoint import KEPT
from rung.training.row_tokens import Head, RowTokens, Scoring
from rung.training.settings import TrainSettings

LIBRARIES = 415 << 20
"""Bytes of an interpreter that has loaded torch, transformers and peft for a CPU; measured."""
_TRL_LIBRARIES = 530 << 20
"""The same with trl and what it brings along."""
_HOLES = 0.5
"""Bytes the allocator leaves unused for each byte of activations: batches differ in shape, and what is freed seldom fits what comes next.
Measured."""
_FIXED_HOLES = 150 << 20
"""Bytes that fragments and the matrix library's own buffers take whatever the batch; measured."""
_AGAIN = 6
"""Times what one block keeps that its second forward pass and its backward pass hold at once; measured."""
_PLAIN_ATTENTION = 1024
"""Longest row whose attention matrix a CPU writes out; as in `forward.py`."""
_LOGIT_ROWS = 512
"""Rows of the vocabulary held at once where labels are scored; as in `models/choices.py`."""
_ANSWERED_TOKENS, _ANSWERED_ROWS = 12_288, 32
"""Tokens and rows that are answered at once; as in `models/transformers_local.py`."""
_DEV_PARTS = 4
"""The loss on dev is read in parts so many times as long as those of training."""
_TILE_TOKENS, _TILE_WORDS = 4096, 32_768
"""Positions and words of the vocabulary that TRL's head works out at once; as in its `kernels/chunked_logprob.py` ..."""
_TILE_BYTES = 33
"""... and bytes of each pair of them beside the score itself where its backward pass holds the most, on a CPU: by its source."""
_ALL_COPIES = 7
"""Times the scores of all positions that TRL's ORPO holds on its way back; an estimate, never measured."""
_NF4_BYTES = 0.5 + 1 / 64
"""Bytes of a 4-bit weight: its half byte, and its share of the one byte that scales 64 weights."""
SMALLEST_PART = 32
"""Tokens; below this, memory is not won by smaller parts."""


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes, part by part. Parts of different moments do not add up: `peak` does."""

    libraries: int
    weights: int
    """The base model, in the precision it is served in."""
    trained: int
    """Adapters in the model's precision; 0 where the base itself is trained."""
    masters: int
    """Float32 copies that the optimiser moves."""
    reference: int
    """What training began from, where a loss compares with it."""
    gradients: int
    """The model's own, and the optimiser's float32 ones."""
    optimiser: int
    best: int
    """A copy of the best weights so far."""
    activations: int
    """What the largest part of a batch leaves for its backward pass."""
    logits: int
    """Scores of the whole vocabulary at the part's targets, with their gradients."""
    holes: int
    """Freed memory that the allocator cannot use again."""
    gathered: int
    """Layers put together for as long as they are worked out, where the weights are cut over processes."""
    scoring: int
    """Merged and laid-out weights and the caches of answering dev, or of drawing answers."""
    peak: int
    checkpoint: int
    """One checkpoint on disk."""
    disk: int
    """The checkpoints that are kept, the one being written, and the trained weights in their two places."""
    micro_tokens: int
    """Tokens at once that this is the plan for."""

    @property
    def parts(self) -> dict[str, int]:
        """Every part by its name, in bytes."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "micro_tokens"}


class _Linear(NamedTuple):
    name: str
    wide_in: int
    wide_out: int


def plan_memory(
    sizes: Sizes,
    settings: TrainSettings,
    rows: RowTokens,
    dev: Scoring | None = None,
    *,
    libraries: int | None = None,
    shards: int = 1,
) -> MemoryPlan:
    """The plan of one training on one device. `libraries`: bytes that the process holds before it reads weights, where that is known.
    `shards`: processes that weights and optimiser are cut over; the plan is that of the first, which answers dev for all.

    Written for a decoder of the Llama kind and checked there (bench/memory.py); other kinds come out near their own sizes.
    """
    if libraries is None:
        libraries = LIBRARIES if rows.head == "targets" else _TRL_LIBRARIES
    width = sizes.weight_bytes
    trained = _trained_shapes(sizes, settings)
    every = sum(rows_ * columns for rows_, columns in trained)
    count = -(-every // shards)
    own_masters = width == 4
    masters = 0 if own_masters else 4 * count
    gradients = count * width
    state = _state_bytes(settings, trained) // shards
    part = _Part.of(settings, rows)
    activations, logits = _activations(sizes, settings, part), _logits(sizes, settings, part, rows.head)
    holes = int(_HOLES * (activations + logits)) + _FIXED_HOLES
    whole = sizes.parameters * width // shards
    base = whole - _saved_by_quantising(sizes) if settings.adapter == "qlora" else whole
    adapters = 0 if settings.adapter == "full" else count * width
    reference = (adapters or base) if rows.reference else 0
    best = 4 * count if dev is not None else 0
    gathered = _gathered(sizes) if shards > 1 else 0
    scoring = 0 if dev is None else _scoring(sizes, settings, dev, rows)
    if dev is not None and dev.answered and shards > 1:
        scoring += (base + adapters) * shards
    if rows.drawn is not None:
        scoring = max(scoring, _answering(sizes, settings, rows.drawn))
    standing = libraries + base + adapters + masters + reference + state + best
    # The optimiser's float32 gradients replace the model's one by one, and each update is worked out on the largest weight.
    largest = max(rows_ * columns for rows_, columns in trained)
    stepping = (0 if own_masters else 4 * count) + gradients + _working_copies(settings) * 4 * largest
    learning = gradients + activations + logits + holes + gathered
    checkpoint = 4 * every * (2 if dev is not None else 1) + state * shards
    return MemoryPlan(
        libraries=libraries,
        weights=base,
        trained=adapters,
        masters=masters,
        reference=reference,
        gradients=max(gradients, stepping),
        optimiser=state,
        best=best,
        activations=activations,
        logits=logits,
        holes=holes,
        gathered=gathered,
        scoring=scoring,
        # A base is read whole before it is made small.
        peak=max(standing + max(learning, stepping, scoring + _FIXED_HOLES), libraries + whole + _FIXED_HOLES),
        checkpoint=checkpoint,
        disk=(KEPT + 1) * checkpoint + 2 * every * width,
        micro_tokens=settings.micro_tokens,
    )


def _saved_by_quantising(sizes: Sizes) -> int:
    """Bytes by which a 4-bit base is smaller: the linear layers of its blocks, nothing else."""
    linear = sizes.layers * sum(layer.wide_in * layer.wide_out for layer in _linears(sizes))
    return int(linear * (sizes.weight_bytes - _NF4_BYTES))


def lower_to_fit(
    sizes: Sizes,
    settings: TrainSettings,
    rows: RowTokens,
    dev: Scoring | None = None,
    *,
    room: int,
    libraries: int | None = None,
    shards: int = 1,
) -> MemoryPlan:
    """The plan with the most tokens at once that stays within `room` bytes; with the fewest, where none does."""
    while True:
        plan = plan_memory(sizes, settings, rows, dev, libraries=libraries, shards=shards)
        half = settings.micro_tokens // 2
        if plan.peak <= room or half < SMALLEST_PART:
            return plan
        settings = replace(settings, micro_tokens=half)


@dataclass(frozen=True)
class _Part:
    """The largest part of a batch as it goes through the model."""

    tokens: int
    rows: float
    tail: float
    """Tokens of a row behind the shared ones."""
    shared: int
    targets: float
    dropping: bool

    @classmethod
    def of(cls, settings: TrainSettings, rows: RowTokens) -> _Part:
        tail = max(1.0, rows.mean - rows.shared)
        whole = rows.shared + settings.batch_size * rows.together * tail
        tokens = max(min(settings.micro_tokens, whole), rows.longest)
        if rows.whole:
            pair = rows.together * tail
            tokens = max(min(settings.micro_tokens, whole) // pair * pair, rows.together * rows.longest)
        count = max(1.0, (tokens - rows.shared) / tail)
        wide = rows.padding * (tokens - rows.shared)
        return cls(
            padded(int(rows.shared + wide)), count, wide / count, rows.shared, count * rows.target, rows.dropping
        )


def _linears(sizes: Sizes) -> Iterator[_Linear]:
    """The linear layers of one block of a Llama."""
    across, narrow = sizes.heads * sizes.head_width, sizes.kv_heads * sizes.head_width
    yield _Linear("q_proj", sizes.hidden, across)
    yield _Linear("k_proj", sizes.hidden, narrow)
    yield _Linear("v_proj", sizes.hidden, narrow)
    yield _Linear("o_proj", across, sizes.hidden)
    yield _Linear("gate_proj", sizes.hidden, sizes.intermediate)
    yield _Linear("up_proj", sizes.hidden, sizes.intermediate)
    yield _Linear("down_proj", sizes.intermediate, sizes.hidden)


def _adapted(sizes: Sizes, settings: TrainSettings) -> list[_Linear]:
    """The layers of one block that get an adapter; all of them where names say nothing to us."""
    if settings.adapter == "full" or settings.soft:
        return []
    every = list(_linears(sizes))
    named = {name.strip() for name in settings.targets.split(",")}
    return [linear for linear in every if linear.name in named] or every


def _trained_shapes(sizes: Sizes, settings: TrainSettings) -> list[tuple[int, int]]:
    """Rows and columns of every trained weight."""
    if settings.soft:
        tokens, wide = settings.virtual_tokens, sizes.hidden
        if settings.adapter == "prefix":
            return [(tokens, sizes.kv_heads * sizes.head_width)] * (2 * sizes.layers)
        # P-tuning works its prompt out by three square layers.
        return [(tokens, wide)] + ([(wide, wide)] * 3 if settings.adapter == "p_tuning" else [])
    if settings.adapter == "full":
        blocks = [(linear.wide_out, linear.wide_in) for linear in _linears(sizes)] * sizes.layers
        rest = sizes.parameters - sum(rows * columns for rows, columns in blocks)
        return [*blocks, (max(1, rest // sizes.hidden), sizes.hidden)]
    found: list[tuple[int, int]] = []
    for linear in _adapted(sizes, settings):
        found += [(settings.rank, linear.wide_in), (linear.wide_out, settings.rank)]
        found += [(1, linear.wide_out)] if settings.adapter == "dora" else []
    return found * sizes.layers


def _state_bytes(settings: TrainSettings, shapes: Sequence[tuple[int, int]]) -> int:
    """What the optimiser remembers, in float32. Adafactor keeps a row and a column of each weight (arXiv 1804.04235, section 4)."""
    if settings.optimiser == "adafactor":
        return 4 * sum(rows + columns for rows, columns in shapes)
    copies = {"adamw": 2, "adam": 2, "nadam": 2, "rmsprop": 1, "adagrad": 1, "sgd": 1 if settings.beta1 else 0}
    return 4 * copies[settings.optimiser] * sum(rows * columns for rows, columns in shapes)


def _working_copies(settings: TrainSettings) -> int:
    """Copies of a weight that one update makes; the fused optimisers make none."""
    return 0 if settings.optimiser in {"adamw", "adam", "sgd"} else 3


def _activations(sizes: Sizes, settings: TrainSettings, part: _Part) -> int:
    """What autograd keeps of the largest part; with checkpointing each block's input, and what working one block out again takes."""
    block = _block(sizes, settings, part)
    if not settings.gradient_checkpointing:
        return sizes.layers * block
    return sizes.layers * part.tokens * sizes.hidden * sizes.weight_bytes + _AGAIN * block


def _block(sizes: Sizes, settings: TrainSettings, part: _Part) -> int:
    """Bytes kept of one block: the norms' float32 inputs, inputs of trained layers, attention, and the gated feed-forward network."""
    n, e, full = part.tokens, sizes.weight_bytes, settings.adapter == "full"
    adapted = {linear.name: linear for linear in _adapted(sizes, settings)}
    across = sizes.heads * sizes.head_width

    def learns(*names: str) -> bool:
        return full or any(name in adapted for name in names)

    wide = 2 * 4 * sizes.hidden
    wide += 2 * e * sizes.hidden if full else 0
    wide += e * sizes.hidden * (learns("q_proj", "k_proj", "v_proj") + learns("gate_proj", "up_proj"))
    wide += e * across * learns("o_proj")
    wide += e * sizes.intermediate * (3 + learns("down_proj"))
    wide += e * settings.rank * len(adapted)
    if settings.adapter == "dora":
        wide += 2 * e * sum(linear.wide_out for linear in adapted.values())
    if settings.dropout:
        wide += 2 * e * sum(linear.wide_in for linear in adapted.values())
    return int(n * wide + _attention(sizes, part))


def _attention(sizes: Sizes, part: _Part) -> float:
    """Query, keys and values laid side by side, and the weights of attention in float32 where they are written out."""
    across, seen = sizes.heads * sizes.head_width, part.shared + part.tail
    asked, looked_at = part.rows * part.tail, part.rows * seen
    if sizes.device != "cpu" or seen > _PLAIN_ATTENTION:
        return sizes.weight_bytes * across * (2 * (asked + part.shared) + 2 * looked_at)
    states = 4 * across * (asked + 2 * looked_at + 3 * part.shared)
    return states + 4 * sizes.heads * (asked * seen + part.shared**2) * (3 if part.dropping else 1)


def _logits(sizes: Sizes, settings: TrainSettings, part: _Part, head: Head) -> int:
    """The model's scores, their float32 copy, log-probabilities, and as much again for gradients on the way back."""
    if head == "all":
        return _ALL_COPIES * part.tokens * sizes.vocabulary * sizes.weight_bytes
    if head == "tiles":
        # Where Triton is, TRL's kernel takes the targets alone and works in place.
        cpu = sizes.device == "cpu"
        places = min(part.tokens if cpu else int(part.targets), _TILE_TOKENS)
        learned = (4 + sizes.weight_bytes) * sizes.vocabulary * sizes.hidden if settings.adapter == "full" else 0
        each = sizes.weight_bytes + (_TILE_BYTES if cpu else 0)
        return places * min(sizes.vocabulary, _TILE_WORDS) * each + learned
    each = sizes.weight_bytes + 12 + (4 if settings.label_smoothing else 0)
    return int(part.targets * sizes.vocabulary * each)


def _scoring(sizes: Sizes, settings: TrainSettings, dev: Scoring, rows: RowTokens) -> int:
    """Answering dev, or the loss on dev, whichever takes more."""
    e = sizes.weight_bytes
    answering = _answering(sizes, settings, dev) if dev.answered else 0
    read = min(dev.rows * rows.mean, _DEV_PARTS * settings.micro_tokens)
    reading = read * (3 * e * sizes.intermediate + 4 * 4 * sizes.hidden)
    reading += read / rows.mean * rows.target * sizes.vocabulary * (e + 8)
    return int(max(answering, reading))


def _answering(sizes: Sizes, settings: TrainSettings, dev: Scoring) -> int:
    """Weights merged and laid out for answering, the cache, and what goes through the model at once."""
    e = sizes.weight_bytes
    linear = sizes.layers * sum(linear.wide_in * linear.wide_out for linear in _linears(sizes)) * e
    head = sizes.vocabulary * sizes.hidden * e
    merged = 0 if settings.adapter == "full" or settings.soft else linear
    packed = linear + head if e == 2 and sizes.device == "cpu" else 0
    length = dev.prompt + max(dev.written, dev.choices)
    count = max(1.0, min(dev.rows, _ANSWERED_ROWS, _ANSWERED_TOKENS / length))
    cache = 2 * sizes.layers * sizes.kv_heads * sizes.head_width * e * count * length
    through = count * length * (3 * e * sizes.intermediate + 4 * 4 * sizes.hidden)
    chosen = min(_LOGIT_ROWS, count * dev.choices) if dev.choices else count
    answering = cache + through + chosen * sizes.vocabulary * (e + 8)
    return int(merged + packed + answering)


def _gathered(sizes: Sizes) -> int:
    """Two blocks, one at work and one on its way, and what belongs to no block: embeddings, head, last norm."""
    block = sum(linear.wide_in * linear.wide_out for linear in _linears(sizes))
    return (2 * block + max(0, sizes.parameters - sizes.layers * block)) * sizes.weight_bytes


def describe(plan: MemoryPlan) -> dict[str, Any]:
    """The plan in GiB, as records and reports keep it."""
    return {name: round(value / (1 << 30), 4) for name, value in plan.parts.items()} | {
        "micro_tokens": plan.micro_tokens
    }
