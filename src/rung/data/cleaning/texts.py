"""The steps that change a text by itself, over the texts of rows: spans moved, labels kept, counts taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.data.cleaning.registry import TextStep
from rung.data.cleaning.spans import move_spans
from rung.data.cleaning.tally import Tally
from rung.data.record import Record, Span, Where
from rung.text.mojibake import lost_encoding

_PASSES = 6


def clean_text(text: str, steps: Sequence[TextStep]) -> str:
    """One text with all steps done, again and again until none of them changes it."""
    for _ in range(_PASSES):
        before = text
        for step in steps:
            text = step.clean(text)
        if text == before:
            break
    return text


@dataclass
class TextPass:
    """Cleans one row after another and keeps the tallies of its steps."""

    steps: Sequence[TextStep]
    tallies: Mapping[str, Tally]
    labels: bool

    def clean(self, record: Record) -> Record:
        """The row with its texts cleaned; the row itself where nothing changes."""
        first: dict[str, tuple[Where, str, str]] = {}
        changed: dict[Where, str] = {}
        spans = record.spans
        spared: dict[str, bool] = {}
        for where, text in record.texts():
            if self._kept(record, where):
                continue
            marked = _marked(record, where, spans)
            new, moved = self._changed(record, where, text, marked, spared, first)
            if new != text:
                changed[where] = new
            if moved is not marked:
                spans = tuple(span for span in spans if span not in marked) + tuple(moved)
            if "encoding" in self.tallies and (lost := lost_encoding(new)):
                self.tallies["encoding"].counts.update(lost)
        for name, (where, before, after) in first.items():
            self.tallies[name].touched += 1
            self.tallies[name].sample(record.id, where, before, after)
        if not changed:
            return record
        cleaned = record.with_texts(lambda where, text: changed.get(where, text))
        return cleaned if spans == record.spans else cleaned.model_copy(update={"spans": spans})

    def _changed(
        self,
        record: Record,
        where: Where,
        text: str,
        spans: Sequence[Span],
        spared: dict[str, bool],
        first: dict[str, tuple[Where, str, str]],
    ) -> tuple[str, Sequence[Span]]:
        unmoved: set[str] = set()
        for _ in range(_PASSES):
            before = text
            for step in self.steps:
                after = step.clean(text)
                if after == text or step.name in unmoved:
                    continue
                if step.name not in spared:
                    spared[step.name] = _spares(record, step)
                if spared[step.name]:
                    continue
                if spans:
                    moved = move_spans(text, after, spans, step.clean)
                    if moved is None:
                        unmoved.add(step.name)
                        continue
                    spans = moved
                if step.tell is not None:
                    self.tallies[step.name].counts.update(step.tell(text, after))
                first.setdefault(step.name, (where, text, after))
                text = after
            if text == before:
                break
        for name in unmoved:
            self.tallies[name].counts["spans in the way"] += 1
        return text, spans

    def _kept(self, record: Record, where: Where) -> bool:
        """Whether a text is a label."""
        if not self.labels:
            return False
        if where[0] in ("answers", "rejected"):
            return True
        return (
            where[0] == "messages" and where[1] == len(record.messages) - 1 and record.messages[-1].role == "assistant"
        )


def _spares(record: Record, step: TextStep) -> bool:
    """Whether any text of a row speaks of what the step takes out."""
    return step.spares is not None and any(step.spares(text) for _, text in record.texts())


def _marked(record: Record, where: Where, spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans that lie in a text."""
    if not spans or where[0] != "inputs":
        return ()
    only = len(record.inputs) == 1
    return tuple(span for span in spans if span.field == where[1] or (only and not span.field))
