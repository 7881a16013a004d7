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


_WRITINGS = {
    "ja": re.compile("[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]"),
    "ko": re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]"),
    "zh": re.compile("[\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"),
    "en": re.compile(r"[A-Za-z\u00c0-\u024f]+"),
    "ru": re.compile("[\u0400-\u052f]+"),
    "ar": re.compile("[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc]+"),
    "he": re.compile("[\u0590-\u05ff]+"),
    "el": re.compile("[\u0370-\u03ff]+"),
    "hi": re.compile("[\u0900-\u097f]+"),
    "th": re.compile("[\u0e00-\u0e7f]"),
}
WRITINGS = tuple(_WRITINGS)
"""What `writing_of` can tell apart."""
_JAPANESE_FROM = 0.1
"""Share of kana from which Chinese characters are Japanese: a Chinese text may quote a の."""


def writing_of(text: str) -> str:
    """The language that a text's script speaks for, one of WRITINGS; '' for a text without letters.

    By script alone: Latin letters count as 'en', whatever they say, Cyrillic as 'ru', Arabic as 'ar'. Characters are
    weighed against words, as in `language_of`.
    """
    if text.isascii():
        return "en" if any(char.isalpha() for char in text) else ""
    found = {name: len(pattern.findall(text)) for name, pattern in _WRITINGS.items()}
    kana, han = found.pop("ja"), found["zh"]
    if kana and kana >= _JAPANESE_FROM * (kana + han):
        found["ja"] = kana + found.pop("zh")
    best = max(found, key=lambda name: found[name])
    return best if found[best] else ""
