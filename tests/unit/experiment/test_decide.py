"""The decision on planted scores: which verdict, who, at what cost, and what is said about it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from planted import contender, decided, ladder, shares, task

from rung.experiment.decide import Prices
from rung.store.records import Decision, Pair, Spend


def pair(decision: Decision, one: str, other: str) -> Pair:
    """The comparison of two candidates, in the order in which it is told."""
    return next(p for p in decision.pairs if {p.candidate, p.other} == {one, other})


# Compare mode


def test_the_cheapest_within_the_margin_wins_although_another_scores_higher() -> None:
    found = decided(ladder(*shares(1000, 500, 800, 830)), task(margin=0.06))
    assert (found.verdict, found.winner, found.ties) == ("winner", "prompt", ())
    gap = pair(found, "few_shot", "prompt").difference
    assert (gap.point, gap.low is not None and gap.low > 0) == (pytest.approx(0.03), True)
    assert [standing.good_enough for standing in found.standings] == [False, True, True]
    assert "No rung that keeps the task's limits is better by 6 points or more" in found.reason.en
    assert "6 个百分点" in found.reason.zh


def test_a_smaller_margin_lets_the_better_one_win() -> None:
    found = decided(ladder(*shares(1000, 500, 800, 830)), task(margin=0.01))
    assert (found.verdict, found.winner) == ("winner", "few_shot")


def test_a_clear_winner_is_named_and_said_to_be_better() -> None:
    found = decided(ladder(*shares(300, 150, 180, 270)))
    assert (found.verdict, found.winner, found.ties) == ("winner", "few_shot", ())
    assert "better than every other rung" in found.reason.en
    assert "90.0%" in found.reason.en
    assert "90.0%" in found.reason.zh
    assert pair(found, "few_shot", "prompt").candidate == "few_shot"


def test_a_tie_is_said_and_the_cheapest_of_the_tied_is_named() -> None:
    cheap = [float(i % 10 != 0) for i in range(600)]
    dear = [float(i % 10 != 1) for i in range(600)]
    found = decided(ladder(shares(600, 200)[0], cheap, dear), task(margin=0.08))
    assert (found.verdict, found.winner, found.ties) == ("tie", "prompt", ("few_shot",))
    assert "cannot tell it from few-shot prompting" in found.reason.en
    assert "少样本提示" in found.reason.zh
    assert found.reason.en.startswith("The plain prompt is enough.")


def test_a_test_that_is_too_small_is_unresolved_and_says_how_many_would_do() -> None:
    rng = np.random.default_rng(0)
    scores = [(rng.random(40) < p).astype(float).tolist() for p in (0.7, 0.75)]
    found = decided(ladder(*scores))
    assert (found.verdict, found.winner) == ("unresolved", None)
    assert found.ties
    assert found.examples_needed is not None
    assert found.examples_needed > 40
    assert found.resolvable is not None
    assert found.resolvable > 0.05
    assert f"{found.examples_needed:,}" in " ".join(text.en for text in found.would_change)


def test_as_many_examples_as_it_asks_for_do_settle_it() -> None:
    """The same shares on a test of the size that was asked for, and a fifth more, are no longer unresolved."""
    scores = shares(40, 28, 30)
    small = decided(ladder(*scores))
    assert small.verdict == "unresolved"
    assert small.examples_needed is not None
    times = math.ceil(1.2 * small.examples_needed / 40)
    assert decided(ladder(*(values * times for values in scores))).verdict != "unresolved"
    assert decided(ladder(*(values * max(1, times // 8) for values in scores))).verdict == "unresolved"


def test_identical_answers_tie_once_there_are_enough_and_never_before() -> None:
    many = decided(ladder(*shares(400, 300, 300)))
    assert (many.verdict, many.winner, many.ties) == ("tie", "baseline", ("prompt",))
    gap = pair(many, "baseline", "prompt")
    assert gap.difference.point == 0.0
    assert gap.difference.low is not None
    assert -0.02 < gap.difference.low < 0
    assert gap.p_value == 1.0
    few = decided(ladder(*shares(30, 20, 20)))
    assert (few.verdict, few.winner) == ("unresolved", None)
    assert few.examples_needed is not None
    assert 30 < few.examples_needed < 400


def test_one_candidate_alone_is_the_winner_of_what_was_tried() -> None:
    found = decided(ladder(*shares(50, 30)))
    assert (found.verdict, found.winner, found.pairs, found.examples_needed) == ("winner", "baseline", (), None)
    assert "only rung with a result" in found.reason.en
    assert "better than" not in found.reason.en
    assert "没有可以比较的方案" in found.reason.zh


def test_nothing_to_compare_and_splits_that_differ() -> None:
    assert decided([]).verdict == "nothing_to_compare"
    one, other = ladder(*shares(10, 5, 6))
    moved = other.test.header.model_copy(update={"split_hash": "another"})
    object.__setattr__(other.test, "header", moved)
    with pytest.raises(ValueError, match="different test splits"):
        decided([one, other])


def test_one_question_decides_nothing() -> None:
    found = decided(ladder([1.0], [0.0]))
    assert (found.verdict, found.winner) == ("unresolved", None)


def test_the_order_of_the_contenders_does_not_matter() -> None:
    scores = shares(200, 100, 150, 155)
    assert decided(ladder(*scores)[::-1]) == decided(ladder(*scores))


def test_equal_costs_go_by_the_place_on_the_ladder() -> None:
    values = shares(400, 300)[0]
    found = decided([contender("late", values, 1.0, rank=40), contender("early", values, 1.0, rank=10)])
    assert [standing.candidate for standing in found.standings] == ["early", "late"]
    assert found.winner == "early"


# Targets


def test_a_target_that_nobody_is_shown_to_reach() -> None:
    found = decided(ladder(*shares(300, 240, 255)), task(target=0.9))
    assert (found.verdict, found.winner) == ("target_not_met", None)
    assert [standing.meets_target for standing in found.standings] == [False, False]
    assert "90.0%" in found.reason.en


def test_a_score_above_the_target_is_not_yet_proof() -> None:
    found = decided(ladder(*shares(60, 20, 55)), task(target=0.9))
    assert found.standings[1].quality.point == pytest.approx(55 / 60)
    assert found.verdict == "target_not_met"


def test_with_a_target_the_cheapest_that_reaches_it_and_keeps_up_wins() -> None:
    found = decided(ladder(*shares(1000, 880, 930, 940)), task(target=0.9, margin=0.2))
    assert (found.winner, [s.meets_target for s in found.standings]) == ("prompt", [False, True, True])
    assert found.standings[0].good_enough


def test_climbing_stops_at_the_cheapest_that_reaches_the_target_however_good_the_next() -> None:
    found = decided(ladder(*shares(400, 200, 350, 400)), task(target=0.8), mode="climb", planned=3)
    assert (found.verdict, found.winner) == ("winner", "prompt")
    assert "lower bound" in found.reason.en


def test_climbing_splits_alpha_over_the_rungs_that_were_planned() -> None:
    """180 of 200: the bound is 0.857 at alpha 0.05, and 0.839 at 0.01 (Clopper and Pearson)."""
    scores = shares(200, 180)
    assert decided(ladder(*scores), task(target=0.85), mode="climb", planned=1).verdict == "winner"
    assert decided(ladder(*scores), task(target=0.85), mode="climb", planned=5).verdict == "target_not_met"
    assert decided(ladder(*scores), task(target=0.83), mode="climb", planned=5).verdict == "winner"


def test_a_rung_that_missed_the_target_gets_no_second_chance_from_what_the_next_one_failed() -> None:
    """176 of 200 misses 0.835 at alpha 0.025; 176 of the 197 that the next rung answered would reach it."""
    first = shares(200, 176)[0]
    second: list[float | None] = [None if i > 196 else float(i < 100) for i in range(200)]
    asked = task(target=0.835)
    assert decided(ladder(first), asked, mode="climb", planned=2).winner is None
    found = decided(ladder(first, second), asked, mode="climb", planned=2)
    assert (found.winner, [s.meets_target for s in found.standings]) == (None, [False, False])
    assert decided(ladder(shares(197, 176)[0]), asked, mode="climb", planned=2).winner == "baseline"


def test_climbing_says_nothing_about_a_margin() -> None:
    found = decided(ladder(*shares(400, 200, 350, 400)), task(target=0.8), mode="climb", planned=3)
    assert "margin" not in " ".join(text.en for text in found.would_change)


# Failures


def test_a_candidate_with_too_many_failures_cannot_win_and_takes_no_questions_from_the_others() -> None:
    best = [None if i < 30 else 1.0 for i in range(300)]
    without = decided(ladder(*shares(300, 150, 240)))
    found = decided([*ladder(*shares(300, 150, 240)), contender("fails", best, 0.5)])
    assert (found.verdict, found.winner) == ("winner", "prompt")
    out = found.standings[0]
    assert (out.candidate, out.eligible, out.good_enough) == ("fails", False, False)
    assert [(c.name, c.value, c.ok) for c in out.checks] == [("max_failure_share", 0.1, False)]
    assert pair(found, "prompt", "baseline").difference.point == pair(without, "prompt", "baseline").difference.point
    assert "fails" not in found.ties


def test_a_candidate_that_answered_nothing_spoils_nothing() -> None:
    found = decided([*ladder(*shares(300, 150, 240)), contender("dead", [None] * 300, 0.5)])
    assert (found.verdict, found.winner) == ("winner", "prompt")
    dead = found.standings[0]
    assert (dead.quality.point, dead.failed, dead.eligible) == (None, 300, False)
    alone = decided([contender("dead", [None] * 300)])
    assert (alone.verdict, alone.winner) == ("unresolved", None)
    assert "No rung keeps the constraints" in alone.reason.en


def test_a_question_that_one_of_them_failed_is_left_out_for_all() -> None:
    """Both are equal wherever both answered; failing on the hard ones must not make a candidate look better."""
    steady: list[float | None] = [float(i % 2 == 0) for i in range(400)]
    skips: list[float | None] = [None if i % 10 == 1 else steady[i] for i in range(400)]
    found = decided(ladder(steady, skips), task(failures=0.2))
    assert pair(found, "baseline", "prompt").difference.point == 0.0
    assert (found.verdict, found.winner) == ("tie", "baseline")


def test_the_interval_that_is_shown_holds_the_score_that_is_shown() -> None:
    """The score of all questions beside the interval of the joint ones would not fit."""
    steady: list[float | None] = [float(i % 2 == 0) for i in range(400)]
    skips: list[float | None] = [None if i % 10 == 1 else steady[i] for i in range(400)]
    for standing in decided(ladder(steady, skips), task(failures=0.2)).standings:
        quality = standing.quality
        assert quality.low is not None
        assert quality.point is not None
        assert quality.high is not None
        assert quality.low <= quality.point <= quality.high


def test_a_failure_is_no_wrong_answer_in_the_exact_test_either() -> None:
    steady = [1.0] * 200
    skips = [None if i < 20 else 1.0 for i in range(200)]
    found = decided(ladder(steady, skips), task(failures=0.2))
    assert pair(found, "baseline", "prompt").p_value == 1.0


def test_unscored_questions_count_for_nobody() -> None:
    scored = shares(300, 150, 240)
    found = decided(ladder(*([*values, *["open"] * 50] for values in scored)))
    assert (found.winner, found.n, found.groups) == ("prompt", 350, 300)
    assert [standing.unscored for standing in found.standings] == [50, 50]
    assert pair(found, "prompt", "baseline").difference.point == pytest.approx(0.3)


# Constraints, cost and what is said


def test_what_breaks_a_constraint_or_was_not_measured_cannot_win() -> None:
    values = shares(400, 300)[0]
    several = [
        contender("slow", values, 1.0, latency_p95=3.0, peak_memory_gib=1.0),
        contender("unmeasured", values, 2.0, peak_memory_gib=1.0),
        contender("large", values, 3.0, latency_p95=1.0, peak_memory_gib=9.0),
        contender("fits", values, 4.0, latency_p95=2.0, peak_memory_gib=4.0),
    ]
    found = decided(several, task(max_latency_p95=2.0, max_memory_gib=4.0))
    assert (found.winner, [s.eligible for s in found.standings]) == ("fits", [False, False, False, True])
    said = " ".join(text.en for text in found.would_change)
    assert "Slow" in said or "slow" in said
    assert "max_latency_p95" in said
    assert "max_memory_gib" in said


def test_a_better_candidate_that_is_out_is_not_denied_in_the_reason() -> None:
    """'Nothing that was tried is shown to be better' would be untrue: the one that is out is better by far."""
    slow = contender("rag", shares(400, 396)[0], 2.0, latency_p95=9.0)
    fast = contender("prompt", shares(400, 300)[0], 1.0, latency_p95=0.1)
    found = decided([slow, fast], task(max_latency_p95=1.0))
    assert found.winner == "prompt"
    assert "Nothing that was tried is shown to be better" not in found.reason.en
    assert "better than every other rung" not in found.reason.en


def test_a_rung_that_is_out_and_nearly_as_good_is_not_said_to_be_beaten() -> None:
    slow = contender("rag", shares(400, 298)[0], 2.0, latency_p95=9.0)
    fast = contender("prompt", shares(400, 300)[0], 1.0, latency_p95=0.1)
    found = decided([slow, fast], task(max_latency_p95=1.0))
    assert (found.verdict, found.winner, found.ties) == ("winner", "prompt", ())
    assert "better than every other rung" not in found.reason.en
    # What is out is no rival that a smaller margin would bring back.
    assert "margin below" not in " ".join(text.en for text in found.would_change)


def test_cost_is_serving_plus_training_spread_over_the_planned_volume() -> None:
    prices = Prices("EUR", cpu_second=0.5, gpu_second=4.0, monthly_volume=2_000, months=3.0)
    spent = Spend(cpu_seconds=100.0, gpu_seconds=20.0, money=5.0)
    made = contender("a", [1.0] * 50, spent=spent, cpu_seconds=10.0, gpu_seconds=2.0, money=0.25)
    found = decided([made], prices=prices)
    standing = found.standings[0]
    assert standing.training_cost == pytest.approx(100 * 0.5 + 20 * 4.0 + 5.0)
    serving = (10 * 0.5 + 2 * 4.0 + 0.25) * 1000 / 50
    assert standing.cost_per_1000 == pytest.approx(serving + 135 * 1000 / 6000)
    assert found.currency == "EUR"
    assert "EUR per 1,000 answers" in found.reason.en


def test_training_counts_towards_which_one_is_cheapest() -> None:
    values = shares(400, 300)[0]
    trained = contender("trained", values, 0.0, spent=Spend(cpu_seconds=1e6))
    found = decided([trained, contender("plain", values, 1.0)])
    assert found.winner == "plain"


def test_a_rung_that_its_budget_stopped_is_never_said_to_be_no_help() -> None:
    several = [
        *ladder(*shares(300, 150, 240)),
        contender("fine_tune", shares(300, 150)[0], 9.0, notes={"converged": False}),
    ]
    found = decided(several)
    assert [standing.converged for standing in found.standings] == [True, True, False]
    assert "Stopped by the budget before converging, and so not shown to be no help: fine-tuning." in found.reason.en
    assert "微调" in found.reason.zh


def test_the_baseline_is_always_put_beside_the_winner() -> None:
    assert "The baseline without a language model scores 50.0%." in decided(ladder(*shares(300, 150, 240))).reason.en


# Groups


def test_examples_of_one_group_count_as_one() -> None:
    """Thirty customers with ten questions each say as much as thirty questions, and McNemar has no say."""
    groups = [f"g{i // 10}" for i in range(300)]
    one = [float(i // 10 < 18) for i in range(300)]
    two = [float(i // 10 < 21) for i in range(300)]
    grouped = decided([contender("a", one, 1.0, groups=groups), contender("b", two, 2.0, groups=groups)])
    alone = decided([contender("a", one, 1.0), contender("b", two, 2.0)])
    assert (grouped.groups, grouped.verdict) == (30, "unresolved")
    assert (alone.groups, alone.verdict, alone.winner) == (300, "winner", "b")
    assert pair(grouped, "a", "b").p_value is None
    assert pair(alone, "a", "b").p_value is not None
    assert grouped.examples_needed is not None
    assert grouped.examples_needed > 300
