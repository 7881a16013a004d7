"""Answers that look wrong without knowing the right one: empty, copied, refused, cut off, in another language, not in the document."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rung.core.task import Document, Task
from rung.data.labels import means_nothing
from rung.data.leakage.keys import key_of
from rung.data.quality.topic_words import stop_words
from rung.data.record import Record
from rung.text.normalise import normalise_answer
from rung.text.script import CJK, language_of
from rung.text.strict_json import read_json
from rung.text.tokens import search_tokens

Kind = Literal["empty", "copied", "refusal", "truncated", "language", "unsupported", "json"]
WEIGHTS: dict[Kind, float] = {
    "empty": 0.95,
    "json": 0.95,
    "copied": 0.8,
    "refusal": 0.8,
    "truncated": 0.5,
    "language": 0.5,
    "unsupported": 0.5,
}
_REFUSAL = re.compile(
    r"(?i)\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|^\W*(?:i['’]?m|i am) (?:sorry|unable|afraid)[^.]{0,60}\b(?:can(?:no|')t|can’t|unable|not able|won['’]?t)\b"
    r"|^\W*(?:sorry|unfortunately),? i (?:can(?:no|')t|can’t|am unable|am not able|do not have|don['’]t have)\b"
    r"|^\W*i (?:cannot|can['’]t|am unable to|am not able to|won['’]t) (?:assist|help|answer|provide|comply|fulfil)"
    r"|作为(?:一个|一名|一款)?(?:人工智能|AI|大?语言模型|智能助手)|^\W*(?:很?抱歉|对不起|不好意思)[^。]{0,20}(?:无法|不能|没有办法)"
    r"|^我(?:无法|不能)(?:回答|提供|协助|帮助)"
)
_ENDS = re.compile(r"[.!?。！？…;；:：)\]}）】」』”’\"'`*|>~]\s*$|\[\d+\]\s*$")
_HANGS = re.compile(
    r"(?i)(?:[,，、(（\[【「-]|\b(?:and|or|the|a|an|of|to|with|because|that|which|但是|因为|以及|并且|和|的是))\s*$"
)
_LONG = {"en": 80, "zh": 30}
"""Characters from which an answer is taken for sentences, which end in a mark."""
_HABIT = 0.9
"""Share of long answers that must end in a mark before the others count as cut off."""
_FEWEST_LONG = 20
_OTHER_LANGUAGE = 0.2
"""Share of rows answered in another language from which the data set is taken for a translation, and nothing said."""
_LETTERS = re.compile(rf"[^\W\d_{CJK}]{{2,}}")
_CJK_RUN = re.compile(f"[{CJK}]")
_SUPPORT = 0.5
"""Share of an answer's words that must stand in its document."""
_FEWEST_WORDS = 3
"""Words below which an answer ('yes', '3') proves nothing by standing in a document or not."""


@dataclass(frozen=True)
class Found:
    """Faults by kind, as places of rows; and how many answers were looked at for each kind."""

    rows: Mapping[Kind, list[int]]
    looked_at: Mapping[Kind, int]
    values: Mapping[tuple[Kind, int], dict[str, Any]] = field(default_factory=dict)
    """What more is known of a fault, for its sentence."""


