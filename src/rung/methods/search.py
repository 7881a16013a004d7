"""Choosing one of a grid of settings on dev: by a race, or exhaustively where the task file asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rung.core.errors import UsageError
from rung.core.hashing import seed_from
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.dev_scores import DevScores
from rung.methods.estimate import answering_cost
from rung.methods.race import EXHAUSTIVE, Finish, Rule, race
from rung.methods.tuning import Setting, dev_sample
from rung.stats.intervals import Floats

SEARCH_SETTINGS = frozenset({"grid", "search"})
_ALLOWED = {"grid": ("usual", "wide"), "search": ("race", "exhaustive")}


@dataclass(frozen=True)
class Search:
    """How a method looks for its setting, as its block of task.yaml says."""

    grid: Literal["usual", "wide"] = "usual"
    """wide: every combination of the method's settings, 24 and more."""
    search: Literal["race", "exhaustive"] = "race"

    @property
    def wide(self) -> bool:
        return self.grid == "wide"

    @property
    def rule(self) -> Rule:
        return EXHAUSTIVE if self.search == "exhaustive" else Rule()


def search_of(hints: Mapping[str, Any], method: str) -> Search:
    """Raises UsageError E2410 for a value that is not one of the known ones."""
    for name, allowed in _ALLOWED.items():
        if (value := hints.get(name, allowed[0])) not in allowed:
            raise UsageError("E2410", method=method, name=name, value=value, known=", ".join(allowed))
    return Search(**{name: hints[name] for name in _ALLOWED if name in hints})


def race_order(fit: FitData, limit: int | None = None) -> tuple[Example, ...]:
    """The dev questions that settings are tried on, in the seeded order in which they are asked."""
    examples = dev_sample(fit, limit)
    order = np.random.default_rng(seed_from(fit.seed, "race")).permutation(len(examples))
    return tuple(examples[i] for i in order)


def search_cost(fit: FitData, model: Model, how: Search, settings: int, *, longer: float = 1.0) -> Cost:
    """What trying that many settings takes at most."""
    questions = how.rule.calls(settings, len(dev_sample(fit)))
    return answering_cost(fit, model, questions=questions, longer=longer)


def search(
    fit: FitData,
    model: Model,
    budget: Budget,
    settings: Sequence[Setting],
    how: Search,
    *,
    calls: int | None = None,
) -> Setting:
    """The setting that wins on dev; of equals the first, so put cheaper ones first.

    Scores are kept question by question, so that an interrupted search comes to the same end without asking anything twice.
    Each setting leaves one Trial with the number of questions that it saw. When time is up it ends with what it knows and
    notes `converged` as False.
    """
    examples = race_order(fit)
    scores = DevScores(fit, model, budget)
    limit = calls if calls is not None else how.rule.calls(len(settings), len(examples))
    done = 0

    def ask(place: int, start: int, stop: int) -> Floats:
        nonlocal done
        label = ", ".join(f"{key} {value}" for key, value in settings[place].name.items())
        budget.progress.update(done, limit, f"trying {label}")
        found = scores.ask(settings[place], examples[start:stop])
        done += stop - start
        return found

    def write_down(place: int, n: int) -> None:
        if budget.journal.find(settings[place].name) is None:
            budget.journal.add(scores.trial(settings[place], examples[:n]))

    # A metric of one part is a mean; of any other, paired means say nothing.
    mean = len(scores.metric.parts) == 1
    finish = race(
        ask,
        len(settings),
        len(examples),
        rule=how.rule,
        value=None if mean else lambda place, n: scores.score(settings[place], examples[:n]),
        calls=calls,
        leaves=write_down,
    )
    _note(budget, finish, len(examples))
    return settings[finish.winner]


def _note(budget: Budget, finish: Finish, questions: int) -> None:
    # Said either way: a run that goes on with more time may finish what an earlier attempt had to break off.
    budget.journal.note("converged", not finish.stopped)
    everything = len(finish.asked) * questions
    budget.journal.note("race", {"settings": len(finish.asked), "calls": finish.calls, "of": everything})
