"""The ceilings as a report and a terminal show them: found, shown, read, and the questions where it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rung.core.task import Language
from rung.reporting.aftermath import Part
from rung.reporting.diagnosis import signed_interval
from rung.reporting.letters import clip, one_line
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.sections import Bar, Section, Slice, section_text
from rung.reporting.tables import Table
from rung.reporting.words import Words
from rung.store.knowledge import CandidateCeilings, Ceilings, Missed, PathStep

_SHARE = "accuracy"
"""Stands for any share of 1 where `Numbers` asks for a metric."""
_CELL = 120
Named = Callable[[str], str]
"""From a candidate's id to what it is called."""


def view_ceilings(found: Ceilings, name: Named, words: Words, numbers: Numbers) -> Section:
    """The record in words of one language."""
    say = _Sayer(found, name, words, numbers)
    known = found.questions - found.unknown
    notes = [words(f"ceilings.basis_{found.basis}", n=known, unknown=found.unknown)]
    return Section(
        "ceilings",
        words("ceilings.title"),
        words("ceilings.lead", depth=found.depth),
        tuple(part for part in (say.path(), say.recall(), say.reading(), say.missed(), say.read_wrong()) if part),
        say.bars(),
        (*notes, words("ceilings.right_at", at=f"{found.right_at:g}")),
    )


@dataclass(frozen=True)
class _Counts:
    """Questions of one candidate by how far they came. The five add up to all that have an answer."""

    not_found: int
    not_shown: int
    misread: int
    read: int
    lucky: int
    """Right although the document was not shown."""
    unscored: int

    @classmethod
    def of(cls, path: Sequence[PathStep]) -> _Counts:
        steps = {step.stage: step for step in path}
        away = [step for stage, step in steps.items() if stage != "shown"]
        shown = steps.get("shown")
        return cls(
            steps["not_found"].wrong if "not_found" in steps else 0,
            steps["not_shown"].wrong if "not_shown" in steps else 0,
            shown.wrong if shown else 0,
            shown.right if shown else 0,
            sum(step.right for step in away),
            sum(step.unscored for step in path),
        )

    @property
    def wrong(self) -> int:
        return self.not_found + self.not_shown + self.misread

    @property
    def n(self) -> int:
        return self.wrong + self.read + self.lucky + self.unscored


