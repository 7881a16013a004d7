"""Bank cards by their check digit, length and first digits, and IBANs by their check digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.data.privacy.found import Found, View, digits_of

_CARD = re.compile(
    r"(?<![0-9A-Za-z.-])(?:\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{5})(?![0-9A-Za-z]|[.-]\d)",
    re.ASCII,
)
# Visa, Mastercard, Amex, Diners, JCB, Discover, UnionPay with the older Chinese ranges, Maestro; ISO/IEC 7812 numbers.
_KNOWN = re.compile(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{13}|"
    r"35(?:2[89]|[3-8]\d)\d{12}|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|62\d{14,17}|60\d{17}|9558\d{15}|"
    r"(?:4367|5240|5453|1030|6858|9400|9843)\d{15}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12}"
)
_CUE = re.compile(
    r"银行卡|储蓄卡|信用卡|借记卡|卡号|账号|账户|帐号|户头|尾号|\b(?:card|cc|credit|debit|visa|mastercard|amex|account|pan)\b",
    re.IGNORECASE,
)
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}\d{2}(?: ?[0-9A-Z]){11,30}(?![0-9A-Za-z])", re.ASCII)
_IBAN_LENGTH = re.compile(
    r"NO15|BE16|(?:DK|FO|FI|GL|NL|SD)18|(?:MK|SI)19|(?:AT|BA|EE|KZ|LT|LU|XK|MN)20|(?:CH|HR|LI|LV)21|"
    r"(?:BG|BH|CR|DE|GB|GE|IE|ME|RS|VA)22|(?:AE|GI|IL|IQ|TL|OM|SO)23|(?:AD|CZ|ES|MD|PK|RO|SA|SE|SK|TN|VG)24|(?:LY|PT|ST)25|"
    r"(?:IS|TR)26|(?:FR|GR|IT|MC|MR|SM|BI|DJ)27|(?:AL|AZ|CY|DO|GT|HU|LB|PL|BY|SV|NI)28|(?:BR|EG|PS|QA|UA)29|(?:JO|KW|MU|YE)30|MT31|"
    r"SC31|LC32|RU33"
)


def passes_luhn(digits: str) -> bool:
    """Luhn's check, ISO/IEC 7812-1 annex B: every second digit from the right doubled, digit sums added, a multiple of ten."""
    total = 0
    for n, char in enumerate(reversed(digits)):
        value = int(char) * (1 + n % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def passes_iban(text: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as 10 to 35, remainder 1 by 97."""
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def find_cards(view: View) -> Iterator[Found]:
    if not view.digits:
        return
    for hit in _CARD.finditer(view.text):
        digits = digits_of(hit.group())
        if not passes_luhn(digits) or not digits.strip("0") or len(digits) < 12 or len(digits) > 19:
            continue
        if view.before(_CUE, hit.start(), 28):
            yield view.found(*hit.span(), "bank_card", 0.97)
        elif _KNOWN.fullmatch(digits) and not view.counted(hit.start()):
            yield view.found(*hit.span(), "bank_card", 0.9)
    if view.letters:
        for hit in _IBAN.finditer(view.text):
            yield from _iban(view, hit)


def _iban(view: View, hit: re.Match[str]) -> Iterator[Found]:
    # Words after a spaced IBAN look like more of it, so the country says how long it is.
    end, seen = hit.start(), ""
    for offset, char in enumerate(hit.group()):
        if char != " ":
            seen += char
            end = hit.start() + offset + 1
            if len(seen) > 14 and _IBAN_LENGTH.fullmatch(f"{seen[:2]}{len(seen)}"):
                break
    following = view.text[end : end + 1]
    if (
        _IBAN_LENGTH.fullmatch(f"{seen[:2]}{len(seen)}")
        and not (following.isascii() and following.isalnum())
        and passes_iban(seen)
    ):
        yield view.found(hit.start(), end, "iban", 0.99)
