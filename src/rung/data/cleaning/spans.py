"""Marked pieces of a text moved along with a change of the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

from rung.data.record import Span
from rung.text.common_ends import common_ends

_COMPARED = 4000
"""Characters that are compared one by one; a change that reaches further is left undone."""


def move_spans(before: str, after: str, spans: Sequence[Span], clean: Callable[[str], str]) -> tuple[Span, ...] | None:
    """The spans where they lie after the change; None where one cannot be found again for certain.

    For certain means: the piece that it marks is the old piece, cleaned.
    """
    places = _places(before, after)
    if places is None:
        return None
    moved = []
    for span in spans:
        if span.end > len(before):
            return None
        start, end = places[span.start], places[span.end]
        old, new = before[span.start : span.end], after[start:end]
        if new != old:
            start += len(new) - len(new.lstrip())
            new = new.strip()
            if not new or new not in (old.strip(), clean(old).strip()):
                return None
        moved.append(span.model_copy(update={"start": start, "end": start + len(new)}))
    return tuple(moved)


def _places(before: str, after: str) -> list[int] | None:
    """For each place in the old text, the place in the new one; None for a change too large to follow."""
    head, tail = common_ends(before, after)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if max(len(old), len(new)) > _COMPARED:
        return None
    places = list(range(head))
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        same = tag == "equal" or (tag == "replace" and i2 - i1 == j2 - j1)
        places += [head + (j1 + i - i1 if same else j1) for i in range(i1, i2)]
    return places + list(range(len(after) - tail, len(after) + 1))
