"""Training rows for reading passages: the one that holds the answer, distractors beside it, and rows where nothing holds it.

After RAFT (Zhang et al. 2024, arXiv 2403.10131): a model that is tuned on what retrieval happens to find learns to answer without
the passage where it is missing. Here it always has it, at a place drawn by lot, or else is taught to abstain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.core.answer import Hit, Opened, finder_of
from rung.core.finding import passage_of
from rung.core.hashing import seed_from
from rung.core.prompt import render
from rung.core.task import Example, FitData
from rung.text.normalise import normalise_key
from rung.training.rows import TrainingRow, render_rows

AWARE = frozenset({"aware", "abstain_share"})
_WIDE = 12
"""Passages looked through for the one that holds the answer, and for distractors."""


@dataclass(frozen=True)
class GroundedRows:
    rows: list[TrainingRow]
    counts: dict[str, int]
    """gold: rows that show the passage with the answer; abstain: rows that must abstain; found: rows left as retrieval finds them, since
    no passage is known to hold their answer."""


def grounded_rows(fit: FitData, opened: Opened, abstain_share: float) -> GroundedRows:
    """Rows of train. `abstain_share` of those whose passage is known show none of its document and learn to abstain, where the task can."""
    finder = finder_of(opened)
    assert finder is not None
    recipe = finder.recipe
    examples = [example for example in fit.train if example.references]
    plain = render_rows(opened, examples)
    hits = finder.hits(finder.wordings(examples), _WIDE)
    abstain = fit.task.output.abstain
    counts: Counter[str] = Counter(gold=0, abstain=0, found=0)
    rows: list[TrainingRow] = []
    for example, row, near in zip(examples, plain, hits, strict=True):
        rng = np.random.default_rng(seed_from("grounded", fit.seed, example.id))
        gold = _holding(example, near)
        if gold is None:
            counts["found"] += 1
            rows.append(row)
            continue
        others = [hit for hit in near if hit.item.payload["document"] != gold.item.payload["document"]]
        if abstain and rng.random() < abstain_share:
            counts["abstain"] += 1
            rows.append(_showing(opened, example, row, others[: recipe.k], abstain))
            continue
        shown = others[: recipe.k - 1]
        shown.insert(int(rng.integers(0, len(shown) + 1)), gold)
        counts["gold"] += 1
        rows.append(_showing(opened, example, row, shown, row.target))
    return GroundedRows(rows, dict(counts))


def _holding(example: Example, near: Sequence[Hit]) -> Hit | None:
    """The best passage that holds a right answer word for word, in a known document where one is known."""
    wanted = [key for reference in example.references if (key := normalise_key(reference))]
    for hit in near:
        known = not example.documents or hit.item.payload["document"] in example.documents
        if known and any(key in normalise_key(hit.item.text) for key in wanted):
            return hit
    return None


def _showing(opened: Opened, example: Example, row: TrainingRow, hits: Sequence[Hit], target: str) -> TrainingRow:
    passages = tuple(passage_of(hit.item) for hit in hits)
    messages = render(
        opened.candidate.prompt,
        example.inputs,
        shots=row.request.shots,
        passages=passages,
        choices=opened.candidate.output.choices,
        history=example.history,
    )
    request = replace(row.request, messages=messages, passages=passages, found=None)
    return replace(row, request=request, target=target)
