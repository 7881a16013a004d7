"""A look at the traffic, for people: as text for a terminal and as a page, in either language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rung.core.task import Language
from rung.reporting.letters import clean, clip, wrap
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.page import render
from rung.reporting.tables import Table, table_lines
from rung.reporting.watch_pictures import draw_watch
from rung.reporting.words import Words
from rung.store.watch import Alarm, Measure, Unit, Watch

_SHARE = "accuracy"
"""Stands for any share of 1 where `Numbers` asks for a metric."""
_LABEL = 60
_NEXT = {
    "input_longer": "questions", "input_shorter": "questions", "questions_unlike": "questions", "questions_moved": "questions",
    "language_new": "language", "language_up": "language",
    "label_up": "labels", "label_down": "labels", "less_sure": "labels", "surer": "labels",
    "answer_longer": "answers", "answer_shorter": "answers",
    "abstains_more": "retrieval", "abstains_less": "answers", "finds_nothing": "retrieval", "weaker_hits": "retrieval",
    "other_documents": "retrieval", "slower": "speed", "queue_longer": "queue", "dearer": "cost", "more_tokens": "cost",
    "failures_up": "failures", "feedback_worse": "feedback", "index_changed": "index",
}  # fmt: skip
"""What to do about a cause: keys `watch.x_*` of the words."""


@dataclass(frozen=True)
class AlarmView:
    said: str
    evidence: str
    next: str
    examples: tuple[str, ...]


@dataclass(frozen=True)
class WatchView:
    """Everything that is said, in one language; nothing is worked out anew."""

    title: str
    verdict: str
    ringing: bool
    summary: str
    level: str
    alarms: tuple[AlarmView, ...]
    measures: Table
    days: Table
    notes: tuple[str, ...]


class Teller:
    """A look in one language."""

    def __init__(self, found: Watch, language: Language) -> None:
        self.found = found
        self.words = Words(language)
        self.numbers = Numbers(self.words, found.currency)

    def view(self) -> WatchView:
        found, words = self.found, self.words
        return WatchView(
            title=words("watch.title", run=found.run),
            verdict=self._verdict(),
            ringing=bool(found.alarms),
            summary=words(
                "watch.summary",
                answers=self.numbers.whole(found.answers),
                since=_minute(found.since),
                until=_minute(found.until),
                proved=self.numbers.whole(found.proved_on),
                candidate=found.candidate,
            ),
            level=("" if words.language == "zh" else " ").join(
                (self._level(), words("watch.least", least=found.least))
            ),
            alarms=tuple(self._alarm(alarm) for alarm in found.alarms),
            measures=self._measures(),
            days=self._days(),
            notes=tuple(self._notes()),
        )

    def _verdict(self) -> str:
        found, words = self.found, self.words
        if len(found.alarms) > 1:
            return words("watch.ringing_many", n=len(found.alarms))
        if found.alarms:
            return words("watch.ringing_one")
        if not found.answers:
            return words("watch.none")
        return words("watch.too_little" if found.answers < found.least else "watch.quiet")

    def _level(self) -> str:
        return self.words("watch.level", tests=self.found.tests, alpha=f"{self.found.alpha:.0%}")

    def _alarm(self, alarm: Alarm) -> AlarmView:
        words = self.words
        said = words(f"watch.c_{alarm.cause}", **self._values(alarm))
        counts = {"before": self.numbers.whole(alarm.n_before), "now": self.numbers.whole(alarm.n_now)}
        if alarm.p is None:
            evidence = words("watch.evidence_fact", now=counts["now"])
        else:
            p_value = self.numbers.p_value(alarm.p)
            stated = f"p {p_value}" if p_value.startswith("<") else f"p = {p_value}"
            evidence = words("watch.evidence_p", p=stated, **counts)
        if alarm.low is not None and alarm.high is not None:
            low, high = self.numbers.steps([alarm.low, alarm.high], _SHARE, sign=True)
            interval = words("watch.interval", low=low, high=words("points", n=high))
            evidence = words.join([interval, evidence])
        return AlarmView(said, evidence, words(f"watch.x_{_NEXT[alarm.cause]}"), alarm.examples)

    def _values(self, alarm: Alarm) -> dict[str, str]:
        now = self.value(alarm.now, alarm.unit) if alarm.now is not None else self.words("watch.unknown")
        about = alarm.about
        if alarm.cause.startswith("language"):
            about = self.words.known(f"watch.lang_{about}", about)
        elif about == "(other)":
            about = self.words("watch.other_answer")
        return {"about": clip(clean(about), _LABEL), "before": self.value(alarm.before, alarm.unit), "now": now}

    def value(self, value: float | None, unit: Unit) -> str:
        """A number of a measure, with its unit."""
        if value is None:
            return NONE
        if unit == "share":
            return self.numbers.point(value, _SHARE)
        if unit == "seconds":
            return self.numbers.seconds(value)
        if unit == "money":
            return self.numbers.money(value)
        if unit == "chars":
            return self.words("watch.chars", n=f"{value:,.0f}")
        if unit == "tokens":
            return self.words("watch.tokens_n", n=f"{value:,.0f}")
        return f"{value:,.0f}" if unit == "documents" else f"{value:.2f}"

    def _measures(self) -> Table:
        keys = ("measure", "status", "before", "now", "effect", "size", "p", "counts")
        return Table(tuple(self.words(f"watch.{key}") for key in keys), tuple(map(self._measure, self.found.measures)))

    def _measure(self, measure: Measure) -> tuple[str, ...]:
        words, before = self.words, self.value(measure.before, measure.unit)
        if measure.reference == "before" and measure.before is not None:
            before = words("watch.earlier", value=before)
        effect = NONE
        if measure.effect is not None and measure.effect_name:
            effect = words(f"watch.{measure.effect_name}", value=f"{measure.effect:.2f}")
        numbers = (
            before,
            self.value(measure.now, measure.unit),
            effect,
            NONE if measure.size is None else f"{max(0.0, measure.size):.1f}",
            self.numbers.p_value(measure.p),
            f"{measure.n_before:,} / {measure.n_now:,}",
        )
        kept = (number.replace(" ", "\N{NO-BREAK SPACE}") for number in numbers)
        return (words(f"watch.m_{measure.name}"), self._status(measure), *kept)

    def _status(self, measure: Measure) -> str:
        counts = {"before": measure.n_before, "now": measure.n_now, "least": self.found.least}
        if measure.status == "not_measured":
            return self.words("watch.status_not_measured", why=self.words(f"watch.why_{measure.why}"))
        if measure.status == "too_little":
            return self.words("watch.status_too_little", **counts)
        return self.words(f"watch.status_{measure.status}")

    def _days(self) -> Table:
        keys = ("day", "answers", "failed", "cancelled", "p50", "p95", "tokens", "money", "up", "down")
        rows = tuple(
            (
                day.day,
                *(self.numbers.whole(count) for count in (day.answers, day.failures, day.cancelled)),
                *(self.numbers.seconds(seconds) for seconds in (day.latency_p50, day.latency_p95)),
                self.numbers.whole(day.tokens),
                self.numbers.money(day.money),
                *(self.numbers.whole(count) for count in (day.up, day.down)),
            )
            for day in self.found.days
        )
        return Table(tuple(self.words(f"watch.{key}") for key in keys), rows)

    def _notes(self) -> Iterator[str]:
        if self.found.others:
            yield self.words("watch.others", n=self.numbers.whole(self.found.others))
        if self.found.cancelled:
            yield self.words("watch.cancelled_note", n=self.numbers.whole(self.found.cancelled))
        if not self.found.texts:
            yield self.words("watch.no_texts")


def _minute(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M}"


def watch_page(found: Watch, language: Language) -> str:
    """The whole page, which loads nothing and runs nothing."""
    teller = Teller(found, language)
    pictures = draw_watch(found, teller.words)
    return render("watch.html", teller.words, teller.numbers, view=teller.view(), pictures=pictures)


def watch_text(found: Watch, language: Language, *, columns: int = 100) -> str:
    """For a terminal: no colours, sentences of at most `columns`."""
    view, words = Teller(found, language).view(), Words(language)
    lines = [view.title, "", *wrap(view.verdict, columns), *wrap(view.summary, columns)]
    for alarm in view.alarms:
        first, *rest = wrap(alarm.said, columns - 2)
        lines += ["", f"! {first}", *(f"  {line}" for line in rest)]
        lines += [f"  {line}" for line in wrap(alarm.evidence, columns - 2)]
        if alarm.examples:
            shown = words("labelled", name=words("watch.examples"), value=words.join(alarm.examples))
            lines += [f"  {line}" for line in wrap(shown, columns - 2)]
        lines += [
            f"  {line}" for line in wrap(words("labelled", name=words("watch.next"), value=alarm.next), columns - 2)
        ]
    lines += ["", *table_lines(view.measures), "", *wrap(view.level, columns)]
    for note in view.notes:
        lines += wrap(note, columns)
    return clean("\n".join(lines)) + "\n"
