"""What two versions of a data set differ in: rows that came, went, moved or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rung.data.record import Record, by_id


@dataclass(frozen=True, slots=True)
class Change:
    """One row that both versions have, and that is not the same in both."""

    id: str
    fields: tuple[str, ...]
    """Names of what differs, as ('inputs.question', 'answers')."""
    before: str
    after: str
    """The first text that differs; both empty where only other fields do."""


@dataclass(frozen=True)
class Diff:
    """From one version to another, by row id."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[tuple[str, str, str], ...]
    """Rows in another split: (id, before, after)."""
    changed: tuple[Change, ...]
    same: int

    @property
    def fields(self) -> dict[str, int]:
        """Changed rows by what differs in them."""
        return dict(Counter(field for change in self.changed for field in change.fields).most_common())


def diff(before: Sequence[Record], after: Sequence[Record]) -> Diff:
    """Compare rows by id; a row whose split alone differs has moved."""
    old, new = by_id(before), by_id(after)
    both = [id for id in old if id in new]
    changed = [_change(old[id], new[id]) for id in both if old[id].hash != new[id].hash]
    return Diff(
        added=tuple(id for id in new if id not in old),
        removed=tuple(id for id in old if id not in new),
        moved=tuple((id, old[id].split or "", new[id].split or "") for id in both if old[id].split != new[id].split),
        changed=tuple(changed),
        same=sum(old[id].hash == new[id].hash and old[id].split == new[id].split for id in both),
    )


def _change(old: Record, new: Record) -> Change:
    names = [name for name in type(old).model_fields if name != "split" and getattr(old, name) != getattr(new, name)]
    texts = (dict(old.texts()), dict(new.texts()))
    differing = [where for where in {**texts[0], **texts[1]} if texts[0].get(where) != texts[1].get(where)]
    fields = dict.fromkeys(
        f"inputs.{name}" for name in {**old.inputs, **new.inputs} if old.inputs.get(name) != new.inputs.get(name)
    )
    fields |= dict.fromkeys(name for name in names if name != "inputs")
    first = differing[0] if differing else None
    return Change(old.id, tuple(fields), *(text.get(first, "") if first else "" for text in texts))
