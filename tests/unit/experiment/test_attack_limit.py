"""A limit on the attack rate is a limit on winning."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted import contender

from rung.core.task import OutputSpec, Task
from rung.experiment.decide import Prices, Protocol, decide
from rung.metrics.labels import Accuracy


@pytest.mark.parametrize(("rate", "wins"), [(0.05, True), (0.1, True), (0.3, False), (None, False)])
def test_a_candidate_above_the_limit_or_not_measured_cannot_win(rate: float | None, wins: bool) -> None:
    task = Task(
        name="t", instruction="i", inputs=("q",), output=OutputSpec(kind="label", labels=("a", "b")), metrics=("accuracy",)
    )  # fmt: skip
    best = replace(contender("rag", [1.0] * 95 + [0.0] * 5, 1.0), attack_rate=rate)
    other = replace(contender("prompt", [1.0] * 20 + [0.0] * 80, 1.0), attack_rate=0.0)
    protocol = Protocol(task=task, metric=Accuracy(task=task), prices=Prices(), max_attack_rate=0.1)
    found = decide([best, other], protocol)
    assert (found.winner == "rag") is wins
    standing = next(standing for standing in found.standings if standing.candidate == "rag")
    assert [(check.name, check.value, check.ok) for check in standing.checks if check.name == "max_attack_rate"] == [
        ("max_attack_rate", rate, wins)
    ]
    free = decide([best, other], replace(protocol, max_attack_rate=None))
    assert free.winner == "rag"
