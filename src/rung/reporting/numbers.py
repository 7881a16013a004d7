"""How numbers look: percent with its interval, points, money, durations and counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rung.reporting.words import Words
from rung.store.records import Interval

SHARES = frozenset(
    {
        "accuracy",
        "macro_f1",
        "macro_precision",
        "macro_recall",
        "exact_match",
        "token_f1",
        "json_match",
        "judged",
        "bleu",
        "chrf",
        "rouge_l",
        "meteor_like",
        "retrieval_recall",
        "retrieval_mrr",
        "retrieval_ndcg",
        "citation_precision",
        "citation_recall",
        "answered_share",
        "abstain_precision",
        "abstain_recall",
        "answered_f1",
    }
)
"""Metrics that are shares of 1 and shown as percent; any other metric is shown as the number it is."""

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥"}
NONE = "–"


def signed(text: str) -> str:
    """A number with a true minus sign, or a plus."""
    return "−" + text[1:] if text.startswith("-") else "+" + text


@dataclass(frozen=True)
class Numbers:
    """Numbers as words of one language, for one currency."""

    words: Words
    currency: str = "USD"

    def share(self, metric: str) -> bool:
        return metric in SHARES

    def factor(self, metric: str) -> float:
        """What a value is multiplied by before it is shown."""
        return 100.0 if self.share(metric) else 1.0

    def unit(self, metric: str) -> str:
        return "%" if self.share(metric) else ""

    def point(self, value: float | None, metric: str) -> str:
        """A quality without its interval: only for places that show the interval beside it, and for dev."""
        if value is None:
            return NONE
        return f"{value * 100:.1f}%" if self.share(metric) else f"{value:.3f}"

    def bounds(self, interval: Interval, metric: str) -> str:
        """The two ends of an interval, or the words for having none."""
        if interval.low is None or interval.high is None:
            return self.words("no_interval")
        factor, digits, unit = (100, 1, "%") if self.share(metric) else (1, 3, "")
        return f"{interval.low * factor:.{digits}f}–{interval.high * factor:.{digits}f}{unit}"

    def quality(self, interval: Interval, metric: str) -> str:
        """`87.3% (79.8–93.1%)`: a quality never stands without its interval."""
        if interval.point is None:
            return NONE
        return self.words("quality", point=self.point(interval.point, metric), bounds=self.bounds(interval, metric))

    def steps(self, values: list[float], metric: str, *, sign: bool = False) -> list[str]:
        """Differences of quality in percentage points (or as they are), with as many digits as keep them from being 0."""
        factor, digits = (100, 1) if self.share(metric) else (1, 3)
        shown = []
        for value in values:
            scaled = value * factor
            text = f"{scaled:.{digits}f}"
            if scaled and not float(text):
                text = f"{scaled:.{digits + 1}f}"
            text = text.removeprefix("-") if not float(text) else text
            shown.append(signed(text) if sign and float(text) else text.replace("-", "−"))
        return shown

    def step(self, value: float, metric: str) -> str:
        """One difference with its unit: `2.0 points`."""
        (text,) = self.steps([value], metric)
        return self.words("points", n=text) if self.share(metric) else text

    def money(self, value: float | None) -> str:
        """Two decimals from 1 to 100, none above, and two significant digits below 1."""
        if value is None:
            return NONE
        size = abs(value)
        if size == 0 or size >= 100:
            digits = 0
        elif size >= 1:
            digits = 2
        else:
            digits = min(12, max(2, 1 - math.floor(math.log10(size))))
        text = f"{size:,.{digits}f}"
        if digits > 2:
            text = text.rstrip("0")
        mark = _SYMBOLS.get(self.currency)
        return ("−" if value < 0 else "") + (f"{mark}{text}" if mark else f"{text} {self.currency}")

    def seconds(self, value: float | None) -> str:
        """A duration in the unit that a person would choose."""
        if value is None:
            return NONE
        if value == 0:
            return self.words("time.s", n="0")
        if value < 0.001:
            return self.words("time.ms", n=f"{value * 1000:.2g}")
        if value < 0.9995:
            return self.words("time.ms", n=f"{value * 1000:.0f}")
        if value < 9.95:
            return self.words("time.s", n=f"{value:.1f}")
        if value < 119.5:
            return self.words("time.s", n=f"{value:.0f}")
        if value < 7170:
            minutes, rest = divmod(round(value), 60)
            return self.words("time.min", m=minutes, s=rest)
        hours, rest = divmod(round(value / 60), 60)
        return self.words("time.h", h=f"{hours:,}", m=rest)

    def whole(self, value: int | None) -> str:
        return NONE if value is None else f"{value:,}"

    def p_value(self, value: float | None) -> str:
        if value is None:
            return NONE
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