@dataclass(frozen=True)
class _Sayer:
    found: Ceilings
    name: Named
    words: Words
    numbers: Numbers

    @property
    def first(self) -> CandidateCeilings:
        return self.found.candidates[0]

    def path(self) -> Part | None:
        counts = [(one, _Counts.of(one.path)) for one in self.found.candidates]
        if not any(of_one.n for _, of_one in counts):
            return None
        words, mine = self.words, _Counts.of(self.first.path)
        key = "none" if not mine.wrong else "finding" if mine.misread < mine.wrong / 2 else "reading"
        said = words(
            f"ceilings.path_{key}",
            name=self.name(self.first.candidate),
            n=mine.n,
            wrong=mine.wrong,
            away=mine.not_found + mine.not_shown,
            misread=mine.misread,
        )
        columns = ("not_found", "not_shown", "misread", "read", "lucky", "unscored")
        rows = [
            (self.name(one.candidate), str(c.n), *(str(getattr(c, column)) for column in columns)) for one, c in counts
        ]
        head = tuple(words(f"ceilings.{key}") for key in ("candidate", "n", *columns))
        return Part(words("ceilings.path"), "open", (said, *self._tests()), Table(head, tuple(rows)))

    def _tests(self) -> list[str]:
        told = []
        for one in self.found.candidates:
            for split in one.splits:
                if split.split == "test" and split.n:
                    share = self.numbers.quality(split.share, _SHARE)
                    counts = {"n": split.n, "shown": split.shown, "share": share}
                    told.append(self.words("ceilings.test", name=self.name(one.candidate), **counts))
        return [*told, self.words("ceilings.test_note")] if told else []

    def bars(self) -> tuple[Bar, ...]:
        roles = (
            ("read", "right"),
            ("lucky", "faint"),
            ("misread", "wrong"),
            ("not_shown", "other"),
            ("not_found", "ink"),
        )
        bars = []
        for one in self.found.candidates:
            counts = _Counts.of(one.path)
            slices = [Slice(self.words(f"ceilings.{key}"), getattr(counts, key), role) for key, role in roles]
            bars.append(Bar(self.name(one.candidate), tuple(slices)))
        return tuple(bar for bar in bars if bar.total)

    def recall(self) -> Part:
        words = self.words
        rows = []
        for one in self.found.candidates:
            cells = [self.numbers.quality(at.document, _SHARE) for at in one.recall]
            rows.append((self.name(one.candidate), words("ceilings.document"), str(one.n), *cells))
            if one.passages:
                cells = [self.numbers.quality(at.passage, _SHARE) for at in one.recall]
                rows.append((self.name(one.candidate), words("ceilings.passage"), str(one.passages), *cells))
        head = (
            *(words(f"ceilings.{key}") for key in ("candidate", "what", "n")),
            *(words("ceilings.first", k=at.k) for at in self.first.recall),
        )
        shown = {at.k: at for at in self.first.recall}
        last = self.first.recall[-1]
        near = shown.get(self.first.k) or next((at for at in self.first.recall if at.k >= self.first.k), last)
        said = words(
            "ceilings.recall_said",
            name=self.name(self.first.candidate),
            k=self.first.k,
            near=near.k,
            share=self.numbers.quality(near.document, _SHARE),
            depth=last.k,
            most=self.numbers.quality(last.document, _SHARE),
        )
        return Part(words("ceilings.recall"), "open", (said,), Table(head, tuple(rows)))

    def reading(self) -> Part | None:
        words, metric = self.words, self.found.metric
        read = [one for one in self.found.candidates if one.reading is not None]
        if not read:
            return Part(words("ceilings.reading"), "open", (words("ceilings.reading_none"),))
        told = []
        for one in read:
            reading = one.reading
            assert reading is not None
            helped = reading.gain.low is not None and reading.gain.low > 0
            told.append(
                words(
                    "ceilings.reading_more" if helped else "ceilings.reading_same",
                    name=self.name(one.candidate),
                    metric=words.metric(metric),
                    n=reading.n,
                    given=self.numbers.quality(reading.given, metric),
                    own=self.numbers.quality(reading.own, metric),
                    gain=signed_interval(reading.gain, metric, words, self.numbers),
                )
            )
            told += [words("ceilings.reading_failed", n=reading.failed)] if reading.failed else []
        return Part(words("ceilings.reading"), "open", tuple(told))

    def missed(self) -> Part | None:
        if not self.first.missed:
            return None
        words = self.words
        rows = [
            (
                _cell(missed.question),
                _cell(words.join(missed.documents)),
                words("ceilings.nowhere", depth=self.found.depth) if missed.rank is None else str(missed.rank),
                _cell(words("labelled", name=missed.instead, value=missed.text)) if missed.instead else NONE,
            )
            for missed in self.first.missed
        ]
        head = tuple(words(f"ceilings.{key}") for key in ("question", "needed", "rank", "instead"))
        said = words("ceilings.missed_said", name=self.name(self.first.candidate))
        return Part(
            words("ceilings.missed"),
            "open",
            (said,),
            None,
            Table(head, tuple(rows)),
            words("ceilings.missed_open", n=len(rows)),
            True,
        )

    def read_wrong(self) -> Part | None:
        if not self.first.read_wrong:
            return None
        words = self.words
        rows = [self._misread(missed) for missed in self.first.read_wrong]
        head = tuple(words(f"ceilings.{key}") for key in ("question", "needed", "reference", "answer"))
        said = words("ceilings.misread_said", name=self.name(self.first.candidate))
        return Part(
            words("ceilings.misread_title"),
            "open",
            (said,),
            None,
            Table(head, tuple(rows)),
            words("ceilings.misread_open", n=len(rows)),
            True,
        )

    def _misread(self, missed: Missed) -> tuple[str, ...]:
        return (
            _cell(missed.question),
            _cell(self.words.join(missed.documents)),
            _cell(" / ".join(missed.references)),
            _cell(missed.answer),
        )


def _cell(text: str) -> str:
    return clip(one_line(text, 10_000), _CELL)


def ceilings_text(found: Ceilings, language: Language, *, columns: int = 100) -> str:
    """The measurement for a terminal, with its worst questions; no control characters."""
    words = Words(language)
    methods = {one.candidate: words.method(one.method) for one in found.candidates}
    view = view_ceilings(found, lambda candidate: methods[candidate], words, Numbers(words))
    return section_text(view, columns=columns)
