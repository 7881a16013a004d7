"""What two texts share when they ask the same: one form without case, width, marks, white space and Chinese script."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

from rung.core.task import Example
from rung.text.normalise import normalise_key
from rung.text.script import is_cjk
from rung.text.variants import to_simplified

_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d+")
# The marks among ASCII that Unicode counts as punctuation; $ + < = > ^ ` | ~ are symbols, and stay.
_ASCII_OUT = str.maketrans(
    "", "", "".join(set(string.punctuation) - set("$+<=>^`|~")) + string.whitespace + "\x1c\x1d\x1e\x1f"
)


class _Simplified(dict[int, str]):
    """A table for str.translate: each Chinese character's simplified form, looked up the first time it is met.

    Character by character, so that a text and its conversion meet in one form whatever a converter's phrases say.
    """

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = to_simplified(char) if is_cjk(char) else char
        return self[code]


_SIMPLIFIED = _Simplified()


def key_of(text: str) -> str:
    """The form in which a text is looked up: `normalise_key`, in simplified characters; '' for a blank text."""
    if not text.isascii():
        return normalise_key(text).translate(_SIMPLIFIED)
    if _DIGIT.search(text) is None:
        # Half of all English texts: what normalise_key comes to where no mark belongs to a number.
        key = text.lower().translate(_ASCII_OUT)
        if key:
            return key
    return normalise_key(text)


def keys_of(texts: Iterable[str]) -> list[str]:
    """The key of every text, in order."""
    return [key_of(text) for text in texts]


def text_key(example: Example) -> str:
    """The key of all that an example's user says."""
    return key_of(example.asked)


def numbers_in(key: str) -> tuple[str, ...]:
    """The numbers of a key, sorted, without leading zeros."""
    return tuple(sorted(number.lstrip("0") for number in _NUMBER.findall(key)))


def contradict(one: Example, other: Example) -> bool:
    """Whether two examples of the same text have no answer in common, though both have answers."""
    answers = [{key_of(answer) for answer in example.references} for example in (one, other)]
    return all(answers) and not answers[0] & answers[1]
