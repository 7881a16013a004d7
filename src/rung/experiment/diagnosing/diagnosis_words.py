"""What a diagnosis and a stability measurement say in words, in English and Chinese, from `diagnosis_words.json`."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from rung.store.records import Interval, Text

_SLOT = re.compile(r"\{(\w+)\}")


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every key with its text in both languages; `{name}` marks a value."""
    path = Path(__file__).with_name("diagnosis_words.json")
    found: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    return found


def say(key: str, **values: object) -> Text:
    """A sentence; a value that is a Text is said in the sentence's own language."""

    def filled(language: str) -> str:
        pieces = _SLOT.split(catalogue()[key][language])
        for place in range(1, len(pieces), 2):
            value = values[pieces[place]]
            pieces[place] = str(getattr(value, language) if isinstance(value, Text) else value)
        return "".join(pieces)

    return Text(en=filled("en"), zh=filled("zh"))


def join(texts: list[Text]) -> Text:
    """Sentences as a paragraph."""
    return Text(en=" ".join(text.en for text in texts), zh="".join(text.zh for text in texts))


def points(interval: Interval, n: int) -> Text:
    """A difference of shares in percentage points, with its interval."""
    shown = [
        "–" if v is None else f"{100 * v:+.1f}".replace("-", "−") for v in (interval.point, interval.low, interval.high)
    ]
    return say("points", point=shown[0], low=shown[1], high=shown[2], n=n)
