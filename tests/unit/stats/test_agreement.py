"""Agreement of two judges, and of many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as their_fleiss_kappa

from rung.stats.agreement import Rating, cohen_kappa, fleiss_kappa, krippendorff_alpha

NAN = math.nan
# The reliability data of Krippendorff's note on computing alpha (2011), four observers, as items.
OBSERVED: list[list[Rating]] = [
    [1, 1, None, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [None, 5, 5, 5],
    [NAN, NAN, 1.0, 1.0],
    [None, 3, None, None],
]


def judged(rng: np.random.Generator, n: int, judges: int = 4, noise: float = 0.4) -> np.ndarray:
    truth = rng.choice(4, p=[0.5, 0.25, 0.15, 0.1], size=(n, 1))
    return np.where(rng.random((n, judges)) < noise, rng.integers(0, 4, (n, judges)), truth)


def alpha_by_pairs(ratings: list[list[Rating]], distance: object) -> float:
    """Krippendorff's alpha as the mean distance within items over that of all ratings that can be paired."""
    items = [[r for r in row if r is not None and not math.isnan(float(r))] for row in ratings]
    items = [row for row in items if len(row) > 1]
    every = [r for row in items for r in row]
    within = sum(
        sum(distance(a, b, every) for i, a in enumerate(row) for j, b in enumerate(row) if i != j) / (len(row) - 1)  # type: ignore[operator]
        for row in items
    ) / len(every)
    between = sum(distance(a, b, every) for i, a in enumerate(every) for j, b in enumerate(every) if i != j)  # type: ignore[operator]
    return 1 - within / (between / (len(every) * (len(every) - 1)))


def ordinal(a: float, b: float, every: list[float]) -> float:
    low, high = min(a, b), max(a, b)
    return (sum(low <= r <= high for r in every) - (every.count(low) + every.count(high)) / 2) ** 2 if a != b else 0.0


@pytest.mark.parametrize("seed", range(3))
def test_as_in_statsmodels_and_sklearn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 300)
    second = np.where(rng.random(300) < 0.6, first, rng.integers(0, 3, 300))
    table = np.zeros((4, 4))
    np.add.at(table, (first, second), 1)
    theirs = cohens_kappa(table)
    ours = cohen_kappa([str(c) for c in first], [str(c) for c in second])
    assert ours.value == pytest.approx(cohen_kappa_score(first, second)) == pytest.approx(theirs.kappa)
    assert ours.se == pytest.approx(theirs.std_kappa)
    assert ours.low == pytest.approx(theirs.kappa_low, abs=0.015)
    assert ours.low < theirs.kappa_low
    assert ours.high == pytest.approx(theirs.kappa_upp, abs=0.015)


def test_known_answer() -> None:
    # Cohen's measure by hand: 50 items, 35 agreed, chance 0.5 * 0.6 + 0.5 * 0.4.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second)
    assert found.agreement == pytest.approx(0.7)
    assert found.value == pytest.approx(0.4)


def test_full_agreement_on_three_items_leaves_room() -> None:
    found = cohen_kappa(list("abc"), list("abc"))
    assert found.value == found.high == 1
    assert found.low < 0.1


def test_worse_than_chance() -> None:
    found = cohen_kappa(["a", "b"] * 20, ["b", "a"] * 20)
    assert found.value == found.low == pytest.approx(-1)
    assert found.high < -0.7


def test_what_is_not_defined() -> None:
    assert math.isnan(cohen_kappa([], []).value)
    one_category = cohen_kappa(["a"] * 5, ["a"] * 5)
    assert math.isnan(one_category.value)
    assert one_category.agreement == 1
    assert math.isnan(cohen_kappa(["a"], ["b"]).se)
    with pytest.raises(ValueError, match="do not align"):
        cohen_kappa(["a"], [])


def test_missing_ratings_are_left_out() -> None:
    found = cohen_kappa(["a", None, "b", math.nan, "a"], ["a", "b", "b", "a", None])
    assert found.n == 2
    assert found.value == 1


