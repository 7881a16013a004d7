"""Numbers and dates in a text, English or Chinese, each with its value: 1,200 and １２００ and 一千二百 are one number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from rung.text.normalise import even_numbers, fold

_DIGITS = {char: n for n, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_TIMES = _LARGE | {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_NUMERAL = r"[零〇一二三四五六七八九两兩十][零〇一二三四五六七八九两兩十百千万萬亿億]{0,30}"
# A run of more digits is no number that anybody meant, but a model that repeats itself.
# A number glued to letters is a name (A4, m2), unless the letters are a currency.
_ARABIC = re.compile(
    r"(?:(?<![a-z0-9_.])|(?<=usd)|(?<=eur)|(?<=gbp)|(?<=rmb)|(?<=cny)|(?<=hk\$))"
    r"(?P<sign>(?<![\w)])-[£$€¥]?)?(?P<whole>\d{1,40}(?:\.\d{1,40})?(?!\d)|(?<!\d)\.\d{1,40}(?!\d))(?:(?P<and> \d{1,9})?/(?P<below>[1-9]\d{0,9})(?![\d/]))?"
)
_CHINESE = re.compile(
    rf"(?P<per>百分之)?(?P<below>{_NUMERAL})?(?(below)分之)(?P<whole>{_NUMERAL})(?:点(?P<point>[零〇一二三四五六七八九]{{1,30}}))?"
    rf"|百分之(?P<percent>{_NUMERAL})"
)
_MULTIPLIER = re.compile(r"\s?(thousand|million|billion)\b|([万萬亿億])")
_PERCENT = re.compile(r"\s?(?:%|percent\b|per cent\b)")
_UNITS = {
    "day": r"(?:calendar |working )?days?\b|[天日](?!期)",
    "week": r"weeks?\b|周|星期",
    "month": r"months?\b|个?月",
    "year": r"years?\b|年",
    "hour": r"hours?\b|个?小时",
    "minute": r"minutes?\b|分钟",
    "gbp": r"£|pounds?\b|gbp\b|英镑",
    "usd": r"\$|dollars?\b|usd\b|美元",
    "eur": r"€|euros?\b|eur\b|欧元",
    "cny": r"¥|yuan\b|rmb\b|cny\b|元|人民币",
}
_AFTER = re.compile(r"\s?-?(?:" + "|".join(f"(?P<{name}>{form})" for name, form in _UNITS.items()) + ")")
_BEFORE = re.compile(r"(?:(?P<gbp>£|gbp)|(?P<usd>\$|usd)|(?P<eur>€|eur)|(?P<cny>¥|rmb|cny|人民币))\s?-?$")
# A single Chinese digit is a number only where it stands as one: 八。 or 八个, and not 一起, 第一, 万一.
_MARK = r"$|[\s,.;:!?，。；：！？、)）]"
_STANDS = re.compile(rf"{_MARK}|分钟|[个元块天日年月周只本张件次名岁页道杯瓶盒包袋棵条份米公千克斤吨小英美欧]")
_STANDS_ONE = re.compile(rf"{_MARK}|分钟|[元块天年周岁米公千克斤吨小英美欧]")
"""一个 is most often no more than "a"."""
_NO_NUMBER_BEFORE = frozenset("第万萬千百十几数星期周")
_FULL_COMMA = re.compile(r"(?<=[0-9])，")

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")  # fmt: skip
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS)
_DATE = re.compile(
    r"(?<!\d)(?P<y1>(?:1[89]|20|21)\d\d)(?:(?P<mark>[-/.])(?P<m1>\d{1,2})(?P=mark)(?P<d1>\d{1,2})(?!\d)"
    r"|\s?年\s?(?P<m2>\d{1,2})\s?月\s?(?P<d2>\d{1,2})\s?[日号])"
    rf"|(?<!\d)(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m3>{_MONTH})\.?,? (?P<y3>\d{{4}})\b"
    rf"|\b(?P<m4>{_MONTH})\.? (?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y4>\d{{4}})\b"
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as a text has it."""

    value: Fraction
    """Of '50%' it is 50."""
    unit: str = ""
    """day | week | month | year | hour | minute | gbp | usd | eur | cny | % ; '' where none is named."""
    start: int = 0
    """Characters from the beginning of `evened(text)`."""


def evened(text: str) -> str:
    """The form in which numbers are looked for: folded, without commas between thousands."""
    # Folding makes a Chinese comma an English one, and 100，200 would become one number.
    return even_numbers(fold(_FULL_COMMA.sub("， ", text)))