def find_faults(
    records: Sequence[Record],
    kind: Literal["text", "json"],
    task: Task | None = None,
    documents: Sequence[Document] = (),
) -> Found:
    """Look at every answer of a text or JSON task.

    Each check is a hint, not a judgement: an answer may be right and still be caught, so all are listed with their reason.
    The task's own "the documents do not say" is no fault.
    """
    abstain = key_of(task.output.abstain) if task is not None and task.output.abstain else None
    answers = [record.answer for record in records]
    rows: dict[Kind, list[int]] = defaultdict(list)
    looked_at: dict[Kind, int] = {}
    rows["empty"] = [n for n, answer in enumerate(answers) if not answer.strip() or means_nothing(answer)]
    looked_at["empty"] = len(answers)
    blank = set(rows["empty"])
    said = [n for n, answer in enumerate(answers) if n not in blank and (abstain is None or key_of(answer) != abstain)]
    if kind == "json":
        rows["json"], looked_at["json"] = _bad_json(answers, said, task), len(said)
        return Found(dict(rows), looked_at)
    looked_at["copied"] = looked_at["refusal"] = len(said)
    for n in said:
        # A label or a yes stands in many a question; a copy is the whole of it.
        if len(answers[n]) > 10 and key_of(answers[n]) == key_of(records[n].question):
            rows["copied"].append(n)
        if _REFUSAL.search(answers[n]):
            rows["refusal"].append(n)
    rows["truncated"], looked_at["truncated"] = _truncated(answers, said)
    rows["language"], looked_at["language"] = _other_language(records, answers, said)
    values: dict[tuple[Kind, int], dict[str, Any]] = {}
    texts = {document.id: document.text for document in documents}
    # One reason is enough for an answer that is no answer at all.
    caught = {*rows["copied"], *rows["refusal"], *rows["truncated"], *rows["language"]}
    support = _support(records, answers, [n for n in said if n not in caught], texts)
    looked_at["unsupported"] = len(support)
    for n, share in support.items():
        if share < _SUPPORT:
            rows["unsupported"].append(n)
            values["unsupported", n] = {"share": f"{share:.0%}", "document": records[n].documents[0]}
    return Found(dict(rows), looked_at, values)


def _truncated(answers: Sequence[str], said: Sequence[int]) -> tuple[list[int], int]:
    """Long answers without an end, where the data set's long answers have one."""
    long = [n for n in said if len(answers[n]) >= _LONG[language_of(answers[n])]]
    ended = sum(bool(_ENDS.search(answers[n])) for n in long)
    habit = len(long) >= _FEWEST_LONG and ended >= _HABIT * len(long)
    open_ended = [n for n in long if not _ENDS.search(answers[n])]
    return [n for n in open_ended if habit or _HANGS.search(answers[n])], len(long)


def _other_language(records: Sequence[Record], answers: Sequence[str], said: Sequence[int]) -> tuple[list[int], int]:
    told = [n for n in said if _tells(answers[n]) and _tells(records[n].question)]
    other = [n for n in told if language_of(answers[n]) != language_of(records[n].question)]
    return (other, len(told)) if len(other) <= _OTHER_LANGUAGE * len(told) else ([], 0)


def _tells(text: str) -> bool:
    """Whether a text is long enough for its language to be known: names and codes are in none."""
    return len(_LETTERS.findall(text)) >= 4 or len(_CJK_RUN.findall(text)) >= 8


def _support(
    records: Sequence[Record], answers: Sequence[str], said: Sequence[int], texts: Mapping[str, str]
) -> dict[int, float]:
    """Share of an answer's words that stand in the documents that its row names; 1 where it stands there whole."""
    words: dict[str, set[str]] = {}
    plain: dict[str, str] = {}
    found: dict[int, float] = {}
    for n in said:
        named = [name for name in records[n].documents if name in texts]
        wanted = set(search_tokens(answers[n])) - stop_words()
        if not named or len(wanted) < _FEWEST_WORDS:
            continue
        language = language_of(answers[n])
        best = 0.0
        for name in named:
            if name not in words:
                words[name] = set(search_tokens(texts[name]))
            form = f"{language}:{name}"
            if form not in plain:
                plain[form] = normalise_answer(texts[name], language)
            whole = normalise_answer(answers[n], language) in plain[form]
            best = max(best, 1.0 if whole else len(wanted & words[name]) / len(wanted))
        found[n] = best
    return found


def _bad_json(answers: Sequence[str], said: Sequence[int], task: Task | None) -> list[int]:
    """Answers that are no JSON object, or not what the task's schema asks for."""
    schema = task.output.json_schema if task is not None else None
    valid = None
    if schema is not None:
        from jsonschema.validators import validator_for

        valid = validator_for(schema)(schema).is_valid
    bad = []
    for n in said:
        try:
            value = read_json(answers[n])
        except ValueError:
            bad.append(n)
            continue
        if not isinstance(value, dict) or (valid is not None and not valid(value)):
            bad.append(n)
    return bad
