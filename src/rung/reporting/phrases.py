"""Sentences of the report: the verdict in one line, pairs in words, what became of a rung."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from rung.core.candidate import Candidate
from rung.core.errors import Problem, catalogue
from rung.reporting.facts import plain
from rung.reporting.ladder import Ladder, Line
from rung.reporting.marks import Kind, Sides
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.reading import Reading
from rung.reporting.training import TOLD
from rung.reporting.words import Words
from rung.store.records import Check, Decision, Interval, Pair

Relation = Literal["better", "same", "unclear"]


@dataclass(frozen=True)
class PairPhrase:
    """A difference in words, with the better one first where there is one."""

    relation: Relation
    first: str
    second: str
    difference: Interval
    """first - second, positive where the first is better."""
    sentence: str
    p_value: float | None
    """Of the pair alone."""
    p_holm: float | None = None
    """Corrected for all pairs, where `rung compare` has tested them."""


@dataclass(frozen=True)
class Speaker:
    """Makes sentences about one run in one language."""

    reading: Reading
    ladder: Ladder
    words: Words
    numbers: Numbers

    def verdict(self) -> str:
        """The one line that everything else supports."""
        decision = self.reading.decision
        if decision is None:
            return self.words("verdict.none")
        winner = self.ladder.winner
        key: str = decision.verdict
        if key in {"winner", "tie"} and winner is None:
            key = "unresolved"
        if key == "unresolved" and not any(standing.eligible for standing in decision.standings):
            key = "none_eligible"
        if key == "winner" and winner and winner.cell.method == "recorded":
            key = "better"
        elif key == "winner" and decision.alone:
            key = "alone"
        target = "" if decision.target is None else self.numbers.point(decision.target, decision.metric)
        return self.words(f"verdict.{key}", name=winner.name if winner else "", target=target)

    def reason(self) -> str:
        decision = self.reading.decision
        if decision is None:
            done = sum(line.state in {"tested", "untested"} for line in self.ladder.lines)
            return self.words("verdict.progress", done=done, n=len(self.ladder.lines))
        return self.words.of(decision.reason)

    def would_change(self) -> list[str]:
        decision = self.reading.decision
        return [self.words.of(text) for text in decision.would_change] if decision else []

    def crown(self) -> str:
        """What the named candidate is: the winner, the cheapest of a tie, or only the best so far."""
        decision = self.reading.decision
        known = decision.verdict if decision else "none"
        return self.words(f"crown.{known if known in {'winner', 'tie'} else 'unproven'}")

    def tied(self) -> str:
        """What a tied candidate is; without a winner, ties are with the best."""
        return self.words("flag.tied" if self.ladder.winner else "flag.tied_best")

    def state(self, line: Line) -> str:
        """Why a rung has no test result, or an empty text."""
        if line.state == "tested":
            return ""
        said = self.words(f"state.{line.state}")
        reasons = line.outcome.why(self.words.language) if line.outcome else line.cell.hindrance(self.words.language)
        return self.words("state.because", state=said, reason=reasons) if reasons else said

    def flags(self, line: Line) -> list[tuple[str, str]]:
        """(kind, words) of everything that a reader of the line must not miss."""
        found = []
        if line.place == "winner":
            found.append(("winner", self.crown()))
        if line.place == "tied":
            found.append(("tied", self.tied()))
        if not line.converged:
            found.append(("warning", self.words("flag.not_converged")))
        if line.evaluation and line.evaluation.header.resumed:
            found.append(("note", self.words("flag.resumed")))
        apart = line.without_copies(self.ladder.metric)
        if apart:
            shown = self.numbers.quality(apart.quality, self.ladder.metric)
            found.append(("note", self.words("flag.copies", n=f"{apart.copies:,}", quality=shown)))
        standing = line.standing
        for check in standing.checks if standing else ():
            if not check.ok:
                found.append(("warning", self.check(check)))
        if standing and standing.meets_target is not None:
            key = "flag.on_target" if standing.meets_target else "flag.off_target"
            found.append(("target", self.words(key)))
        return found

    def check(self, check: Check) -> str:
        """A broken limit: what was measured, and what was allowed."""
        name = self.words.known(f"check.{check.name}", check.name)
        return self.words(
            "flag.minimum" if check.name.startswith("min_") else "flag.check",
            name=name,
            value=self._measure(check, check.value),
            limit=self._measure(check, check.limit),
        )

    def _measure(self, check: Check, value: float | None) -> str:
        if value is None:
            return self.words("unknown")
        if "latency" in check.name:
            return self.numbers.seconds(value)
        if any(part in check.name for part in ("share", "stability", "rate")):
            return f"{value * 100:.1f}%"
        return f"{value:.2f} GiB" if "memory" in check.name else f"{value:g}"

    def pair(self, pair: Pair, decision: Decision) -> PairPhrase:
        """Turned so that positive is better and the better candidate comes first."""
        given = pair.difference
        sign = 1.0 if decision.better == "higher" else -1.0
        first, second = pair.candidate, pair.other
        low, high, point = given.low, given.high, given.point
        if low is None or high is None:
            blank = self.words("pair.unknown", a=self.ladder.name(first), b=self.ladder.name(second))
            names = self.ladder.name(first), self.ladder.name(second)
            return PairPhrase("unclear", *names, given, blank, *self._p_values(pair, decision))
        if sign < 0:
            low, high, point = -high, -low, None if point is None else -point
        if high < 0:
            first, second = second, first
            low, high, point = -high, -low, None if point is None else -point
        relation: Relation = "unclear"
        if low > 0:
            relation = "better"
        elif -decision.margin < low and high < decision.margin:
            relation = "same"
        share = self.numbers.share(decision.metric)
        ends = self.numbers.steps([low, high], decision.metric, sign=relation != "better")
        sentence = self.words(
            f"pair.{relation}",
            a=self.ladder.name(first),
            b=self.ladder.name(second),
            span=self.words("span.points" if share else "span.plain", low=ends[0], high=ends[1]),
            margin=self.numbers.step(decision.margin, decision.metric),
        )
        turned = Interval(point=point, low=low, high=high)
        names = self.ladder.name(first), self.ladder.name(second)
        return PairPhrase(relation, *names, turned, sentence, *self._p_values(pair, decision))

    def _p_values(self, pair: Pair, decision: Decision) -> tuple[float | None, float | None]:
        """Of the pair alone, and corrected for all pairs."""
        comparison = self.reading.comparison
        names = {standing.candidate: standing.model for standing in decision.standings}
        wanted = {names.get(pair.candidate), names.get(pair.other)}
        for test in comparison.pairs if comparison else ():
            if {test.first, test.second} == wanted:
                return test.p_value, test.p_holm
        return pair.p_value, None

    def made_of(self, candidate: Candidate) -> str:
        """A candidate's filled slots, in the order in which a question meets them."""
        model = candidate.model
        parts = [" ".join(part for part in (model.id, model.engine, model.precision) if part)]
        if candidate.prompt.phrasing != "plain":
            parts.append(self.words("made.prompt", phrasing=candidate.prompt.phrasing))
        if candidate.shots:
            parts.append(self.words(f"made.shots_{candidate.shots.mode}", k=candidate.shots.k))
        if candidate.retriever:
            parts.append(self.words("made.passages", k=candidate.retriever.recipe.k))
        if candidate.adapter:
            parts.append(self.words("made.adapter", kind=candidate.adapter.kind))
        return self.words.join(parts)

    def against_simple(self) -> list[str]:
        """How the winner stands to what costs no effort: the baseline and the zero-shot prompt."""
        decision, winner = self.reading.decision, self.ladder.winner
        if decision is None or winner is None:
            return []
        simple = {line.candidate for line in self.ladder.tested if line.cell.method in {"baseline", "prompt"}}
        return [
            self.pair(pair, decision).sentence
            for pair in decision.pairs
            if winner.candidate in {pair.candidate, pair.other}
            and {pair.candidate, pair.other} & simple - {winner.candidate}
        ]

    def when(self, time: str) -> str:
        """A time of a record to the minute; one that is no time as it stands."""
        try:
            at = datetime.fromisoformat(time)
        except ValueError:
            return time
        zone = " UTC" if at.utcoffset() == timedelta(0) else at.strftime(" %z").rstrip()
        return at.strftime("%Y-%m-%d %H:%M") + zone

    def dev(self, line: Line) -> str:
        """The dev score, with the number of questions where it is known, since it has no interval."""
        if line.dev is None:
            return NONE
        shown = self.numbers.point(line.dev.value, self.ladder.metric)
        return shown if line.dev.n is None else self.words("table.dev_value", score=shown, n=f"{line.dev.n:,}")

    def latency(self, line: Line) -> list[str]:
        """p50 and p95 of one answer."""
        source = line.standing or (line.evaluation.resources if line.evaluation else None)
        if source is None or source.latency_p50 is None:
            return [NONE]
        return [self.numbers.seconds(value) for value in (source.latency_p50, source.latency_p95)]

    def tokens(self, line: Line) -> list[str]:
        """Tokens read and written for one answer, on average."""
        evaluation = line.evaluation
        if evaluation is None or not evaluation.header.n or not evaluation.resources.tokens_in:
            return [NONE]
        totals = {"in": evaluation.resources.tokens_in, "out": evaluation.resources.tokens_out}
        each = {name: total / evaluation.header.n for name, total in totals.items()}
        return [
            self.words(f"table.tokens_{name}", n=f"{n:,.0f}" if n >= 10 else f"{n:.2g}") for name, n in each.items()
        ]

    def training(self, line: Line) -> list[str]:
        """What training took, in time and money."""
        seconds = line.outcome.spent.seconds if line.outcome else 0.0
        money = line.standing.training_cost if line.standing else line.outcome.spent.money if line.outcome else 0.0
        parts = [self.numbers.seconds(seconds)] if seconds else []
        return [*parts, *([self.numbers.money(money)] if money else [])] or [NONE]

    def failure(self, kind: str) -> str:
        return self.words.known(f"failure.{kind}", kind)

    def mistake(self, kind: str) -> str:
        return self.words(f"kind.{kind}")

    def notes(self, line: Line) -> list[tuple[str, str]]:
        """What the method noted, except what the report says elsewhere."""
        noted = line.outcome.notes if line.outcome else {}
        return [
            (name, self._probe(value) if name == "headroom" else plain(value, self.words))
            for name, value in noted.items()
            if name not in TOLD
        ]

    def _probe(self, noted: dict[str, Any]) -> str:
        """What a probe saw before the rung was opened."""
        if noted.get("code") not in catalogue():
            return plain(noted, self.words)
        return Problem(noted["code"], values=noted.get("values", {})).message(self.words.language)

    def kind(self, kind: Kind, sides: Sides) -> str:
        """How many questions went one way: fixed, broken, right or wrong with both."""
        n = sides.counts[kind]
        if sides.recorded and kind in {"fixed", "broken"}:
            return self.words("answers.only", n=n, name=(sides.after if kind == "fixed" else sides.before).name)
        return self.words(f"answers.{kind}", n=n, before=sides.before.name, after=sides.after.name)

    def openings(self) -> str:
        if self.ladder.lines and all(line.cell.method == "recorded" for line in self.ladder.lines):
            return self.words("openings.recorded")
        n = len(self.reading.openings)
        return self.words("openings.none" if n == 0 else "openings.one" if n == 1 else "openings.lead", n=n)
