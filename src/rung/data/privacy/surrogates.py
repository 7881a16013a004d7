"""Plausible stand-ins: of the shape of the thing, and never valid, so that they reach nobody and are never found again.

Check digits are wrong on purpose; phone prefixes, domains and address blocks are such as are never given out.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rung.data.privacy.cards import passes_luhn
from rung.data.privacy.codes import credit_check_digit
from rung.data.privacy.found import digits_of
from rung.data.privacy.ids import id_check_digit

_HAN = re.compile(r"[\u4e00-\u9fff]")
_FAMILY = "王李张刘陈杨赵黄周吴"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_GIVEN = ("Alex", "Robin", "Sam", "Jamie", "Casey", "Morgan", "Taylor", "Jordan", "Riley", "Quinn", "Avery", "Kim")
_INITIALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def surrogate(kind: str, n: int, text: str) -> str | None:
    """The n-th stand-in of a kind, n from 1, in the script of `text`; None for kinds that have none, as passwords."""
    make = _MAKERS.get(kind)
    return make(n, text) if make else None


def _person(n: int, text: str) -> str:
    if _HAN.search(text):
        rest, stem = divmod(n - 1, len(_STEMS))
        more, family = divmod(rest, len(_FAMILY))
        return f"{_FAMILY[family]}某{_STEMS[stem]}{more or ''}"
    rest, given = divmod(n - 1, len(_GIVEN))
    more, initial = divmod(rest, len(_INITIALS))
    return f"{_GIVEN[given]} {_INITIALS[initial]}. Doe" + (f" {more}" if more else "")


def _phone(n: int, text: str) -> str:
    digits = digits_of(text)
    if len(digits) == 11 or digits[:2] == "86":
        return f"100{n:08d}"
    return f"(555) {n // 10000:03d}-{n % 10000:04d}"


def _id_card(n: int, text: str) -> str:
    body = f"99{n % 10000:04d}19000101{n // 10000:03d}"
    right = id_check_digit(body)
    return body + next(last for last in "0123456789" if last != right and not passes_luhn(body + last))


def _bank_card(n: int, text: str) -> str:
    body = f"620000000{n:09d}"
    return body + next(last for last in "0123456789" if not passes_luhn(body + last))


def _credit_code(n: int, text: str) -> str:
    body = f"91000000{n:09d}"
    right = credit_check_digit(body)
    return body + next(last for last in "ABCD" if last != right)


def _ip(n: int, text: str) -> str:
    blocks = ("192.0.2", "198.51.100", "203.0.113")
    block, host = divmod(n - 1, 254)
    return f"{blocks[block]}.{host + 1}" if ":" not in text and block < len(blocks) else f"2001:db8::{n:x}"


def _address(n: int, text: str) -> str:
    return f"某省某市某路{n}号" if _HAN.search(text) else f"{n} Example Street"


_MAKERS: dict[str, Callable[[int, str], str]] = {
    "person": _person,
    "phone": _phone,
    "landline": lambda n, text: f"0100-{n:07d}",
    "email": lambda n, text: f"person{n}@masked.invalid",
    "id_card": _id_card,
    "bank_card": _bank_card,
    "credit_code": _credit_code,
    "iban": lambda n, text: f"XX00{n:014d}",
    "plate": lambda n, text: f"京I{n:05d}",
    "passport": lambda n, text: f"XX{n:07d}",
    "permit": lambda n, text: f"XX{n:08d}",
    "ssn": lambda n, text: f"000-{n // 10000:02d}-{n % 10000:04d}",
    "ip": _ip,
    "wechat": lambda n, text: f"masked_{n}",
    "qq": lambda n, text: f"0{n:08d}",
    "url": lambda n, text: f"https://{n}.invalid/",
    "address": _address,
}
