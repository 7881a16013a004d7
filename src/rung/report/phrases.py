"""Sentences of the report: the verdict in one line, pairs in words, what became of a rung."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rung.core.candidate import Candidate
from rung.report.ladder import Ladder, Line
from rung.report.numbers import Numbers
from rung.report.reading import Reading
from rung.report.words import Words
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
        winner = self.ladder.name(decision.winner or "")
        key = decision.verdict
        if key == "winner" and decision.target is not None:
            key = "enough"
        if key in {"winner", "tie"} and not winner:
            key = "unresolved"
        target = "" if decision.target is None else self.numbers.point(decision.target, decision.metric)
        return self.words(f"verdict.{key}", name=winner, target=target)

    def reason(self) -> str:
        decision = self.reading.decision
        if decision is None:
            done = sum(line.state in {"tested", "untested"} for line in self.ladder.lines)
            return self.words("verdict.progress", done=done, n=len(self.ladder.lines))
        return getattr(decision.reason, self.words.language)  # type: ignore[no-any-return]

    def would_change(self) -> list[str]:
        decision = self.reading.decision
        return [getattr(text, self.words.language) for text in decision.would_change] if decision else []

    def sharpness(self) -> list[str]:
        """How small a difference this test can see, and how many examples would settle an open one."""
        decision = self.reading.decision
        if decision is None:
            return []
        found = []
        if decision.resolvable is not None:
            found.append(self.words("sharp.resolvable", step=self.numbers.step(decision.resolvable, decision.metric)))
        if decision.examples_needed is not None:
            found.append(self.words("sharp.needed", n=f"{decision.examples_needed:,}", now=f"{decision.n:,}"))
        return found

    def crown(self) -> str:
        """What the named candidate is: the winner, the cheapest of a tie, or only the best so far."""
        decision = self.reading.decision
        known = decision.verdict if decision else "none"
        return self.words(f"crown.{known if known in {'winner', 'tie'} else 'unproven'}")

    def state(self, line: Line) -> str:
        """Why a rung has no test result, or an empty text."""
        if line.state == "tested":
            return ""
        said = self.words(f"state.{line.state}")
        reasons = " ".join(line.reasons)
        return self.words("state.because", state=said, reason=reasons) if reasons else said

    def flags(self, line: Line) -> list[tuple[str, str]]:
        """(kind, words) of everything that a reader of the line must not miss."""
        found = []
        if line.place == "winner":
            found.append(("winner", self.crown()))
        if line.place == "tied":
            found.append(("tied", self.words("flag.tied")))
        if not line.converged:
            found.append(("warning", self.words("flag.not_converged")))
        if line.evaluation and line.evaluation.header.resumed:
            found.append(("note", self.words("flag.resumed")))
        standing = line.standing
        for check in standing.checks if standing else ():
            if not check.ok:
                found.append(("warning", self.check(check)))
        if standing and standing.meets_target is not None:
            key = "flag.on_target" if standing.meets_target else "flag.off_target"
            found.append(("note", self.words(key)))
        return found

    def check(self, check: Check) -> str:
        """A broken limit: what was measured, and what was allowed."""
        name = self.words.known(f"check.{check.name}", check.name)
        return self.words("flag.check", name=name, value=self._measure(check, check.value), limit=self._measure(check, check.limit))

    def _measure(self, check: Check, value: float | None) -> str:
        if value is None:
            return self.words("unknown")
        if "latency" in check.name:
            return self.numbers.seconds(value)
        if "share" in check.name:
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
            return PairPhrase("unclear", self.ladder.name(first), self.ladder.name(second), given, blank, pair.p_value)
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
        return PairPhrase(relation, self.ladder.name(first), self.ladder.name(second), turned, sentence, pair.p_value)

    def made_of(self, candidate: Candidate) -> str:
        """A candidate's filled slots, in the order in which a question meets them."""
        model = candidate.model
        parts = [" ".join(part for part in (model.id, model.engine, model.precision) if part)]
        if candidate.prompt.phrasing:
            parts.append(self.words("made.prompt", phrasing=candidate.prompt.phrasing))
        if candidate.shots:
            parts.append(self.words(f"made.shots_{candidate.shots.mode}", k=candidate.shots.k))
        if candidate.retriever:
            parts.append(self.words("made.passages", k=candidate.retriever.recipe.k))
        if candidate.adapter:
            parts.append(self.words("made.adapter", kind=candidate.adapter.kind))
        return self.words.join(parts)
