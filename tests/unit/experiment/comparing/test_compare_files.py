"""Comparing recorded answers: what counts as right, what is counted apart, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rung.core.errors import DataError, RungError, UsageError
from rung.experiment.comparing.compare import Columns, compare_files
from rung.store.comparison import read_comparison
from rung.store.records import Decision, Standing
from rung.store.runs import RunFolder

Rows = Sequence[Mapping[str, Any]]
JUDGED = Columns(label="verdict", right="correct")


def compared(folder: Path, columns: Columns | None = None, *, metric: str = "exact_match", **files: Rows) -> RunFolder:
    paths = []
    for name, rows in files.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        paths.append(path)
    return compare_files(paths, columns=columns, metric=metric, margin=0.05, runs=folder / "runs")


def answers(right: int, n: int = 200, **extra: Any) -> list[dict[str, Any]]:
    """The first `right` of n questions answered as the reference says."""
    return [
        {
            "id": f"q{i}",
            "question": f"How many, {i}?",
            "answer": f"{i}" if i < right else "none",
            "reference": f"{i}",
            **extra,
        }
        for i in range(n)
    ]


def verdicts(said: Sequence[str | None], n: int = 200) -> list[dict[str, Any]]:
    """n judged answers; the verdicts take turns."""
    return [{"id": f"q{i}", "answer": "x", "verdict": said[i % len(said)]} for i in range(n)]


def decision_of(run: RunFolder) -> Decision:
    found = run.read_decision()
    assert found is not None
    return found


def standing(run: RunFolder, model: str) -> Standing:
    return next(s for s in decision_of(run).standings if s.model == model)


def refused(folder: Path, kind: type[RungError], columns: Columns | None = None, **files: Rows) -> RungError:
    with pytest.raises(kind) as caught:
        compared(folder, columns, **files)
    return caught.value


# By a metric


def test_the_better_system_wins_by_a_metric_and_the_references_of_the_file(tmp_path: Path) -> None:
    run = compared(tmp_path, ours=answers(180), theirs=answers(100))
    found = decision_of(run)
    assert (found.verdict, found.metric, found.n) == ("winner", "exact_match", 200)
    assert standing(run, "ours").candidate == found.winner
    assert [standing(run, name).quality.point for name in ("ours", "theirs")] == [0.9, 0.5]
    assert found.reason.en.startswith("ours is enough.")
    assert run.read_run()["finished"] is True
    evaluation = run.read_evaluation(found.winner or "", "test")
    assert evaluation is not None
    assert evaluation.header.n == 200


def test_equal_answers_are_said_to_tie(tmp_path: Path) -> None:
    found = decision_of(compared(tmp_path, ours=answers(150), theirs=answers(150)))
    assert found.verdict == "tie"
    assert len(found.ties) == 1
    assert "cannot tell it from" in found.reason.en


def test_an_answer_that_is_missing_is_a_failure_and_not_wrong(tmp_path: Path) -> None:
    ours = answers(200)
    for row in ours[:2]:
        row["answer"] = ""
    ours[2]["failure"] = "timeout after 30 s"
    found = standing(compared(tmp_path, ours=ours, theirs=answers(150)), "ours")
    assert (found.scored, found.failed, found.quality.point) == (197, 3, 1.0)


def test_several_references_and_numbers_are_read_as_text(tmp_path: Path) -> None:
    rows = [{"id": f"q{i}", "answer": 7, "expected": ["seven", 7]} for i in range(30)]
    assert standing(compared(tmp_path, ours=rows, theirs=rows[::-1]), "ours").quality.point == 1.0


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_question_without_a_reference_is_unscored_and_not_wrong(tmp_path: Path, suffix: str) -> None:
    paths = []
    for name in ("ours", "theirs"):
        rows = [("q0", "a", ""), *((f"q{i}", "a", "a") for i in range(1, 40))]
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "csv":
            path.write_text("id,answer,reference\n" + "".join(",".join(row) + "\n" for row in rows))
        else:
            named = [{"id": i, "answer": a, "reference": r or None} for i, a, r in rows]
            path.write_text("".join(json.dumps(row) + "\n" for row in named))
        paths.append(path)
    run = compare_files(paths, runs=tmp_path / "runs")
    found = standing(run, "ours")
    assert (found.scored, found.unscored, found.quality.point) == (39, 1, 1.0)


# By a person's verdict


def test_a_verdict_decides_and_a_refusal_is_wrong(tmp_path: Path) -> None:
    run = compared(
        tmp_path,
        JUDGED,
        ours=verdicts(["correct", "Correct ", "CORRECT", "refused"]),
        theirs=verdicts(["correct", "incorrect", "refusal", "partly correct"]),
    )
    assert [standing(run, name).quality.point for name in ("ours", "theirs")] == [0.75, 0.25]
    assert (standing(run, "ours").scored, standing(run, "ours").failed) == (200, 0)
    found = decision_of(run)
    assert (found.metric, found.winner) == ("judged", standing(run, "ours").candidate)


def test_what_nobody_judged_is_unscored(tmp_path: Path) -> None:
    run = compared(
        tmp_path, JUDGED, ours=verdicts(["correct", None]), theirs=verdicts(["correct", "wrong", "", "wrong"])
    )
    assert (standing(run, "ours").scored, standing(run, "ours").unscored) == (100, 100)
    assert (standing(run, "theirs").scored, standing(run, "theirs").quality.point) == (150, pytest.approx(1 / 3))


def test_where_only_some_were_judged_the_score_lies_in_its_interval(tmp_path: Path) -> None:
    """One system is judged on all questions, the other on the first half: both are compared on that half."""
    half = ["correct"] * 50 + ["wrong"] * 50
    ours = verdicts([*["correct"] * 90, *["wrong"] * 110])
    theirs = verdicts([*half, *[None] * 100])
    quality = standing(compared(tmp_path, JUDGED, ours=ours, theirs=theirs), "ours").quality
    assert quality.low is not None
    assert quality.point is not None
    assert quality.high is not None
    assert quality.low <= quality.point <= quality.high


def test_another_word_may_mean_right(tmp_path: Path) -> None:
    columns = Columns(label="verdict", right="对")
    run = compared(tmp_path, columns, ours=verdicts(["对"]), theirs=verdicts(["错", "对"]))
    assert [standing(run, name).quality.point for name in ("ours", "theirs")] == [1.0, 0.5]


# Matching questions


def test_files_that_differ_are_refused_or_their_common_questions_compared(tmp_path: Path) -> None:
    ours, theirs = answers(60, 100), answers(50, 80)
    theirs.append({"id": "another", "question": "?", "answer": "x", "reference": "x"})
    error = refused(tmp_path, DataError, ours=ours, theirs=theirs)
    assert [(p.code, p.where, p.values["n"]) for p in error.problems] == [("E4302", "ours", 1), ("E4302", "theirs", 20)]
    assert "another" in str(error)
    assert "q80, q81" in str(error)
    run = compared(tmp_path, Columns(common=True), ours=ours, theirs=theirs)
    assert decision_of(run).n == 80
    comparison = read_comparison(run.path)
    assert comparison is not None
    assert "80 questions are compared; 21" in comparison.notes[0].en
    assert run.read_run()["data"]["only_in_some"] == {"ours": 20, "theirs": 1}
    assert standing(run, "ours").quality.point == 0.75


def test_questions_are_matched_whatever_the_order_and_by_their_text_without_an_id(tmp_path: Path) -> None:
    ours = [{"query": f"租金 {i}？", "output": f"{i}", "gold": f"{i}"} for i in range(50)]
    run = compared(tmp_path, ours=ours, theirs=ours[::-1])
    assert [standing(run, name).quality.point for name in ("ours", "theirs")] == [1.0, 1.0]


def test_ids_may_begin_at_zero(tmp_path: Path) -> None:
    rows = [{"id": i, "answer": "a", "reference": "a"} for i in range(30)]
    assert decision_of(compared(tmp_path, ours=rows, theirs=rows[::-1])).n == 30


@pytest.mark.parametrize("first", ["customer 0", 0])
def test_groups_are_resampled_together(tmp_path: Path, first: object) -> None:
    files = {}
    for name, right in (("ours", 180), ("theirs", 100)):
        files[name] = [{**row, "customer": i // 10 or first} for i, row in enumerate(answers(right))]
    assert decision_of(compared(tmp_path, Columns(group="customer"), **files)).groups == 20


def test_other_files_are_another_run_and_the_same_files_the_same(tmp_path: Path) -> None:
    first = compared(tmp_path, ours=answers(60, 100), theirs=answers(50, 100))
    decision = decision_of(first)
    again = compared(tmp_path, ours=answers(60, 100), theirs=answers(50, 100))
    assert (again.path, decision_of(again)) == (first.path, decision)
    assert compared(tmp_path, ours=answers(61, 100), theirs=answers(50, 100)).path != first.path
    grouped = {"ours": answers(60, 100, customer="a"), "theirs": answers(50, 100, customer="a")}
    plain, whole = (compared(tmp_path, columns, **grouped) for columns in (None, Columns(group="customer")))
    assert plain.path != whole.path


# What is refused


def test_one_file_is_nothing_to_compare(tmp_path: Path) -> None:
    assert refused(tmp_path, UsageError, ours=answers(3, 5)).code == "E1304"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        compare_files([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], runs=tmp_path)
    assert caught.value.code == "E1305"


def test_a_system_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ours.jsonl"
    compared(tmp_path, ours=answers(30), theirs=answers(20))
    for files, columns in (([path, path], None), ([path], Columns(systems=("answer", "answer")))):
        with pytest.raises(UsageError) as caught:
            compare_files(files, columns=columns, runs=tmp_path)
        assert caught.value.code == "E4324"


def test_a_file_without_a_row_is_said_to_have_none(tmp_path: Path) -> None:
    paths = [tmp_path / "ours.csv", tmp_path / "theirs.csv"]
    for path in paths:
        path.write_text("id,answer,reference\n")
    with pytest.raises(DataError) as caught:
        compare_files(paths, runs=tmp_path)
    assert (caught.value.code, caught.value.problems[0].where) == ("E2106", "ours.csv")


def test_systems_are_called_as_their_files_whatever_the_format(tmp_path: Path) -> None:
    rows = [("id", "answer", "reference"), *((str(i), "a", "a") for i in range(30))]
    (tmp_path / "ours.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    named = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    (tmp_path / "theirs.json").write_text(json.dumps(named))
    run = compare_files([tmp_path / "ours.tsv", tmp_path / "theirs.json"], runs=tmp_path / "runs")
    assert {s.model for s in decision_of(run).standings} == {"ours", "theirs"}


def test_a_word_for_right_that_no_label_says_is_named_with_those_that_do(tmp_path: Path) -> None:
    files = {"ours": verdicts(["yes", "no"]), "theirs": verdicts(["no"])}
    error = refused(tmp_path, UsageError, JUDGED, **files)
    assert error.code == "E4323"
    assert "no, yes" in str(error)
    # With all labels named, that nobody was right is a finding.
    scale = Columns(label="verdict", right="correct", scale=("no", "yes", "correct"))
    assert standing(compared(tmp_path, scale, **files), "ours").quality.point == 0.0


@pytest.mark.parametrize("margin", [-0.1, 1.5, float("nan")])
def test_a_margin_that_is_no_share_is_refused(tmp_path: Path, margin: float) -> None:
    with pytest.raises(UsageError) as caught:
        compare_files([tmp_path / "a.jsonl"], margin=margin, runs=tmp_path)
    assert caught.value.code == "E1214"


def test_no_question_in_common(tmp_path: Path) -> None:
    theirs = [{**row, "id": f"other {row['id']}"} for row in answers(3, 5)]
    error = refused(tmp_path, DataError, ours=answers(3, 5), theirs=theirs)
    assert error.code == "E2650"
    assert "ours.jsonl, theirs.jsonl" in str(error)


def test_a_question_that_stands_twice_is_named_with_its_line(tmp_path: Path) -> None:
    twice = [*answers(3, 5), answers(3, 5)[1]]
    error = refused(tmp_path, DataError, ours=answers(3, 5), theirs=twice)
    assert (error.code, error.problems[0].where, error.problems[0].values["first"]) == ("E2652", "theirs.jsonl:6", 2)
    assert "q1" in str(error)


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        (Columns(id="number"), "number"),
        (Columns(label="verdict"), "verdict"),
        (Columns(answer="reply"), "reply"),
        (Columns(reference="truth"), "truth"),
    ],
    ids=["id", "verdict", "answer", "reference"],
)
def test_a_field_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, columns: Columns, field: str) -> None:
    rows = [{"id": f"q{i}", "answer": "a", "reference": "a"} for i in range(5)]
    error = refused(tmp_path, DataError, columns, ours=rows, theirs=rows)
    assert error.code == "E2651"
    assert field in str(error)
    assert "id, answer, reference" in str(error)
