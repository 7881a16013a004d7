"""Personal data made unreadable with its shape kept: 138******00 for masks of style partial, less still for reports."""

from __future__ import annotations

import re

_ALL = frozenset({"password", "api_key", "private_key", "jwt", "private_url"})
_ENDS = {
    "phone": (3, 4),
    "landline": (4, 2),
    "id_card": (6, 2),
    "bank_card": (4, 4),
    "iban": (4, 2),
    "credit_code": (4, 2),
    "ssn": (0, 4),
    "passport": (1, 2),
    "permit": (1, 2),
    "plate": (2, 1),
    "address": (3, 0),
    "birth_date": (4, 0),
}
"""Characters that stay at the beginning and at the end."""
_STARS = 4


def veil(kind: str, text: str) -> str:
    """What a reader may still see of a finding: enough to tell two rows apart, too little to reach anybody.

    Never more than half of its characters, and nothing of a secret. The middle becomes four or more stars.
    """
    if kind in _ALL or len(text) < 2:
        return "*" * _STARS
    if kind == "person":
        return " ".join(_starred(word, 1, 0) for word in text.split(" ") if word)
    if kind == "email":
        name, _, host = text.partition("@")
        return f"{_starred(name, 1, 0)}@{_starred(host, 0, host.count('.') and len(host) - host.rfind('.'))}"
    if kind == "ip":
        return re.split(r"[.:]", text)[0] + "." + "*" * _STARS
    head, tail = _ENDS.get(kind, (2, 1))
    return _starred(text, head, tail)


def shown(kind: str, text: str) -> str:
    """The form of a finding in reports, logs and samples: its first character at most."""
    return "*" * _STARS if kind in _ALL else text[:1] + "*" * min(max(len(text) - 1, 2), 8)


def _starred(text: str, head: int, tail: int) -> str:
    half = len(text) // 2
    head = min(head, half)
    tail = min(tail, half - head)
    middle = max(2, min(len(text) - head - tail, 12))
    return text[:head] + "*" * middle + (text[len(text) - tail :] if tail else "")
