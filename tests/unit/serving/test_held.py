"""What may be shown of an answer that is still being written: always the beginning of the finished one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.candidate import OutputSlot, StepRef
from rung.serving.held import Held, can_stream, rest_of
from rung.serving.refusals import Refusal
from rung.text.steps import strip_marks

STRIPPED = OutputSlot(steps=(StepRef(name="strip_marks"),))


@given(
    st.sampled_from(["", "Answer: ", '"', "**", "答案：", "  ", "```\n", "# ", "Label"]),
    st.text(alphabet='ab *"`\n:答案。 A', max_size=120),
    st.lists(st.integers(1, 9), min_size=1, max_size=20),
)
@settings(max_examples=300, deadline=None)
def test_what_was_shown_is_the_beginning_of_the_finished_answer(start: str, body: str, cuts: list[int]) -> None:
    text = start + body
    held, shown, at, n = Held(STRIPPED), "", 0, 0
    while at < len(text):
        step = cuts[n % len(cuts)]
        shown += held.take(text[at : at + step])
        at, n = at + step, n + 1
    final = strip_marks(text)
    assert isinstance(final, str)
    assert shown + rest_of(final, shown) == final


def test_plain_words_come_out_while_they_are_written() -> None:
    held = Held(STRIPPED)
    words = "The deposit is returned within thirty days of the end of the tenancy, less what is owed."
    pieces = [held.take(word + " ") for word in words.split()]
    assert sum(bool(piece) for piece in pieces) > 5
    assert words.startswith("".join(pieces).rstrip())


def test_without_steps_every_piece_is_shown_as_it_is() -> None:
    held = Held(OutputSlot())
    assert [held.take(piece) for piece in ('"', " a ", "\n")] == ['"', " a ", "\n"]


def test_choices_json_and_other_steps_come_in_one_piece() -> None:
    assert can_stream(OutputSlot())
    assert can_stream(STRIPPED)
    assert not can_stream(OutputSlot(choices=("a", "b"), constrain=True))
    assert not can_stream(OutputSlot(json_schema={"type": "object"}))
    assert not can_stream(OutputSlot(steps=(StepRef(name="match_label", arguments={"labels": ["a"]}),)))


def test_an_answer_that_turned_out_otherwise_is_an_error_and_not_two_texts() -> None:
    with pytest.raises(Refusal):
        rest_of("something else", "some other")
