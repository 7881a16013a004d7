"""The rows to look at first: every reason to doubt a row, put together into one list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rung.data.quality.personal import unreadable
from rung.data.quality.record import Look, Reason
from rung.data.record import Record

_TEXT = 2_000


def rank_rows(
    records: Sequence[Record], reasons: Mapping[int, Sequence[Reason]], suggested: Mapping[int, str]
) -> list[Look]:
    """Rows with any reason, the gravest first.

    Weights are put together as independent doubts: 1 minus the product of (1 - weight). They order rows; they are no
    probabilities of being wrong.
    """
    found = [
        Look(
            id=records[place].id,
            split=records[place].split or "",
            text=unreadable(records[place].question[:_TEXT]),
            answer=unreadable(records[place].answer[:_TEXT]),
            suggested=suggested.get(place, ""),
            weight=round(_together(reason.weight for reason in held), 4),
            reasons=tuple(sorted(held, key=lambda reason: -reason.weight)),
        )
        for place, held in reasons.items()
        if held
    ]
    return sorted(found, key=lambda look: -look.weight)


def _together(weights: Iterable[float]) -> float:
    left = 1.0
    for weight in weights:
        left *= 1 - weight
    return 1 - left
