"""What a diagnosis and a stability measurement say in words, in English and Chinese, from `diagnosis_words.json`."""

from __future__ import annotations

from pathlib import Path

from rung.experiment.sentences import Sentences
from rung.store.records import Interval, Text

say = Sentences(Path(__file__).with_name("diagnosis_words.json"))


def points(interval: Interval, n: int) -> Text:
    """A difference of shares in percentage points, with its interval."""
    shown = [
        "–" if v is None else f"{100 * v:+.1f}".replace("-", "−") for v in (interval.point, interval.low, interval.high)
    ]
    return say("points", point=shown[0], low=shown[1], high=shown[2], n=n)
