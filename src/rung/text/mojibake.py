"""Text that was read in a wrong encoding: put right where its bytes can be won back, and named where they are lost."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftfy import TextFixerConfig

_HIGH = re.compile(r"[^\x00-\x7f]+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
# What bytes from 0x80 look like in Latin-1 and Windows-1252.
_BYTES_AS_LATIN = "\x80-\xff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_PLAIN = re.compile(r"[\u4e00-\u9fff，。、：；！？（）“”‘’《》…—\uff10-\uff19]+")
_LATIN_RUN = re.compile(f"[{_BYTES_AS_LATIN}]{{4,}}")
_LATIN_PAIR = re.compile(f"[\xc2-\xf4][{_BYTES_AS_LATIN} ]")
_CYRILLIC_PAIR = re.compile("[РС][\u0080-\u04ff\u2010-\u2122]{1,2}[РС]")
_HZ = re.compile(r"~\{((?:[\x21-\x77][\x21-\x7e])+)~\}")
_LOST = re.compile("(\ufffd)|(锟斤拷|锟斤|斤拷)|(烫烫烫|屯屯屯)")
_KINDS = ("replacement", "锟斤拷", "烫烫烫")
_TRUSTED = 0.5
"""Share of everyday characters from which a text is taken to be Chinese: ordinary prose has 0.7 to 0.9 ..."""
_GARBLED = 0.3
"""... and below which one may be a wrong reading: those have 0.05 to 0.25."""
_ENOUGH = 6
"""Characters that are needed to tell by their frequency alone."""
_LONG_ENOUGH = 16
_SHORT = 40


@cache
def _common() -> str:
    """Some 700 everyday characters, simplified and traditional."""
    found: str = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))["common"]
    return found


@cache
def _everyday() -> re.Pattern[str]:
    return re.compile(f"[{_common()}]")


def commonness(text: str) -> float:
    """Share of everyday characters among a text's Chinese characters; 0 where it has none."""
    found = len(_HAN.findall(text))
    return len(_everyday().findall(text)) / found if found else 0.0


def mend_encoding(text: str) -> str:
    """The text with what was read in a wrong encoding read in the right one, as far as no byte of it is lost.

    Undone: UTF-8 read as Latin-1, Windows-1252 and their like, once or several times (by ftfy); UTF-8 read as GBK; GBK
    read as Latin-1 or Windows-1252; Big5 read as GBK and GBK read as Big5 in longer stretches; HZ left undecoded.
    """
    while (mended := _once(text)) != text:
        text = mended
    return text


def _once(text: str) -> str:
    if "~{" in text:
        text = _HZ.sub(_from_hz, text)
    if text.isascii():
        return text
    if _LATIN_PAIR.search(text):
        text = _LATIN_RUN.sub(_gbk_from_latin, text)
    if _LATIN_PAIR.search(text) or _CYRILLIC_PAIR.search(text):
        text = _ftfy(text)
    if _looks_odd(text):
        text = _HIGH.sub(_from_gbk, text)
    return text


def lost_encoding(text: str) -> Counter[str]:
    """Places that no program can mend, by kind: 'replacement' (U+FFFD), '锟斤拷', '烫烫烫', and 'garbled': long
    stretches of Chinese characters that hardly anybody uses."""
    if text.isascii():
        return Counter()
    found = Counter(_KINDS[(match.lastindex or 1) - 1] for match in _LOST.finditer(text))
    if not _looks_odd(text):
        return found
    garbled = sum(len(_HAN.findall(run)) >= _LONG_ENOUGH and commonness(run) < 0.12 for run in _HIGH.findall(text))
    if garbled:
        found["garbled"] = garbled
    return found


def _from_hz(match: re.Match[str]) -> str:
    try:
        read = bytes(ord(char) | 0x80 for char in match[1]).decode("gb2312")
    except UnicodeDecodeError:
        return match[0]
    return read if commonness(read) >= _TRUSTED else match[0]


def _latin_bytes(text: str) -> bytes:
    """The bytes that a stretch of Latin-1 or Windows-1252 was read from."""
    return b"".join(char.encode("latin-1") if char < "\u0100" else char.encode("cp1252") for char in text)


def _gbk_from_latin(match: re.Match[str]) -> str:
    run = match[0]
    letters = [char for char in run if char.isalpha()]
    # A list of accented capitals or small letters is no garble: a garble mixes both, or has signs among them.
    if len(letters) == len(run) and (run.isupper() or run.islower()):
        return run
    try:
        data = _latin_bytes(run)
        data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return run
    try:
        read = data.decode("gb18030")
    except UnicodeDecodeError:
        return run
    enough = len(_HAN.findall(read)) * 2 >= len(read)
    return read if enough and commonness(read) >= _TRUSTED else run


@cache
def _settings() -> TextFixerConfig:
    from ftfy import TextFixerConfig

    # Nothing is guessed for bytes that are gone.
    return TextFixerConfig(replace_lossy_sequences=False, unescape_html=False, explain=False)


def _ftfy(text: str) -> str:
    from ftfy import fix_encoding

    return fix_encoding(text, _settings())


@cache
def _odd(length: int) -> re.Pattern[str]:
    return re.compile(f"[^\\x00-\\x7f\u2000-\u206f\u3000-\u3002\uff00-\uffef{_common()}]{{{length}}}")


@lru_cache(maxsize=8)
def _looks_odd(text: str) -> bool:
    """Whether characters that are rare in Chinese, kana or signs stand in a row: every garble has them, few other texts."""
    return _odd(3 if len(text) < _SHORT else 4).search(text) is not None


def _few_common(run: str) -> bool:
    return len(_HAN.findall(run)) > 1 and commonness(run) < _TRUSTED


def _from_gbk(match: re.Match[str]) -> str:
    run = match[0]
    if not _few_common(run):
        return run
    was = commonness(run)
    read = _reread(run, "gb18030", "utf-8")
    if _HAN.search(read) and commonness(read) > was:
        return read
    if was >= _GARBLED:
        return run
    for wrong, right in (("gbk", "big5hkscs"), ("big5hkscs", "gbk")):
        read = _reread(run, wrong, right)
        # Nearly any bytes are valid in both, so that only the look of the result can tell.
        if len(_HAN.findall(read)) >= _ENOUGH and _PLAIN.fullmatch(read) and commonness(read) >= max(_TRUSTED, 3 * was):
            return read
    return run


def _reread(run: str, wrong: str, right: str) -> str:
    """What the bytes mean; '' where they cannot have come from there."""
    try:
        return run.encode(wrong).decode(right)
    except UnicodeError:
        return ""
