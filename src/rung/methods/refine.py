"""What is tried on top of the best way to retrieve: the dear parts only where they can pay, the free ones by what they gain.

A part that asks a model before every question is kept only when the guarded 95 % interval of its paired gain on dev lies above
nothing; a part that costs nothing when it is not behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from rung.core.answer import finder_of
from rung.core.candidate import Recipe
from rung.core.evaluation import Answer
from rung.core.method import Budget, Trial
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.dev_scores import DevScores
from rung.methods.estimate import seconds_per_question
from rung.methods.headroom import SHARE, mean_gain
from rung.methods.race import Spent
from rung.methods.rag_settings import RagSettings, asks_model
from rung.methods.rewordings import handful
from rung.methods.search import race_order
from rung.methods.tuning import Setting, open_for
from rung.methods.ways import Marked, recipe_ranks, reworded
from rung.stats.intervals import Floats
from rung.text.normalise import normalise_answer

_MOST_DEAR = 40
"""Marked questions on which a part is tried that costs something at every question."""
_FEWEST_EACH = 4
"""Questions with and without an answer from which a threshold is looked for."""


class Vary(Protocol):
    """Makes a setting that differs from another in these fields."""

    def __call__(self, setting: Setting, **changes: Any) -> Setting: ...


@dataclass(frozen=True)
class Refinement:
    """What refining stands on."""

    fit: FitData
    model: Model
    budget: Budget
    asked: RagSettings
    marked: Marked
    vary: Vary


@dataclass(frozen=True)
class Step:
    """One part that was tried on top of what there was."""

    part: str
    value: Any
    kept: bool
    why: str
    """no_room | no_gain | dear | behind | gain | not_behind"""
    before: float | None = None
    after: float | None = None
    low: float | None = None
    """Lower end of the interval of the gain, where that decides."""
    by: str | None = None
    """What `before` and `after` are of dev questions: marks, the share whose right passage is shown, or metric."""
    n: int | None = None
    k: int | None = None
    """Passages shown."""
    samples: tuple[dict[str, Any], ...] | None = None
    """Some questions with what was searched for in their place (see `rewordings`)."""

    def record(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def refine(given: Refinement, best: Setting) -> Setting:
    """The setting with every further part that has shown its worth; the journal keeps what was tried under `refined`."""
    work = _Work(given, best)
    try:
        if given.budget.left <= 0:
            raise Spent
        for part, values in _dear(given.asked):
            work.try_dear(part, values)
        for part, values in (("order", given.asked.orders.values), ("drop_below", given.asked.drops.values)):
            if part not in given.asked.fixed:
                work.try_free(part, values)
        work.try_abstaining()
    except Spent:
        given.budget.journal.note("converged", False)
    given.budget.journal.note("refined", [step.record() for step in work.steps])
    return work.best


def _dear(asked: RagSettings) -> Iterator[tuple[str, Sequence[Any]]]:
    yield "query", asked.rewritings.values
    if "rerank" not in asked.fixed:
        yield "rerank", [value for value in asked.reranks.values if value]


class _Work:
    """The best setting so far, and the steps that led there."""

    def __init__(self, given: Refinement, best: Setting) -> None:
        self.given, self.best = given, best
        self.scores = DevScores(given.fit, given.model, given.budget)
        self.examples = race_order(given.fit)
        self.marked = given.marked.sample(_MOST_DEAR)
        self.steps: list[Step] = []

    @property
    def recipe(self) -> Recipe:
        assert self.best.candidate.retriever is not None
        return self.best.candidate.retriever.recipe

    def try_dear(self, part: str, values: Sequence[Any]) -> None:
        """Parts that cost something at every question: first by what they find, then by the metric."""
        for value in values:
            if self.given.budget.left <= 0:
                raise Spent
            variant = self.given.vary(self.best, **{part: value})
            step = self._by_marks(part, value, variant) if self.marked.enough else self._by_metric(part, value, variant)
            self.steps.append(step)
            if step.kept:
                self.best = variant

    def _by_marks(self, part: str, value: Any, variant: Setting) -> Step:
        """Whether more marked passages are found, by the bound, and the metric does not fall for it."""
        marked, model, k = self.marked, self.given.model, self.recipe.k
        before = recipe_ranks(marked, self.recipe, model)
        found = float((before <= k).mean())
        # No second ranking and no other words can bring in what is there already.
        if found >= 1.0:
            return Step(part, value, False, "no_room", before=found)
        assert variant.candidate.retriever is not None
        recipe = variant.candidate.retriever.recipe
        if not self._affordable(recipe, len(marked.examples)):
            return Step(part, value, False, "dear", before=found)
        self.given.budget.progress.update(0, 1, f"trying {part} {value}")
        after = recipe_ranks(marked, recipe, model)
        gain = mean_gain(_shown(before, k), _shown(after, k), [example.group for example in marked.examples])
        told: dict[str, Any] = {"before": found, "after": float((after <= k).mean()), "low": _number(gain.low)}
        told |= {"by": "marks", "n": len(marked.examples), "k": k}
        told |= self._samples(part, marked.examples, recipe, before, after, ranks=True)
        if not gain.low > 0:
            return Step(part, value, False, "no_gain", **told)
        behind = self._value(variant) < self._value(self.best)
        return Step(part, value, not behind, "behind" if behind else "gain", **told)

    def _by_metric(self, part: str, value: Any, variant: Setting) -> Step:
        """Whether answers get better, by the bound."""
        assert variant.candidate.retriever is not None
        recipe = variant.candidate.retriever.recipe
        # Paired means say nothing of a metric of several parts, so there is no bound to keep it by.
        if len(self.scores.metric.parts) > 1 or not self._affordable(recipe, len(self.examples)):
            return Step(part, value, False, "dear")
        before, after = (self.scores.ask(setting, self.examples) for setting in (self.best, variant))
        self._write_down(variant)
        gain = mean_gain(before, after, [example.group for example in self.examples])
        kept = bool(gain.low > 0)
        told: dict[str, Any] = {"before": float(before.mean()), "after": float(after.mean()), "low": _number(gain.low)}
        told |= {"by": "metric", "n": len(self.examples), "k": recipe.k}
        told |= self._samples(part, self.examples, recipe, before, after, ranks=False)
        return Step(part, value, kept, "gain" if kept else "no_gain", **told)

    def _samples(
        self, part: str, examples: Sequence[Example], recipe: Recipe, before: Floats, after: Floats, *, ranks: bool
    ) -> dict[str, Any]:
        """Questions as they were rewritten; the model is not asked again."""
        if part != "query":
            return {}
        wordings = reworded(self.given.fit, examples, recipe, self.given.model)
        return {"samples": tuple(handful(examples, wordings, before, after, ranks=ranks))}

    def _affordable(self, recipe: Recipe, questions: int) -> bool:
        """Whether what a recipe asks the model for so many questions is within what a look may take."""
        if not asks_model(recipe.query, recipe.rerank):
            return True
        calls = (recipe.rerank_depth if recipe.rerank == "model" else 0) + (recipe.query != self.recipe.query)
        return self._within(questions * calls)

    def _within(self, calls: int) -> bool:
        each = seconds_per_question(self.given.fit, self.given.model)
        return calls * each <= SHARE * self.given.budget.left

    def try_free(self, part: str, values: Sequence[Any]) -> None:
        """Parts that cost nothing in use, where more than one passage is shown: the one with the best score, of equals the one
        that shows fewer words. Trying them takes answers to all of dev, so a short budget leaves them out."""
        if self.recipe.k < 2:
            return
        for value in values:
            if value == getattr(self.recipe, part):
                continue
            if not self._within(len(self.examples)):
                self.steps.append(Step(part, value, False, "dear"))
                continue
            variant = self.given.vary(self.best, **{part: value})
            before, after = self._value(self.best), self._value(variant)
            kept = after > before or (part == "drop_below" and after == before)
            why = "gain" if after > before else "not_behind" if kept else "behind"
            self.steps.append(Step(part, value, kept, why, before, after))
            if kept:
                self.best = variant

    def _value(self, setting: Setting) -> float:
        """The metric over the dev questions, higher is better."""
        self.scores.ask(setting, self.examples)
        self._write_down(setting)
        return self.scores.score(setting, self.examples)

    def _write_down(self, setting: Setting) -> None:
        if self.given.budget.journal.find(setting.name) is None:
            self.given.budget.journal.add(self.scores.trial(setting, self.examples))

    def try_abstaining(self) -> None:
        """A score below which the documents do not say, where dev has questions of both kinds; no model is asked for it.

        The threshold that is judged for a question is chosen on the other half of them, so that it is not judged by the
        questions that it was chosen on.
        """
        fit, metric = self.given.fit, self.scores.metric
        silent = np.array([_unanswerable(fit, example) for example in self.examples])
        few = min(silent.sum(), (~silent).sum()) < _FEWEST_EACH
        signals = [by for by in self.given.asked.signals.values if by and (by != "rerank" or self.recipe.rerank)]
        if few or not signals or len(metric.parts) > 1 or metric.better != "higher":
            return
        assert fit.task.output.abstain is not None
        given_up = [Answer(example.id, fit.task.output.abstain) for example in self.examples]
        without = np.array([score.value for score in metric.score(self.examples, given_up)])
        before = self.scores.ask(self.best, self.examples)
        groups = [example.group for example in self.examples]
        found: list[tuple[float, Setting]] = []
        for by in signals:
            seen = self._signals(by)
            after = _judged_by_others(seen, before, without)
            gain = mean_gain(before, after, groups)
            below = _threshold(seen, before, without)
            kept = bool(gain.low > 0)
            told: dict[str, Any] = {
                "before": float(before.mean()),
                "after": float(after.mean()),
                "low": _number(gain.low),
            }
            self.steps.append(Step("abstain_by", by, kept, "gain" if kept else "no_gain", **told))
            if kept:
                found.append((gain.low, self.given.vary(self.best, abstain_by=by, abstain_below=below)))
                self._note_threshold(found[-1][1], np.where(seen < below, without, before))
        if found:
            self.best = max(found, key=lambda pair: pair[0])[1]

    def _note_threshold(self, setting: Setting, scores: Floats) -> None:
        """The trial of a threshold: its answers are known without asking."""
        if self.given.budget.journal.find(setting.name) is None:
            self.given.budget.journal.add(Trial(setting.name, float(scores.mean()), len(scores)))

    def _signals(self, by: str) -> Floats:
        opened = open_for(self.given.fit, self.best.candidate, self.given.model)
        finder = finder_of(opened)
        assert finder is not None
        finder = replace(finder, recipe=self.recipe.model_copy(update={"abstain_by": by, "abstain_below": 0.0}))
        return np.array([one.found.signal if one.found else 0.0 for one in finder.find(self.examples)], np.float64)


def _number(value: float) -> float | None:
    """None for a bound that too few groups leave open."""
    return round(value, 4) if np.isfinite(value) else None


def _shown(ranks: Floats, k: int) -> Floats:
    return (ranks <= k).astype(np.float64)


def _unanswerable(fit: FitData, example: Example) -> bool:
    if not fit.task.output.abstain:
        return False
    form = normalise_answer(fit.task.output.abstain, fit.task.language)
    return any(normalise_answer(reference, fit.task.language) == form for reference in example.references)


def _threshold(seen: Floats, before: Floats, without: Floats) -> float:
    """The score below which abstaining gains most; the lowest where it gains nothing. Between two scores, so that neither is on its edge."""
    levels = np.unique(seen)
    cuts = [float(levels[0]), *((levels[1:] + levels[:-1]) / 2), float(np.nextafter(levels[-1], np.inf))]
    return float(max(cuts, key=lambda cut: float(np.where(seen < cut, without, before).sum())))


def _judged_by_others(seen: Floats, before: Floats, without: Floats) -> Floats:
    """float [n]: the score of each question under the threshold of the half that it is not in."""
    after = before.copy()
    halves = np.arange(len(seen)) % 2
    for half in (0, 1):
        own, other = halves == half, halves != half
        below = _threshold(seen[other], before[other], without[other])
        after[own] = np.where(seen[own] < below, without[own], before[own])
    return after
