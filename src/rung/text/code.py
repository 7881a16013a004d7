"""Where a text holds code: fenced blocks and inline code of Markdown, which cleaning leaves alone."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

_CODE = re.compile(r"^[ \t]*(?:```|~~~)[\s\S]*?(?:^[ \t]*(?:```|~~~)[ \t]*$|\Z)|`[^`\n]{1,500}`", re.MULTILINE)


def sub_outside_code(pattern: re.Pattern[str], change: Callable[[re.Match[str]], str], text: str) -> str:
    """`pattern.sub(change, text)`, but matches that touch code stay. A fence that is never closed runs to the end."""
    if "`" not in text and "~~~" not in text:
        return pattern.sub(change, text)
    code = [match.span() for match in _CODE.finditer(text)]
    starts = [start for start, _ in code]

    def judged(match: re.Match[str]) -> str:
        before = bisect_right(starts, match.end() - 1) - 1
        touches = before >= 0 and code[before][1] > match.start() and match.end() > match.start()
        return match[0] if touches else change(match)

    return pattern.sub(judged, text)
