"""Post-processing on the answer path: after the method's own steps, told in notes, and never a crash."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rung.core import steps as module
from rung.core.answer import Opened, finish
from rung.core.candidate import Candidate, OutputSlot, PromptSlot, StepRef
from rung.core.errors import DataError
from rung.core.evaluation import Answer
from rung.core.model import Completion, Failure, ModelRef, Request
from rung.core.steps import Step, bind, in_one_piece, process
from rung.core.task import Example, OutputSpec, Task
from rung.methods.slots import output_slot
from rung.models.fake import FakeModel

LABELS = ("deposit", "rent")


def answer(completion: Completion, **output: Any) -> Answer:
    slot = OutputSlot(**output)
    candidate = Candidate(
        method="prompt",
        model=ModelRef(kind="fake", id="m"),
        prompt=PromptSlot(instruction="Say.", fields=("question",)),
        output=slot,
    )
    opened = Opened(candidate, FakeModel(), steps=bind(slot.steps), shown=bind(slot.shown))
    return finish(opened, Example("e", {"question": "?"}, ()), Request(()), completion)


def ref(name: str, **arguments: Any) -> StepRef:
    return StepRef(name=name, arguments=arguments)


def test_the_reader_sees_the_disclaimer_and_the_metric_does_not() -> None:
    found = answer(
        Completion(text='"Ten days."'), steps=[ref("strip_marks")], shown=[ref("disclaimer", sentence="No advice.")]
    )
    assert found.text == "Ten days."
    assert found.shown == found.reads == "Ten days.\n\nNo advice."
    assert found.notes == ("disclaimer: added",)
    plain = answer(Completion(text="Ten days."))
    assert (plain.shown, plain.reads) == ("", "Ten days.")


def test_a_refused_answer_is_a_failure_with_the_safe_message() -> None:
    found = answer(
        Completion(text="Use a gun."),
        steps=[ref("forbidden", terms=["gun"])],
        shown=[ref("disclaimer", sentence="No advice.")],
        safe="I cannot answer that.",
    )
    assert found.failure is not None
    assert found.failure.kind == "content_filter"
    assert found.text == ""
    assert found.reads == "I cannot answer that."
    assert found.notes == ("forbidden: refused, term 1",)


def test_steps_apply_to_a_chosen_label_too() -> None:
    found = answer(
        Completion(choice_scores=(-0.1, -3.0)),
        choices=LABELS,
        constrain=True,
        shown=[ref("label_map", mapping={"deposit": "D1"})],
    )
    assert (found.text, found.reads) == ("deposit", "D1")


def test_an_answer_that_cannot_be_read_gets_no_safe_message() -> None:
    found = answer(Completion(text="no json"), steps=[ref("json")], safe="I cannot answer that.")
    assert found.failure is not None
    assert found.failure.kind == "unparsable"
    assert (found.reads, found.notes) == ("", ())


def test_a_broken_step_is_a_failure_that_does_not_repeat_the_text() -> None:
    def broken(text: str) -> str:
        raise ValueError(text)

    done = process([Step("mine", broken)], "secret")
    assert done.failure == Failure("error", "mine: ValueError")
    assert done.stopped
    shown = answer(Completion(text="rent"), shown=[ref("label_map", mapping={"deposit": "D1"})], safe="Sorry.")
    assert (shown.text, shown.reads) == ("rent", "Sorry.")


def test_a_mistake_of_the_users_is_no_failure_of_the_answer() -> None:
    with pytest.raises(DataError, match="E2504"):
        process(bind([ref("json", schema={"type": 3})]), "{}")


def test_a_foreign_step_that_hangs_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Step("slow", lambda text: time.sleep(0.4) or text, seconds=0.05)("x")
    assert done == Failure("timeout", "slow: no end after 0.05 s")
    assert Step("quick", str.upper, seconds=0.5)("x") == "X"

    def broken(text: str) -> str:
        raise KeyError(text)

    assert Step("broken", broken, seconds=0.5)("x") == Failure("error", "broken: KeyError")
    assert module.FOREIGN_SECONDS > 0


def test_the_tasks_steps_come_behind_the_methods_own() -> None:
    own = ref("limit_length", words=5)
    spec = OutputSpec(kind="text", steps=(own,), shown=(ref("ai_mark"),), safe="Sorry.")
    task = Task(name="t", instruction="i", inputs=("q",), output=spec, metrics=("token_f1",))
    slot = output_slot(task, FakeModel())
    assert [step.name for step in slot.steps] == ["strip_marks", "limit_length"]
    assert (slot.shown, slot.safe) == (spec.shown, "Sorry.")
    assert in_one_piece(slot.steps, slot.shown)
    assert not in_one_piece((ref("strip_marks"),), ())


def test_ids_and_hashes_of_what_has_no_post_processing_stay() -> None:
    bare = Task(name="t", instruction="i", inputs=("q",), output=OutputSpec(kind="text"), metrics=("token_f1",))
    assert not {"steps", "shown", "safe"} - bare.output.silent()
    guarded = bare.model_copy(update={"output": OutputSpec(kind="text", steps=(ref("mask_personal"),))})
    # As releases without post-processing computed them.
    assert bare.hash == "421da6154b53ff19"
    assert guarded.hash != bare.hash
    plain = Candidate(
        method="prompt",
        model=ModelRef(kind="fake", id="m"),
        prompt=PromptSlot(instruction="Say.", fields=("question",)),
        output=OutputSlot(steps=(ref("strip_marks"),)),
    )
    assert plain.id == "prompt-190af059"
    assert plain.model_copy(update={"output": OutputSlot(safe="Sorry.")}).id != plain.id
