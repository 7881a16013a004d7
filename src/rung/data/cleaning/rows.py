"""Rows that cleaning drops, each with a reason: nothing in them, another language, too short or too long."""

from __future__ import annotations

from rung.data.cleaning.wanted import Wanted
from rung.data.labels import means_nothing
from rung.data.record import Record
from rung.text.script import writing_of

_EMPTY_WORDS = frozenset(
    {"无", "無", "空", "暂无", "暫無", "缺失", "空值", "未填写", "未填寫", "-", "--", "—", "——", "/", "\\"}
)
"""What people write where there is nothing to write."""


def missing(record: Record, wanted: Wanted) -> str:
    """'no question', 'says it is missing', or 'blank answer'; '' for a row that says something.

    An answer such as 'None' or '无' may be a label, so only a blank one counts. A row without answers is unlabelled, not
    missing.
    """
    asked = [value.strip() for value in record.inputs.values()]
    asked += [turn.content.strip() for turn in record.messages if turn.role == "user"]
    said = [text for text in asked if text]
    if record.inputs or record.messages:
        if not said:
            return "no question"
        if all(means_nothing(text) or text in _EMPTY_WORDS for text in said):
            return "says it is missing"
    elif not any(text.strip() for _, text in record.texts()):
        return "no question"
    last = record.messages[-1] if record.messages else None
    blank_turn = last is not None and last.role == "assistant" and not last.content.strip() and not last.calls
    for texts in (record.answers, record.rejected, record.positives):
        if texts and not any(text.strip() for text in texts):
            return "blank answer"
    return "blank answer" if blank_turn and not record.answers else ""


def other_language(record: Record, wanted: Wanted) -> str:
    """The language of the question, where it is not wanted; a question without letters is kept."""
    found = writing_of(record.question)
    return found if found and found not in wanted.languages else ""


def off_length(record: Record, wanted: Wanted) -> str:
    """'short' for the question, 'long' for any text; '' within the limits."""
    if len(record.question.strip()) < wanted.min_chars:
        return "short"
    if wanted.max_chars and any(len(text) > wanted.max_chars for _, text in record.texts()):
        return "long"
    return ""


REASONS = {"missing": missing, "language": other_language, "length": off_length}
"""Why a row is dropped, by step: each gives '' for a row that stays."""
