"""The handful of rewritten questions that a report shows: losses are not left out, and a missing rank is none."""

from __future__ import annotations

import numpy as np

from rung.core.found import Wording
from rung.core.task import Example
from rung.methods.rewordings import handful


def test_gains_and_losses_are_both_shown_and_a_passage_found_nowhere_has_no_rank() -> None:
    examples = [Example(f"e{n}", {"text": f"question {n}"}, ("a",)) for n in range(12)]
    wordings = [Wording((f"words {n}", "more"), failure="empty" if n == 4 else "") for n in range(12)]
    before = np.array([5.0, np.inf, 1, 1, 1, 1, 1, 1, 1, 1, 1, 40])
    after = np.array([1.0, 2, np.inf, 3, 1, 1, 1, 1, 1, 1, 1, 20])
    shown = handful(examples, wordings, before, after, ranks=True)
    assert [one["question"] for one in shown] == [f"question {n}" for n in (0, 1, 11, 2, 3, 4)]
    assert (shown[1]["before"], shown[1]["after"]) == (None, 2.0)
    assert (shown[3]["before"], shown[3]["after"]) == (1.0, None)
    assert shown[0]["searched"] == ["words 0", "more"]
    assert [one.get("failure") for one in shown] == [None] * 5 + ["empty"]


def test_scores_count_upwards() -> None:
    examples = [Example(f"e{n}", {"text": f"q{n}"}, ("a",)) for n in range(3)]
    wordings = [Wording((f"w{n}",)) for n in range(3)]
    shown = handful(examples, wordings, np.array([0.5, 0.0, 1.0]), np.array([0.5, 1.0, 0.0]), ranks=False)
    assert [(one["question"], one["before"], one["after"]) for one in shown] == [
        ("q1", 0.0, 1.0),
        ("q2", 1.0, 0.0),
        ("q0", 0.5, 0.5),
    ]
