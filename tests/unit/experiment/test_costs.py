"""Costs a month: the decision's number is what it was, upkeep and machines come on top, and break-even volumes are exact."""

from __future__ import annotations

import math

import pytest
from planted import contender, decided, shares

from rung.core.candidate import AdapterSlot, Candidate, OutputSlot, PromptSlot, Recipe, RetrieverSlot
from rung.core.model import ModelRef
from rung.experiment.costs import (
    LOAD,
    MONTH_SECONDS,
    Demand,
    Priced,
    Prices,
    Upkeep,
    cost_per_1000,
    cost_record,
    crossings,
    demand_of,
)
from rung.experiment.decide import Contender, price
from rung.store.costs import Costs
from rung.store.records import Spend, Text


def candidate(kind: str = "transformers", *, trained: bool = False, indexed: bool = False, url: str = "") -> Candidate:
    return Candidate(
        method="m",
        model=ModelRef(kind=kind, id="x", options={"base_url": url} if url else {}),
        prompt=PromptSlot(instruction="", fields=("q",)),
        output=OutputSlot(),
        adapter=AdapterSlot(sha256="0", base="x") if trained else None,
        retriever=RetrieverSlot(recipe=Recipe(), index="i@1") if indexed else None,
    )


def priced(name: str, demand: Demand) -> Priced:
    return Priced(name, name, "", demand, Text(en=name, zh=name))


def test_without_upkeep_the_cost_number_is_training_spread_plus_serving() -> None:
    prices = Prices("EUR", cpu_second=0.5, gpu_second=4.0, monthly_volume=2_000, months=3.0)
    spent = Spend(cpu_seconds=100.0, gpu_seconds=10.0, money=6.0)
    made = contender("a", [1.0] * 50, cpu_seconds=5.0, money=2.0, spent=spent)
    serving = 1000 * (5.0 * 0.5 + 2.0) / 50
    training = 1000 * (100 * 0.5 + 10 * 4.0 + 6.0) / (3.0 * 2_000)
    assert cost_per_1000(prices, made.demand(prices)) == pytest.approx(serving + training)


def test_upkeep_is_priced_only_for_those_that_need_it() -> None:
    upkeep = Upkeep(hours=2, hour_price=50, retrain_months=4, retrain_hours=8, reindex_months=2, reindex_hours=3)
    prices = Prices(cpu_second=1.0, upkeep=upkeep)
    made = contender("a", [1.0], spent=Spend(cpu_seconds=120.0))

    def monthly(**needs: bool) -> tuple[float, float, float]:
        found = demand_of(prices, made.outcome.spent, made.test, candidate(**needs)).monthly(10)  # type: ignore[arg-type]
        return found.people, found.retraining, found.reindexing

    assert monthly() == (100.0, 0.0, 0.0)
    assert monthly(trained=True) == (100.0, (120 + 8 * 50) / 4, 0.0)
    assert monthly(indexed=True) == (100.0, 0.0, 3 * 50 / 2)


def test_a_machine_paid_by_the_month_takes_the_place_of_seconds_and_comes_in_whole_numbers() -> None:
    prices = Prices(cpu_second=1.0, machine_month=100.0, monthly_volume=1000)
    made = contender("a", [1.0] * 10, cpu_seconds=50.0, seconds=20.0)
    found = demand_of(prices, Spend(), made.test, candidate())
    each = LOAD * MONTH_SECONDS / 2.0
    assert found.answers_per_machine == pytest.approx(each)
    assert [found.cost(v) for v in (1, each, each * 1.001, each * 2.5)] == [100, 100, 200, 300]
    for kind, url in (("linear", ""), ("openai", "http://x/v1")):
        assert demand_of(prices, Spend(), made.test, candidate(kind, url=url)).machine_month == 0


def test_an_endpoint_and_a_machine_break_even_where_their_prices_say() -> None:
    api, own = Demand(per_answer=0.001), Demand(machine_month=100.0, answers_per_machine=1e12)
    assert crossings(api, own) == pytest.approx((100_000.0,))
    assert crossings(own, api) == crossings(api, own)
    assert crossings(api, Demand(per_answer=0.002)) == ()
    assert crossings(api, api) == ()


def test_break_even_is_found_at_every_step_of_a_machine() -> None:
    api, own = Demand(per_answer=0.001), Demand(machine_month=100.0, answers_per_machine=150_000)
    found = crossings(api, own)
    # One machine pays from 100,000 on; the second puts the API ahead again from 150,000 to 200,000; 300,000 is a draw.
    assert found[:3] == pytest.approx((100_000, 150_000, 200_000))
    for volume in found[:3]:
        before, after = (api.cost(volume * f) - own.cost(volume * f) for f in (0.999, 1.001))
        assert before * after < 0


def test_crossings_agree_with_a_search_over_volumes() -> None:
    one = Demand(training=60.0, per_answer=0.002, months=6.0)
    other = Demand(per_answer=0.001, people=35.0, machine_month=10.0, answers_per_machine=7_000)
    volumes = [1.0 * 1.002**n for n in range(5600)]
    signs = [math.copysign(1, one.cost(v) - other.cost(v)) for v in volumes]
    searched = [v for v, a, b in zip(volumes[1:], signs, signs[1:], strict=False) if a != b]
    assert [v for v in crossings(one, other) if v < volumes[-1]] == pytest.approx(searched, rel=0.003)


def test_the_record_tells_the_cheapest_and_where_that_changes() -> None:
    found = cost_record(
        [priced("api", Demand(per_answer=0.001)), priced("own", Demand(machine_month=100.0, answers_per_machine=1e9))],
        Prices(monthly_volume=20_000),
    )
    assert [line.candidate for line in found.lines] == ["api", "own"]
    assert found.lines[0].monthly.total == pytest.approx(20.0)
    (pair,) = found.break_even
    assert (pair.cheaper, pair.dearer) == ("api", "own")
    assert "From about 100,000 answers a month on, own" in found.summary.en
    assert "每月约 100,000 次以上" in found.summary.zh
    assert found.volumes == tuple(sorted(found.volumes))
    assert 20_000 in found.volumes
    assert all(len(line.curve) == len(found.volumes) for line in found.lines)
    assert Costs.model_validate_json(found.model_dump_json()) == found


def test_the_order_of_candidates_follows_upkeep_and_the_reason_says_so() -> None:
    plain = contender("plain", shares(200, 180)[0], cost=5.0)
    bare = contender("trained", shares(200, 180)[0], cost=1.0)
    trained = Contender(bare.outcome, bare.test, None, candidate(trained=True))
    free = decided([plain, trained])
    assert free.winner == "trained"
    assert not free.upkeep
    prices = Prices(cpu_second=1.0, monthly_volume=1000, upkeep=Upkeep(retrain_months=1, hour_price=50))
    kept = decided([plain, trained], prices=prices)
    assert kept.winner == "plain"
    assert kept.upkeep
    assert "upkeep included" in kept.reason.en
    assert "维护" in kept.reason.zh
    assert "Upkeep is part" in price([plain, trained], prices).summary.en
