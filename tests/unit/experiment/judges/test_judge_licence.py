"""Measuring judges that lean to length, to a place, to nothing; the licence; and what it opens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from rung.cli.commands import JudgeFiles, compare
from rung.core.errors import DataError, UsageError
from rung.core.method import Silent
from rung.core.model import Request
from rung.core.task import Example
from rung.experiment.comparing.compare import compare_files
from rung.experiment.judges import judging
from rung.experiment.judges.calibrate import agreement, calibrate, is_licensed, labels_needed, length_bias
from rung.experiment.judges.dimensions import before_and_after
from rung.experiment.judges.judging import judge_run, licensed_metrics, withheld
from rung.experiment.judges.preferring import judge_pairs
from rung.experiment.judges.ratings import Shown, is_rated, rater_agreement, ratings_table, read_labels
from rung.metrics.judge import Dimension, Judge, Rubric
from rung.models.fake import FakeModel
from rung.store.judging import Licence, read_licence, read_tables_of, write_licence
from rung.store.runs import RunFolder

RUBRIC = Rubric((Dimension("specific", "it names things"), Dimension("practical", "one can act on it")))
MARKS = [1 + (7 * i) % 5 for i in range(120)]
"""What people say of answer i."""


def quoted(request: Request) -> list[str]:
    return [text.strip() for text in re.findall(r"<<<\n(.*?)\n>>>", request.query, re.DOTALL)]


def log(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def marked(path: Path, n: int = 120, rater: str = "mei", **more: Any) -> Path:
    rows = [
        {"id": f"q{i}", "question": f"Q{i}?", "answer": f"good {MARKS[i]}" + " word" * (i % 3), "rater": rater}
        | {"specific": MARKS[i]}
        | more
        for i in range(n)
    ]
    return log(path, rows)


def truthful(request: Request) -> str:
    """Reads the mark off the answer; wrong by one now and then."""
    answer = quoted(request)[-1]
    mark = int(answer.split()[1])
    wrong = int(quoted(request)[0][1:-1]) % 7 == 0
    return str(min(5, mark + wrong))


def compared(path: Path, n: int = 80) -> Path:
    """Pairs in which people prefer the better answer, which is the longer one half of the time."""
    rows = []
    for i in range(n):
        good, bad = ("good", "bad" + " word" * 5) if i % 2 else ("good" + " word" * 5, "bad")
        turned = i % 4 < 2
        a, b = (bad, good) if turned else (good, bad)
        sides = {"a": a, "b": b, "system_a": "new" if a == good else "old", "system_b": "new" if b == good else "old"}
        rows.append({"id": f"q{i}", "question": f"Q{i}?", "preferred": "b" if turned else "a", "rater": "mei"} | sides)
    return log(path, rows)


def better(request: Request) -> str:
    return "A" if quoted(request)[-2].startswith("good") else "B"


def longer(request: Request) -> str:
    *_, a, b = quoted(request)
    return "A" if len(a) > len(b) else "B"


def judge(script: Callable[[Request], str] | str, *, choices: bool = False) -> Judge:
    model = FakeModel(script, choices=choices) if callable(script) else FakeModel(default=script, choices=choices)
    return Judge(model, RUBRIC)


# Agreement


def test_kappa_is_the_reference_librarys_plain_or_weighted() -> None:
    rng = np.random.default_rng(1)
    people = [str(x) for x in rng.integers(1, 6, 200)]
    said = [p if rng.random() < 0.6 else str(rng.integers(1, 6)) for p in people]
    groups = [f"q{i // 4}" for i in range(200)]
    found = agreement(said, people, RUBRIC.scale, groups)
    assert found.kappa.point == pytest.approx(cohen_kappa_score(said, people, weights="quadratic"))
    assert found.questions == 50
    two = [str(int(p > "3")) for p in people], [str(int(s > "3")) for s in said]
    plain = agreement(two[1], two[0], ("0", "1"), groups).kappa
    assert plain.point == pytest.approx(cohen_kappa_score(*two))
    assert plain.low is not None
    assert plain.high is not None
    assert plain.point is not None
    assert plain.low < plain.point < plain.high


def test_the_interval_counts_questions_and_not_labels() -> None:
    people = [str(i % 2) for i in range(30)]
    said = [p if i % 5 else str(1 - int(p)) for i, p in enumerate(people)]
    alone = agreement(said, people, ("0", "1"), [str(i) for i in range(30)]).kappa
    repeated = agreement(said * 8, people * 8, ("0", "1"), [str(i) for i in range(30)] * 8).kappa
    assert repeated.point == pytest.approx(alone.point)
    assert repeated.low == pytest.approx(alone.low, abs=0.02)


def test_length_bias_is_the_generosity_with_long_answers() -> None:
    lengths = [10, 200] * 40
    groups = [str(i) for i in range(80)]
    fair = length_bias([0.0] * 80, lengths, groups)
    generous = length_bias([0.0, 0.5] * 40, lengths, groups)
    assert fair.point == 0.0
    assert generous.point == pytest.approx(0.5)
    assert generous.low is not None
    assert generous.low > 0.3


def test_fewer_than_fifty_labels_license_nothing() -> None:
    people = [str(i % 2) for i in range(49)]
    found = agreement(people, people, ("0", "1"), [str(i) for i in range(49)])
    assert not is_licensed(found, 49, 0)
    assert labels_needed(found, 49) == 1
    assert is_licensed(agreement(people * 2, people * 2, ("0", "1"), [str(i) for i in range(98)]), 98, 0)


def test_a_judge_that_often_says_nothing_usable_is_not_licensed() -> None:
    people = [str(i % 2) for i in range(100)]
    found = agreement(people, people, ("0", "1"), [str(i) for i in range(100)])
    assert is_licensed(found, 100, 11)
    assert not is_licensed(found, 100, 12)


# Calibration


def test_a_judge_that_agrees_is_licensed_for_what_was_labelled(tmp_path: Path) -> None:
    licence = calibrate(judge(truthful), marked(tmp_path / "labels.jsonl"))
    (found,) = licence.dimensions
    assert (found.dimension, found.n, found.licensed, found.needed) == ("specific", 120, True, None)
    assert found.kappa.low is not None
    assert found.kappa.low > 0.8
    write_licence(tmp_path / "judge.json", licence)
    assert read_licence(tmp_path / "judge.json") == licence


def test_too_few_labels_say_how_many_more(tmp_path: Path) -> None:
    licence = calibrate(judge(truthful), marked(tmp_path / "labels.jsonl", 30))
    (found,) = licence.dimensions
    assert (found.licensed, found.needed) == (False, 20)
    reason = withheld(judge(truthful), "grade", licence, "specific")
    assert reason is not None
    assert reason.en == "specific: not licensed: needs 20 more labels"
    assert "还需要 20 条标注" in reason.zh


def test_a_judge_that_gives_everyone_the_same_is_not_licensed(tmp_path: Path) -> None:
    (found,) = calibrate(judge("3"), marked(tmp_path / "labels.jsonl")).dimensions
    assert (found.licensed, found.kappa.point, found.needed) == (False, 0.0, None)


def test_a_judge_that_talks_garbage_is_counted_by_kind(tmp_path: Path) -> None:
    (found,) = calibrate(judge("a fine answer"), marked(tmp_path / "labels.jsonl")).dimensions
    assert (found.n, found.failed, found.failures, found.licensed) == (0, 120, {"garbage": 120}, False)


def test_a_judge_that_agrees_but_often_stays_silent_is_not_said_to_agree_too_little(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return "well" if int(quoted(request)[0][1:-1]) % 5 == 0 else truthful(request)

    found = judge(script)
    licence = calibrate(found, marked(tmp_path / "labels.jsonl"))
    (record,) = licence.dimensions
    assert (record.failed, record.licensed, record.verdict) == (24, False, "silent")
    reason = withheld(found, "grade", licence, "specific")
    assert reason is not None
    assert "24 of 120 items got no usable reply" in reason.en
    assert "agrees" not in reason.en


def test_a_judge_that_likes_length_is_caught(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return str(min(5, int(truthful(request)) + (quoted(request)[-1].count("word") > 1)))

    plain, biased = (
        calibrate(judge(s), marked(tmp_path / "labels.jsonl")).dimensions[0].length_bias for s in (truthful, script)
    )
    assert plain.low is not None
    assert plain.low <= 0
    assert biased.low is not None
    assert biased.low > 0.05


def test_preferences_are_licensed_and_neither_place_nor_length_sways_a_fair_judge(tmp_path: Path) -> None:
    licence = calibrate(judge(better), compared(tmp_path / "pairs.jsonl"))
    (found,) = licence.dimensions
    assert (licence.mode, found.dimension, found.kappa.point, found.licensed) == ("prefer", "overall", 1.0, True)
    assert licence.swayed is not None
    assert licence.position_bias is not None
    assert (licence.swayed.point, licence.position_bias.point, found.length_bias.point) == (0.0, 0.0, 0.0)


def test_a_judge_that_takes_the_first_is_caught(tmp_path: Path) -> None:
    licence = calibrate(judge("A"), compared(tmp_path / "pairs.jsonl"))
    assert licence.swayed is not None
    assert licence.position_bias is not None
    assert (licence.swayed.point, licence.position_bias.point) == (1.0, 1.0)
    assert not licence.dimensions[0].licensed


def test_a_judge_that_takes_the_longer_is_caught(tmp_path: Path) -> None:
    (found,) = calibrate(judge(longer), compared(tmp_path / "pairs.jsonl")).dimensions
    assert found.length_bias.point == pytest.approx(0.5)
    assert found.length_bias.low is not None
    assert found.length_bias.low > 0.3
    assert not found.licensed


# Labels


def test_several_raters_are_one_label_and_their_agreement_is_measured(tmp_path: Path) -> None:
    first, second = (marked(tmp_path / f"{rater}.jsonl", rater=rater) for rater in ("mei", "ana"))
    both = tmp_path / "both.jsonl"
    both.write_text(first.read_text("utf-8") + second.read_text("utf-8"), "utf-8")
    labels = read_labels(both, RUBRIC)
    assert (len(labels.marked), labels.raters) == (120, ("mei", "ana"))
    alpha = rater_agreement(labels, RUBRIC)
    assert alpha is not None
    assert alpha.point == pytest.approx(1.0)
    assert rater_agreement(read_labels(first, RUBRIC), RUBRIC) is None
    licence = calibrate(judge(truthful), both)
    assert (licence.raters, licence.dimensions[0].n) == (2, 120)


def test_raters_who_saw_the_pair_on_other_sides_are_read_alike(tmp_path: Path) -> None:
    row = {"id": "q", "question": "Q?", "a": "x", "b": "y", "system_a": "old", "system_b": "new"}
    turned = {"id": "q", "question": "Q?", "a": "y", "b": "x", "system_a": "new", "system_b": "old"}
    rows = [row | {"preferred": "a", "rater": "mei"}, turned | {"preferred": "b", "rater": "ana"}]
    (item,) = read_labels(log(tmp_path / "r.jsonl", rows), RUBRIC).compared
    assert len(item.said) == 2
    assert len(set(item.said.values())) == 1
    assert item.winner() == "old"


def test_marks_outside_the_scale_are_all_named(tmp_path: Path) -> None:
    path = marked(tmp_path / "labels.jsonl", 20)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows[2]["specific"], rows[5]["specific"], rows[7]["specific"] = 6, "good", 4.0
    with pytest.raises(DataError) as caught:
        read_labels(log(path, rows), RUBRIC)
    assert [(p.code, p.where) for p in caught.value.problems] == [
        ("E4311", "labels.jsonl:3"),
        ("E4311", "labels.jsonl:6"),
    ]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"id": "q", "question": "Q", "answer": "x"}, "E4310"),
        ({"id": "q", "question": "Q", "answer": "x", "specific": ""}, "E4320"),
        ({"id": "q", "question": "Q", "a": "x", "b": "y", "preferred": "left"}, "E4318"),
        ({"id": "q", "question": "Q", "specific": "4"}, "E2651"),
    ],
)
def test_files_that_are_no_labels_are_refused(tmp_path: Path, row: dict[str, str], code: str) -> None:
    with pytest.raises(DataError) as caught:
        read_labels(log(tmp_path / "labels.jsonl", [row]), RUBRIC)
    assert caught.value.code == code


# What a licence opens


def finished(folder: Path) -> RunFolder:
    """A comparison of two systems, of which `new` has higher marks."""
    paths = []
    for name, shift in (("old", 0), ("new", 1)):
        rows = [
            {"id": f"q{i}", "question": f"Q{i}?", "answer": f"good {min(5, MARKS[i] + shift)}", "reference": "x"}
            for i in range(40)
        ]
        paths.append(log(folder / f"{name}.jsonl", rows))
    return compare_files(paths, runs=folder / "runs")


def licensed(judge: Judge, folder: Path) -> Licence:
    return calibrate(judge, marked(folder / "labels.jsonl"))


def test_without_a_licence_a_judge_is_not_even_asked(tmp_path: Path) -> None:
    run, model = finished(tmp_path), FakeModel(truthful, choices=False)
    table = judge_run(run, Judge(model, RUBRIC), None, before="old", after="new", progress=Silent())
    assert model.calls == []
    assert all(row.withheld and "needs 50 labels" in row.withheld.en and not row.systems for row in table.rows)
    assert all(row.withheld and "需要 50 条人工标注" in row.withheld.zh for row in table.rows)


def test_a_licensed_dimension_is_shown_before_and_after_and_an_unlicensed_one_is_not(tmp_path: Path) -> None:
    run, found = finished(tmp_path), judge(truthful)
    table = judge_run(run, found, licensed(found, tmp_path), before="old", after="new", progress=Silent())
    specific, practical = table.rows
    assert [(s.name, s.marked) for s in specific.systems] == [("old", 40), ("new", 40)]
    assert specific.change.low is not None
    assert specific.change.low > 0.3
    assert (specific.low, specific.high, specific.pairs) == (1.0, 5.0, 40)
    assert not practical.systems
    assert practical.withheld is not None
    assert "not licensed" in practical.withheld.en
    assert read_tables_of(run.path) == (table,)


def test_marks_are_asked_for_once(tmp_path: Path) -> None:
    run, licence = finished(tmp_path), licensed(judge(truthful), tmp_path)
    model = FakeModel(truthful, choices=False)
    first = judge_run(run, Judge(model, RUBRIC), licence, before="old", after="new", progress=Silent())
    asked = sum(map(len, model.calls))
    assert asked == 80
    again = judge_run(run, Judge(model, RUBRIC), licence, before="old", after="new", progress=Silent())
    assert (sum(map(len, model.calls)), again) == (asked, first)


def test_a_mark_that_the_judge_failed_to_give_is_asked_for_again(tmp_path: Path) -> None:
    run, licence = finished(tmp_path), licensed(judge(truthful), tmp_path)
    down = FakeModel(lambda request: "out of order", choices=False)
    table = judge_run(run, Judge(down, RUBRIC), licence, before="old", after="new", progress=Silent())
    assert table.rows[0].systems[0].failed == 40
    up = FakeModel(truthful, choices=False)
    table = judge_run(run, Judge(up, RUBRIC), licence, before="old", after="new", progress=Silent())
    assert (table.rows[0].systems[0].failed, sum(map(len, up.calls))) == (0, 80)


def test_people_s_marks_count_for_the_answers_that_they_were_given_to(tmp_path: Path) -> None:
    run = finished(tmp_path)
    systems = before_and_after(run, before="old", after="new")
    answers = {
        name: {i: row["answer"] for i, row in enumerate(rows_of(tmp_path / f"{name}.jsonl"))} for name in ("old", "new")
    }
    right = [
        {"id": f"q{i}", "question": f"Q{i}?", "answer": answers[name][i], "system": name, "specific": 4, "rater": "mei"}
        for name in ("old", "new")
        for i in range(10)
    ]
    other = [row | {"answer": "another run's", "specific": 1, "rater": "ana"} for row in right]
    labels = read_labels(log(tmp_path / "ratings.jsonl", [*right, *other]), RUBRIC)
    table = ratings_table(run, labels, RUBRIC, systems)
    assert [(s.mean.point, s.marked, s.failed) for s in table.rows[0].systems] == [(4.0, 10, 0), (4.0, 10, 0)]
    assert table.raters == ("mei",)


def test_ratings_of_another_run_s_answers_do_not_stand_for_these() -> None:
    shown = Shown(Example("q", {"question": "Q?"}, ()), ("old", "new"), ("x", "y"))
    row = shown.row("mei", {"preferred": "a"})
    turned = {**row, "a": "y", "b": "x", "system_a": "new", "system_b": "old"}
    assert is_rated(shown, [row], "mei")
    assert is_rated(shown, [turned], "mei")
    assert not is_rated(shown, [row | {"a": "an earlier answer"}], "mei")
    assert not is_rated(shown, [row], "ana")


def test_another_judge_has_no_use_for_the_licence(tmp_path: Path) -> None:
    licence = licensed(judge(truthful), tmp_path)
    other = Judge(FakeModel(truthful, choices=False, id="other"), RUBRIC)
    reason = withheld(other, "grade", licence, "specific")
    assert reason is not None
    assert "another judge" in reason.en
    assert withheld(judge(truthful), "prefer", licence, "overall") is not None
    assert withheld(judge(truthful), "grade", licence, "specific") is None


def test_in_a_comparison_only_licensed_dimensions_may_stand_or_decide(tmp_path: Path) -> None:
    found = judge(truthful)
    licence = licensed(found, tmp_path)
    metrics, notes = licensed_metrics(found, licence)
    assert [metric.name for metric in metrics] == ["judge:specific"]
    assert len(notes) == 1
    with pytest.raises(UsageError) as caught:
        licensed_metrics(found, licence, ["judge:practical"])
    assert caught.value.code == "E4309"
    finished(tmp_path)
    paths = [tmp_path / "new.jsonl", tmp_path / "old.jsonl"]
    run = compare_files(paths, metric="judge:specific", judged=metrics, runs=tmp_path / "judged")
    decision = run.read_decision()
    assert decision is not None
    assert (decision.metric, decision.standings[0].model) == ("judge:specific", "new")


# Preferences


def two_systems(folder: Path, n: int = 40) -> list[Path]:
    """`new` is better on every second question, and the two say the same on the others."""
    paths = []
    for name in ("old", "new"):
        rows = [
            {"id": f"q{i}", "question": f"Q{i}?", "answer": ("good" if name == "new" or i % 2 else "bad") + f" {i}"}
            | {"reference": "x"}
            for i in range(n)
        ]
        paths.append(log(folder / f"{name}.jsonl", rows))
    return paths


def test_a_judge_licensed_for_preferences_says_how_often_each_wins(tmp_path: Path) -> None:
    licence = calibrate(judge(better), compared(tmp_path / "pairs.jsonl"))
    run = compare_files(two_systems(tmp_path), runs=tmp_path / "runs")
    model = FakeModel(better, choices=False)
    (found,) = judge_pairs(run, Judge(model, RUBRIC), licence).preferences
    assert (found.first, found.second, found.wins, found.ties, found.losses) == ("old", "new", 0, 20, 20)
    assert (found.win_rate.point, found.failed, found.swayed.point) == (0.25, 0, 0.0)
    assert found.win_rate.high is not None
    assert found.win_rate.high < 0.5
    # Only pairs that differ are asked about, each in both orders.
    assert sum(map(len, model.calls)) == 40
    assert "prefers new to old on 75% of 40 questions" in found.said.en
    assert "20 won, 20 tied, 0 lost" in found.said.en
    assert "更喜欢 new 而非 old" in found.said.zh


def test_a_judge_that_goes_by_the_place_is_shown_to(tmp_path: Path) -> None:
    fair, biased = judge(better), judge("A")
    licence = calibrate(fair, compared(tmp_path / "pairs.jsonl"))
    given = licence.model_copy(update={"judge": biased.fingerprint("prefer")})
    run = compare_files(two_systems(tmp_path), runs=tmp_path / "runs")
    (found,) = judge_pairs(run, biased, given).preferences
    # Every second pair holds equal answers, about which nobody is asked.
    assert (found.ties, found.win_rate.point, found.swayed.point, found.position_bias.point) == (40, 0.5, 1.0, 1.0)
    assert "It leans to the answer shown first" in found.said.en
    assert "它偏向先展示的回答" in found.said.zh


def test_without_its_licence_nobody_is_asked_what_they_prefer(tmp_path: Path) -> None:
    run = compare_files(two_systems(tmp_path), runs=tmp_path / "runs")
    model = FakeModel(better, choices=False)
    for licence in (
        calibrate(judge("A"), compared(tmp_path / "pairs.jsonl")),
        calibrate(judge(truthful), marked(tmp_path / "labels.jsonl")),
    ):
        model.calls.clear()
        found = judge_pairs(run, Judge(model, RUBRIC), licence)
        assert (found.preferences, len(found.notes), model.calls) == ((), 1, [])
        assert "not licensed" in found.notes[0].en


def test_a_comparison_shows_the_win_rate_in_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "open_judge", lambda *_, **__: judge(better))
    path = tmp_path / "licence.json"
    write_licence(path, calibrate(judge(better), compared(tmp_path / "pairs.jsonl")))
    run = compare(two_systems(tmp_path), judge=JudgeFiles(tmp_path / "judge.yaml", path), runs=tmp_path / "runs")
    for name in ("report.html", "report.md"):
        assert "prefers new to old on 75% of 40 questions" in (run.path / name).read_text("utf-8")
    record = json.loads((run.path / "comparison.json").read_text("utf-8"))
    assert record["preferences"][0]["losses"] == 20
    # Nothing is said of marks, which nobody asked for.
    assert not any("licensed" in note["en"] for note in record["notes"])
