"""The attack as a report and a terminal show it: the rate, by kind and defence, and answers that were steered."""

from __future__ import annotations

from dataclasses import dataclass

from rung.core.task import Language
from rung.reporting.aftermath import Part, Tone
from rung.reporting.letters import clip, one_line
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.sections import Section, section_text
from rung.reporting.tables import Table
from rung.reporting.words import Words
from rung.store.attack import Attack, Defence, Rate

_SHARE = "accuracy"
"""Stands for any share of 1 where `Numbers` asks for a metric."""
_CELL = 160
_DEFENCES: tuple[Defence, ...] = ("none", "told", "filter")


def view_attack(found: Attack, name: str, words: Words, numbers: Numbers) -> Section:
    """The record in words of one language. `name`: what the candidate is called."""
    say = _Sayer(found, name, words, numbers)
    lead = words("attack.lead", name=name, n=found.questions, k=found.k)
    notes = [words("attack.note")]
    notes += [words("attack.light")] if found.light else []
    parts = (say.rate(), say.ingested(), say.examples())
    return Section("attack", words("attack.title"), lead, tuple(part for part in parts if part), (), tuple(notes))


@dataclass(frozen=True)
class _Sayer:
    found: Attack
    name: str
    words: Words
    numbers: Numbers

    def rate(self) -> Part:
        found, words = self.found, self.words
        whole = found.rate()
        if whole is None or not whole.n:
            return Part(words("attack.rate"), "open", (words("attack.rate_none"),))
        told = [
            words(
                "attack.rate_said",
                rate=self.numbers.quality(whole.rate, _SHARE),
                hits=whole.hits,
                n=whole.n,
                shown=whole.shown,
                clean=self.numbers.quality(whole.clean, _SHARE),
            )
        ]
        worst = max(
            (r for r in found.rates if r.defence == "none" and r.kind != "all"), key=lambda r: r.rate.point or 0.0
        )
        if worst.hits:
            kind = words.known(f"attack.kind_{worst.kind}", worst.kind)
            told.append(words("attack.worst", kind=kind, rate=self.numbers.quality(worst.rate, _SHARE)))
        if found.limit is not None:
            key = "limit_kept" if found.keeps_limit else "limit_broken"
            told.append(words(f"attack.{key}", limit=f"{100 * found.limit:g}%"))
        for defence in ("told", "filter"):
            rate = found.rate(defence)
            if rate is not None and rate.n:
                told.append(words(f"attack.with_{defence}", rate=self.numbers.quality(rate.rate, _SHARE)))
        told += [words("attack.flags", n=found.flags, passages=self.numbers.whole(found.passages))]
        told += [words("attack.failed", n=whole.failed)] if whole.failed else []
        tone: Tone = (
            "warning" if found.keeps_limit is False or (whole.rate.low or 0.0) > (whole.clean.high or 0.0) else "open"
        )
        return Part(words("attack.rate"), tone, tuple(told), self._table())

    def _table(self) -> Table:
        words = self.words
        kinds = list(dict.fromkeys(rate.kind for rate in self.found.rates))
        defences = [defence for defence in _DEFENCES if self.found.rate(defence) is not None]
        rows = []
        for kind in kinds:
            plain = self.found.rate("none", kind)
            shown = f"{plain.shown} / {plain.n}" if plain else NONE
            cells = [self._cell(self.found.rate(defence, kind)) for defence in defences]
            rows.append((words.known(f"attack.kind_{kind}", kind), shown, *cells))
        head = (words("attack.kind"), words("attack.shown"), *(words(f"attack.{defence}") for defence in defences))
        return Table(head, tuple(rows))

    def _cell(self, rate: Rate | None) -> str:
        return NONE if rate is None else self.numbers.quality(rate.rate, _SHARE)

    def ingested(self) -> Part:
        words = self.words
        gone = sum(kind.stripped for kind in self.found.ingested)
        live = sum(kind.files - kind.stripped for kind in self.found.ingested)
        flagged = sum(kind.flagged for kind in self.found.ingested)
        said = words("attack.ingested_said", n=gone + live, gone=gone, live=live, flagged=flagged)
        rows = [
            (
                words.known(f"attack.kind_{one.kind}", one.kind),
                *(str(n) for n in (one.files, one.stripped, one.flagged)),
            )
            for one in self.found.ingested
        ]
        head = tuple(words(f"attack.{key}") for key in ("kind", "files", "stripped", "flagged"))
        return Part(words("attack.ingested"), "open", (said,), Table(head, tuple(rows)))

    def examples(self) -> Part | None:
        if not self.found.examples:
            return None
        words = self.words
        rows = [
            (
                words.known(f"attack.kind_{one.kind}", one.kind),
                *(clip(one_line(text, 10_000), _CELL) for text in (one.question, one.planted, one.clean, one.answer)),
            )
            for one in self.found.examples
        ]
        head = tuple(words(f"attack.{key}") for key in ("kind", "question", "planted", "before", "after"))
        said = words("attack.examples_said")
        return Part(
            words("attack.examples"), "open", (said,), None, Table(head, tuple(rows)), words("attack.examples"), True
        )


def attack_text(found: Attack, language: Language, *, columns: int = 100) -> str:
    """The measurement for a terminal; no control characters."""
    words = Words(language)
    name = f"{words.method(found.method)} ({found.candidate})"
    return section_text(view_attack(found, name, words, Numbers(words)), columns=columns)
