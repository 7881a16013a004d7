"""The metric of texts that must hold certain clauses: F1 over the clauses that are there, with the right facts in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Score
from rung.core.task import Example, Task
from rung.metrics.scoring import REFERENCES, Floats, nonzero, score_each
from rung.text.normalise import normalise_key, squeeze
from rung.text.numbers import Number, evened, find_amounts, find_dates, is_amount
from rung.text.strict_json import read_json

_COUNT = r"[一二三四五六七八九十百\d]{1,4}"
_HEADING = re.compile(
    rf"^[\s#*]*(?P<number>(?:clause|article|section)\s+\d{{1,2}}[.:)]?|\(?\d{{1,2}}[.)、）]|（{_COUNT}）|第{_COUNT}[条條款]|{_COUNT}、)?"
    r"[\s*]*(?P<name>[^\s:：。;；*][^:：。;；\n*]{0,50}?)[\s*]*(?:[:：][\s*]*(?P<body>.*)|(?P<alone>))$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])|\n")
_PIECE = re.compile(r"[\n;；,，。]|\.(?:\s|$)")
_NAME = re.compile(r"\b[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*")
_NO_NAME = frozenset(
    [
        "A",
        "An",
        "And",
        "At",
        "By",
        "Either",
        "Each",
        "For",
        "From",
        "If",
        "In",
        "It",
        "No",
        "On",
        "Or",
        "The",
        "This",
        "To",
        "Under",
        "Until",
        "Where",
        "With",
    ]
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a clause says that can be checked."""

    texts: frozenset[str] = frozenset()
    amounts: tuple[Number, ...] = ()
    dates: frozenset[str] = frozenset()
    allowed: tuple[Number, ...] = ()
    """Further numbers that may stand there: those of its texts, such as a house number."""

    def hold_in(self, body: str) -> bool:
        """Whether a text has all of them, and no other amount or date."""
        said, dates = find_amounts(body), frozenset(find_dates(body))
        even = squeeze(evened(body))
        return (
            dates == self.dates
            and all(_occurs(text, even) for text in self.texts)
            and all(any(_same(mine, right) for mine in said) for right in self.amounts)
            and all(any(_same(mine, right) for right in (*self.amounts, *self.allowed)) for mine in said)
        )


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause that must be there."""

    name: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Piece:
    """A clause as a text has it."""

    name: str
    body: str


class Clauses:
    """Micro F1 = 2 right / (said + required) over the clauses of all answers.

    A reference is the text itself, each clause on a line that begins with its heading ('2. Rent: £860 a month', '第二条
    租金：每月860元'), or JSON: [{"name": "Rent", "must": ["£860", "month"]}]. A clause is present when a heading of the answer
    is its name, or, in an answer without headings, when a sentence holds its name. It is right when its facts stand in it: amounts
    and dates in any spelling, with no other amount or date beside them, and names. Of a text as reference the facts are its amounts
    and dates, and what it has from the question: its names in capitals, and pieces of the question word for word.
    Clauses that nobody asked for, and repeated ones, count as said. Their order is not looked at. Of several references,
    the one that the answer is nearest to counts.
    """

    name = "clauses"
    better: Literal["higher", "lower"] = "higher"
    needs = REFERENCES
    parts: tuple[str, ...] = ("right", "said", "required")

    def __init__(self, *, task: Task) -> None:
        del task  # every language is read alike

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return score_each(examples, answers, self._judge)

    def _judge(self, example: Example, answer: Answer) -> Score:
        counts = np.array([_counts(answer.text, required_clauses(example, text)) for text in example.references])
        values = _f1(counts)
        best = int(values.argmax())
        return Score("scored", float(values[best]), nonzero(dict(zip(self.parts, counts[best], strict=True))))

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        return np.where(np.asarray(n) > 0, _f1(totals), np.nan)


def _f1(counts: Floats) -> Floats:
    """[..., 3] -> [...]: F1 of clauses right, said and required."""
    out: Floats = np.zeros(counts.shape[:-1])
    both = counts[..., 1] + counts[..., 2]
    np.divide(2 * counts[..., 0], both, out=out, where=both > 0)
    return out


def _counts(text: str, required: Sequence[Clause]) -> list[float]:
    """Clauses of an answer that are right, that it says, and that are required."""
    pieces = cut(text)
    if not pieces:
        pieces = list(_sentences(text, required))
    right = sum(
        any(
            normalise_key(piece.name) == normalise_key(clause.name) and clause.facts.hold_in(piece.body)
            for piece in pieces
        )
        for clause in required
    )
    return [float(right), float(len(pieces)), float(len(required))]


def cut(text: str) -> list[Piece]:
    """The clauses of a text: each begins on a line with its heading, numbered, or followed by a colon."""
    pieces: list[Piece] = []
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading and (heading["number"] or heading["body"] is not None):
            pieces.append(Piece(heading["name"].strip(), heading["body"] or ""))
        elif pieces:
            pieces[-1] = Piece(pieces[-1].name, f"{pieces[-1].body}\n{line}")
    return pieces


def _sentences(text: str, required: Sequence[Clause]) -> Iterator[Piece]:
    """Of a text without headings, the first sentence that holds the name of each clause."""
    sentences = [sentence for sentence in _SENTENCE.split(text) if sentence.strip()]
    for clause in required:
        name = squeeze(evened(clause.name))
        body = next((sentence for sentence in sentences if _occurs(name, squeeze(evened(sentence)))), None)
        if body is not None:
            yield Piece(clause.name, body)


def required_clauses(example: Example, reference: str) -> list[Clause]:
    """The clauses that a reference asks for. Raises DataError E2842 where it has none."""
    if reference.lstrip().startswith(("[", "{")):
        return _listed(example, reference)
    found = [Clause(piece.name, _facts_of(piece.body, example)) for piece in cut(reference)]
    if not found:
        raise _wrong(example, "no line begins with a heading")
    return found


def _listed(example: Example, reference: str) -> list[Clause]:
    try:
        value = read_json(reference)
    except ValueError as error:
        raise _wrong(example, str(error)) from error
    items = value.get("clauses") if isinstance(value, dict) else value
    if not isinstance(items, list) or not items:
        raise _wrong(example, "it is no list of clauses")
    return [_clause(example, item) for item in items]


def _clause(example: Example, item: Any) -> Clause:
    must = item.get("must", []) if isinstance(item, Mapping) else None
    if not isinstance(must, list) or not all(isinstance(fact, str) for fact in must) or not str(item.get("name", "")):
        raise _wrong(example, "a clause needs a name, and a list of texts as must")
    numbers = [fact for fact in must if is_amount(fact)]
    texts = [fact for fact in must if fact not in numbers]
    return Clause(str(item["name"]), _facts(texts, " ; ".join(numbers)))


def _facts_of(body: str, example: Example) -> Facts:
    """The facts of a clause of a reference text: its amounts, its dates, and what it has from the question."""
    asked = example.asked
    names = (_bare(name) for name in _NAME.findall(body))
    pieces = (piece.rpartition("：")[2].rpartition(":")[2].strip() for piece in _PIECE.split(asked))
    even = squeeze(evened(body))
    shared = [name for name in names if name and name in asked]
    shared += [piece for piece in pieces if len(piece) > 1 and _occurs(squeeze(evened(piece)), even)]
    return _facts([text for text in shared if not is_amount(text)], body)


def _facts(texts: Sequence[str], numbered: str) -> Facts:
    """`numbered`: the text whose amounts and dates must be there."""
    inside = [number for text in texts for number in find_amounts(text)]
    amounts = [number for number in find_amounts(numbered) if not any(_same(number, other) for other in inside)]
    return Facts(
        frozenset(squeeze(evened(text)) for text in texts),
        tuple(amounts),
        frozenset(find_dates(numbered)),
        tuple(inside),
    )


def _bare(name: str) -> str:
    words = name.split(" ")
    while words and words[0] in _NO_NAME:
        words = words[1:]
    return " ".join(words)


def _occurs(text: str, even: str) -> bool:
    """Whether an evened text stands in another one, not in the middle of a word."""
    before = r"(?<![a-z0-9])" if text[:1].isascii() and text[:1].isalnum() else ""
    after = r"(?![a-z0-9])" if text[-1:].isascii() and text[-1:].isalnum() else ""
    return re.search(before + re.escape(text) + after, even) is not None


def _same(one: Number, other: Number) -> bool:
    return one.value == other.value and (one.unit == other.unit or not one.unit or not other.unit)


def _wrong(example: Example, reason: str) -> DataError:
    return DataError("E2842", where=example.id, example=example.id, reason=reason)
