"""Pairs for a classifier's encoder: texts of one label belong together, the nearest of another label are what it must tell apart.

After Tunstall et al. 2022 (arXiv 2209.11055), with negatives found in an index of the examples rather than drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rung.core.answer import Retriever
from rung.core.hashing import seed_from
from rung.core.registry import create
from rung.core.task import Example, FitData
from rung.methods.slots import encoder_named, nearest_shots, seeded_sample
from rung.training.pairs import DevSet, Negative, Pair, Query

_PAIRS = 4000
"""Pairs in all where nobody says how many: minutes of work on a small processor."""
_MOST = 16
_TURNS = 4
"""Negatives of a text that take turns in its pairs, for each that a pair gets."""
_DEV_QUESTIONS = 200
_DEV_TEXTS = 600
_DEV_PAIRS = 64


def pairs_each(texts: int, asked: int) -> int:
    """Pairs of each of so many texts: as many as asked for, or for 0 about `_PAIRS` in all."""
    return asked or max(1, min(_MOST, _PAIRS // max(1, texts)))


def label_pairs(fit: FitData, *, hard: int, per_text: int) -> list[Pair]:
    """Up to `per_text` pairs (0: by how many texts there are) of each training text, with `hard` negatives each.

    A text that is the only one of its label is paired with itself: dropout makes two of it.
    """
    examples = _labelled(fit)
    by_label: dict[str, list[int]] = defaultdict(list)
    for n, example in enumerate(examples):
        by_label[example.references[0]].append(n)
    per_text = pairs_each(len(examples), per_text)
    near = _nearest_of_others(fit, examples, hard * _TURNS) if hard else [[] for _ in examples]
    pairs = []
    for n, example in enumerate(examples):
        others = [i for i in by_label[example.references[0]] if i != n] or [n]
        order = np.random.default_rng(seed_from(fit.seed, "pairs", example.id)).permutation(len(others))
        for turn, place in enumerate(order[:per_text]):
            start = turn * hard % max(1, len(near[n]))
            pairs.append(
                Pair(
                    f"{example.id}/{turn}",
                    example.asked,
                    examples[others[place]].asked,
                    tuple((near[n] + near[n])[start : start + hard]),
                    _families(example),
                )
            )
    return pairs


def label_dev(fit: FitData) -> DevSet:
    """Dev questions whose label is to be found among the labels' mean vectors, as training texts give them."""
    examples = _labelled(fit)
    texts = seeded_sample(examples, _DEV_TEXTS, fit.seed, "dev texts")
    first = {example.references[0]: example.asked for example in reversed(texts)}
    asked = [e for e in seeded_sample(fit.dev, _DEV_QUESTIONS, fit.seed, "dev") if e.references]
    pairs = [Pair(e.id, e.asked, first[e.references[0]], (), _families(e)) for e in asked if e.references[0] in first]
    return DevSet(
        tuple(Query(e.asked, (e.references[0],)) for e in asked),
        tuple((e.references[0], e.asked) for e in texts),
        tuple(pairs[:_DEV_PAIRS]),
    )


def _labelled(fit: FitData) -> list[Example]:
    return [example for example in fit.train if example.references and example.asked.strip()]


def _families(example: Example) -> tuple[str, ...]:
    label = f"label:{example.references[0]}"
    return (label, f"group:{example.group}") if example.group else (label,)


def _nearest_of_others(fit: FitData, examples: Sequence[Example], k: int) -> list[list[Negative]]:
    """For each text the k nearest that share neither label nor group with it, nearest first."""
    index: Retriever = create(
        "retriever",
        "index",
        folder=fit.run / "indexes" / nearest_shots(fit, 1).index.split("@")[0],
        encoder=encoder_named(fit.encoder),
    )
    members: dict[str, set[str]] = defaultdict(set)
    by_id = {example.id: example for example in examples}
    for example in examples:
        for family in _families(example):
            members[family].add(example.id)
    kin = [frozenset().union(*(members[family] for family in _families(example))) for example in examples]
    found = index.search([example.asked for example in examples], k, mode="dense", exclude=kin)
    return [
        [Negative(hit.item.text, _families(by_id[hit.item.id])) for hit in hits if hit.item.id in by_id]
        for hits in found
    ]
