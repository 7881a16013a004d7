"""The work loop of `rung label` in a terminal: a row, its suggestion, one key; what is said is on disk before the next row is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rung.cli.spoken import harmless, spoken
from rung.text.normalise import normalise_label

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.data.record import Record
    from rung.experiment.annotating.agreement import Disagreement
    from rung.experiment.annotating.desk import Desk, Writer
    from rung.experiment.annotating.queue import Queue, Row

FEW_LABELS = 24
"""As many labels are listed with every row; more are listed on request."""
COMMANDS = {
    "/s": "skip",
    "/u": "undo",
    "/n": "note",
    "/f": "flag",
    "/q": "quit",
    "/g": "guideline",
    "/l": "labels",
    "/e": "edit",
}
"""What may be typed in place of an answer; with labels the letter alone will do, unless it is a label."""


@dataclass(frozen=True)
class Talk:
    """How the annotator and the loop talk."""

    read: Callable[[str], str]
    """One line of the annotator's, which may begin with the given text; empty, without a line end, when there are no more."""
    write: Callable[[str], None]
    language: Language = "en"
    clock: Callable[[], float] = time.monotonic

    def words(self, key: str, **values: Any) -> str:
        return spoken(f"label.{key}", self.language, **values)


@dataclass(frozen=True)
class Said:
    """What a line meant: an answer, or a command with the rest of its line."""

    do: str
    text: str = ""


@dataclass(frozen=True)
class Labels:
    """The labels in their numbered order; empty for free text."""

    names: tuple[str, ...]

    def meant(self, line: str) -> Said:
        """What was typed: a command, a label's number or name or the beginning of one name, or free text.

        A label's own name comes first, so that labels called 1, 2 or s mean themselves.
        """
        text = line.strip()
        exact = [name for name in self.names if normalise_label(name) == normalise_label(text)]
        if text and exact:
            return Said("label", exact[0])
        word, _, rest = text.partition(" ")
        command = COMMANDS.get(word.casefold()) or (COMMANDS.get("/" + word.casefold()) if self.names else None)
        if command and (not rest or command == "note"):
            return Said(command, rest.strip())
        if text == "":
            return Said("accept")
        if not self.names:
            return Said("label", text)
        if text.isdecimal() and 1 <= int(text) <= len(self.names):
            return Said("label", self.names[int(text) - 1])
        begun = [name for name in self.names if normalise_label(name).startswith(normalise_label(text))]
        return Said("label", begun[0]) if len(begun) == 1 else Said("unknown", ", ".join(begun[:8]))

    def shown(self) -> str:
        return "   ".join(f"{n} {name}" if not name.isdecimal() else name for n, name in enumerate(self.names, 1))


