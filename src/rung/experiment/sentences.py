"""Sentences in English and Chinese at once, from JSON files; `sentences.json` beside this one is for costs, base models and feasibility."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

from rung.experiment.wording import Lang, fill, money
from rung.store.records import Text


class Sentences:
    """The sentences of one JSON file, {key: {en, zh}}, where `{name}` marks a value."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def forms(self) -> dict[str, dict[str, str]]:
        """Every sentence by its key, unfilled."""
        found: dict[str, dict[str, str]] = json.loads(self._path.read_text("utf-8"))
        return found

    def __call__(self, key: str, /, **values: object) -> Text:
        """A sentence; a value that is a Text goes in by its language. Unknown keys: KeyError."""
        forms = self.forms[key]
        return Text(en=_filled(forms["en"], values, "en"), zh=_filled(forms["zh"], values, "zh"))


SENTENCES = Sentences(Path(__file__).with_name("sentences.json"))


class Teller(Protocol):
    """A sentence that still wants its values."""

    def __call__(self, **values: object) -> Text: ...


def teller(key: str) -> Teller:
    """One of `sentences.json`."""
    return partial(SENTENCES, key)


def _filled(text: str, values: dict[str, object], language: Lang) -> str:
    said = {name: getattr(value, language) if isinstance(value, Text) else str(value) for name, value in values.items()}
    return fill(text, said, language)


def join_names(parts: Sequence[Text], *, sentence: bool = False) -> Text:
    """Names as a list, or sentences one after another."""
    en, zh = (" ", "") if sentence else (", ", "、")
    return Text(en=en.join(part.en for part in parts), zh=zh.join(part.zh for part in parts))


def plain(text: str) -> Text:
    """The same in both languages: a name."""
    return Text(en=text, zh=text)


def percent_text(value: float) -> str:
    """A share in percent, with a decimal only where it would read as none or all."""
    return f"{100 * value:.0f}%" if value in {0.0, 1.0} or 0.01 <= value <= 0.99 else f"{100 * value:.1f}%"


money_text = money
