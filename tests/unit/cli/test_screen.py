"""What a run says while it works is in the reader's language, codes included."""

from __future__ import annotations

import pytest

from rung.cli.screen import Screen, show_plan
from rung.core.errors import DataError
from rung.store.records import Cell, Outcome, Plan, Stated

BLOCKED = Cell(method="rag", model="m", rank=3, blockers=("E2404",))


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            ("cannot run: The task has no documents", "skipped: A cheaper rung already", "failed: The method x has"),
        ),
        ("zh", ("无法运行：任务没有可供检索的文档。", "已跳过：更便宜的一级已达到目标。", "失败：方法 x 没有设置项")),
    ],
)
def test_what_became_of_a_rung_is_told_in_the_readers_language(
    language: str, expected: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    cell = Cell(method="fine_tune", model="m", rank=5)
    error = DataError("E2407", method="x", name="y", known="-")
    screen = Screen(language)  # type: ignore[arg-type]
    screen.finished(Outcome(cell=BLOCKED, status="blocked"), None)
    screen.finished(Outcome(cell=cell, status="skipped", reason="E4101"), None)
    screen.finished(Outcome(cell=cell, status="failed", reason=str(error), problems=Stated.of(error)), None)
    said = " ".join(capsys.readouterr().err.split())
    assert all(text in said for text in expected)


def test_a_failure_without_a_code_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    failed = Outcome(cell=BLOCKED, status="failed", reason="ValueError: 7")
    Screen("zh").finished(failed, None)
    assert "失败：ValueError: 7" in capsys.readouterr().err
    unknown = failed.model_copy(update={"problems": (Stated(code="E9999"),)})
    assert unknown.why("zh") == "ValueError: 7"


def test_the_plan_is_shown_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(Plan(mode="climb", cells=(BLOCKED,), splits={"train": 4, "test": 2}), "zh")
    said = capsys.readouterr()
    assert "任务没有可供检索的文档" in "".join(said.out.split())
    assert "训练集 4、测试集 2" in said.err


def test_brackets_in_a_reason_are_no_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    cell = BLOCKED.model_copy(update={"blockers": ("needs rung[gpu] here",)})
    show_plan(Plan(mode="climb", cells=(cell,), splits={}), "en")
    assert "needs rung[gpu] here" in capsys.readouterr().out
