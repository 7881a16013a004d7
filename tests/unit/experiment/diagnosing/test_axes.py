"""From planted marks to a diagnosis: every axis comes out as planted, and what is missing is never zero."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rung.core.errors import DataError
from rung.core.evaluation import Answer
from rung.core.model import Failure
from rung.core.task import Example
from rung.experiment.diagnosing.axes import ArmAnswers, Subject, find_axis
from rung.experiment.diagnosing.retrieval_failures import failures_of
from rung.store.diagnosis import Diagnosis, Mark

N = 60
NAMES: dict[str, Mark] = {"r": "right", "w": "wrong", "s": "refused"}


def questions(n: int = N, groups: Sequence[str] = ()) -> list[Example]:
    return [Example(f"q{i}", {"q": f"question {i}"}, ("a",), groups[i] if groups else "") for i in range(n)]


def arm(name: str, marks: str) -> ArmAnswers:
    """Marks by letter: r right, w wrong, s refused, '.' not scored."""
    told = {f"q{i}": NAMES[letter] for i, letter in enumerate(marks) if letter != "."}
    answers = {f"q{i}": Answer(f"q{i}", f"{name} {i}") for i in range(len(marks))}
    return ArmAnswers(name, "recorded", told, answers)


def planted(*arms: ArmAnswers, groups: Sequence[str] = (), **subject: object) -> Diagnosis:
    n = len(arms[0].answers)
    found = find_axis(Subject("t", "accuracy", questions(n, groups), **subject), arms)  # type: ignore[arg-type]
    check(found)
    return found


def check(found: Diagnosis) -> None:
    assert Diagnosis.model_validate_json(found.model_dump_json()) == found
    for told in found.arms:
        assert told.right + told.wrong + told.refused + told.unscored == told.n
    for effect in found.effects:
        net = effect.fixed - effect.broken - effect.control_fixed + effect.control_broken
        assert effect.effect.point == pytest.approx(net / effect.n)
    assert sum(cell.n for cell in found.matrix) == (found.repeated or 0)
    for text in (found.reason, found.advice, *found.cautions):
        assert any("\u4e00" <= char <= "\u9fff" for char in text.zh)
        assert not {"{", "}"} & set(text.en + text.zh)


HALF = "r" * 30 + "w" * 30
BETTER = "r" * 50 + "w" * 10


@pytest.mark.parametrize(
    ("gold", "form", "both", "axis", "rungs"),
    [
        (BETTER, HALF, BETTER, "context", ("rag",)),
        (HALF, BETTER, BETTER, "behaviour", ("few_shot", "fine_tune")),
        (BETTER, BETTER, BETTER, "both", ("rag+fine_tune", "rag")),
        (HALF, HALF, HALF, "neither", ()),
        (HALF, HALF, BETTER, "both", ("rag+fine_tune", "rag")),
    ],
)
def test_the_planted_axis_comes_out(gold: str, form: str, both: str, axis: str, rungs: tuple[str, ...]) -> None:
    found = planted(arm("plain", HALF), arm("control", HALF), arm("gold", gold), arm("format", form), arm("both", both))
    assert (found.axis, found.rungs) == (axis, rungs)
    assert (found.errors, found.repeated) == (30, 30)
    cells = {(cell.knowledge, cell.format): cell for cell in found.matrix}
    assert set(cells) == {(a, b) for a in (True, False) for b in (True, False)}
    mended = sum(20 for marks in (gold, form) if marks == BETTER)
    assert cells[True, True].n + cells[True, False].n + cells[False, True].n == min(mended, 20)
    assert all(len(cell.examples) <= 5 for cell in found.matrix)


def test_an_arm_that_is_missing_is_not_identified_and_never_zero() -> None:
    found = planted(arm("plain", HALF), arm("control", HALF), arm("gold", BETTER))
    assert (found.axis, found.context, found.behaviour) == ("context", "helps", "not_identified")
    assert [effect.arm for effect in found.effects] == ["gold"]
    assert {a.name: a.source for a in found.arms}["format"] == "missing"
    assert {(cell.knowledge, cell.format) for cell in found.matrix} == {(True, None), (False, None)}
    assert "not identified" in found.reason.en
    # Gold does not help, and the form was never tried: that is not "neither".
    found = planted(arm("plain", HALF), arm("control", HALF), arm("gold", HALF))
    assert (found.axis, found.context) == ("not_identified", "does_not_help")
    assert planted(arm("plain", HALF)).axis == "not_identified"


def test_what_the_control_changes_is_taken_off() -> None:
    """Asked again, as many come right by chance as with the passage: the passage does nothing."""
    lucky = "r" * 42 + "w" * 18
    found = planted(arm("plain", HALF), arm("control", lucky), arm("gold", lucky), arm("format", HALF))
    (gold, form) = found.effects
    assert (gold.fixed, gold.control_fixed, gold.effect.point) == (12, 12, 0.0)
    assert form.effect.point == pytest.approx(-0.2)
    assert found.axis == "neither"
    # Errors that the control does not repeat have no cause of their own.
    assert found.repeated == 18
    assert {id for cell in found.matrix for id in cell.ids} == {f"q{i}" for i in range(42, 60)}


def test_without_a_control_effects_are_told_as_such_and_single_questions_have_no_cause() -> None:
    found = planted(arm("plain", HALF), arm("gold", BETTER), arm("format", HALF))
    assert (found.axis, found.repeated, found.matrix) == ("context", None, ())
    assert {effect.against for effect in found.effects} == {"plain"}
    assert any("no control" in caution.en for caution in found.cautions)


def test_refusals_are_a_third_outcome() -> None:
    found = planted(arm("plain", "r" * 10 + "s" * 40 + "w" * 10), arm("gold", "r" * 45 + "w" * 10 + "s" * 5))
    plain, gold = found.arms[0], next(a for a in found.arms if a.name == "gold")
    assert (plain.right, plain.wrong, plain.refused) == (10, 10, 40)
    assert (gold.right, gold.wrong, gold.refused) == (45, 10, 5)
    assert (found.errors, found.axis) == (50, "context")


def test_failures_are_counted_within_refusals_and_said() -> None:
    marks = arm("plain", "r" * 58 + "ws")
    answers = {**marks.answers, "q59": Answer("q59", "", failure=Failure("timeout"))}
    found = planted(ArmAnswers("plain", "recorded", marks.marks, answers), arm("control", HALF))
    assert (found.arms[0].refused, found.arms[0].failed) == (1, 1)
    assert any("plain 1/60" in caution.en for caution in found.cautions)
    assert [shown.answers["plain"] for cell in found.matrix for shown in cell.examples] == ["plain 58", "[timeout]"]


def test_groups_are_drawn_whole_so_that_copies_of_one_question_prove_nothing() -> None:
    plain, gold = "w" * N, "r" * 20 + "w" * 40
    alone = planted(arm("plain", plain), arm("control", plain), arm("gold", gold))
    together = planted(
        arm("plain", plain), arm("control", plain), arm("gold", gold), groups=[f"g{i // 20}" for i in range(N)]
    )
    assert alone.context == "helps"
    assert together.groups == 3
    assert together.context == "does_not_help"


def test_all_ties_keep_an_open_interval() -> None:
    found = planted(*(arm(name, HALF) for name in ("plain", "control", "gold", "format", "both")))
    for effect in found.effects:
        assert effect.effect.low is not None
        assert effect.effect.high is not None
        assert effect.effect.low < effect.effect.point == 0.0 < effect.effect.high
    assert found.axis == "neither"


def test_no_errors_are_nothing_to_diagnose() -> None:
    found = planted(*(arm(name, "r" * N) for name in ("plain", "control", "gold", "format")))
    assert (found.axis, found.errors, found.rungs) == ("no_errors", 0, ())


def test_too_few_questions_are_refused_and_too_few_pairs_are_a_missing_arm() -> None:
    with pytest.raises(DataError) as caught:
        planted(arm("plain", "rw" * 4))
    assert caught.value.code == "E4203"
    found = planted(arm("plain", HALF), arm("control", HALF), arm("gold", "." * 51 + "r" * 9), arm("format", BETTER))
    assert found.context == "not_identified"
    assert found.axis == "behaviour"
    assert {a.name: a.source for a in found.arms}["gold"] == "missing"


def test_a_miss_is_told_from_a_reading_failure() -> None:
    examples = [Example(f"q{i}", {"q": str(i)}, ("a",), "", ("right.md",) if i != 4 else ()) for i in range(5)]
    shown = [("right.md#1",), ("other.md#1", "right.md#3"), ("other.md#2",), ("other.md#2",), ("right.md#1",)]
    answers = {e.id: Answer(e.id, "x", passages=p) for e, p in zip(examples, shown, strict=True)}
    marks: dict[str, Mark] = {"q0": "right", "q1": "wrong", "q2": "refused", "q3": "right", "q4": "wrong"}
    gold: dict[str, Mark] = {"q1": "wrong", "q2": "right"}
    found = failures_of("rag", examples, answers, marks, gold)
    assert (found.n, found.right, found.misses, found.reading, found.not_told) == (4, 2, 1, 1, 1)
    assert (found.errors, found.fixed_by_gold) == (2, 1)
    assert found.miss_share.point == 0.5
