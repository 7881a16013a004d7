"""Masking: the same value has the same pseudonym in all rows, marked spans move along, and masking twice changes nothing."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rung.core.errors import UsageError
from rung.core.task import Language
from rung.data.privacy.everywhere import Change, change_texts, field_of
from rung.data.privacy.find import find_personal
from rung.data.privacy.found import digits_of
from rung.data.privacy.kinds import kinds
from rung.data.privacy.mask_map import MaskMap
from rung.data.privacy.surrogates import surrogate
from rung.data.privacy.veil import shown, veil
from rung.data.record import Record, Span, Where
from rung.data.versions.version import Sample, Step

Progress = Callable[[float, float, str], None]
"""done, total, note"""
Style = Literal["tag", "surrogate", "partial"]
_PASSES = 6
"""Masking a text can bring out another finding beside it; two passes are the rule."""
_SAMPLES = 5
_TOLD = 200
"""Rows between two words of progress."""
_SAMPLE_LENGTH = 200
_TAG = re.compile(r"\[([A-Z][A-Z_]{1,20})_(\d+)\]")


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters `start` to `end` of the text as it was, and what stands there now."""

    start: int
    end: int
    new: str
    kind: str


@dataclass(frozen=True)
class Masked:
    """A text after masking, and how it came about."""

    text: str
    edits: tuple[Edit, ...] = field(default=(), repr=False)


