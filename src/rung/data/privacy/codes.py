"""Codes that lead to a person: unified social credit codes, number plates, WeChat names and QQ numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.data.privacy.found import Found, View

_CREDIT = re.compile(
    r"(?<![0-9A-Za-z])[1-9ANY][0-9A-HJ-NPQRTUWXY]\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z])", re.ASCII
)
_CREDIT_CUE = re.compile(r"信用代码|税号|纳税人|代码|credit code", re.IGNORECASE)
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_REGIONS = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
# Five characters; six for cars without an engine, D or F first (small) or last (large). I and O are not used.
_PLATE = re.compile(
    rf"(?:[{_REGIONS}][A-HJ-NP-Z][·•. -]?(?:[DF][A-HJ-NP-Z0-9]\d{{4}}|\d{{5}}[DF]|[A-HJ-NP-Z0-9]{{4}}[A-HJ-NP-Z0-9挂学警港澳])"
    rf"|WJ[{_REGIONS}]?[·•-]?\d{{4}}[0-9TDSHBXJ])(?![0-9A-Za-z])"
)
_PLATE_DIGITS = re.compile(r"\d.*\d", re.DOTALL)
_WECHAT = re.compile(
    r"(?:微信|薇信|威信|wechat|weixin|\bvx|\bwx|V信)(?:号|帐号|账号|id| ?ID)?(?P<plain>[是为]?[:：]|号?[是为])?\s?(?P<name>[A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_@.-])",
    re.IGNORECASE | re.ASCII,
)
_ADD = re.compile(r"加[我你他她]?(?:的|个|下|一下)?$")
_QQ = re.compile(
    r"(?:\bQQ|扣扣|企鹅号|(?<=[^\x00-\x7f])QQ)(?:号码?|帐号|账号)?\s?[是为]?[:：]?\s?(?P<number>[1-9]\d{4,10})(?!\d)",
    re.IGNORECASE | re.ASCII,
)


def credit_check_digit(first17: str) -> str:
    """The last character of a unified social credit code, GB 32100-2015: weights 3^i modulo 31."""
    total = sum(_ALPHABET.index(char) * pow(3, i, 31) for i, char in enumerate(first17))
    return _ALPHABET[(31 - total % 31) % 31]


def find_codes(view: View) -> Iterator[Found]:
    if view.digits:
        yield from _credit_codes(view)
        if view.han:
            for hit in _PLATE.finditer(view.text):
                if _PLATE_DIGITS.search(hit.group()):
                    yield view.found(*hit.span(), "plate", 0.95)
        for hit in _QQ.finditer(view.text):
            yield view.found(*hit.span("number"), "qq", 0.9)
    if view.letters:
        for hit in _WECHAT.finditer(view.text):
            name = hit["name"]
            # "微信Android版" names no account: without a colon, a name has a digit or a stroke in it.
            told = hit["plain"] or view.before(_ADD, hit.start(), 6)
            if not name.startswith("masked_") and (told or not name.isalpha()):
                yield view.found(*hit.span("name"), "wechat", 0.9 if told else 0.8)


def _credit_codes(view: View) -> Iterator[Found]:
    for hit in _CREDIT.finditer(view.text):
        code = hit.group()
        if credit_check_digit(code[:17]) != code[17]:
            continue
        # Eighteen digits alone may be anything: one number in thirty-one passes.
        if not code.isdigit() or view.before(_CREDIT_CUE, hit.start(), 16):
            yield view.found(*hit.span(), "credit_code", 0.98)