def find_numbers(text: str) -> list[Number]:
    """Every number of a text, in order: digits, fractions (1/2, 2½), with thousand, million, 万 or 亿; Chinese numerals."""
    return _numbers_in(evened(text))


def find_dates(text: str) -> list[str]:
    """Every full date of a text, in order, as ISO 8601: 1 March 2027, March 1, 2027, 2027-03-01, 2027年3月1日."""
    return [_iso(hit) for hit in _DATE.finditer(evened(text))]


def find_amounts(text: str) -> list[Number]:
    """Numbers that are no part of a date."""
    return _numbers_in(_DATE.sub(lambda hit: " " * len(hit.group()), evened(text)))


def is_amount(text: str) -> bool:
    """Whether a text is nothing but numbers and dates with their units: '£860', '30 days', '1 March 2027'."""
    rest = _DATE.sub(" ", evened(text))
    found = bool(find_numbers(text) or rest != evened(text))
    rest = _PERCENT.sub(" ", _MULTIPLIER.sub(" ", _ARABIC.sub(" ", _CHINESE.sub(" ", rest))))
    return found and not re.search(r"\w", _AFTER.sub(" ", rest))


def _iso(hit: re.Match[str]) -> str:
    year = hit["y1"] or hit["y3"] or hit["y4"]
    month = hit["m1"] or hit["m2"] or hit["m3"] or hit["m4"]
    day = hit["d1"] or hit["d2"] or hit["d3"] or hit["d4"]
    number = int(month) if month.isdigit() else 1 + [name[:3] for name in _MONTHS].index(month[:3])
    return f"{year}-{number:02d}-{int(day):02d}"


def _numbers_in(even: str) -> list[Number]:
    return sorted([*_arabic(even), *_chinese(even)], key=lambda number: number.start)


def _arabic(even: str) -> Iterator[Number]:
    for hit in _ARABIC.finditer(even):
        value = Fraction(hit["whole"])
        if hit["below"]:
            above = Fraction(hit["and"].strip()) if hit["and"] else value
            value = above / int(hit["below"]) + (value if hit["and"] else 0)
        end = hit.end()
        if times := _MULTIPLIER.match(even, end):
            value, end = value * _TIMES[times[1] or times[2]], times.end()
        yield Number(-value if hit["sign"] else value, _unit(even, hit.start("whole"), end), hit.start())


def _chinese(even: str) -> Iterator[Number]:
    for hit in _CHINESE.finditer(even):
        if hit["percent"] or hit["per"]:
            yield Number(_numeral(hit["percent"] or hit["whole"]), "%", hit.start())
            continue
        before = even[hit.start() - 1] if hit.start() else ""
        single = len(hit["whole"]) == 1 and not hit["point"] and not hit["below"]
        stands = _STANDS_ONE if hit["whole"] == "一" else _STANDS
        if before in _NO_NUMBER_BEFORE or (single and not stands.match(even, hit.end())):
            continue
        value = _numeral(hit["whole"])
        if hit["point"]:
            value += Fraction(int("".join(str(_DIGITS[c]) for c in hit["point"])), 10 ** len(hit["point"]))
        if hit["below"]:
            below = _numeral(hit["below"])
            if not below:
                continue
            value /= below
        yield Number(value, _unit(even, hit.start(), hit.end()), hit.start())


def _numeral(text: str) -> Fraction:
    """The value of a Chinese numeral: 三百二十一, 两万三, 二〇二七."""
    if all(char in _DIGITS for char in text):
        return Fraction(int("".join(str(_DIGITS[char]) for char in text)))
    total = section = digit = 0
    scale = 1
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
            # After 零 no place is implied: 一千零五 is 1005, and 一千五 1500.
            scale = 1 if digit == 0 else scale
        elif char in _SMALL:
            section += (digit or 1) * _SMALL[char]
            scale, digit = _SMALL[char] // 10, 0
        else:
            total = (total + section + digit) * _LARGE[char]
            scale, section, digit = _LARGE[char] // 10, 0, 0
    return Fraction(total + section + digit * scale)


def _unit(even: str, start: int, end: int) -> str:
    if _PERCENT.match(even, end):
        return "%"
    after = _AFTER.match(even, end)
    found = after or _BEFORE.search(even, max(0, start - 5), start)
    return str(found.lastgroup) if found else ""