@pytest.mark.parametrize("seed", range(3))
def test_fleiss_as_in_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratings = judged(rng, 80)
    ours = fleiss_kappa([[str(r) for r in row] for row in ratings], rng, draws=500)
    assert ours.value == pytest.approx(their_fleiss_kappa(aggregate_raters(ratings)[0]))
    assert ours.low < ours.value < ours.high
    assert ours.n == 80


def test_fleiss_with_judges_missing() -> None:
    """By hand: agreement (1 + 1/3) / 2; shares of a and b (1 + 2/3) / 2 and 1/6."""
    found = fleiss_kappa([["a", "a", None], ["a", "a", "b"], ["b", None, None]], np.random.default_rng(0), draws=50)
    chance = (5 / 6) ** 2 + (1 / 6) ** 2
    assert found.n == 2
    assert found.value == pytest.approx((2 / 3 - chance) / (1 - chance))


@pytest.mark.parametrize(("scale", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorff_of_his_own_example(scale: str, value: float) -> None:
    found = krippendorff_alpha(OBSERVED, np.random.default_rng(0), scale=scale, draws=300)  # type: ignore[arg-type]
    assert found.value == pytest.approx(value, abs=0.0005)
    assert found.n == 11
    assert found.low < found.value < found.high <= 1


def test_krippendorff_by_pairs_of_ratings() -> None:
    rng = np.random.default_rng(4)
    ratings: list[list[Rating]] = [[None if rng.random() < 0.2 else int(r) for r in row] for row in judged(rng, 25)]
    distances = {
        "nominal": lambda a, b, every: float(a != b),
        "ordinal": ordinal,
        "interval": lambda a, b, every: (a - b) ** 2,
    }
    for scale, distance in distances.items():
        ours = krippendorff_alpha(ratings, np.random.default_rng(0), scale=scale, draws=50)  # type: ignore[arg-type]
        assert ours.value == pytest.approx(alpha_by_pairs(ratings, distance))


def test_intervals_of_many_judges_cover() -> None:
    rng = np.random.default_rng(6)
    truth = fleiss_kappa(judged(rng, 20_000).tolist(), rng, draws=2).value
    held = [fleiss_kappa(judged(rng, 40).tolist(), rng, draws=200) for _ in range(100)]
    assert 0.91 <= np.mean([k.low <= truth <= k.high for k in held]) <= 1
    assert np.mean([k.high - k.low for k in held]) < 0.35


def test_items_of_one_group_are_drawn_together() -> None:
    rng = np.random.default_rng(8)
    ratings = np.repeat(judged(rng, 20), 5, axis=0).tolist()
    names = [f"g{i}" for i in np.repeat(np.arange(20), 5)]
    alone = krippendorff_alpha(ratings, np.random.default_rng(0), draws=400)
    grouped = krippendorff_alpha(ratings, np.random.default_rng(0), groups=names, draws=400)
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.se > 1.6 * alone.se


@pytest.mark.parametrize("measure", [fleiss_kappa, krippendorff_alpha])
def test_agreement_that_is_not_defined_is_nan(measure: object) -> None:
    rng = np.random.default_rng(0)
    for ratings in ([], [["a"], ["b"]], [["a", None], [None, "b"]], [[None, NAN]]):
        found = measure(ratings, rng, draws=20)  # type: ignore[operator]
        assert math.isnan(found.value)
        assert found.n == 0
    same = measure([["a", "a"]] * 5, rng, draws=20)  # type: ignore[operator]
    assert math.isnan(same.value)
    assert same.agreement == 1
    assert same.n == 5


def test_full_agreement_of_many_on_three_items_leaves_room() -> None:
    for measure in (fleiss_kappa, krippendorff_alpha):
        found = measure([["a"] * 3, ["b"] * 3, ["c"] * 3], np.random.default_rng(0), draws=200)
        assert found.value == found.high == 1
        assert found.low < 0.3


def test_a_scale_needs_numbers() -> None:
    with pytest.raises(ValueError, match="numbers"):
        krippendorff_alpha([["a", "b"]], np.random.default_rng(0), scale="ordinal")
