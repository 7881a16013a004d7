"""Phones: Chinese mobiles and fixed lines, international and American forms. Hotlines and short numbers belong to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.data.privacy.found import Found, View, digits_of

_START = r"(?<![0-9A-Za-z.+])"
_END = r"(?![0-9A-Za-z]|\.\d)"
_86 = r"(?:[(（]?(?:\+|00)86[)）]?[ -]?|86[ -])?"
_MOBILE = re.compile(
    rf"{_START}{_86}(1[3-9]\d(?:[ .-]?\d{{4}}[ .-]?\d{{4}}|[ .-]?\d{{3}}[ .-]?\d{{5}})){_END}", re.ASCII
)
_HOTLINE = re.compile(
    rf"{_START}(?:(?:\+?1[ .-]?)?[(]?(?:800|888|877|866|855|844|833)[)]?[ .-]?\d{{3}}[ .-]?\d{{4}}|[48]00[ -]?\d{{3,4}}[ -]?\d{{3,4}})(?!\d)",
    re.ASCII,
)
# Area codes: 010, 02x, and four digits from 03 on; a local number begins with 2 to 8.
_FIXED = re.compile(
    rf"(?<![0-9A-Za-z.+-]){_86}[(（]?(0(?:10|2\d|[3-9]\d{{2}}))[)）]?([ -]?)([2-8]\d{{2,3}}[ -]?\d{{4}})(?:(?:-|转| ?ext\.? ?)\d{{1,6}})?{_END}",
    re.ASCII,
)
_LOCAL = re.compile(rf"(?<![0-9A-Za-z.+-])[2-8]\d{{2,3}}[ -]?\d{{4}}{_END}", re.ASCII)
_FIXED_CUE = re.compile(r"(?:座机|固话|固定电话|家庭电话|住宅电话|办公电话|单位电话)(?:号码?)?[是为:：\s]*$")
_AMERICAN = re.compile(
    rf"(?<![0-9A-Za-z.+(-])(?<!\d[ .-])(?:\+?1[ .-]?)?(?:\(([2-9]\d{{2}})\) ?|([2-9]\d{{2}})[ .-])\d{{3}}[ .-]\d{{4}}(?: ?(?:x|ext\.?) ?\d{{1,5}})?{_END}",
    re.ASCII,
)
_ABROAD = re.compile(
    rf"(?<![0-9A-Za-z])(?:\+[1-9]|00[1-9](?=[ .()\d-]*[ .()-]))(?:[ .()/-]{{0,2}}\d){{6,14}}{_END}", re.ASCII
)
_ANY = re.compile(r"(?<![0-9A-Za-z.,:#$¥€£+-])\(?\d(?:[ .()/-]{0,2}\d){6,13}(?![0-9A-Za-z%]|[.,]\d)", re.ASCII)
_CUE = re.compile(
    r"\b(?:(?:tele|cell|mobile ?)?phones?|tel|mobile|cell|call(?:ed|ing)?|dial|ring|reach(?:able|ed)?|answer(?:ing)?|fax|whatsapp)\b"
    r"[^\d.!?;]{0,24}$|(?:电话|手机|联系方式|号码|传真|拨打|致电|來電|電話|手機)[^\d。！？；]{0,10}$",
    re.IGNORECASE,
)
_CUE_AFTER = re.compile(r" ?\(?(?:office|fax|mobile|home|cell|work|tel|direct)\)?[ \t]*(?:$|[\n,;|)])", re.IGNORECASE)
_DATE = re.compile(
    r"(?:19|20)\d{2}[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])\b|\d{1,2}[/.]\d{1,2}[/.]\d{4}$"
)
_HOTLINE_CUE = re.compile(r"热线|客服电话|客服热线|\bhotline\b|\btoll[- ]free\b", re.IGNORECASE)
# Never given to a person: stand-ins for masked numbers begin like this.
_RESERVED = re.compile(r"100\d{8}|555\d{7}|0100\d{7}")


def find_phones(view: View) -> Iterator[Found]:
    if not view.digits:
        return
    taken = [hit.span() for hit in _HOTLINE.finditer(view.text)]
    for found in _certain(view):
        if all(found.end <= start or found.start >= end for start, end in taken):
            taken.append((found.start, found.end))
            yield found
    for hit in _ANY.finditer(view.text):
        if all(hit.end() <= start or hit.start() >= end for start, end in taken) and _cued(view, hit):
            yield view.found(*hit.span(), "phone", 0.8)


def _certain(view: View) -> Iterator[Found]:
    """Numbers whose form is enough, in the order in which one that shares digits with an earlier one gives way."""
    for hit in _MOBILE.finditer(view.text):
        if not view.counted(hit.start()):
            yield view.found(*hit.span(), "phone", 0.98)
    for hit in _FIXED.finditer(view.text):
        if not view.counted(hit.start()) and not view.before(_HOTLINE_CUE, hit.start(), 8) and _even(hit[3]):
            yield view.found(*hit.span(), "landline", 0.95 if hit[2] else 0.85)
    for hit in _LOCAL.finditer(view.text):
        if view.before(_FIXED_CUE, hit.start(), 12):
            yield view.found(*hit.span(), "landline", 0.85)
    for hit in _ABROAD.finditer(view.text):
        if 8 <= len(digits_of(hit.group())) <= 17 and not view.counted(hit.start()):
            yield view.found(*hit.span(), "phone", 0.95)
    for hit in _AMERICAN.finditer(view.text):
        if (hit[1] or hit[2]) != "555" and not view.counted(hit.start()):
            yield view.found(*hit.span(), "phone", 0.9)


def _even(local: str) -> bool:
    """A local number has 7 or 8 digits."""
    return 7 <= len(digits_of(local)) <= 8


def _cued(view: View, hit: re.Match[str]) -> bool:
    digits = digits_of(hit.group())
    if len(digits) > 14 or _RESERVED.fullmatch(digits) or _DATE.match(hit.group()):
        return False
    if view.counted(hit.start()) or view.before(_HOTLINE_CUE, hit.start(), 8):
        return False
    return view.before(_CUE, hit.start(), 40) or view.after(_CUE_AFTER, hit.end())
