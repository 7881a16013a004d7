"""Trainings in the report: curves with the kept step, seeds and their spread, notes and searches as sentences and pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from rung.reporting.build import build_report
from rung.reporting.curves import MOST, draw_curves, mean_line, smoothed
from rung.reporting.ladder import build_ladder
from rung.reporting.numbers import Numbers
from rung.reporting.reading import read_run
from rung.reporting.training import view_trainings
from rung.reporting.words import Words
from rung.store.runs import RunFolder

MakeRun = Callable[..., RunFolder]


def curve(steps: int = 200, *, top: float = 0.8, shift: float = 0.0) -> list[dict[str, Any]]:
    points = []
    for step in range(1, steps + 1):
        loss = 2.0 * math.exp(-step / 60) + 0.2 * (step % 3) + shift
        point: dict[str, Any] = {"step": step, "loss": loss, "rate": 1e-3 * (1 - step / steps), "seconds": step * 0.5}
        if step % 25 == 0:
            point |= {"dev": top * (1 - math.exp(-step / 50)), "dev_loss": 1.0 + shift}
        points.append(point)
    return points


TRAINING = {
    "steps": 200,
    "planned_steps": 240,
    "best_step": 175,
    "best_dev": 0.774,
    "seconds": 100.0,
    "tokens_per_second": 1234.5,
    "settings": {"rank": 16},
    "learning_rate": 1e-3,
    "notes": [
        {"kind": "memory", "step": 12, "micro_tokens": 256},
        {"kind": "skipped", "rows": 12, "of": 400},
        {"kind": "unheard_of", "thing": 7},
    ],
}
SEEDS = {
    "seeds": [
        {"seed": 0, "best_dev": 0.71, "seconds": 10.0, "problem": ""},
        {"seed": 1, "best_dev": 0.74, "seconds": 11.0, "problem": ""},
        {"seed": 2, "best_dev": None, "seconds": 0.0, "problem": "E2802"},
    ],
    "seed_spread": {"mean": 0.725, "spread": 0.03, "n": 2},
    "seed_curves": [{"seed": 0, "curve": curve(top=0.71)}, {"seed": 1, "curve": curve(150, top=0.74, shift=0.1)}],
}
SEARCH = {
    "planned": 5,
    "share": 0.25,
    "best": 1,
    "log": ["learning_rate"],
    "importance": {"learning_rate": 0.9, "rank": 0.1},
    "space": {},
    "trials": [
        {"number": i, "values": {"learning_rate": 10.0 ** (-i - 1), "rank": 8 * (1 + i % 2), "schedule": "linear"}}
        | {"state": state, "score": score, "seconds": 12.0, "seen": [], "loss": 0.0, "problem": ""}
        for i, (state, score) in enumerate([("done", 0.5), ("done", 0.75), ("stopped", 0.3), ("failed", None)])
    ],
}


def noted(run: RunFolder, method: str = "fine_tune", **notes: Any) -> RunFolder:
    """The run with other notes of one rung."""
    for outcome in run.outcomes():
        if outcome.cell.method == method:
            run.write_outcome(outcome.model_copy(update={"notes": notes}))
    return run


def pages(run: RunFolder, language: str) -> tuple[str, str]:
    paths = build_report(run, language=language)  # type: ignore[arg-type]
    return paths["html"].read_text("utf-8"), paths["md"].read_text("utf-8")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            (
                "The weights of step 175 of 240 were kept: dev score 77.4%.",
                "It stopped early, because dev no longer improved.",
                "1,234 tokens a second",
                "Memory ran out at step 12: from there on at most 256 tokens",
                "12 of 400 rows were longer than the limit",
                "3 seeds: 71.0%, 74.0% on dev, a spread of 3.0 points.",
                "Seed 2 failed: ",
                "4 of 5 short trials, each 25% of a whole training",
                "1 were stopped on the way",
                "learning_rate: 90%",
            ),
        ),
        (
            "zh",
            (
                "保留了第 175 步（计划共 240 步）的权重：开发集分数 77.4%。",
                "开发集不再进步，因此提前停止。",
                "第 12 步内存不足：此后每次最多送入 256 个 token",
                "400 行中有 12 行超过长度上限",
                "3 个种子的开发集分数：71.0%、74.0%，相差 3.0 个百分点。",
                "种子 2 训练失败：",
                "计划 5 次短试验，完成 4 次，每次为完整训练的 25%",
                "其中 1 次因同一时点不如其他试验而提前停止，1 次失败。",
                "learning_rate：90%",
            ),
        ),
    ],
)
def test_what_happened_while_training_is_told_in_sentences(
    make_run: MakeRun, language: str, expected: tuple[str, ...]
) -> None:
    notes = {"converged": True, "stopped": "early", "curve": curve(), "training": TRAINING, "search": SEARCH, **SEEDS}
    html, markdown = pages(noted(make_run(), **notes), language)
    plain = re.sub(r"\\(.)", r"\1", markdown)
    assert [text for text in expected if text not in html] == []
    assert [text for text in expected if text not in plain] == []
    # A note of a kind that nobody has words for is shown, not lost.
    assert "unheard" in html
    assert "seed_curves" not in html
    assert "{" not in plain.replace("{name}", "")


def test_every_picture_of_a_training_is_drawn_with_the_kept_step_ringed(make_run: MakeRun) -> None:
    run = noted(make_run(), curve=curve(), training=TRAINING)
    html, _ = pages(run, "en")
    found = curves_of(run)
    assert found is not None
    assert all((found.loss, found.dev, found.dev_loss, found.rate))
    for name in ("Learning rate", "Loss on dev"):
        assert name in html
    assert "Thin lines" in html
    without = curves_of(noted(run, curve=curve(), training=TRAINING | {"best_step": 0}))
    assert without is not None
    # The ring is one mark more, and only there.
    assert found.dev.count("<path") == without.dev.count("<path") + 1
    assert found.loss.count("<path") == without.loss.count("<path")
    # Colours are the page's own, so that they change with its theme.
    assert re.findall(r'"#[0-9a-f]{6}"', found.dev + found.loss + found.rate) == []


def test_seeds_are_thin_lines_below_their_mean(make_run: MakeRun) -> None:
    alone = curves_of(noted(make_run(), curve=curve(), training=TRAINING))
    several = curves_of(noted(make_run(name="r2"), curve=curve(), training=TRAINING, **SEEDS))
    assert alone is not None
    assert several is not None
    assert several.dev.count('stroke-opacity="0.35"') == alone.dev.count('stroke-opacity="0.35"') + 2
    assert several.detailed


def test_a_mean_of_curves_is_drawn_where_all_of_them_are() -> None:
    one = [{"step": s, "value": float(s)} for s in (0, 10, 20, 30)]
    other = [{"step": s, "value": float(s) + 2} for s in (5, 15, 25)]
    found = mean_line([one, other])
    assert [p["step"] for p in found] == [5, 10, 15, 20, 25]
    assert all(p["value"] == pytest.approx(p["step"] + 1) for p in found)
    apart = [{"step": s, "value": 1.0} for s in (40, 50)]
    assert mean_line([one, apart]) == []


def test_a_smoothed_curve_is_calmer_and_as_long() -> None:
    jagged = [{"step": i, "value": float(i % 2)} for i in range(400)]
    calm = smoothed(jagged)
    assert [p["step"] for p in calm] == [p["step"] for p in jagged]
    assert all(0.4 < p["value"] < 0.6 for p in calm[100:])
    assert smoothed(jagged[:1]) == jagged[:1]
    assert len(calm) > MOST


def test_a_search_is_a_table_and_pictures_of_what_mattered(make_run: MakeRun) -> None:
    run = noted(make_run(), search=SEARCH, training=TRAINING)
    reading, words = read_run(run), Words("en")
    view = view_trainings(build_ladder(reading, words), words, Numbers(words, "USD"))
    search = next(iter(view.values())).search
    assert search is not None
    assert [row.state for row in search.rows] == ["finished", "best, trained in full", "stopped on the way", "failed"]
    # The schedule was the same in all trials: there is nothing to draw.
    assert [alt for alt, _ in search.pictures] == [
        "Dev score of every trial by learning_rate",
        "Dev score of every trial by rank",
    ]
    assert "var(--winner)" in search.pictures[0][1]


def test_a_search_without_a_score_has_no_picture_and_is_still_told(make_run: MakeRun) -> None:
    trials = [trial | {"score": None, "state": "failed"} for trial in SEARCH["trials"]]  # type: ignore[attr-defined]
    html, _ = pages(noted(make_run(), search=SEARCH | {"trials": trials, "best": None, "importance": {}}), "en")
    assert "4 failed" in html


def curves_of(run: RunFolder) -> Any:
    words = Words("en")
    reading = read_run(run)
    ladder = build_ladder(reading, words)
    return draw_curves(ladder, words, Numbers(words, "USD"))
