"""Dates of birth and ages, by the words beside them: any other date names nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.data.privacy.found import Found, View

_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_DATE = re.compile(
    rf"(?<!\d)(?:(?:1[89]|20)\d{{2}}\s?[-/.年]\s?\d{{1,2}}\s?[-/.月]\s?\d{{1,2}}\s?[日号]?|(?:1[89]|20)\d{{2}}年\d{{1,2}}月|\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:(?:1[89]|20)\d{{2}}|\d{{2}})"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH},? (?:1[89]|20)\d{{2}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? (?:1[89]|20)\d{{2}}|(?:19|20)\d{{6}})(?!\d)",
    re.IGNORECASE | re.ASCII,
)
_BIRTH = re.compile(r"出生|生日|生于|诞生|\bborn\b|\bbirth(?:day|date)?\b|\bd\.?o\.?b\b", re.IGNORECASE)
_BIRTH_AFTER = re.compile(r"\s?(?:出生|生[，。,.)）]|生人)")
_YEARS = r"(?P<age>1[01]\d|[1-9]?\d)"
_AGE = re.compile(
    rf"(?<![\d.,]){_YEARS}(?=\s?(?:周岁|岁|歲)(?!月)|[ -]?years?[ -]old\b|[ -]?y/?o\b|[ -]?yrs?\b(?! (?:of|ago|warranty)))"
    rf"|(?:\bage[ds]?(?: of)?:? |\bturn(?:ed|s|ing)? |年龄[是为:：\s]{{0,2}}|年纪[是为:：\s]{{0,2}})(?P<age2>1[01]\d|[1-9]?\d)(?![\d.,%]?\d|%)",
    re.IGNORECASE | re.ASCII,
)


def find_dates(view: View) -> Iterator[Found]:
    if not view.digits:
        return
    if view.has("生", "诞", "born", "birth", "dob", "d.o.b"):
        for hit in _DATE.finditer(view.text):
            if view.before(_BIRTH, hit.start(), 20) or view.after(_BIRTH_AFTER, hit.end()):
                yield view.found(*hit.span(), "birth_date", 0.85)
    if not view.has("岁", "歲", "year", "y/o", "yo", "yr", "age", "turn", "年龄", "年纪"):
        return
    for hit in _AGE.finditer(view.text):
        group = "age" if hit["age"] else "age2"
        yield view.found(*hit.span(group), "age", 0.8)
