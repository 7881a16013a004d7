"""Sentences that open or close many answers and answer nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rung.text.stock_phrases import closing, cut_closing, cut_opening, is_stock_closing, is_stock_opening, opening

_FEWEST = 5
_SHARE = 0.05
"""Of all answers, from which a sentence at the same end of them is boilerplate."""
_SHORTEST = 4


@dataclass(frozen=True)
class Boilerplate:
    """Phrases by the number of answers that they begin or end."""

    openings: Counter[str]
    closings: Counter[str]

    @property
    def counts(self) -> dict[str, int]:
        return dict((self.openings + self.closings).most_common())

    def strip(self, text: str) -> str:
        """The answer without them; never without anything left."""
        while (first := opening(text)) in self.openings:
            text = cut_opening(text, first)
        while (last := closing(text)) in self.closings:
            text = cut_closing(text, last)
        return text


def find_boilerplate(answers: Sequence[str]) -> Boilerplate:
    """Stock phrases at whatever number, and other sentences that open or close at least 5 % of the answers, and five of them."""
    needed = max(_FEWEST, _SHARE * len(answers))
    openings = Counter(opening(text) for text in answers)
    closings = Counter(closing(text) for text in answers)
    return Boilerplate(
        Counter({s: n for s, n in openings.items() if s and (is_stock_opening(s) or _repeated(s, n, needed))}),
        Counter({s: n for s, n in closings.items() if s and (is_stock_closing(s) or _repeated(s, n, needed))}),
    )


def _repeated(sentence: str, n: int, needed: float) -> bool:
    return n >= needed and sentence[0].isalnum() and sum(char.isalpha() for char in sentence) >= _SHORTEST
