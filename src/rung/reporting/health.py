"""The health of the documents as a report and a terminal show it: numbers, and the worst of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.core.errors import Problem
from rung.core.task import Language
from rung.reporting.aftermath import Part, Tone
from rung.reporting.letters import clip, one_line
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.sections import Section, section_text
from rung.reporting.tables import Table
from rung.reporting.words import Words
from rung.store.knowledge import Copies, Health, Odd

_WORST = 10
"""Rows of a table; the record holds them all."""
_CELL = 120
_SHARE = "accuracy"
_BAD_CUT = 0.2
"""Share of passages cut within a sentence from which it is worth a warning."""
_WARNED = {"orders", "hidden", "garbled"}


def view_health(found: Health, words: Words, numbers: Numbers) -> Section:
    """The record in words of one language."""
    say = _Sayer(found, words, numbers)
    parts = (say.use(), say.hubs(), say.unread(), say.copies(), say.stale(), say.odd(), say.cut(), say.languages())
    lead = words(
        "health.lead",
        documents=numbers.whole(found.documents),
        files=numbers.whole(found.files),
        passages=numbers.whole(found.passages),
        characters=numbers.whole(found.characters),
    )
    return Section("health", words("health.title"), lead, tuple(part for part in parts if part))


@dataclass(frozen=True)
class _Sayer:
    found: Health
    words: Words
    numbers: Numbers

    def use(self) -> Part | None:
        use, words = self.found.use, self.words
        if use is None or not use.questions:
            return None
        told = [
            words(
                "health.unused_said" if use.unused else "health.unused_none",
                unused=self.numbers.whole(use.unused),
                documents=self.numbers.whole(self.found.documents),
                n=self.numbers.whole(use.questions),
                slots=self.numbers.whole(use.slots),
            )
        ]
        few = use.slots < 3 * self.found.documents
        told += [words("health.unused_few")] if use.unused and few else []
        told += [words("health.wanted", n=len(use.wanted), names=self._names(use.wanted))] if use.wanted else []
        tone: Tone = "warning" if use.wanted else "open"
        listed = Table((words("health.document"),), tuple((name,) for name in use.listed))
        more = listed if use.listed else None
        return Part(
            words("health.unused"), tone, tuple(told), None, more, words("health.listed", n=len(use.listed)), True
        )

    def hubs(self) -> Part | None:
        use, words = self.found.use, self.words
        if use is None or not use.hubs:
            return None
        rows = [(hub.passage, str(hub.questions), str(hub.needed)) for hub in use.hubs]
        idle = [hub for hub in use.hubs if hub.needed < hub.questions / 2]
        said = words("health.hubs_said", n=len(rows), least=use.hub_from, questions=use.questions, idle=len(idle))
        head = tuple(words(f"health.{key}") for key in ("passage", "asked", "needed"))
        return Part(words("health.hubs"), "warning" if idle else "fine", (said,), Table(head, tuple(rows)))

    def unread(self) -> Part | None:
        unread, words = self.found.unread, self.words
        if not unread:
            return None
        rows = [
            (one.document, Problem(one.code, "", dict(one.values)).message(words.language)) for one in unread[:_WORST]
        ]
        said = words("health.unread_said", n=len(unread), files=self.found.files)
        head = (words("health.file"), words("health.why"))
        return Part(
            words("health.unread"), "warning", (said,), None, Table(head, tuple(rows)), self._shown(len(unread)), True
        )

    def copies(self) -> Part:
        words, groups = self.words, [*self.found.copies, *self.found.near]
        told = []
        if self.found.same_files:
            told.append(words("health.same_files", n=self.found.same_files))
        for key, of_kind in (("copies", self.found.copies), ("near", self.found.near)):
            if of_kind:
                told.append(words(f"health.{key}_said", n=len(of_kind), documents=sum(group.n for group in of_kind)))
        if not told:
            return Part(words("health.copies"), "fine", (words("health.copies_none"),))
        rows = [self._group(group) for group in groups[:_WORST]]
        head = tuple(words(f"health.{key}") for key in ("group", "alike"))
        more = Table(head, tuple(rows)) if rows else None
        tone: Tone = "warning" if groups else "fine"
        return Part(words("health.copies"), tone, tuple(told), None, more, self._shown(len(groups)), True)

    def _group(self, group: Copies) -> tuple[str, ...]:
        return self._names(group.documents, group.n), f"{100 * group.score:.0f}%"

    def stale(self) -> Part:
        words, stale = self.words, self.found.stale
        if not stale:
            return Part(words("health.stale"), "fine", (words("health.stale_none"),))
        counts = {by: sum(one.by == by for one in stale) for by in ("edition", "age")}
        told = [words(f"health.stale_{by}", n=n) for by, n in counts.items() if n]
        rows = [(one.document, one.dated, one.newer, one.newer_dated) for one in stale[:_WORST]]
        head = tuple(words(f"health.{key}") for key in ("document", "dated", "newer", "dated"))
        tone: Tone = "warning" if counts["edition"] else "open"
        return Part(
            words("health.stale"), tone, tuple(told), None, Table(head, tuple(rows)), self._shown(len(stale)), True
        )

    def odd(self) -> Part:
        words, odd = self.words, self.found.odd
        if not odd:
            return Part(words("health.odd"), "fine", (words("health.odd_none"),))
        kinds = list(dict.fromkeys(one.kind for one in odd))
        told = [words(f"health.odd_{kind}", n=sum(one.kind == kind for one in odd)) for kind in kinds]
        rows = [(one.document, words(f"health.kind_{one.kind}"), self._value(one)) for one in _worst(odd)]
        head = tuple(words(f"health.{key}") for key in ("document", "kind", "measured"))
        tone: Tone = "warning" if _WARNED & set(kinds) else "open"
        return Part(words("health.odd"), tone, tuple(told), None, Table(head, tuple(rows)), self._shown(len(odd)), True)

    def _value(self, one: Odd) -> str:
        if one.kind == "garbled":
            return f"{100 * one.value:.0f}%" if one.value else NONE
        count = self.numbers.whole(round(one.value))
        return self.words("labelled", name=count, value=clip(one_line(one.example), _CELL)) if one.example else count

    def cut(self) -> Part | None:
        if not self.found.passages:
            return None
        share = self.found.cut / self.found.passages
        said = self.words(
            "health.cut_said",
            cut=self.numbers.whole(self.found.cut),
            passages=self.numbers.whole(self.found.passages),
            share=f"{100 * share:.1f}%",
            words=self.found.chunk_words,
        )
        return Part(self.words("health.cut"), "warning" if share >= _BAD_CUT else "fine", (said,))

    def languages(self) -> Part | None:
        if not self.found.writings:
            return None
        words = self.words
        rows = [
            (
                words.known(f"language.{one.language or 'none'}", one.language or NONE),
                self.numbers.whole(one.documents),
                self.numbers.whole(one.characters),
            )
            for one in self.found.writings
        ]
        head = tuple(words(f"health.{key}") for key in ("language", "documents", "characters"))
        key = "languages_one" if len(rows) == 1 else "languages_said"
        return Part(words("health.languages"), "open", (words(f"health.{key}", n=len(rows)),), Table(head, tuple(rows)))

    def _shown(self, n: int) -> str:
        return self.words("health.listed", n=n) if n <= _WORST else self.words("health.worst", shown=_WORST, n=n)

    def _names(self, names: Sequence[str], n: int | None = None) -> str:
        n = len(names) if n is None else n
        shown = self.words.join(list(names[:3]))
        return shown if n <= 3 else self.words("health.and_more", names=shown, n=n - 3)


def _worst(odd: Sequence[Odd]) -> list[Odd]:
    """Some of every kind, in the order in which they come."""
    kinds = list(dict.fromkeys(one.kind for one in odd))
    each = max(2, _WORST // len(kinds))
    return [one for kind in kinds for one in [one for one in odd if one.kind == kind][:each]]


def health_text(found: Health, language: Language, *, columns: int = 100) -> str:
    """The health for a terminal, with the worst of every kind; no control characters."""
    words = Words(language)
    return section_text(view_health(found, words, Numbers(words)), columns=columns)
