"""The race on planted scores: who wins, what it costs, and that order and ties are settled by the scores alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from rung.methods.race import EXHAUSTIVE, Finish, Rule, Spent, race

Table = NDArray[np.float64]


def replay(table: Table, **options: object) -> Finish:
    """A race over recorded scores [questions, settings]."""
    questions, settings = table.shape
    return race(lambda s, a, b: table[a:b, s], settings, questions, **options)  # type: ignore[arg-type]


def right_or_wrong(shares: list[float], questions: int, seed: int) -> Table:
    """Settings right on a given share of questions, easy questions being easy for all."""
    rng = np.random.default_rng(seed)
    hard = 0.7 * rng.random((questions, 1)) + 0.3 * rng.random((questions, len(shares)))
    return (hard < np.array(shares)).astype(float)


def test_a_large_grid_takes_a_third_of_the_calls_and_finds_about_the_best() -> None:
    regrets = []
    for seed in range(20):
        shares = list(np.linspace(0.3, 0.75, 24))
        np.random.default_rng(seed).shuffle(shares)
        table = right_or_wrong(shares, 120, seed)
        finish = replay(table)
        assert finish.calls * 3 <= table.size
        means = table.mean(axis=0)
        regrets.append(means.max() - means[finish.winner])
    assert np.mean(regrets) <= 0.01


def test_a_clear_loser_leaves_before_the_budget_would_ask_it_to() -> None:
    table = np.zeros((100, 2))
    table[:, 1] = 1.0
    finish = replay(table)
    assert finish.winner == 1
    assert finish.asked[0] < 50
    assert finish.left == (0, 1)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_of_equals_the_first_stays(value: float) -> None:
    finish = replay(np.full((60, 24), value))
    assert finish.winner == 0
    assert finish.calls * 3 <= 60 * 24
    # Settings that score the same leave as too many, never the cheaper before the dearer.
    assert list(finish.left) == [*finish.left[:-1], 0]


def test_a_small_grid_is_carried_to_the_end() -> None:
    table = right_or_wrong([0.5, 0.52, 0.55], 40, 3)
    finish = replay(table, rule=Rule(alpha=0.0))
    assert finish.asked == (40, 40, 40)
    assert finish.winner == int(np.argmax(table.mean(axis=0)))


@pytest.mark.parametrize(("settings", "questions"), [(5, 90), (24, 60), (7, 32), (2, 3)])
def test_exhaustive_asks_everybody_everything(settings: int, questions: int) -> None:
    table = right_or_wrong(list(np.linspace(0.4, 0.6, settings)), questions, 1)
    finish = replay(table, rule=EXHAUSTIVE)
    assert finish.asked == (questions,) * settings
    assert finish.winner == int(np.argmax(table.mean(axis=0)))


@pytest.mark.parametrize(("settings", "questions"), [(1, 1), (1, 50), (3, 1), (24, 5), (200, 100), (24, 17)])
def test_the_budget_is_never_exceeded_but_for_one_question_each(settings: int, questions: int) -> None:
    table = right_or_wrong(list(np.linspace(0.2, 0.8, settings)), questions, 2)
    finish = replay(table)
    assert finish.calls <= max(settings, Rule().calls(settings, questions))
    assert sorted(finish.left) == list(range(settings))
    tight = replay(table, calls=settings * 2)
    assert tight.calls <= max(settings * 2, settings)


def test_blocks_cover_all_questions_once() -> None:
    for questions in (1, 7, 8, 9, 33, 60, 100, 120, 150):
        for settings in (1, 4, 24):
            blocks = Rule().blocks(settings, questions, Rule().calls(settings, questions))
            assert [q for block in blocks for q in block] == list(range(questions))


def test_the_call_budget() -> None:
    rule = Rule(share=Fraction(1, 3), carried=3)
    assert [rule.calls(c, 120) for c in (1, 2, 3, 4, 9, 24)] == [120, 240, 360, 360, 360, 960]


def test_a_metric_that_is_no_mean_ranks_by_its_own_value() -> None:
    """By the mean the first is ahead; the value says otherwise."""
    table = np.full((40, 2), [0.6, 0.5])
    assert replay(table).winner == 0
    assert replay(table, value=lambda place, n: float(place)).winner == 1


def test_scores_beyond_0_and_1_are_ranked_and_nobody_is_tested() -> None:
    table = np.full((100, 3), [-3.0, -1.0, -2.0])
    finish = replay(table)
    assert finish.winner == 1
    assert finish.asked == (100, 100, 100)


@pytest.mark.parametrize("granted", range(1, 9))
def test_time_that_runs_out_leaves_those_compared_on_what_all_have_answered(granted: int) -> None:
    """Setting 1 is the best from the first question on; 0 is always one block ahead when time runs out."""
    table = np.full((64, 3), [0.5, 0.9, 0.1])
    given = 0

    def ask(place: int, start: int, stop: int) -> Table:
        nonlocal given
        if given == granted:
            raise Spent
        given += 1
        return table[start:stop, place]

    finish = race(ask, 3, 64, rule=Rule(alpha=0.0))
    assert finish.stopped
    assert finish.winner == (0 if granted == 1 else 1)
    assert len(finish.left) == min(granted, 3)


def test_every_setting_leaves_once_with_the_questions_it_saw() -> None:
    table, said = right_or_wrong(list(np.linspace(0.2, 0.8, 12)), 60, 5), {}

    def leaves(place: int, n: int) -> None:
        assert place not in said
        said[place] = n

    finish = replay(table, leaves=leaves)
    assert tuple(said[place] for place in range(12)) == finish.asked


def test_no_race_without_settings_or_questions() -> None:
    with pytest.raises(ValueError, match="no race"):
        race(lambda s, a, b: np.zeros(b - a), 0, 5)
    with pytest.raises(ValueError, match="no race"):
        race(lambda s, a, b: np.zeros(b - a), 5, 0)
