"""What a finder gets and gives: a text to look at, and pieces of it with their kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# One character for one, so that positions stay: full width digits, letters and marks as half width.
_HALF = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
# Marks that separate Chinese clauses stay as they are: a rule may ask for them.
_HALF = {code: half for code, half in _HALF.items() if chr(code) not in "，；：！？（）"}
_HAN = re.compile(r"[\u3400-\u9fff]")
_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"[^\W\d_\u3400-\u9fff]")
_NOT_A_NUMBER = re.compile(
    r"(?:订单|单号|编号|序列|流水|快递|运单|货号|批号|工单|案号|票号|条码|型号|金额|人民币|[￥¥$€£]|"
    r"\b(?:order|tracking|serial|invoice|ticket|reference|ref|case|sku|isbn|imei|sn|s/n|p/n|part|item|amount|usd|rmb|cny))"
    r"\s?(?:号码?|no\.?|number|id|code)?\s?(?:是|为|is)?\s?[#:：]?\s?[a-z]{0,3}[-_]?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """Characters `start` to `end` (exclusive) of a text that look like personal data. `text` is never part of its repr."""

    start: int
    end: int
    kind: str
    text: str = field(repr=False)
    sure: float
    """0 to 1: how much speaks for it. A check digit is nearly certain, a capitalised word is not."""


@dataclass(frozen=True, slots=True)
class View:
    """A text made ready for the finders: full width as half width, character by character."""

    text: str
    low: str
    digits: bool
    han: bool
    letters: bool

    @classmethod
    def of(cls, text: str) -> View:
        plain = text if text.isascii() else text.translate(_HALF)
        return cls(
            plain,
            plain.lower(),
            _DIGIT.search(plain) is not None,
            not plain.isascii() and _HAN.search(plain) is not None,
            _LETTER.search(plain) is not None,
        )

    def found(self, start: int, end: int, kind: str, sure: float) -> Found:
        return Found(start, end, kind, self.text[start:end], sure)

    def has(self, *words: str) -> bool:
        """Whether one of these, in small letters, stands anywhere: much quicker than a pattern that ignores case."""
        return any(word in self.low for word in words)

    def before(self, cue: re.Pattern[str], start: int, reach: int = 24) -> bool:
        """Whether a cue stands within `reach` characters before a place."""
        return cue.search(self.text, max(0, start - reach), start) is not None

    def after(self, cue: re.Pattern[str], end: int, reach: int = 16) -> bool:
        """Whether the text goes on with a cue right at a place."""
        return cue.match(self.text, end, min(len(self.text), end + reach)) is not None

    def counted(self, start: int) -> bool:
        """Whether what stands before a number says that it is an order, a serial number, an amount."""
        return self.before(_NOT_A_NUMBER, start, 20)


Finder = Callable[[View], Iterator[Found]]


def digits_of(text: str) -> str:
    """Only the ASCII digits of a text."""
    return "".join(char for char in text if "0" <= char <= "9")
