"""Side by side and errors grouped: right counts, chosen by rule, every wrong answer in one kind."""

from __future__ import annotations

from collections.abc import Callable

from rung.core.evaluation import Answer, Row, Score
from rung.core.model import Failure
from rung.reporting.ladder import build_ladder
from rung.reporting.marks import EACH, mark, side_by_side
from rung.reporting.mistakes import TEXT_KINDS, group_mistakes
from rung.reporting.reading import read_run
from rung.reporting.words import Words
from rung.store.runs import RunFolder

MakeRun = Callable[..., RunFolder]
ABSTAIN = "The documents do not say."


def replace_rows(run: RunFolder, method: str, rows: dict[str, Answer], wrong: set[str]) -> None:
    """Give some answers of a rung, and mark those in `wrong`."""
    outcome = next(o for o in run.outcomes() if o.cell.method == method)
    evaluation = run.read_evaluation(outcome.candidate, "test")
    assert evaluation
    new = []
    for row in evaluation.rows:
        answer = rows.get(row.answer.example, row.answer)
        if answer.example in rows:
            good = answer.example not in wrong
            score = Score("failed") if answer.failure else Score("scored", float(good), {"correct": float(good)})
            row = Row(answer, dict.fromkeys(row.scores, score), row.group)
        new.append(row)
    run.write_evaluation(type(evaluation)(evaluation.header, tuple(new), evaluation.summaries, evaluation.resources))


def test_marks_follow_the_score_and_the_direction() -> None:
    assert mark(Score("scored", 1.0), "higher") == "right"
    assert mark(Score("scored", 0.49), "higher") == "wrong"
    assert mark(Score("scored", 0.1), "lower") == "right"
    assert mark(Score("failed"), "higher") == "failed"
    assert mark(None, "higher") == "unscored"


def test_every_question_is_counted_once_and_the_same_ones_are_shown_each_time(make_run: MakeRun) -> None:
    run = make_run("text", "en")
    reading = read_run(run)
    sides = side_by_side(reading, build_ladder(reading, Words("en")))
    assert sides
    assert sum(sides.counts.values()) == 60
    assert (sides.before.cell.method, sides.after.cell.method) == ("prompt", "fine_tune")
    assert [line.cell.method for line in sides.columns] == ["baseline", "prompt", "fine_tune", "rag+fine_tune"]
    for kind, questions in sides.by_kind():
        assert len(questions) == min(EACH, sides.counts[kind])
        for question in questions:
            after = next(given for given in question.given if given.line is sides.after)
            before = next(given for given in question.given if given.line is sides.before)
            assert (after.mark == "right") == (kind == "fixed")
            assert (before.mark == "right") == (kind == "broken")
    again = side_by_side(read_run(run), build_ladder(reading, Words("zh")))
    assert again
    assert [q.example.id for q in again.questions] == [q.example.id for q in sides.questions]


def test_each_wrong_text_answer_has_one_kind(make_run: MakeRun) -> None:
    run = make_run("text", "en", winner="rag")
    given = {
        "q009": Answer("q009", "Yes.", passages=("rent.md#1",)),  # its reference is the abstention
        "q000": Answer("q000", ABSTAIN, passages=("other.md#1",)),  # not found, so it could only abstain
        "q001": Answer("q001", ABSTAIN, passages=("repairs.md#2",)),  # found, and yet it abstained
        "q002": Answer("q002", "Nonsense", passages=("a.md#0", "rent.md#7")),  # found, and yet wrong
        "q004": Answer("q004", "", failure=Failure("timeout")),
        "q005": Answer("q005", "Nonsense"),  # nothing was looked up
    }
    replace_rows(run, "rag", given, wrong=set(given))
    reading = read_run(run)
    before = group_mistakes(reading, build_ladder(reading, Words("en")))
    assert before
    at = [line.cell.method for line in before.columns].index("rag")
    counts = {row.kind: row.counts[at] for row in before.kinds}
    assert sum(counts.values()) == before.wrong[at]
    assert before.scored[at] + before.failed[at] == 60
    all_right = {name: Answer(name, "x") for name in given}
    replace_rows(run, "rag", all_right, wrong=set())
    reading = read_run(run)
    after = group_mistakes(reading, build_ladder(reading, Words("en")))
    assert after
    fewer = {row.kind: row.counts[at] for row in after.kinds}
    assert {kind: counts.get(kind, 0) - fewer.get(kind, 0) for kind in TEXT_KINDS} == dict.fromkeys(TEXT_KINDS, 1)
    assert before.failed[at] - after.failed[at] == 1


def test_labels_show_what_they_were_taken_for_and_groups_the_worst_first(make_run: MakeRun) -> None:
    run = make_run("label", "en")
    rows = {f"q{i:03}": Answer(f"q{i:03}", "rent") for i in range(0, 60, 4)}  # every 'deposit' taken for 'rent'
    replace_rows(run, "fine_tune", rows, wrong=set(rows))
    reading = read_run(run)
    found = group_mistakes(reading, build_ladder(reading, Words("en")))
    assert found
    first = found.labels[0]
    assert (first.label, first.n, first.wrong, first.taken_for) == ("deposit", 15, 15, (("rent", 15),))
    assert found.groups[0].group.startswith("deposit-")
    assert [row.wrong + row.failed for row in found.groups] == sorted(
        (r.wrong + r.failed for r in found.groups), reverse=True
    )
    assert len(found.groups) <= 10
    assert found.kinds == ()
