"""Readings printed between Chinese or Japanese characters: pinyin, bopomofo, furigana."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\u3005"
_HIRAGANA = "\u3041-\u309f\u30fc"
_BOPOMOFO = "\u3105-\u312f\u02ca\u02c7\u02cb\u02d9ˉ"
_TONED = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿ"
_LETTERS = f"a-zA-ZüÜêÊ{_TONED}{_TONED.upper()}"
# Syllables of Hanyu Pinyin without tones: an initial with a final that goes with some initial, or a final alone.
_SYLLABLE = (
    r"(?:(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])"
    r"(?:iang|iong|uang|ang|eng|ing|ong|ian|iao|uai|uan|van|ai|an|ao|ei|en|ia|ie|in|iu|ou|ua|ue|ve|ui|un|uo|vn|a|e|i|o|u|v)"
    r"|ang|eng|ai|an|ao|ei|en|er|ou|a|e|o|n|m|ng)r?[1-5]?"
)
_ZHUYIN = re.compile(
    "(?:[\u3105-\u3119][\u3127-\u3129]?[\u311a-\u3126]?|[\u3127-\u3129][\u311a-\u3126]?|[\u311a-\u3126])[\u02ca\u02c7\u02cb\u02d9ˉ]?"
)
_IN_BRACKETS = re.compile(
    rf"([{_HAN}]{{1,6}}) ?[(（\[【] ?([{_LETTERS}][{_LETTERS}1-5 '’·-]{{0,40}}|[{_BOPOMOFO} ]{{1,24}}) ?[)）\]】]"
)
_BARE = re.compile(rf"([{_HAN}]) ?([{_LETTERS}]{{1,7}}[1-5]?|[{_BOPOMOFO}]{{1,5}})(?![{_LETTERS}1-5]) ?")
_FURIGANA = re.compile(
    rf"([{_HAN}]{{1,6}})[(（]([{_HIRAGANA}]{{1,16}})[)）](?=[{_HAN}{_HIRAGANA}\u30a1-\u30fa、。！？])"
)
_FURIGANA_WITHIN = re.compile(rf"[{_HAN}][(（][{_HIRAGANA}]{{1,16}}[)）](?=[{_HAN}{_HIRAGANA}\u30a1-\u30fa])")
# Syllables that carry no tone mark in running text.
_TONELESS = re.compile("de|le|ma|ne|ba|a|ya|me|men|zi|zhe|guo|tou|li|shang|xia|bian|la|wa|lo|lou")
_SPEAKS_OF_READINGS = re.compile(
    r"拼音|读音|讀音|注音|声调|聲調|多音字|念作|读作|讀作|怎么读|怎么念|发音|發音|pinyin|pronounc|bopomofo|furigana|ruby|ふりがな|振り仮名|読み",
    re.IGNORECASE,
)

MAYBE_RUBY = re.compile(rf"[{_HAN}] ?[(（\[【]? ?[{_LETTERS}{_BOPOMOFO}{_HIRAGANA}]")
"""What any reading begins with."""


def speaks_of_readings(text: str) -> bool:
    """Whether a text is about how characters are read: then readings are what it says."""
    return bool(_SPEAKS_OF_READINGS.search(text))


def strip_ruby(text: str) -> str:
    """The text without readings that run along it: 你(nǐ)好(hǎo), 你nǐ好hǎo, 你ㄋㄧˇ好ㄏㄠˇ, 漢字(かんじ)を読(よ)む.

    Only a chain of readings is noise, each with as many syllables as characters before it: a single gloss such as
    北京（Běijīng） is content, and so is everything in a text that speaks of readings. Letters without tones are words.
    """
    if speaks_of_readings(text):
        return text
    text = _without(text, _IN_BRACKETS)
    text = _without(text, _BARE)
    if len(_FURIGANA_WITHIN.findall(text)) > 1:
        text = _FURIGANA.sub(r"\1", text)
    return text


def _without(text: str, pattern: re.Pattern[str]) -> str:
    """The text without the readings that stand in chains of two or more, and then without every other one."""
    found = [match for match in pattern.finditer(text) if _reads(match[1], match[2])]
    chained = any(_follows(one, other, text) for one, other in pairwise(found))
    toned = sum(_has_tone(match[2]) for match in found)
    if not chained or toned < 2 or 2 * toned < len(found):
        return text
    pieces, at = [], 0
    for match in found:
        pieces.append(text[at : match.end(1)])
        at = match.end()
    return "".join([*pieces, text[at:]])


def _follows(one: re.Match[str], other: re.Match[str], text: str) -> bool:
    return _has_tone(one[2]) and _has_tone(other[2]) and not text[one.end() : other.start()].strip()


def _has_tone(reading: str) -> bool:
    if re.match(f"[{_BOPOMOFO}]", reading):
        # A single sign is what a garbled comma looks like.
        return len(reading) > 1
    return any(char in _TONED or char.isdigit() for char in reading.lower())


def _reads(characters: str, reading: str) -> bool:
    """Whether a reading has one syllable for each of the characters it may stand for."""
    if re.match(f"[{_BOPOMOFO}]", reading):
        return len(_ZHUYIN.findall(reading)) == len(characters) and not _ZHUYIN.sub("", reading).strip()
    plain = reading.lower().replace("ü", "v")
    plain = "".join(char for char in unicodedata.normalize("NFD", plain) if not unicodedata.combining(char))
    if not _has_tone(reading) and not _TONELESS.fullmatch(plain.strip()):
        return False
    return re.fullmatch(rf"(?:{_SYLLABLE}[ '’·-]*){{{len(characters)}}}", plain.strip()) is not None
