"""Texts as words and characters, for counting what came back word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rung.text.script import CJK

_UNIT = re.compile(rf"[{CJK}]|[^\W{CJK}]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Cut:
    """A text cut in two: what is shown, and what is to come back."""

    shown: str
    rest: str


def units(text: str) -> list[str]:
    """Words, marks, and single characters of Chinese, as they stand."""
    return _UNIT.findall(text)


def cut(text: str) -> Cut:
    """The first half of a text's units, and the other half."""
    found = list(_UNIT.finditer(text))
    if len(found) < 2:
        return Cut(text, "")
    place = found[len(found) // 2].start()
    return Cut(text[:place].rstrip(), text[place:])


def comes_back(rest: str, said: str, k: int) -> bool:
    """Whether an answer holds the first k units of the rest, one after the other; all of them where there are fewer."""
    wanted = units(rest)[:k]
    return bool(wanted) and _within(wanted, units(said))


def _within(wanted: Sequence[str], said: Sequence[str]) -> bool:
    size = len(wanted)
    return any(list(said[i : i + size]) == list(wanted) for i in range(len(said) - size + 1))
