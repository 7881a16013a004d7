"""A training on the screen: its figures on one line, in the reader's language, every half minute where there is no terminal."""

from __future__ import annotations

import dataclasses

import pytest

from rung.cli.screen import EVERY, Screen
from rung.core.method import Silent
from rung.methods.watching import Part, TrainingWatch
from rung.store.records import Cell

CELL = Cell(method="fine_tune", model="m", rank=4)
LINE = {"step": 40, "planned": 120, "seconds": 60.0, "tokens": 6000, "loss": 1.25, "rate": 0.0008, "norm": 1.0}


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("rung.cli.screen.time", found)
    return found


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            (
                "seed 2 of 3",
                "step 40/120",
                "2 min left",
                "loss 1.250",
                "dev 0.600 (best 0.700 at step 20)",
                "100 tokens/s",
                "learning rate 0.0008",
                "1.5 GiB",
            ),
        ),
        (
            "zh",
            (
                "第 2/3 个种子",
                "第 40/120 步",
                "还剩 2 min",
                "损失 1.250",
                "开发集 0.600（最好 0.700，第 20 步）",
                "100 token/秒",
                "学习率 0.0008",
                "1.5 GiB",
            ),
        ),
    ],
)
def test_a_line_every_half_minute_says_where_a_training_stands(
    language: str, expected: tuple[str, ...], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = Screen(language).started(CELL)  # type: ignore[arg-type]
    watch = TrainingWatch(bar, part=Part("seed-2", 2, 3, 1 / 3, 1 / 3))
    watch(LINE | {"step": 20, "seconds": 30.0, "tokens": 3000, "dev": 0.7, "dev_loss": 1.0})
    clock.now += EVERY - 1
    watch(LINE | {"step": 39, "seconds": 59.0})
    assert capsys.readouterr().err == ""
    clock.now += 1
    watch(LINE | {"dev": 0.6, "dev_loss": 0.9, "memory_gib": 1.5})
    watch(LINE | {"step": 41})
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("  fine_tune")
    assert [text for text in expected if text not in said[0]] == []


def test_time_left_and_the_share_are_by_the_budget_where_it_ends_sooner() -> None:
    by_steps = TrainingWatch(Silent())(LINE)
    by_budget = TrainingWatch(Silent(), limit=80.0)(LINE)
    assert by_steps is not None
    assert by_budget is not None
    assert (by_steps.left, by_steps.share) == (pytest.approx(120.0), pytest.approx(1 / 3))
    assert (by_budget.left, by_budget.share) == (pytest.approx(20.0), pytest.approx(0.75))


def test_the_smoothed_loss_starts_at_the_first_and_follows_slowly() -> None:
    watch = TrainingWatch(Silent())
    first = watch(LINE | {"loss": 4.0})
    moments = [watch(LINE | {"loss": 2.0}) for _ in range(40)]
    assert first is not None
    assert first.smooth == pytest.approx(4.0)
    smooth = [moment.smooth for moment in moments if moment]
    assert 2.5 < smooth[0] < 4.0
    assert smooth == sorted(smooth, reverse=True)
    assert smooth[-1] == pytest.approx(2.0, abs=0.05)


def test_equal_dev_scores_are_told_apart_by_the_dev_loss() -> None:
    watch = TrainingWatch(Silent())
    watch(LINE | {"step": 1, "dev": 0.5, "dev_loss": 1.0})
    watch(LINE | {"step": 2, "dev": 0.5, "dev_loss": 0.8})
    last = watch(LINE | {"step": 3, "dev": 0.5, "dev_loss": 0.9})
    assert last is not None
    assert (last.best, last.best_step) == (0.5, 2)


def test_a_plain_bar_is_told_of_all_parts_together() -> None:
    @dataclasses.dataclass
    class Plain:
        done: float = 0.0
        note: str = ""

        def update(self, done: float, total: float, note: str = "") -> None:
            self.done, self.note = done, note

    bar = Plain()
    TrainingWatch(bar, part=Part("trial-1", 1, 4, 0.25, 0.5))(LINE)
    assert bar.done == pytest.approx(0.25 + 0.5 / 3)
    assert "trial-1, step 40/120" in bar.note
    assert TrainingWatch(bar)({"error": "E1"}) is None
