"""Letters and digits typed in full width, written in half width; Chinese punctuation stays as it is."""

from __future__ import annotations

import re

_ALNUM = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
FULL_WIDTH = re.compile(f"[{_ALNUM}]")
# A mark belongs to what was typed only between two characters of full width: ３．５, ａ＠ｂ．ｃｏｍ.
_RUN = re.compile(f"[{_ALNUM}]+(?:[\uff0e\uff20\uff0f\uff0d\uff3f\uff1a\uff0b\uff06\uff03\uff1d][{_ALNUM}]+)*\uff05?")
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def narrow(text: str) -> str:
    """Full-width letters and digits, and the marks between them, in half width: １２：３０ is 12:30, ３％ is 3%.

    A comma stays: between numbers in full width it separates items as often as thousands.
    """
    return _RUN.sub(lambda match: match.group().translate(_NARROW), text)
