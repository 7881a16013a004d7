"""Sentences in English and Chinese, made from `sentences.json` beside this file: costs, base models and feasibility speak with them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

from rung.experiment.wording import money
from rung.store.records import Text

_SLOT = re.compile(r"\{(\w+)\}")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[0-9A-Za-z%]")
Lang = Literal["en", "zh"]


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every sentence by its key, in both languages; `{name}` marks a value."""
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("sentences.json").read_text("utf-8"))
    return found


class Teller(Protocol):
    def __call__(self, **values: object) -> Text: ...


def teller(key: str) -> Teller:
    """A sentence that still wants its values; a value that is a Text goes in by its language. Unknown keys: KeyError."""
    forms = catalogue()[key]

    def tell(**values: object) -> Text:
        return Text(en=_fill(forms["en"], values, "en"), zh=_fill(forms["zh"], values, "zh"))

    return tell


def _fill(text: str, values: dict[str, object], language: Lang) -> str:
    def shown(mark: re.Match[str]) -> str:
        value = values[mark[1]]
        said = str(getattr(value, language)) if isinstance(value, Text) else str(value)
        if language == "en" or not said:
            return said
        # Chinese is set with a space between Han and Latin.
        left = " " if _HAN.match(text[: mark.start()][-1:]) and _LATIN.match(said[0]) else ""
        right = " " if _LATIN.match(said[-1]) and _HAN.match(text[mark.end() :][:1]) else ""
        return left + said + right

    return _SLOT.sub(shown, text)


def join_names(parts: Sequence[Text], *, sentence: bool = False) -> Text:
    """Names as a list, or sentences one after another."""
    en, zh = (" ", "") if sentence else (", ", "、")
    return Text(en=en.join(part.en for part in parts), zh=zh.join(part.zh for part in parts))


def plain(text: str) -> Text:
    """The same in both languages: a name."""
    return Text(en=text, zh=text)


def percent_text(value: float) -> str:
    return f"{100 * value:.0f}%" if value in {0.0, 1.0} or 0.01 <= value <= 0.99 else f"{100 * value:.1f}%"


money_text = money
