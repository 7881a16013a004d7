"""Text of a row, fit for an error, a log or a bundle for support: what looks like personal data is starred out."""

from __future__ import annotations

from rung.data.privacy.find import find_personal
from rung.data.privacy.veil import shown


def redact(text: str, field: str = "") -> str:
    """The text with every finding of every usual kind as its first character and stars; secrets as stars alone."""
    pieces, at = [], 0
    for hit in find_personal(text, field=field):
        pieces += [text[at : hit.start], shown(hit.kind, hit.text)]
        at = hit.end
    return "".join([*pieces, text[at:]])
