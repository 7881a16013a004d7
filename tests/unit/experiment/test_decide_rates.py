"""How often the decision promotes what does not deserve it, measured over simulated tests."""

from __future__ import annotations

import numpy as np
import pytest
from planted import ladder, task

from rung.experiment.decide import Prices, Protocol, decide
from rung.metrics.labels import Accuracy
from rung.store.records import Decision

SIMULATIONS = 300
QUESTIONS = 200
ALLOWED = 0.05


def drawn(rng: np.random.Generator, *shares: float, noise: float = 0.25) -> list[list[float]]:
    """Candidates' answers to the same questions, right with these probabilities; most questions are hard or easy for all."""
    common = rng.random(QUESTIONS)
    own = rng.random((len(shares), QUESTIONS))
    mixed = np.where(rng.random((len(shares), QUESTIONS)) < noise, own, common)
    return [(row < share).astype(float).tolist() for row, share in zip(mixed, shares, strict=True)]


def simulate(name: str, *shares: float, **protocol: object) -> list[Decision]:
    asked = task(margin=float(protocol.pop("margin", 0.05)), target=protocol.pop("target", None))  # type: ignore[arg-type]
    rng = np.random.default_rng([ord(char) for char in name])
    rules = Protocol(task=asked, metric=Accuracy(task=asked), prices=Prices(cpu_second=1.0), **protocol)  # type: ignore[arg-type]
    return [decide(ladder(*drawn(rng, *shares)), rules) for _ in range(SIMULATIONS)]


@pytest.mark.slow
def test_a_cheap_candidate_that_is_worse_by_just_the_margin_is_seldom_promoted() -> None:
    found = simulate("margin", 0.75, 0.80)
    assert np.mean([decision.winner == "baseline" for decision in found]) <= ALLOWED


@pytest.mark.slow
def test_candidates_that_are_all_equal_are_seldom_told_apart() -> None:
    found = simulate("equal", 0.7, 0.7, 0.7, 0.7)
    apart = [
        any((pair.difference.low or 0.0) > 0 or (pair.difference.high or 0.0) < 0 for pair in decision.pairs)
        for decision in found
    ]
    assert np.mean(apart) <= ALLOWED


@pytest.mark.slow
def test_candidates_that_all_stand_just_at_the_target_are_seldom_said_to_reach_it() -> None:
    """All five rungs together may err in one of twenty tests, however many of them are opened."""
    shares = (0.85,) * 5
    for mode in ("climb", "compare"):
        found = simulate(f"target {mode}", *shares, target=0.85, mode=mode, planned=5, margin=0.3)
        assert np.mean([decision.winner is not None for decision in found]) <= ALLOWED


@pytest.mark.slow
def test_a_candidate_that_is_clearly_better_is_found() -> None:
    """So that the rates above are not kept by never deciding."""
    found = simulate("clear", 0.6, 0.85)
    assert np.mean([decision.winner == "prompt" for decision in found]) >= 0.95
