"""Questions before and after a model has rewritten them: the handful that a report shows, gains and losses alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.core.found import Wording
from rung.core.task import Example
from rung.stats.intervals import Floats

_GAINS, _LOSSES, _SHOWN = 3, 2, 6
_LONGEST = 400
"""Characters of a question that are kept."""


def handful(
    examples: Sequence[Example], wordings: Sequence[Wording], before: Floats, after: Floats, *, ranks: bool
) -> list[dict[str, Any]]:
    """The questions that gained most, those that lost most, and others up to six, with what was searched for.

    `before`, `after` [n]: the rank of the first right passage, infinity where there is none, or a score. Kept as they are,
    a missing rank as None.
    """
    gain = 1 / after - 1 / before if ranks else after - before
    order = np.argsort(-gain, kind="stable").tolist()
    best = [n for n in order if gain[n] > 0][:_GAINS]
    worst = [n for n in reversed(order) if gain[n] < 0][:_LOSSES]
    rest = [n for n in order if n not in best and n not in worst]
    shown = [*best, *worst, *rest][:_SHOWN]
    return [
        {
            "question": examples[n].asked[:_LONGEST],
            "searched": [text[:_LONGEST] for text in wordings[n].texts],
            "before": _number(before[n]),
            "after": _number(after[n]),
            **({"failure": wordings[n].failure} if wordings[n].failure else {}),
        }
        for n in shown
    ]


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
