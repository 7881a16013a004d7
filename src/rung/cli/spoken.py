"""How commands talk: words in English and Chinese from `words.json` beside this file, whose language, and to stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.data.findings import Finding
    from rung.store.records import Text


_LANG = re.compile(r"--lang(=|$)")


@cache
def _words() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("words.json").read_text("utf-8"))
    return found


def spoken(key: str, language: str, **values: Any) -> str:
    """The text of a key with its values; a value's own braces are never filled again."""
    return re.sub(r"\{(\w+)\}", lambda mark: str(values[mark[1]]), _words()[key][language])


def in_language(text: Text, language: Language) -> str:
    """A sentence of a record in one language."""
    return text.zh if language == "zh" else text.en


def own_language() -> Language:
    """The user's own language, for errors and talk: RUNG_LANG, else the system's."""
    said = (
        os.environ.get("RUNG_LANG")
        or os.environ.get("LC_ALL")
        or os.environ.get("LC_MESSAGES")
        or os.environ.get("LANG", "")
    )
    return "zh" if said.lower().startswith("zh") else "en"


def command_language(arguments: Sequence[str]) -> Language:
    """The language of a whole command line, for its errors: what its --lang says, else the user's own."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    said = [value if name == "--lang" else name.partition("=")[2] for name, value in pairs if _LANG.match(name)]
    return said[-1] if said and said[-1] in {"en", "zh"} else own_language()  # type: ignore[return-value]


def asked_language(lang: str | None) -> Language | None:
    """What --lang says; None where it says nothing. Raises UsageError E1309 for any other language."""
    if lang is None or lang == "en" or lang == "zh":
        return lang  # type: ignore[return-value]
    raise UsageError("E1309", value=lang)


def say(text: str = "") -> None:
    """Talk: to stderr."""
    print(text, file=sys.stderr, flush=True)


def finding_line(finding: Finding, language: Language) -> str:
    """'warning: what was found [E2164]'."""
    return f"{spoken(f'level.{finding.level}', language)}: {finding.message(language)} [{finding.code}]"


def say_finding(finding: Finding, language: Language) -> None:
    """A finding and what to do about it, to stderr."""
    say(finding_line(finding, language))
    if hint := finding.hint(language):
        say("    " + spoken("hint", language, hint=hint))


def visible(text: str) -> str:
    """One line of a row's text, with what shows nothing by its code point."""
    from rung.text.unseen import show_unseen

    return show_unseen(text).replace("\n", "↵").replace("\t", "⇥")


def harmless(text: str) -> str:
    """A text of somebody else's, which cannot move the cursor or colour the screen."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
