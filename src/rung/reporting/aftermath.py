"""What tuning cost, as a report and a terminal show it: forgetting, unseen cases, overfitting, repeated rows, planted secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rung.core.task import Language
from rung.reporting.diagnosis import signed_interval
from rung.reporting.letters import clean, clip, one_line, wrap
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.tables import Table, table_lines
from rung.reporting.words import Words
from rung.store.aftermath import Aftermath, CanaryPart, Change, Chat, CurveReading, Overfitting, Unseen
from rung.store.records import Interval

_SHARE = "accuracy"
"""Stands for any share of 1 where `Numbers` asks for a metric."""
_CELL = 160
"""Characters of a free answer in a table."""

_MORE_SILENT = 0.2
"""Share of free prompts that must newly end in nothing or in a loop before it is a warning: one or two may be chance."""

Tone = Literal["warning", "fine", "open"]


@dataclass(frozen=True)
class Part:
    """One thing that was measured: its name, what came out, and the tables behind it."""

    title: str
    tone: Tone
    said: tuple[str, ...]
    table: Table | None = None
    more: Table | None = None
    """A longer table, folded away on the page."""
    more_title: str = ""
    worded: bool = False
    """Whether the longer table holds texts, not numbers."""


@dataclass(frozen=True)
class AftermathView:
    """Everything that is said, in one language; nothing is worked out anew."""

    candidate: str
    lead: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...]


def view_aftermath(found: Aftermath, name: str, words: Words, numbers: Numbers) -> AftermathView:
    """The record in words of one language. `name`: what the candidate is called."""
    say = _Sayer(found, words, numbers)
    parts = [say.ability(), say.overfitting(), say.unseen(), say.verbatim(), say.canaries(), say.chats()]
    return AftermathView(
        found.candidate,
        words("aftermath.lead", name=name, model=found.model),
        tuple(part for part in parts if part is not None),
        (words("aftermath.light"),) if found.light else (),
    )


@dataclass(frozen=True)
class _Sayer:
    found: Aftermath
    words: Words
    numbers: Numbers

    def ability(self) -> Part | None:
        parts = {part.share.name: part for part in self.found.ability}
        whole = parts.get("all")
        if whole is None:
            return None
        words, numbers = self.words, self.numbers
        # The losses that count are those of a language, too: one may hide behind the other.
        worst = min(parts.values(), key=lambda part: ("forgot", "fell", "no_loss_seen", "unknown").index(part.verdict))
        said = words(
            f"aftermath.ability_{whole.verdict}",
            n=whole.share.n,
            change=self._change(whole.share.change),
            margin=numbers.step(self.found.margin, _SHARE),
            smallest=NONE if whole.smallest is None else numbers.step(whole.smallest, _SHARE),
        )
        told = [said]
        for part in self.found.ability[1:]:
            if part.verdict in {"forgot", "fell"} and part.verdict != whole.verdict:
                told.append(
                    words(
                        "labelled",
                        name=words(f"aftermath.part_{part.share.name}"),
                        value=words(
                            f"aftermath.ability_{part.verdict}",
                            n=part.share.n,
                            change=self._change(part.share.change),
                            margin=numbers.step(self.found.margin, _SHARE),
                            smallest=NONE,
                        ),
                    )
                )
        tone: Tone = "warning" if worst.verdict in {"forgot", "fell"} else "fine"
        rows = [self._row(words(f"aftermath.part_{name}"), part.share) for name, part in parts.items()]
        kinds = [self._row(words(f"aftermath.kind_{kind.name}"), kind) for kind in whole.kinds]
        return Part(
            words("aftermath.ability"),
            "open" if whole.verdict == "unknown" else tone,
            tuple(told),
            Table(self._head("questions"), tuple(rows)),
            Table(self._head("questions"), tuple(kinds)) if kinds else None,
            words("aftermath.kinds"),
        )

    def _head(self, counted: str) -> tuple[str, ...]:
        keys = ("what", counted, "before", "after", "change", "failed")
        return tuple(self.words(f"aftermath.{key}") for key in keys)

    def _row(self, name: str, share: Change) -> tuple[str, ...]:
        ends = [self.numbers.quality(side, _SHARE) for side in (share.before, share.after)]
        return (name, str(share.n), *ends, self._change(share.change), str(share.failed))

    def _change(self, change: Interval, metric: str = _SHARE) -> str:
        return signed_interval(change, metric, self.words, self.numbers)

    def overfitting(self) -> Part | None:
        gap, curve = self.found.overfitting, self.found.curve
        told = [] if gap is None else [self._alarm(gap)]
        told += [] if curve is None else self._curve(curve)
        if not told:
            return None
        rising = curve is not None and curve.shape == "rising"
        alarmed = gap is not None and gap.alarm in {"slight", "clear", "strong"}
        tone: Tone = "warning" if alarmed or rising else "fine" if gap and gap.alarm == "none" else "open"
        return Part(self.words("aftermath.gap"), tone, tuple(told))

    def _alarm(self, gap: Overfitting) -> str:
        metric = self.found.metric
        ends = {"train": self.numbers.quality(gap.train, metric), "dev": self.numbers.quality(gap.dev, metric)}
        return self.words(f"aftermath.alarm_{gap.alarm}", **ends, gap=self._change(gap.gap, metric))

    def _curve(self, curve: CurveReading) -> list[str]:
        if curve.shape == "too_short":
            return [self.words("aftermath.curve_too_short", n=curve.scored)]
        said = self.words(
            f"aftermath.curve_{curve.shape}",
            best=curve.best_step,
            last=curve.last_step,
            dev_best=_loss(curve.dev_best),
            dev_last=_loss(curve.dev_last),
        )
        return [said, *([] if curve.kept_step is None else [self.words("aftermath.kept", step=curve.kept_step)])]

    def unseen(self) -> Part | None:
        if not self.found.unseen:
            return None
        told = [line for part in self.found.unseen for line in self._unseen(part)]
        verdicts = {part.verdict for part in self.found.unseen}
        tone: Tone = "warning" if "falls" in verdicts else "fine" if verdicts == {"holds"} else "open"
        return Part(self.words("aftermath.unseen"), tone, tuple(told))

    def _unseen(self, part: Unseen) -> list[str]:
        words, numbers, metric = self.words, self.numbers, self.found.metric
        said = words(
            f"aftermath.unseen_{part.verdict}",
            far=numbers.quality(part.far, metric),
            near=numbers.quality(part.near, metric),
            change=self._change(part.change, metric),
            what=words(f"aftermath.by_{part.by}"),
            n_far=part.n_far,
            n_near=part.n_near,
        )
        if part.untuned.point is None:
            return [said]
        name = words.method(part.untuned_method)
        return [said, words("aftermath.untuned", name=name, change=self._change(part.untuned, metric))]

    def verbatim(self) -> Part | None:
        if not self.found.verbatim:
            return None
        words, whole = self.words, self.found.verbatim[0].share
        # Of any group of rows, for a few with personal data must not hide among the others.
        more = any((part.share.change.low or 0.0) > 0 for part in self.found.verbatim)
        ends = {side: self.numbers.quality(getattr(whole, side), _SHARE) for side in ("before", "after")}
        rows = [self._row(words(f"aftermath.rows_{part.rows}"), part.share) for part in self.found.verbatim]
        return Part(
            words("aftermath.verbatim"),
            "warning" if more else "fine",
            (
                words(f"aftermath.verbatim_{'more' if more else 'same'}", **ends),
                words("aftermath.verbatim_lead", n=whole.n, k=self.found.repeated_from),
            ),
            Table(self._head("rows"), tuple(rows)),
        )

    def canaries(self) -> Part | None:
        found = self.found.canaries
        if found is None:
            return None
        words = self.words
        said = words(
            f"aftermath.canaries_{found.verdict}",
            n=found.n,
            said=sum(part.said for part in found.planted),
            exposure=self._bits(found.exposure),
            chance=f"{found.chance:.1f}",
            highest=f"{found.highest:.0f}",
        )
        tone: Tone = "warning" if found.verdict == "memorised" else "fine"
        return Part(words("aftermath.canaries"), tone, (said,), self._planted(found))

    def _planted(self, found: CanaryPart) -> Table:
        words = self.words
        rows = [(str(part.times), str(part.n), str(part.said), self._bits(part.exposure)) for part in found.planted]
        before = (words("aftermath.canaries_before"), str(found.n), self._count_before(found), self._bits(found.before))
        head = tuple(words(f"aftermath.canaries_{key}") for key in ("times", "n", "said", "exposure"))
        return Table(head, (*rows, before))

    def _count_before(self, found: CanaryPart) -> str:
        point = found.said.before.point
        return NONE if point is None else str(round(point * found.said.n))

    def _bits(self, interval: Interval) -> str:
        if interval.point is None:
            return NONE
        if interval.low is None or interval.high is None:
            return self.words("quality", point=f"{interval.point:.1f}", bounds=self.words("no_interval"))
        bounds = f"{interval.low:.1f}–{interval.high:.1f}"
        return self.words("quality", point=f"{interval.point:.1f}", bounds=bounds)

    def chats(self) -> Part | None:
        chats = self.found.chats
        if not chats:
            return None
        words = self.words
        counts = {
            f"{state}{suffix}": sum(getattr(chat, f"{side}_state") == state for chat in chats)
            for state in ("empty", "stuck")
            for side, suffix in (("after", ""), ("before", "_before"))
        }
        lead = words("aftermath.chats_lead", n=len(chats), same=sum(chat.same for chat in chats), **counts)
        more = counts["empty"] + counts["stuck"] - counts["empty_before"] - counts["stuck_before"]
        head = tuple(words(f"aftermath.{key}") for key in ("prompt", "before", "after"))
        rows = [
            (chat.prompt, self._answer(chat.before_state, chat.before), self._answer(chat.after_state, chat.after))
            for chat in chats
        ]
        tone: Tone = "warning" if more > _MORE_SILENT * len(chats) else "fine"
        return Part(
            words("aftermath.chats"), tone, (lead,), None, Table(head, tuple(rows)), words("aftermath.chats"), True
        )

    def _answer(self, state: str, text: str) -> str:
        return self.words(f"aftermath.state_{state}", text=clip(one_line(text), _CELL))


def _loss(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def aftermath_text(found: Aftermath, language: Language, *, columns: int = 100) -> str:
    """The measurement for a terminal; no control characters."""
    words = Words(language)
    view = view_aftermath(found, f"{words.method(found.method)} ({found.candidate})", words, Numbers(words))
    blocks: list[Sequence[str]] = [[words("aftermath.title"), *wrap(view.lead, columns)]]
    for part in view.parts:
        blocks.append([_headed(part), *(line for text in part.said for line in wrap(text, columns))])
        blocks += [table_lines(part.table)] if part.table else []
    if found.chats:
        blocks.append([line for chat in found.chats for line in _chat_lines(chat)])
    blocks.append([line for note in view.notes for line in wrap(note, columns)])
    return clean("\n\n".join("\n".join(block) for block in blocks if block)) + "\n"


def _headed(part: Part) -> str:
    return f"{'! ' if part.tone == 'warning' else ''}{part.title}"


def _chat_lines(chat: Chat) -> list[str]:
    return [f"  - {chat.prompt}", f"      < {one_line(chat.before)}", f"      > {one_line(chat.after)}"]
