"""Headroom: a cheap look before a dear rung at whether it can gain anything here.

Dev is no evidence, and a probe is small: a rung without headroom is "no headroom seen", never "worse".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from rung.core.answer import Hit, Item, Where
from rung.core.candidate import Recipe, RetrieverSlot
from rung.core.hashing import seed_from
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.dev_scores import DevScores
from rung.methods.estimate import seconds_per_question
from rung.methods.search import race_order
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.tuning import Setting, open_for
from rung.retrieval.chunk import chunk_documents
from rung.stats.bootstrap import resample
from rung.stats.intervals import Floats, Interval, clopper_pearson
from rung.stats.paired import compare
from rung.text.tokens import search_tokens

SHARE = 0.15
"""Of a rung's time, as estimated or as the budget allows, that its probe may take."""
QUESTIONS = {"label": 32, "text": 16, "json": 16}
FEWEST = 8
"""Questions below which a probe says nothing."""
_GOLD_WORDS = 140
_LONGER = 2.0
"""How many times as long a question takes with the right passage in its prompt."""


@dataclass(frozen=True)
class Headroom:
    """What a probe saw. `code` and `values` say it in words, from the catalogue of messages."""

    status: Literal["headroom", "none", "unknown"]
    """unknown: the probe was not possible here, or too small to rule a gain out; the rung is run, as it is with `headroom`."""
    code: str
    values: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Probing(Protocol):
    """What a method has that can look for its headroom first."""

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        """`best`: dev score of the best rung so far, higher is better. None: there is nothing to look for here."""
        ...


def affordable(budget: Budget, rung: Cost) -> float:
    """Seconds that a probe of a rung may take."""
    return SHARE * max(0.0, min(budget.left, rung.seconds))


def too_dear() -> Headroom:
    return Headroom("unknown", "E4512", {"share": f"{100 * SHARE:.0f}"})


def phrasing_headroom(fit: FitData, scores: DevScores, settings: Sequence[Setting]) -> Headroom:
    """Whether instructions make any difference: none where every setting scores the same on every question.

    The first of `settings` is the plain one. Nothing is asked where even that would leave room for a gain of the margin.
    """
    examples = race_order(fit)[: QUESTIONS[fit.task.output.kind]]
    n = len(examples)
    if n < FEWEST or clopper_pearson(0, n).high >= fit.task.margin:
        return Headroom("unknown", "E4513", {"n": str(n), "margin": f"{100 * fit.task.margin:g}"})
    table = np.stack([scores.ask(setting, examples) for setting in settings], axis=1)
    changed = int((table != table[:, [0]]).any(axis=1).sum())
    values = {"settings": str(len(settings)), "n": str(n), "changed": str(changed)}
    if not changed:
        return Headroom("none", "E4510", values)
    best = max(scores.score(setting, examples) for setting in settings)
    plain = scores.score(settings[0], examples)
    return Headroom("headroom", "E4511", values | {"plain": f"{plain:.2f}", "best": f"{best:.2f}"})


def passage_headroom(fit: FitData, model: Model, budget: Budget, rung: Cost) -> Headroom:
    """Whether the right passage in the prompt helps: retrieval can at best find that one.

    The same dev questions are answered with the plain prompt and with the passage of their known document; none where the
    upper end of the guarded 95 % interval of the gain lies below the task's margin.
    """
    gold = GoldPassages(fit)
    examples = [example for example in race_order(fit, len(fit.dev)) if gold.of(example)]
    examples = examples[: QUESTIONS[fit.task.output.kind]]
    if len(examples) < FEWEST:
        return Headroom("unknown", "E4514", {"n": str(len(examples))})
    each = (1.0 + _LONGER) * seconds_per_question(fit, model)
    examples = examples[: int(affordable(budget, rung) / each)] if each else examples
    if len(examples) < FEWEST:
        return too_dear()
    bare = Setting({}, new_candidate(fit, model, "prompt", prompt_slot(fit.task)))
    slot = RetrieverSlot(recipe=Recipe(k=2), index=gold.id)
    prompt = prompt_slot(fit.task, "grounded", grounded=True)
    shown = Setting({}, new_candidate(fit, model, "rag", prompt, retriever=slot))
    opened = replace(open_for(fit, bare.candidate, model), candidate=shown.candidate, passages=gold)
    scores = DevScores(fit, model, budget)
    plain, helped = scores.ask(bare, examples), scores.ask(shown, examples, opened=opened)
    gain = mean_gain(plain, helped, [example.group for example in examples])
    values = {
        "n": str(len(examples)),
        "plain": f"{plain.mean():.2f}",
        "gold": f"{helped.mean():.2f}",
        "low": f"{100 * gain.low:+.0f}",
        "high": f"{100 * gain.high:+.0f}",
        "margin": f"{100 * fit.task.margin:g}",
    }
    if gain.high < fit.task.margin:
        return Headroom("none", "E4515", values)
    seen = helped.mean() > plain.mean()
    return Headroom("headroom", "E4516", values) if seen else Headroom("unknown", "E4520", values)


def mean_gain(before: Floats, after: Floats, groups: Sequence[str]) -> Interval:
    """95 % interval of the mean of after - before [n], as the decision would give it: paired, by groups, and guarded.

    Equal scores throughout leave open what so few questions cannot show. Fewer than two groups: nan.
    """
    parts = np.stack([after, before], axis=1)[:, :, None]
    rng = np.random.default_rng(seed_from("gain", len(before)))
    found = compare(resample(parts, groups, lambda totals, n: totals[..., 0] / n, rng))
    return Interval(float(found.lower[0, 1]), float(found.upper[0, 1]))


class GoldPassages:
    """A retriever that knows the answer: for each dev question the passage of its known document that holds it."""

    id = "gold@1"

    def __init__(self, fit: FitData) -> None:
        documents = {document.id: document for document in fit.documents}
        self._found: dict[str, list[Item]] = {}
        for example in fit.dev:
            known = [documents[name] for name in example.documents if name in documents]
            items = chunk_documents(known, _GOLD_WORDS, _GOLD_WORDS // 6)
            if items and example.references:
                self._found[example.asked] = _likeliest(items, example)

    def of(self, example: Example) -> list[Item]:
        return self._found.get(example.asked, [])

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        mode: str = "rrf",
        exclude: Sequence[frozenset[str]] | None = None,
        seen_by: frozenset[str] | None = None,
        where: Where | None = None,
    ) -> list[list[Hit]]:
        return [[Hit(item, 1.0) for item in self._found.get(query, [])[:k]] for query in queries]


def _likeliest(items: Sequence[Item], example: Example) -> list[Item]:
    """The passages that hold a reference word for word, or else those that share most with question and answer."""
    held = [item for item in items if any(right.casefold() in item.text.casefold() for right in example.references)]
    wanted = set(search_tokens(" ".join([example.asked, *example.references])))
    return sorted(held or items, key=lambda item: -len(wanted & set(search_tokens(item.text))))[:2]
