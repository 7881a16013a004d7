"""Every word of the report in English and Chinese, from `words.json` beside this file."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from rung.core.task import Language

_SLOT = re.compile(r"\{(\w+)\}")


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every key with its text in both languages; `{name}` marks a value."""
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("words.json").read_text("utf-8"))
    return found


class Words:
    """The words of one language. `words("key", name=value)` is a sentence; an unknown key is a KeyError."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language

    def __call__(self, key: str, **values: Any) -> str:
        text = catalogue()[key][self.language]
        # One pass, so that a value holding braces is never filled in again.
        return _SLOT.sub(lambda slot: str(values[slot[1]]), text)

    def known(self, key: str, default: str) -> str:
        """The words of a key, or `default` for a name that this file does not know (a plug-in's method or metric)."""
        return self(key) if key in catalogue() else default

    def method(self, method: str) -> str:
        """A method's name for people; `a+b` that has no name of its own is spelled from its parts."""
        whole = self.known(f"method.{method}", "")
        return whole or " + ".join(self.known(f"method.{part}", part) for part in method.split("+"))

    def metric(self, metric: str) -> str:
        return self.known(f"metric.{metric}", metric.replace("_", " "))

    def join(self, parts: list[str]) -> str:
        """A list in a sentence."""
        return ("、" if self.language == "zh" else ", ").join(parts)
