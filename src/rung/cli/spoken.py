"""Words of the commands that talk with a person, in English and Chinese, from `words.json` beside this file."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _words() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("words.json").read_text("utf-8"))
    return found


def spoken(key: str, language: str, **values: Any) -> str:
    """The text of a key with its values; a value's own braces are never filled again."""
    return re.sub(r"\{(\w+)\}", lambda mark: str(values[mark[1]]), _words()[key][language])
