"""What a report says of trainings: the step that was kept, what went wrong on the way, the seeds' spread, the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.errors import Problem, catalogue
from rung.reporting.axes import round_ticks
from rung.reporting.facts import plain
from rung.reporting.ladder import Ladder, Line
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.pencil import altair, axis_looks, rows, title
from rung.reporting.svg import TOKENS, to_svg
from rung.reporting.words import Words

TOLD = frozenset({"curve", "converged", "stopped", "training", "seeds", "seed_spread", "seed_curves", "search"})
"""Notes of a method that are told here, in sentences and pictures."""
_PANELS = 3
"""Settings of a search that get a picture, the ones that mattered most first."""


@dataclass(frozen=True)
class TrialRow:
    """One trial of a search, in words."""

    number: int
    settings: tuple[tuple[str, str], ...]
    score: str
    state: str
    seconds: str


@dataclass(frozen=True)
class SearchView:
    """A search for hyper-parameters as the page shows it."""

    sentences: tuple[str, ...]
    pictures: tuple[tuple[str, str], ...]
    """(what it shows, SVG)"""
    rows: tuple[TrialRow, ...]


@dataclass(frozen=True)
class TrainingView:
    """What there is to say of one rung's training."""

    name: str
    sentences: tuple[str, ...]
    search: SearchView | None


def view_trainings(ladder: Ladder, words: Words, numbers: Numbers) -> dict[str, TrainingView]:
    """By the name of the rung; only of rungs that trained."""
    found = {}
    for line in ladder.lines:
        notes = line.outcome.notes if line.outcome else {}
        if notes.get("training") or notes.get("search") or notes.get("seeds"):
            teller = _Teller(line, notes, ladder.metric, words, numbers)
            found[line.name] = TrainingView(line.name, tuple(teller.sentences()), teller.search())
    return found


