"""Papers of a person: Chinese ID cards, passports, permits of Hong Kong, Macau and Taiwan, US social security numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from rung.data.privacy.found import Found, View

_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_ID18 = re.compile(
    rf"(?<!\d)([1-9]\d{{5}})[ -]?((?:18|19|20)\d{{2}}{_DAY})[ -]?(\d{{3}}[\dXx])(?![0-9A-Za-z])", re.ASCII
)
_ID15 = re.compile(rf"(?<!\d)([1-9]\d{{5}})(\d{{2}}{_DAY})(\d{{3}})(?![0-9A-Za-z])", re.ASCII)
# First two digits: provinces, 81-83 for people of Hong Kong, Macau and Taiwan, 9 for foreign residents.
_REGION = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|9\d")
_ID_CUE = re.compile(r"身份证|身分证|证件|户口|\bID\b", re.IGNORECASE)
_PASSPORT = re.compile(r"(?<![0-9A-Za-z])(?:[A-Za-z]\d{7,8}|[A-Za-z]{2}\d{6,7}|\d{9})(?![0-9A-Za-z])", re.ASCII)
_PASSPORT_CUE = re.compile(r"护照|護照|passport", re.IGNORECASE)
_PERMIT = re.compile(
    r"(?<![0-9A-Za-z])(?:[HMhmCcWw]\d{8}(?:\d{2})?|[Cc][A-HJ-NP-Za-hj-np-z]\d{7}|\d{8})(?![0-9A-Za-z])", re.ASCII
)
_PERMIT_CUE = re.compile(r"通行证|通行證|回乡证|回鄉證|台胞证|台胞證|来往内地|往来港澳|\bpermit\b", re.IGNORECASE)
_HONG_KONG = re.compile(r"(?<![0-9A-Za-z])([A-Z]{1,2})(\d{6})[(（]([0-9A])[)）]")
_SSN = re.compile(r"(?<![0-9A-Za-z.-])(\d{3})-(\d{2})-(\d{4})(?![0-9A-Za-z-])", re.ASCII)
_SSN_BARE = re.compile(r"(?<![0-9A-Za-z.-])(\d{3}) ?(\d{2}) ?(\d{4})(?![0-9A-Za-z-])", re.ASCII)
_SSN_CUE = re.compile(r"\bSSN\b|social security", re.IGNORECASE)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def id_check_digit(first17: str) -> str:
    """The last character of an 18-digit ID number: ISO 7064 MOD 11-2, as GB 11643 has it."""
    return "10X98765432"[sum(int(d) * w for d, w in zip(first17, _WEIGHTS, strict=True)) % 11]


def find_ids(view: View) -> Iterator[Found]:
    if not view.digits:
        return
    yield from _id_cards(view)
    if view.letters or view.han:
        yield from _travel(view)
        yield from _hong_kong(view)
    yield from _social_security(view)


def _id_cards(view: View) -> Iterator[Found]:
    for hit in _ID18.finditer(view.text):
        region, born, tail = hit.groups()
        whole = region + born + tail
        if _REGION.match(region) and _is_day(born) and id_check_digit(whole[:17]) == tail[-1].upper():
            yield view.found(*hit.span(), "id_card", 0.99)
    for hit in _ID15.finditer(view.text):
        # The old form has no check digit: only a word beside it tells it from any other number.
        if _REGION.match(hit[1]) and _is_day("19" + hit[2]) and view.before(_ID_CUE, hit.start(), 16):
            yield view.found(*hit.span(), "id_card", 0.9)


def _is_day(text: str) -> bool:
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def _travel(view: View) -> Iterator[Found]:
    for pattern, cue, kind in ((_PASSPORT, _PASSPORT_CUE, "passport"), (_PERMIT, _PERMIT_CUE, "permit")):
        if not cue.search(view.text):
            continue
        for hit in pattern.finditer(view.text):
            # XX begins no passport: it is what a plausible stand-in begins with.
            if not hit.group().upper().startswith("XX") and view.before(cue, hit.start(), 20):
                yield view.found(*hit.span(), kind, 0.95)


def _hong_kong(view: View) -> Iterator[Found]:
    for hit in _HONG_KONG.finditer(view.text):
        # Letters count 10 to 35, a missing first letter 36; weights 9 to 2, check digit A for 10, modulo 11.
        letters = [ord(char) - 55 for char in hit[1].rjust(2)]
        values = [36 if value < 10 else value for value in letters] + [int(char) for char in hit[2]]
        total = sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True)) + int(hit[3], 16)
        if total % 11 == 0:
            yield view.found(*hit.span(), "permit", 0.97)


def _social_security(view: View) -> Iterator[Found]:
    cued = _SSN_CUE.search(view.text) is not None
    for hit in _SSN.finditer(view.text):
        if _may_be_ssn(hit) and not view.counted(hit.start()):
            yield view.found(*hit.span(), "ssn", 0.95 if cued else 0.8)
    if cued:
        for hit in _SSN_BARE.finditer(view.text):
            if _may_be_ssn(hit) and view.before(_SSN_CUE, hit.start(), 32):
                yield view.found(*hit.span(), "ssn", 0.9)


def _may_be_ssn(hit: re.Match[str]) -> bool:
    """Numbers that are never given out: area 000, 666, 9xx; group 00; serial 0000."""
    return hit[1] not in {"000", "666"} and hit[1][0] != "9" and hit[2] != "00" and hit[3] != "0000"
