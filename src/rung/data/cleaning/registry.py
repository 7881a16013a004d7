"""The steps of cleaning: their names, order and words from `steps.json`, each with the function that does it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rung.core.task import Frozen
from rung.text.html_remains import REMAINS, speaks_of_markup, strip_html
from rung.text.mojibake import mend_encoding
from rung.text.ruby import MAYBE_RUBY, speaks_of_readings, strip_ruby
from rung.text.script import CJK
from rung.text.spacing import UNTIDY, tidy_space
from rung.text.unseen import UNSEEN, strip_unseen, unseen_kinds
from rung.text.variants import to_simplified, to_traditional
from rung.text.width import FULL_WIDTH, narrow

_SETTLED = 8


class StepInfo(Frozen):
    """What a person should know of a step."""

    name: str
    kind: Literal["text", "set", "rows"]
    """Changes a text by itself, changes texts by what many rows share, or drops rows."""
    default: bool
    en: str
    zh: str
    before: str
    after: str
    """An example; '' where the row is dropped."""


@cache
def all_steps() -> tuple[StepInfo, ...]:
    """Every step, in the order in which they run."""
    rows = json.loads(Path(__file__).with_name("steps.json").read_text("utf-8"))
    return tuple(StepInfo(**row) for row in rows)


@dataclass(frozen=True)
class TextStep:
    """A step that changes a text by itself."""

    name: str
    change: Callable[[str], str]
    needs: re.Pattern[str]
    """What every text holds that the step may change: others are not looked at further."""
    in_ascii: bool = True
    """Whether it may change a text of ASCII characters."""
    spares: Callable[[str], bool] | None = None
    """A record with any text of which this is true is left alone."""
    tell: Callable[[str, str], Counter[str]] | None = None
    """Own counts of a change, by kind."""

    def clean(self, text: str) -> str:
        """The text with the step done until it changes nothing more."""
        if (not self.in_ascii and text.isascii()) or not self.needs.search(text):
            return text
        for _ in range(_SETTLED):
            changed = self.change(text)
            if changed == text:
                break
            text = changed
        return text


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_CHINESE = re.compile(f"[{CJK}]")
# Below U+0300 nothing is composed of several characters; Han has no marks, but compatibility forms.
_COMPOSABLE = re.compile(
    "[\u0300-\u2fff\u3041-\u3400\ua000-\uabff\uac00-\ufdff\ufe20-\ufeff\U00010000-\U0001ffff\U0002f800-\U0002fa1f]"
)


def text_step(name: str, arguments: dict[str, Any] | None = None) -> TextStep:
    """The step of a name; 'script' needs {'to': 'simplified' or 'traditional'}, 'unicode' takes {'form': 'NFKC'}."""
    given = arguments or {}
    if name == "unicode" and given.get("form", "NFC") == "NFKC":
        return TextStep(name, lambda text: unicodedata.normalize("NFKC", text), _NOT_ASCII, in_ascii=False)
    if name == "script":
        convert = to_simplified if given["to"] == "simplified" else to_traditional
        return TextStep(name, convert, _CHINESE, in_ascii=False)
    return _STEPS[name]


_STEPS = {
    step.name: step
    for step in (
        TextStep("encoding", mend_encoding, re.compile(r"[^\x00-\x7f]|~\{")),
        TextStep("html", strip_html, REMAINS, spares=speaks_of_markup),
        TextStep("invisible", strip_unseen, re.compile(f"[{UNSEEN}]"), tell=unseen_kinds),
        TextStep("unicode", lambda text: unicodedata.normalize("NFC", text), _COMPOSABLE, in_ascii=False),
        TextStep("width", narrow, FULL_WIDTH, in_ascii=False),
        TextStep("ruby", strip_ruby, MAYBE_RUBY, in_ascii=False, spares=speaks_of_readings),
        TextStep("space", tidy_space, UNTIDY),
    )
}
