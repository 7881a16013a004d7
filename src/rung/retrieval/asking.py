"""What a search is asked for: its mode, and the questions that have words."""

from __future__ import annotations

from collections.abc import Sequence

MODES = ("rrf", "lexical", "dense")


def asked_of(
    queries: Sequence[str], k: int, mode: str, exclude: Sequence[frozenset[str]] | None
) -> dict[int, frozenset[str]]:
    """By its place, every query that is searched, with the ids that must not come back; none where k is below 1.

    Raises ValueError for a mode that there is not, and where queries and sets differ in number.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}: need one of {MODES}")
    hidden = [frozenset[str]()] * len(queries) if exclude is None else exclude
    pairs = enumerate(zip(queries, hidden, strict=True))
    return {n: ids for n, (query, ids) in pairs if query.strip() and k >= 1}
