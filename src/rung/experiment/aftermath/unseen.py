"""Unseen cases: dev questions near to a training row against those far from any, and labels or groups training never had.

Only dev is looked at, and only answers that the run has kept: nothing is asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.evaluation import Evaluation, Metric, Row, parts_matrix
from rung.core.hashing import seed_from
from rung.core.model import Encoder
from rung.core.task import Example
from rung.data.leakage.keys import key_of
from rung.data.leakage.shingles import overlap, shingle_sets
from rung.experiment.evaluate import number
from rung.stats.bootstrap import Draws, guarded_interval, resample
from rung.stats.unpaired import unpaired_gap
from rung.store.aftermath import Unseen
from rung.store.records import Interval

_DRAWS = 4_000
_BLOCK = 256
_FEWEST = 4
"""Questions that a side needs; fewer say nothing."""
Floats = NDArray[np.float64]
By = Literal["similarity", "label", "group"]


@dataclass(frozen=True)
class Scored:
    """Answers of one candidate, as the deciding metric scored them."""

    metric: Metric
    rows: Sequence[Row]
    seed: int

    def drawn(self, name: str) -> Draws:
        """The metric on resamples of these rows, turned so that higher is better."""
        sign = 1.0 if self.metric.better == "higher" else -1.0
        scores = [row.scores[self.metric.name] for row in self.rows]
        parts = parts_matrix(scores, self.metric.parts)[:, None, :]
        rng = np.random.default_rng(seed_from(self.seed, "aftermath", name))
        groups = [row.group for row in self.rows]
        return resample(parts, groups, lambda t, n: sign * self.metric.aggregate(t, n), rng, draws=_DRAWS)

    def of(self, ids: frozenset[str]) -> Scored:
        return Scored(self.metric, [row for row in self.rows if row.answer.example in ids], self.seed)

    @property
    def n(self) -> int:
        return sum(row.scores[self.metric.name].status == "scored" for row in self.rows)

    @property
    def failed(self) -> int:
        return sum(row.scores[self.metric.name].status == "failed" for row in self.rows)


def interval_of(drawn: Draws, metric: Metric) -> Interval:
    """Point and 95 % interval of one candidate, in the metric's own direction."""
    low, high = (0.0, 1.0) if metric.better == "higher" else (-1.0, 0.0)
    bounds = guarded_interval(drawn, lowest=low, highest=high)
    ends = [number(drawn.point[0]), number(bounds.low[0]), number(bounds.high[0])]
    if metric.better == "higher":
        return Interval(point=ends[0], low=ends[1], high=ends[2])
    point, high_end, low_end = (None if end is None else -end for end in ends)
    return Interval(point=point, low=low_end, high=high_end)


def gap_of(first: Draws, second: Draws, metric: Metric) -> Interval:
    """First less second, positive where the first is better."""
    low, high = (0.0, 1.0) if metric.better == "higher" else (-1.0, 0.0)
    gap = unpaired_gap(first, second, lowest=low, highest=high)
    return Interval(point=number(gap.point), low=number(gap.low), high=number(gap.high))


def nearest_by_shingles(texts: Sequence[str], train: Sequence[str]) -> Floats:
    """float [n]: the greatest overlap (Jaccard) of each text's character shingles with those of a training text."""
    sets = shingle_sets([key_of(text) for text in (*texts, *train)])
    places = np.arange(len(train)) + len(texts)
    return np.array([float(overlap(sets, np.full(len(train), i), places).max()) for i in range(len(texts))])


def nearest_by_encoder(texts: Sequence[str], train: Sequence[str], encoder: Encoder) -> Floats:
    """float [n]: the greatest cosine of each text with a training text."""
    vectors, others = encoder.encode([*texts]), encoder.encode([*train])
    blocks = [vectors[start : start + _BLOCK] @ others.T for start in range(0, len(texts), _BLOCK)]
    found: Floats = np.concatenate([block.max(axis=1) for block in blocks]).astype(np.float64)
    return found


@dataclass(frozen=True)
class Parts:
    """Ids of questions near to training, and of those far from it; some may be in neither."""

    near: frozenset[str]
    far: frozenset[str]

    @classmethod
    def thirds(cls, similarity: Mapping[str, float]) -> Parts:
        ranked = sorted(similarity, key=lambda id: (similarity[id], id))
        third = len(ranked) // 3
        return cls(frozenset(ranked[len(ranked) - third :]), frozenset(ranked[:third]))


def by_similarity(
    scored: Scored,
    similarity: Mapping[str, float],
    margin: float,
    *,
    how: Literal["encoder", "shingles"],
    plain: Evaluation | None = None,
) -> Unseen | None:
    """The third of the questions farthest from training against the nearest third; None with too few questions.

    `plain`: answers of a rung without tuning: its fall is how much harder the far questions are for anybody.
    """
    thirds = Parts.thirds(similarity)
    found = _split(scored, "similarity", thirds, margin)
    if found is None:
        return None
    near, far = (float(np.median([similarity[id] for id in side])) for side in (thirds.near, thirds.far))
    found = found.model_copy(update={"how": how, "similarity_near": near, "similarity_far": far})
    other = _split(Scored(scored.metric, plain.rows, scored.seed), "similarity", thirds, margin) if plain else None
    if plain is None or other is None:
        return found
    return found.model_copy(update={"untuned": other.change, "untuned_method": plain.header.method})


def by_kind(
    scored: Scored, by: Literal["label", "group"], dev: Sequence[Example], train: Sequence[Example], margin: float
) -> Unseen | None:
    """Questions whose label or group training never had against the others; None unless there are both."""
    of: Callable[[Example], frozenset[str]] = (
        (lambda e: frozenset(e.references)) if by == "label" else (lambda e: frozenset({e.group} - {""}))
    )
    seen = frozenset[str]().union(*(of(example) for example in train))
    known = [example for example in dev if of(example)]
    far = frozenset(example.id for example in known if not of(example) & seen)
    near = frozenset(example.id for example in known) - far
    return _split(scored, by, Parts(near, far), margin)


def _split(scored: Scored, by: By, parts: Parts, margin: float) -> Unseen | None:
    sides = scored.of(parts.near), scored.of(parts.far)
    if min(side.n for side in sides) < _FEWEST:
        return None
    one, other = (side.drawn(f"{by} {name}") for side, name in zip(sides, ("near", "far"), strict=True))
    change = gap_of(other, one, scored.metric)
    verdict: Literal["falls", "holds", "unclear"] = "unclear"
    if change.high is not None and change.high < 0:
        verdict = "falls"
    elif change.low is not None and change.low > -margin:
        verdict = "holds"
    return Unseen(
        by=by,
        n_near=sides[0].n,
        n_far=sides[1].n,
        near=interval_of(one, scored.metric),
        far=interval_of(other, scored.metric),
        change=change,
        verdict=verdict,
    )
