"""Which script a text is written in: Chinese (and other CJK) characters, or words with spaces between them."""

from __future__ import annotations

import re

from rung.core.task import Language

# Han with its extensions and iteration marks, kana, bopomofo and Hangul, in full and half width; no punctuation.
CJK = (
    "\u1100-\u11ff\u3005\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f"
    "\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff"
    "\uff66-\uff9d\uffa1-\uffdc\U00020000-\U000323af"
)
"""The inside of a regular expression's character class."""

_CJK = re.compile(f"[{CJK}]")
_OTHER_WORD = re.compile(rf"[^\W\d_{CJK}]+")


def is_cjk(char: str) -> bool:
    """Whether one character belongs to a script that is written without spaces between its words."""
    return _CJK.fullmatch(char) is not None


def language_of(text: str) -> Language:
    """'zh' when the text has more CJK characters than words of other scripts, else 'en'.

    Characters are weighed against words, not letters, because each is about one unit of meaning: a Chinese question
    full of English product names is still Chinese. Digits and marks count for neither; a text without letters is
    'en'.
    """
    return "zh" if len(_CJK.findall(text)) > len(_OTHER_WORD.findall(text)) else "en"
