"""What a model wrote, as pairs of question and answer: JSON or plain lines, read leniently, nothing dropped without a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rung.text.steps import strip_marks
from rung.text.strict_json import find_end, read_json

_QUESTION = ("question", "q", "query", "instruction", "问题", "问")
_ANSWER = ("answer", "a", "response", "output", "答案", "回答", "答")
_MARK = r"[\s>*_#\-]*(?:\d{1,2}[.):、]\s*)?[*_]*"
_NUMBER = r"\s*(?:\d{1,2}|[一二三四五六七八九十])?\s*[*_]*\s*[:：.]\s*[*_]*\s*"
_LINE_Q = re.compile(rf"^{_MARK}(?:question|q|问题|问){_NUMBER}(.*)$", re.IGNORECASE)
_LINE_A = re.compile(rf"^{_MARK}(?:answer|a|答案|回答|答){_NUMBER}(.*)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer as a model wrote them. `problem` names why it is none: unparsable, empty, cut_off or repeated."""

    question: str
    answer: str
    problem: str = ""


def read_pairs(text: str, *, cut_off: bool = False) -> list[Pair]:
    """Every pair of a completion, in order; a text without one is a single pair whose problem is 'unparsable'.

    `cut_off`: the completion ended at its longest length, so that its last pair may be half an answer.
    """
    pairs = list(_from_json(text)) or list(_from_lines(text))
    if not pairs:
        return [Pair("", "", "unparsable")]
    found = [Pair(_bare(q), _bare(a)) for q, a in pairs]
    named = [p if p.question and p.answer else Pair(p.question, p.answer, "empty") for p in found]
    if cut_off:
        last = named[-1]
        named[-1] = Pair(last.question, last.answer, "cut_off")
    seen: set[str] = set()
    for n, pair in enumerate(named):
        # A small model in a loop writes one pair again and again until it is stopped.
        if not pair.problem and pair.question in seen:
            named[n] = Pair(pair.question, pair.answer, "repeated")
        seen.add(pair.question)
    return named


def _bare(text: str) -> str:
    stripped = strip_marks(text)
    return " ".join(stripped.split()) if isinstance(stripped, str) else ""


def _from_json(text: str) -> Iterator[tuple[str, str]]:
    """Objects with a question and an answer, wherever they stand; a broken one costs itself alone."""
    start = text.find("{")
    while start >= 0:
        try:
            end = find_end(text, start)
            value: Any = read_json(text[start:end]) if end else None
        except ValueError:
            value = None
        pair = _pair_of(value)
        if pair is not None:
            yield pair
            start = text.find("{", end)
        else:
            # An object around a list of pairs: look inside.
            start = text.find("{", start + 1)


def _pair_of(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, dict):
        return None
    fields = {str(key).strip().casefold(): item for key, item in value.items()}
    question = next((fields[name] for name in _QUESTION if isinstance(fields.get(name), str)), None)
    answer = next((fields[name] for name in _ANSWER if isinstance(fields.get(name), str | int | float)), None)
    return None if question is None or answer is None else (question, str(answer))


def _from_lines(text: str) -> Iterator[tuple[str, str]]:
    """'Q:' and 'A:' lines, numbered or in bold, in either language; what follows on further lines belongs to them."""
    question: list[str] | None = None
    answer: list[str] | None = None
    for line in text.splitlines():
        if begun := _LINE_Q.match(line):
            if question is not None:
                yield "\n".join(question), "\n".join(answer or [])
            question, answer = [begun[1]], None
        elif (begun := _LINE_A.match(line)) and question is not None and answer is None:
            answer = [begun[1]]
        elif not line.strip():
            continue
        elif answer is not None:
            answer.append(line)
        elif question is not None:
            question.append(line)
    if question is not None:
        yield "\n".join(question), "\n".join(answer or [])
