"""Costs in the report: figures come from costs.json, the picture has its planned volume, and nothing is shown for nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from rung.core.task import Language
from rung.experiment.costs import Demand, Priced, Prices, Upkeep, cost_record
from rung.reporting.build import build_report
from rung.reporting.costs import _log_axis, cost_view, rounded
from rung.reporting.numbers import Numbers
from rung.reporting.text import show_json
from rung.reporting.words import Words
from rung.store.costs import Costs
from rung.store.records import Text
from rung.store.runs import RunFolder


def costs(*demands: Demand, names: tuple[str, ...] = (), volume: int = 20_000, upkeep: Upkeep | None = None) -> Costs:
    called = names or tuple(f"c{i}" for i in range(len(demands)))
    priced = [Priced(name, "prompt", "m", d, Text(en=name, zh=name)) for name, d in zip(called, demands, strict=True)]
    return cost_record(priced, Prices(monthly_volume=volume, upkeep=upkeep or Upkeep()))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_run_with_costs_tells_them_on_every_page(make_run: Callable[..., RunFolder], language: Language) -> None:
    run = make_run(language=language)
    decision = run.read_decision()
    assert decision is not None
    api, own = (standing.candidate for standing in decision.standings[:2])
    planted = costs(Demand(per_answer=0.0123), Demand(machine_month=777.0, answers_per_machine=1e9), names=(api, own))
    run.write_costs(planted)
    paths = build_report(run, language=language)
    page, brief = paths["html"].read_text("utf-8"), paths["md"].read_text("utf-8")
    said = {"en": ("planned: 20,000", "What it costs a month"), "zh": ("计划用量：20,000", "每月要花多少钱")}[language]
    for text in said:
        assert text in page
    assert said[1] in brief
    assert "$777" in page
    assert "63,000" in page
    found = show_json(run)["costs"]
    assert Costs.model_validate(found) == planted


def test_a_run_without_costs_says_nothing_of_them(make_run: Callable[..., RunFolder]) -> None:
    run = make_run()
    assert 'id="costs"' not in build_report(run)["html"].read_text("utf-8")
    run.write_costs(costs(Demand(), Demand()))
    assert 'id="costs"' not in build_report(run)["html"].read_text("utf-8")


def test_a_free_candidate_is_in_the_table_and_not_on_the_log_scale() -> None:
    words = Words("en")
    found = cost_view(costs(Demand(), Demand(per_answer=0.01)), {"c0": "free", "c1": "paid"}, words, Numbers(words))
    assert found is not None
    assert [row.name for row in found.rows] == ["free", "paid"]
    assert [series.name for series in found.series] == ["paid"]
    assert found.left_out == 1


def test_the_winner_is_drawn_however_dear_it_is() -> None:
    words = Words("zh")
    many = costs(*(Demand(per_answer=0.001 * (n + 1)) for n in range(9)))
    names = {f"c{n}": f"方案{n}" for n in range(9)}
    found = cost_view(many, names, words, Numbers(words), winner="c8")
    assert found is not None
    assert "方案8" in [series.name for series in found.series]
    assert found.never == 36
    assert found.picture is not None
    assert "每月回答次数" in found.picture.narrow


@pytest.mark.parametrize(("low", "high"), [(0.001, 2e5), (90.0, 110.0), (5.0, 5.0), (100.0, 1e8)])
def test_a_log_axis_holds_its_ends_and_has_few_ticks(low: float, high: float) -> None:
    axis = _log_axis(low, high, most=6)
    assert axis.low <= low <= high <= axis.high
    assert len(axis.ticks) <= 6
    assert all(a < b for a, b in pairwise(axis.ticks))


def test_break_even_volumes_are_no_sharper_than_their_prices() -> None:
    assert [rounded(v) for v in (1.2, 47.3, 123.0, 12_345.0, 987_654.0)] == ["1", "47", "120", "12,000", "990,000"]