@dataclass
class Loop:
    """One annotator's session over a queue."""

    queue: Queue
    writer: Writer
    talk: Talk
    passage: Callable[[Record], str] = lambda record: ""
    """The piece of a document that a row is about; '' where none is known."""
    blind: bool = False
    done: int = 0
    _labels: Labels = field(default_factory=lambda: Labels(()))
    _seen: dict[str, Row] = field(default_factory=dict)

    def run(self, batch: int, limit: int = 0) -> int:
        """Show rows until there are no more, the annotator leaves, or `limit` are done; returns how many were done.

        The order is made anew after every `batch` rows, with what has been labelled since.
        """
        self._labels = Labels(self.queue.setup.labels)
        self._tell_guideline()
        total = len(self.queue.left())
        waiting: list[Row] = []
        while not limit or self.done < limit:
            waiting = waiting or self.queue.next_rows(batch)
            if not waiting:
                break
            row = waiting[0]
            if not self.queue.still_open(row.record):
                waiting.pop(0)
                continue
            self._seen[row.record.id] = row
            said = self._one(row, total)
            if said == "quit":
                break
            if said == "undo":
                waiting = [*self._undo(), *waiting]
            else:
                waiting.pop(0)
        return self.done

    def _one(self, row: Row, total: int) -> str:
        """Show one row until something settles it: done | quit | undo."""
        talk, record = self.talk, row.record
        self.writer.open(record)
        started = talk.clock()
        led = row.led and not self.blind
        suggestion = row.suggestion.text if led and row.suggestion is not None else ""
        talk.write(f"\n--- {self._progress(total)}\n")
        talk.write(self._shown(record, led))
        if suggestion and row.suggestion is not None:
            sure = row.suggestion.confidence
            key = "suggestion" if sure is None else "suggestion_sure"
            sure_text = "" if sure is None else f"{100 * sure:.0f}%"
            talk.write(talk.words(key, text=harmless(suggestion), by=row.suggestion.by, sure=sure_text) + "\n")
        if self._labels.names and len(self._labels.names) <= FEW_LABELS:
            talk.write(self._labels.shown() + "\n")
        prefill = ""
        while True:
            talk.write(talk.words("ask" if self._labels.names else "ask_text"))
            line = talk.read(prefill)
            prefill = ""
            if not line:
                return "quit"
            said = self._labels.meant(line)
            if said.do == "accept" and suggestion:
                said = Said("label", suggestion)
            if said.do == "label":
                self.writer.label(record, said.text, seconds=talk.clock() - started, suggestion=suggestion)
                self.done += 1
                return "done"
            if said.do == "skip":
                self.writer.skip(record)
                self.queue.passed.add(record.id)
                self.done += 1
                return "done"
            if said.do in {"quit", "undo"}:
                return said.do
            if said.do == "edit":
                prefill = suggestion
            else:
                self._aside(said, record)

    def _aside(self, said: Said, record: Record) -> None:
        """What leaves the row on the screen."""
        talk = self.talk
        if said.do == "note":
            text = said.text or talk.read("").strip()
            if text:
                self.writer.note(record, text)
                talk.write(talk.words("noted") + "\n")
        elif said.do == "flag":
            self.writer.flag(record)
            talk.write(talk.words("flagged") + "\n")
        elif said.do == "guideline":
            self._tell_guideline()
        elif said.do == "labels" and self._labels.names:
            talk.write(self._labels.shown() + "\n")
        elif said.do == "unknown" and said.text:
            talk.write(talk.words("several", names=said.text) + "\n")
        else:
            talk.write(talk.words("again") + "\n")

    def _undo(self) -> list[Row]:
        """Take the last label or skip back, and show that row again."""
        from rung.experiment.annotating.queue import Row

        id = self.writer.undo()
        self.talk.write(self.talk.words("undone" if id else "nothing", id=id) + "\n")
        if not id:
            return []
        self.done = max(0, self.done - 1)
        self.queue.passed.discard(id)
        of_earlier = [Row(record) for record in self.queue.records if record.id == id]
        return [self._seen[id]] if id in self._seen else of_earlier

    def _progress(self, total: int) -> str:
        left = max(0, total - self.done)
        each = self.writer.sheet.seconds_a_row
        if not each:
            return self.talk.words("count", k=self.done + 1, n=total)
        minutes = each * left / 60
        shown = f"{minutes:.0f}" if minutes >= 1 else "<1"
        return self.talk.words("count_time", k=self.done + 1, n=total, minutes=shown)

    def _shown(self, record: Record, led: bool) -> str:
        lines = [f"{harmless(passage)}\n"] if (passage := self.passage(record)) else []
        chosen = self.queue.setup.fields
        for name, value in record.inputs.items():
            if value and (not chosen or name in chosen):
                lines.append(f"{name}: {harmless(value)}")
        lines += [f"{turn.role}: {harmless(turn.content)}" for turn in record.messages]
        if record.answer and led:
            lines.append(self.talk.words("before", text=harmless(record.answer)))
        return "\n".join(lines) + "\n"

    def _tell_guideline(self) -> None:
        text = self.queue.setup.guideline.strip()
        if text:
            self.talk.write(f"=== {self.talk.words('guideline')}\n{harmless(text)}\n===\n")
        if self._labels.names and len(self._labels.names) > FEW_LABELS:
            self.talk.write(self._labels.shown() + "\n")


def adjudicate_rows(
    desk: Desk, open_rows: Sequence[Disagreement], by: str, talk: Talk, passage: Callable[[Record], str]
) -> int:
    """Walk through rows on which annotators differ and keep a decision for each; returns how many were decided."""
    from rung.experiment.annotating.desk import asked

    known = desk.setup.labels if desk.setup else ()
    done = 0
    for place, found in enumerate(open_rows, 1):
        record = found.record
        talk.write(f"\n--- {talk.words('count', k=place, n=len(open_rows))}\n")
        if text := passage(record):
            talk.write(harmless(text) + "\n\n")
        talk.write("".join(f"{name}: {harmless(value)}\n" for name, value in record.inputs.items() if value))
        options = list(dict.fromkeys(found.said.values()))
        for n, option in enumerate(options, 1):
            who = ", ".join(name for name, answer in found.said.items() if answer == option)
            talk.write(f"  {n} {harmless(option)}  ({who})\n")
        own = Labels(tuple(dict.fromkeys((*options, *known))) if known else ())
        while True:
            talk.write(talk.words("decide"))
            line = talk.read("")
            said = own.meant(line) if line else Said("quit")
            if not known and said.do == "label" and said.text.isdecimal() and 1 <= int(said.text) <= len(options):
                said = Said("label", options[int(said.text) - 1])
            if said.do == "label":
                desk.decide(record.id, said.text, by, asked=asked(record))
                done += 1
                break
            if said.do == "skip":
                break
            if said.do == "quit":
                return done
            talk.write(talk.words("again") + "\n")
    return done
