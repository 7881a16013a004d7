"""Comparing columns, labels, scores and several metrics; what is refused; the gate."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rung.core.errors import DataError, RungError, UsageError
from rung.core.evaluation import Answer, Score
from rung.core.task import Example
from rung.experiment.comparing.compare import Columns, Gate, compare_files
from rung.store.comparison import Comparison, GateLine, read_comparison
from rung.store.records import Decision
from rung.store.runs import RunFolder


def table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def two(folder: Path, old: Sequence[bool], new: Sequence[bool]) -> list[Path]:
    paths = []
    for name, right in (("old", old), ("new", new)):
        rows = [{"id": i, "answer": "yes" if r else "no", "reference": "yes"} for i, r in enumerate(right)]
        paths.append(table(folder / f"{name}.csv", rows))
    return paths


def pattern(n: int, only_old: int, only_new: int, both: int) -> tuple[list[bool], list[bool]]:
    """Right answers of both systems: so many that only one of them has, and so many that both have."""
    old = [True] * only_old + [False] * only_new + [True] * both
    new = [False] * only_old + [True] * only_new + [True] * both
    return old + [False] * (n - len(old)), new + [False] * (n - len(new))


def decided(run: RunFolder) -> tuple[Decision, Comparison]:
    decision, comparison = run.read_decision(), read_comparison(run.path)
    assert decision is not None
    assert comparison is not None
    return decision, comparison


def gated(folder: Path, old: list[bool], new: list[bool], mode: Any = "strict", margin: float = 0.05) -> GateLine:
    run = compare_files(two(folder, old, new), margin=margin, gate=Gate("old", mode), runs=folder / "runs")
    gate = decided(run)[1].gate
    assert gate is not None
    (line,) = gate.lines
    assert gate.passed == line.passed
    return line


def refused(kind: type[RungError], *arguments: Any, **named: Any) -> RungError:
    with pytest.raises(kind) as caught:
        compare_files(*arguments, **named)
    return caught.value


# Where answers come from


def test_columns_of_one_file_are_systems(tmp_path: Path) -> None:
    rows = [{"id": i, "a": "x" if i < 50 else "z", "b": "x" if i < 20 else "z", "gold": "x"} for i in range(60)]
    columns = Columns(systems=("a", "b"), reference="gold")
    decision, _ = decided(compare_files([table(tmp_path / "all.csv", rows)], columns=columns, runs=tmp_path / "runs"))
    assert {s.model: s.quality.point for s in decision.standings} == {"a": 50 / 60, "b": 20 / 60}
    assert decision.winner == next(s.candidate for s in decision.standings if s.model == "a")


def test_columns_may_each_have_a_column_of_labels(tmp_path: Path) -> None:
    rows = [
        {"id": i, "a": "x", "b": "y", "a_ok": "correct" if i % 2 else "wrong", "b_ok": "correct"} for i in range(40)
    ]
    path = table(tmp_path / "all.csv", rows)
    columns = Columns(systems=("a", "b"), label="a_ok,b_ok")
    decision, _ = decided(compare_files([path], columns=columns, runs=tmp_path / "runs"))
    assert {s.model: s.quality.point for s in decision.standings} == {"a": 0.5, "b": 1.0}
    error = refused(UsageError, [path], columns=Columns(systems=("a", "b"), label="a_ok"), runs=tmp_path)
    assert error.code == "E4307"
    assert refused(UsageError, [path, path], columns=columns, runs=tmp_path).code == "E4317"


def test_a_field_may_name_the_system(tmp_path: Path) -> None:
    rows = [
        {"id": i, "system": name, "answer": "x" if i < right else "z", "gold": "x"}
        for name, right in (("ours", 30), ("theirs", 10))
        for i in range(40)
    ]
    run = compare_files([table(tmp_path / "all.csv", rows)], columns=Columns(by="system"), runs=tmp_path / "runs")
    assert {s.model: s.quality.point for s in decided(run)[0].standings} == {"ours": 0.75, "theirs": 0.25}


def test_several_metrics_stand_side_by_side_and_the_first_decides(tmp_path: Path) -> None:
    run = compare_files(
        two(tmp_path, *pattern(60, 0, 20, 20)), metric=["macro_f1", "exact_match"], runs=tmp_path / "runs"
    )
    decision, _ = decided(run)
    assert decision.metric == "macro_f1"
    evaluation = run.read_evaluation(decision.standings[0].candidate, "test")
    assert evaluation is not None
    assert set(evaluation.summaries) == {"macro_f1", "exact_match"}


def test_marks_on_a_scale_decide_by_their_mean(tmp_path: Path) -> None:
    paths = [
        table(tmp_path / f"{name}.csv", [{"id": i, "answer": "x", "mark": mark} for i in range(30)])
        for name, mark in (("ours", 5), ("theirs", 2))
    ]
    columns = Columns(label="mark", scale=("1", "2", "3", "4", "5"))
    decision, comparison = decided(compare_files(paths, columns=columns, runs=tmp_path / "runs"))
    assert {s.model: s.quality.point for s in decision.standings} == {"ours": 1.0, "theirs": 0.25}
    assert comparison.pairs[0].test == "permutation"


# Corrected tests


def test_p_values_are_corrected_for_the_number_of_pairs(tmp_path: Path) -> None:
    rows = [
        {"id": i, "a": "x" if i < 30 else "z", "b": "x" if i < 21 else "z", "c": "x" if i < 20 else "z", "gold": "x"}
        for i in range(40)
    ]
    columns = Columns(systems=("a", "b", "c"), reference="gold")
    _, comparison = decided(compare_files([table(tmp_path / "t.csv", rows)], columns=columns, runs=tmp_path / "runs"))
    found = {(p.first, p.second): (p.p_value, p.p_holm, p.test) for p in comparison.pairs}
    # 9, 10 and 1 discordant questions, all one way: 2 / 2^n.
    assert found["a", "b"] == (pytest.approx(2 / 2**9), pytest.approx(2 * 2 / 2**9), "mcnemar")
    assert found["a", "c"] == (pytest.approx(2 / 2**10), pytest.approx(3 * 2 / 2**10), "mcnemar")
    assert found["b", "c"][:2] == (1.0, 1.0)


def test_questions_that_belong_together_are_permuted_together(tmp_path: Path) -> None:
    rows = [{"id": i, "a": "x", "b": "z" if i < 20 else "x", "gold": "x", "customer": i // 20} for i in range(60)]
    path = table(tmp_path / "t.csv", rows)
    columns = Columns(systems=("a", "b"), reference="gold", group="customer")
    _, comparison = decided(compare_files([path], columns=columns, runs=tmp_path / "runs"))
    (pair,) = comparison.pairs
    assert pair.test == "permutation"
    assert pair.p_value == 1.0


def test_all_ties_are_said_to_be_ties(tmp_path: Path) -> None:
    decision, comparison = decided(compare_files(two(tmp_path, *pattern(40, 0, 0, 25)), runs=tmp_path / "runs"))
    # 40 questions cannot rule out a difference of two points, even where none is seen.
    assert decision.verdict == "unresolved"
    assert comparison.identical
    assert "same score from every system" in decision.reason.en
    assert "得分都相同" in decision.reason.zh
    assert comparison.pairs[0].p_holm == 1.0


# Bad input


def test_fewer_than_ten_questions_are_not_compared(tmp_path: Path) -> None:
    error = refused(DataError, two(tmp_path, *pattern(9, 0, 3, 3)), runs=tmp_path)
    assert (error.code, error.problems[0].values["n"]) == ("E4301", 9)


def test_fewer_than_ten_scored_by_both_are_not_compared(tmp_path: Path) -> None:
    paths = two(tmp_path, *pattern(40, 0, 3, 3))
    rows = [{"id": i, "answer": "x", "verdict": "correct" if i < 9 else ""} for i in range(40)]
    paths = [table(tmp_path / f"{name}.csv", rows) for name in ("a", "b")]
    error = refused(DataError, paths, columns=Columns(label="verdict"), runs=tmp_path)
    assert (error.code, error.problems[0].values["n"]) == ("E4301", 9)


def test_labels_outside_the_scale_are_all_named(tmp_path: Path) -> None:
    labels = ["right"] * 20 + ["rihgt", "perhaps"]
    paths = [
        table(tmp_path / f"{n}.csv", [{"id": i, "answer": "x", "v": v} for i, v in enumerate(labels)]) for n in "ab"
    ]
    columns = Columns(label="v", right="right", scale=("wrong", "right"))
    error = refused(DataError, paths, columns=columns, runs=tmp_path)
    assert [(p.code, p.where) for p in error.problems] == [("E4303", "a.csv:22"), ("E4303", "a.csv:23")]
    assert "rihgt" in str(error)


@pytest.mark.parametrize("bad", ["nan", "1.5", "-0.1", "good", "inf"])
def test_a_score_that_is_no_number_from_0_to_1_is_named_with_its_line(tmp_path: Path, bad: str) -> None:
    rows = [{"id": i, "answer": "x", "score": bad if i == 3 else "0.5"} for i in range(20)]
    paths = [table(tmp_path / f"{name}.csv", rows) for name in "ab"]
    error = refused(DataError, paths, columns=Columns(score="score"), runs=tmp_path)
    assert (error.code, error.problems[0].where) == ("E4304", "a.csv:5")
    assert bad in str(error)


class Odd:
    """A metric of a plug-in that is not sound, or that is better when lower."""

    needs: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ("x",)

    def __init__(self, name: str, value: float, better: Any = "higher") -> None:
        self.name, self.better, self._value = name, better, value

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return [Score("scored", self._value, {"x": self._value}) for _ in examples]

    def aggregate(self, totals: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(totals[..., 0] / np.maximum(n, 1))


def test_a_metric_that_gives_nan_is_refused(tmp_path: Path) -> None:
    paths = two(tmp_path, *pattern(20, 2, 2, 2))
    error = refused(DataError, paths, metric="odd", judged=[Odd("odd", float("nan"))], runs=tmp_path)
    assert (error.code, error.problems[0].values["n"]) == ("E4308", 20)


def test_a_metric_that_is_better_when_lower_cannot_decide(tmp_path: Path) -> None:
    paths = two(tmp_path, *pattern(20, 2, 2, 2))
    assert refused(UsageError, paths, metric="odd", judged=[Odd("odd", 0.5, "lower")], runs=tmp_path).code == "E4306"


def test_every_question_that_stands_twice_is_named(tmp_path: Path) -> None:
    rows = [{"id": i % 18, "answer": "x", "reference": "x"} for i in range(20)]
    error = refused(DataError, [table(tmp_path / f"{n}.csv", rows) for n in "ab"], runs=tmp_path)
    assert [(p.where, p.values["first"]) for p in error.problems] == [("a.csv:20", 2), ("a.csv:21", 3)]


# The gate


def test_a_system_that_is_shown_no_worse_passes(tmp_path: Path) -> None:
    line = gated(tmp_path, *pattern(400, 4, 6, 300))
    assert (line.shown, line.passed, line.n) == ("not_worse", True, 400)
    assert line.difference.low is not None
    assert line.difference.low > -0.05


@pytest.mark.parametrize(("mode", "passed"), [("strict", False), ("lenient", True)])
def test_what_is_not_shown_stops_a_strict_gate_only(tmp_path: Path, mode: str, passed: bool) -> None:
    line = gated(tmp_path, *pattern(60, 6, 7, 30), mode)
    assert (line.shown, line.passed) == ("open", passed)
    assert line.examples_needed is not None
    assert line.examples_needed > 60
    assert f"About {line.examples_needed:,} questions would settle it." in line.said.en
    assert "才能定论" in line.said.zh


@pytest.mark.parametrize("mode", ["strict", "lenient"])
def test_what_is_shown_to_be_worse_stops_either_gate(tmp_path: Path, mode: str) -> None:
    line = gated(tmp_path, *pattern(200, 40, 5, 100), mode)
    assert (line.shown, line.passed) == ("worse", False)
    assert line.difference.point == pytest.approx(-35 / 200)


def test_worse_but_within_the_margin_is_not_worse(tmp_path: Path) -> None:
    assert gated(tmp_path, *pattern(4000, 30, 0, 3000), margin=0.05).shown == "not_worse"


def test_a_system_that_fails_to_answer_is_never_shown_to_be_no_worse(tmp_path: Path) -> None:
    old, new = two(tmp_path, *pattern(200, 0, 20, 150))
    rows = [{"id": i, "answer": "" if i < 10 else "yes", "reference": "yes"} for i in range(200)]
    run = compare_files([old, table(new, rows)], margin=0.05, gate=Gate("old"), runs=tmp_path / "runs")
    gate = decided(run)[1].gate
    assert gate is not None
    assert not gate.passed
    assert "5.0%" in gate.lines[0].said.en


def test_every_system_but_the_baseline_is_gated_at_its_share_of_the_error(tmp_path: Path) -> None:
    old, new = two(tmp_path, *pattern(300, 5, 6, 200))
    third = tmp_path / "third.csv"
    third.write_text(new.read_text(), "utf-8")
    alone = compare_files([old, new], margin=0.05, gate=Gate("old"), runs=tmp_path / "runs")
    both = compare_files([old, new, third], margin=0.05, gate=Gate("old"), runs=tmp_path / "runs")
    lows = [[line.difference.low for line in g.lines] for g in (decided(r)[1].gate for r in (alone, both)) if g]
    assert len(lows[1]) == 2
    assert lows[1][0] is not None
    assert lows[0][0] is not None
    assert lows[1][0] < lows[0][0]


def test_a_baseline_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    error = refused(UsageError, two(tmp_path, *pattern(40, 2, 2, 20)), gate=Gate("olde"), runs=tmp_path)
    assert error.code == "E4305"
    assert "old, new" in str(error)


def test_the_record_is_readable_json(tmp_path: Path) -> None:
    run = compare_files(two(tmp_path, *pattern(40, 2, 3, 20)), runs=tmp_path / "runs")
    assert json.loads((run.path / "comparison.json").read_text("utf-8"))["metric"] == "exact_match"


def test_questions_that_all_belong_together_show_nothing_and_no_nan(tmp_path: Path) -> None:
    rows = [{"id": i, "old": "x", "new": "x", "gold": "x", "customer": "one"} for i in range(30)]
    columns = Columns(systems=("old", "new"), reference="gold", group="customer")
    path = table(tmp_path / "t.csv", rows)
    _, found = decided(compare_files([path], columns=columns, gate=Gate("old"), runs=tmp_path / "runs"))
    assert found.gate is not None
    (line,) = found.gate.lines
    assert (line.shown, line.passed, line.difference.low) == ("open", False, None)
    assert "nan" not in line.said.en
    assert "–" in line.said.zh