@dataclass
class Masker:
    """Masks texts and records, and counts what it does.

    `style`: tag ([PHONE_3]), surrogate (a plausible stand-in that is never valid) or partial (138******00, which keeps no
    two people apart). With a `map`, each pseudonym can be undone by whoever holds it. Without one, values are remembered
    only as keyed hashes under a random key that is never written, so nobody can undo it.
    """

    style: Style = "tag"
    kinds: Sequence[str] | None = None
    language: Language | None = None
    map: MaskMap | None = field(default=None, repr=False)
    last: dict[str, int] = field(default_factory=dict)
    """The last number given out, by tag; numbers of an earlier masking are never given out again."""

    def __post_init__(self) -> None:
        if self.style == "partial" and self.map is not None:
            raise UsageError("E2914")
        if self.map is not None and self.map.entries and self.map.style != self.style:
            raise UsageError("E2917", style=self.style, kept=self.map.style)
        self.before: Counter[str] = Counter()
        self.touched = 0
        self.samples: list[Sample] = []
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, str] = {}
        if self.map is not None:
            self.map.style = self.style
            self.last = {
                tag: max(self.last.get(tag, 0), self.map.last.get(tag, 0)) for tag in {*self.last, *self.map.last}
            }
            for name, entry in self.map.entries.items():
                self._known[self._hash(entry["kind"], entry["text"])] = name

    def text(self, text: str, field: str = "", where: str = "") -> Masked:
        """Mask one text. `field`: its column's name; `where`: its row and field, for the map."""
        edits: list[Edit] = []
        current = text
        for _ in range(_PASSES):
            found = [
                Edit(*_back(hit.start, hit.end, edits), self._pseudonym(hit.kind, hit.text), hit.kind)
                for hit in find_personal(current, self.kinds, self.language, field=field)
                if not _touches(hit.start, hit.end, edits)
            ]
            found = [edit for edit in found if text[edit.start : edit.end] != edit.new]
            if not found:
                break
            edits = sorted([*edits, *found], key=lambda edit: edit.start)
            current = _apply(text, edits)
        self._remember(text, edits, where)
        return Masked(current, tuple(edits))

    def record(self, record: Record) -> Record:
        """Mask every text of a record, its annotations, names and other fields; spans keep what they mark."""
        edits: dict[Where, tuple[Edit, ...]] = {}
        sample = ["", ""]

        def change(where: Where, text: str) -> str:
            masked = self.text(text, field=field_of(where, text), where=_place(record.id, where))
            if masked.edits:
                edits[where] = masked.edits
                sample[:] = sample if sample[1] else [_veiled(text, masked.edits), masked.text]
            return masked.text

        changed = change_texts(record, change)
        if not edits:
            return record
        self.touched += 1
        for part in edits.values():
            self.before.update(edit.kind for edit in part)
        if len(self.samples) < _SAMPLES:
            before, after = (text[:_SAMPLE_LENGTH] for text in sample)
            self.samples.append(Sample(id=changed.id, before=before, after=after))
        return changed.model_copy(update={"spans": tuple(_moved(span, edits, record) for span in record.spans)})

    def records(self, records: Sequence[Record], progress: Progress | None = None) -> list[Record]:
        """Mask rows. Ids stay unlike where they hold personal data of their own."""
        self.last = _highest(records, self.last)
        masked: list[Record] = []
        for record in records:
            masked.append(self.record(record))
            if progress is not None and len(masked) % _TOLD == 0:
                progress(len(masked), len(records), "")
        seen: Counter[str] = Counter()
        for n, row in enumerate(masked):
            seen[row.id] += 1
            if seen[row.id] > 1:
                masked[n] = row.model_copy(update={"id": f"{row.id}-{seen[row.id]}"})
        return masked

    def step(self, rows: int) -> Step:
        """What was done, for the version: counts by kind, and samples without a value."""
        arguments: dict[str, Any] = {"style": self.style, "reversible": self.map is not None, "last": dict(self.last)}
        if self.kinds is not None:
            arguments["kinds"] = list(self.kinds)
        if self.map is not None:
            arguments["map"] = self.map.id
        return Step(
            name="mask",
            arguments=arguments,
            rows_before=rows,
            rows_after=rows,
            touched=self.touched,
            counts=dict(self.before),
            samples=tuple(self.samples),
        )

    def _pseudonym(self, kind: str, text: str) -> str:
        if self.style == "partial":
            return veil(kind, text)
        key = self._hash(kind, text)
        if key not in self._known:
            tag = kinds()[kind].tag
            n = self.last[tag] = self.last.get(tag, 0) + 1
            name = surrogate(kind, n, text) if self.style == "surrogate" else None
            self._known[key] = name or f"[{tag}_{n}]"
            if self.map is not None:
                self.map.last[tag] = n
                self.map.entries[self._known[key]] = {"kind": kind, "text": text}
        return self._known[key]

    def _hash(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\0{_same(kind, text)}".encode("utf-8", "surrogatepass"), hashlib.sha256)

    def _remember(self, text: str, edits: Sequence[Edit], where: str) -> None:
        """Keep in the map how a value was written where it was written otherwise than first."""
        if self.map is None:
            return
        seen: Counter[str] = Counter()
        lines: list[list[Any]] = []
        for edit in edits:
            seen[edit.new] += 1
            written = text[edit.start : edit.end]
            if self.map.entries[edit.new]["text"] != written:
                lines.append([edit.new, seen[edit.new], written])
        if lines:
            self.map.others[where] = lines


def unmask_records(records: Sequence[Record], kept: MaskMap) -> list[Record]:
    """Rows as they were before a reversible mask, as far as the map still knows; marked spans move back along."""
    return [_unmask(record, kept) for record in records]


def _unmask(record: Record, kept: MaskMap) -> Record:
    own = kept.restore(record.id)

    def restore(where: Where, text: str) -> str:
        return kept.restore(text, _place(own, where))

    spans = tuple(_restored(span, record, restore) for span in record.spans)
    return change_texts(record, restore).model_copy(update={"spans": spans})


def _restored(span: Span, masked: Record, restore: Change) -> Span:
    name = span.field or next(iter(masked.inputs), "")
    before = masked.inputs.get(name, "")
    where = ("inputs", name)
    start, end = (len(restore(where, before[:at])) for at in (span.start, span.end))
    return span.model_copy(update={"start": start, "end": end})


def _place(id: str, where: Sequence[str | int]) -> str:
    return "\t".join([id, *map(str, where)])


def _same(kind: str, text: str) -> str:
    """The form in which two writings of one value are equal."""
    if kind in {"phone", "landline"}:
        digits = digits_of(text)
        return re.sub(r"^(?:00)?86(?=1[3-9]\d{9}$)", "", digits)
    if kind in {"id_card", "bank_card", "credit_code", "iban", "plate", "passport", "permit", "ssn"}:
        return "".join(char for char in text.upper() if char.isalnum())
    if kind in {"email", "person", "address", "organisation"}:
        return " ".join(text.casefold().split())
    return text


def _touches(start: int, end: int, edits: Sequence[Edit]) -> bool:
    """Whether a place of the masked text lies in what stands there for a value."""
    shift = 0
    for edit in edits:
        begins = edit.start + shift
        if start < begins + len(edit.new) and end > begins:
            return True
        shift += len(edit.new) - (edit.end - edit.start)
    return False


def _back(start: int, end: int, edits: Sequence[Edit]) -> tuple[int, int]:
    """A place of the masked text that touches no edit, in the text as it was."""
    shift = 0
    for edit in edits:
        if edit.start + shift >= end:
            break
        shift += len(edit.new) - (edit.end - edit.start)
    return start - shift, end - shift


def _apply(text: str, edits: Sequence[Edit]) -> str:
    pieces, at = [], 0
    for edit in edits:
        pieces += [text[at : edit.start], edit.new]
        at = edit.end
    return "".join([*pieces, text[at:]])


def _moved(span: Span, edits: Mapping[Where, Sequence[Edit]], record: Record) -> Span:
    """A span in the masked text. One that cuts a masked value takes the whole pseudonym in."""
    name = span.field or next(iter(record.inputs), "")
    start, end = span.start, span.end
    shift = 0
    for edit in edits.get(("inputs", name), ()):
        grown = len(edit.new) - (edit.end - edit.start)
        if edit.end <= span.start:
            start += grown
        elif edit.start < span.start:
            start = edit.start + shift
        if edit.end <= span.end:
            end += grown
        elif edit.start < span.end:
            end = edit.start + shift + len(edit.new)
        shift += grown
    return span.model_copy(update={"start": start, "end": end})


def _veiled(text: str, edits: Sequence[Edit]) -> str:
    return _apply(text, [Edit(e.start, e.end, shown(e.kind, text[e.start : e.end]), e.kind) for e in edits])


def _highest(records: Sequence[Record], last: Mapping[str, int]) -> dict[str, int]:
    """The highest number of every tag that rows hold already, so that a new person never gets an old one's pseudonym."""
    highest = dict(last)
    for record in records:
        for _, text in record.texts():
            for tag, n in _TAG.findall(text) if "[" in text else ():
                highest[tag] = max(highest.get(tag, 0), int(n))
    return highest