@dataclass(frozen=True)
class _Teller:
    line: Line
    notes: Mapping[str, Any]
    metric: str
    words: Words
    numbers: Numbers

    def sentences(self) -> list[str]:
        training: Mapping[str, Any] = self.notes.get("training") or {}
        found = [self._kept(training)] if training else []
        if self.notes.get("stopped") in {"early", "budget"}:
            found.append(self.words(f"training.stopped_{self.notes['stopped']}"))
        if training.get("tokens_per_second"):
            speed = f"{training['tokens_per_second']:,.0f}"
            found.append(self.words("training.speed", time=self.numbers.seconds(training.get("seconds", 0.0)), n=speed))
        found += [self._note(note) for note in training.get("notes") or ()]
        return [*found, *self._seeds()]

    def _kept(self, training: Mapping[str, Any]) -> str:
        planned = f"{training.get('planned_steps', 0):,}"
        if not training.get("best_step"):
            return self.words("training.unscored", steps=f"{training.get('steps', 0):,}", planned=planned)
        score = self.score(training.get("best_dev"))
        return self.words("training.kept", step=f"{training['best_step']:,}", planned=planned, score=score)

    def _note(self, note: Mapping[str, Any]) -> str:
        """A note by its kind; of a kind that this file does not know, its values as they are."""
        key = f"training.note_{note.get('kind')}"
        values = {name: f"{value:,}" if isinstance(value, (int, float)) else value for name, value in note.items()}
        try:
            return self.words(key, **values)
        except KeyError:
            return plain(dict(note), self.words)

    def _seeds(self) -> list[str]:
        seeds: Sequence[Mapping[str, Any]] = self.notes.get("seeds") or ()
        spread = (self.notes.get("seed_spread") or {}).get("spread")
        found = []
        if spread is not None and len(seeds) > 1:
            scores = self.words.join([self.score(seed["best_dev"]) for seed in seeds if seed["best_dev"] is not None])
            shown = self.numbers.step(spread, self.metric)
            found.append(self.words("training.seeds", n=len(seeds), scores=scores, spread=shown))
        for seed in seeds:
            if seed.get("problem"):
                found.append(
                    self.words("training.seed_failed", seed=seed["seed"], reason=self._problem(seed["problem"]))
                )
        return found

    def _problem(self, code: str) -> str:
        """The first sentence of an error whose values are not kept."""
        return (
            Problem(code).message(self.words.language).split("{")[0].strip(" (（:：,，")
            if code in catalogue()
            else code
        )

    def score(self, value: float | None) -> str:
        return NONE if value is None else self.numbers.point(value, self.metric)

    def search(self) -> SearchView | None:
        noted: Mapping[str, Any] = self.notes.get("search") or {}
        trials: list[dict[str, Any]] = list(noted.get("trials") or ())
        if not trials:
            return None
        words = self.words
        share = f"{100 * noted.get('share', 0.0):.0f}%"
        told = [words("training.search", done=len(trials), planned=noted.get("planned", len(trials)), share=share)]
        counts = {state: sum(trial["state"] == state for trial in trials) for state in ("stopped", "failed")}
        if any(counts.values()):
            told.append(words("training.search_counts", **counts))
        importance: Mapping[str, float] = noted.get("importance") or {}
        if importance:
            shares = [words("labelled", name=name, value=f"{100 * part:.0f}%") for name, part in importance.items()]
            told.append(words("training.importance", shares=words.join(shares)))
        names = [*importance, *(name for name in trials[0]["values"] if name not in importance)]
        drawn = [(name, self._picture(name, trials, noted)) for name in names]
        pictures = [(words("training.search_alt", name=name), svg) for name, svg in drawn if svg][:_PANELS]
        return SearchView(tuple(told), tuple(pictures), tuple(self._row(trial, noted) for trial in trials))

    def _row(self, trial: Mapping[str, Any], noted: Mapping[str, Any]) -> TrialRow:
        state = "best" if trial["number"] == noted.get("best") else trial["state"]
        values = trial["values"].items()
        return TrialRow(
            number=trial["number"] + 1,
            settings=tuple((name, f"{v:.3g}" if isinstance(v, float) else str(v)) for name, v in values),
            score=self.score(trial.get("score")),
            state=self.words(f"training.state_{state}"),
            seconds=self.numbers.seconds(trial.get("seconds", 0.0)),
        )

    def _picture(self, name: str, trials: list[dict[str, Any]], noted: Mapping[str, Any]) -> str:
        """Score against one setting, a mark for each trial; empty where it was the same in all of them."""
        factor, unit = self.numbers.factor(self.metric), self.numbers.unit(self.metric)
        drawn = [
            {
                "at": trial["values"][name],
                "score": trial["score"] * factor,
                "place": "best" if trial["number"] == noted.get("best") else trial["state"],
            }
            for trial in trials
            if trial.get("score") is not None and name in trial["values"]
        ]
        values = {row["at"] for row in drawn}
        if len(values) < 2:
            return ""
        alt = altair()
        numeric = all(isinstance(value, (int, float)) for value in values)
        log = name in (noted.get("log") or ())
        axis = {"title": name, "grid": False, **axis_looks()}
        if numeric and (log or any(isinstance(value, float) for value in values)):
            scale = alt.Scale(type="log" if log else "linear", nice=False, zero=False, padding=12)
            x = alt.X("at:Q", scale=scale, axis=alt.Axis(tickCount=3, format="~g", **axis))
        else:
            x = alt.X(
                "at:O", sort=sorted(values, key=str if not numeric else float), axis=alt.Axis(labelAngle=0, **axis)
            )
        scores = [row["score"] for row in drawn]
        ticks = round_ticks(min(scores), max(scores), 4)
        low, high = min(*scores, *ticks), max(*scores, *ticks)
        air = 0.1 * (high - low) or 0.05 * (abs(high) or 1.0)
        y = alt.Y(
            "score:Q",
            scale=alt.Scale(domain=[low - air, high + air], nice=False, zero=False),
            axis=alt.Axis(
                values=list(ticks), title=None, labelExpr=f"format(datum.value, '~g') + '{unit}'", **axis_looks()
            ),
        )
        layers = []
        for place, shape, filled, size, color in _MARKS:
            some = [row for row in drawn if row["place"] == place]
            if some:
                looks = {"shape": shape, "filled": filled, "size": size, "opacity": 1, "strokeWidth": 1.5}
                layers.append(rows(some).mark_point(color=TOKENS[color], **looks).encode(x=x, y=y))
        named = self.words("axis.trial_score", name=name)
        return to_svg(alt.layer(*layers).properties(width=240, height=160, title=title(named, strong=True)))


_MARKS = (
    ("stopped", "circle", False, 60, "other"),
    ("done", "circle", True, 60, "other"),
    ("best", "diamond", True, 160, "winner"),
)
"""State, shape, whether it is filled, size in square pixels, colour; the best last, on top of the others."""
