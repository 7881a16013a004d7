"""Organisations: Chinese company names, and English names that end in Ltd, Inc, Bank and the like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.data.privacy.found import Found, View

_CHINESE = re.compile(
    r"[\u4e00-\u9fffA-Za-z0-9（）()]{2,20}?(?:(?:股份)?有限(?:责任)?公司|集团(?:公司)?|事务所|研究院|研究所|医院|大学|学院|银行|合作社)(?:[\u4e00-\u9fff]{2,6}(?:分公司|分行|支行))?"
)
_LEAD = re.compile(
    r".*(?:请联系|联系|就职于|任职于|供职于|在|是|为|由|从|到|去|的|和|与|及|抬头|单位|公司名称|[，。：:、])"
)
_CAP = r"[^\W\d_a-zß-öø-ÿ][\w&'’.-]*"
_FORM = r"(?:Inc|Incorporated|Ltd|Limited|LLC|LLP|PLC|Corp|Corporation|Company|Co|GmbH|AG|SA|NV|BV|Oy|AB|Group|Holdings|Partners|Associates|Technologies|Software|Systems|Solutions|Consulting|Research|Bank|Foundation|Institute|University|Insurance|Capital|Industries|Labs|Services|Agency)"
_ENGLISH = re.compile(
    rf"(?<![\w.])(?:\d (?=[A-Z]))?(?:{_CAP} ){{1,4}}{_FORM}\b(?:(?<=Inc|Ltd)\.|(?<=Corp)\.|(?<=Co)\.)?|(?<![\w.]){_CAP}, {_CAP} and {_CAP}(?= is\b| songwriter\b|\.|,|\n|$)|(?<![\w.])[A-Z][a-z]+ and (?:Sons|Daughters|Brothers)\b"
)
_WORKS = re.compile(rf"\b(?:work(?:s|ed|ing)?|employed) (?:for|at|by) (?P<name>{_CAP}(?: {_CAP}){{0,3}})")


def find_organisations(view: View) -> Iterator[Found]:
    if view.han:
        for hit in _CHINESE.finditer(view.text):
            lead = _LEAD.match(hit.group())
            start = hit.start() + (lead.end() if lead else 0)
            if hit.end() - start > 3 and "某" not in view.text[start : hit.end()]:
                yield view.found(start, hit.end(), "organisation", 0.8)
    if view.letters:
        for hit in _ENGLISH.finditer(view.text):
            yield view.found(*hit.span(), "organisation", 0.7)
        for hit in _WORKS.finditer(view.text):
            yield view.found(*hit.span("name"), "organisation", 0.6)
