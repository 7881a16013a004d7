"""The post-processing step that takes personal data out of an answer before anybody reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from rung.core.model import Failure
from rung.core.steps import Changed
from rung.core.task import Language
from rung.data.privacy.mask import Masker


def mask_personal(
    text: str,
    kinds: Sequence[str] | None = None,
    style: Literal["partial", "tag"] = "partial",
    language: Language | None = None,
) -> str | Changed | Failure:
    """The text with personal data starred out (138******00), or as a tag ([PHONE_1]); nothing is remembered of it.

    `kinds` and `language` as for `find_personal`. Raises UsageError E2910 for an unknown kind.
    """
    masked = Masker(style=style, kinds=kinds, language=language).text(text)
    if not masked.edits:
        return text
    counts = Counter(edit.kind for edit in masked.edits)
    return Changed(masked.text, ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items())))
