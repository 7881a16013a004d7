"""A language model as judge: how a mark or a preference is asked for, in English and Chinese, and how its reply is read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rung.core.evaluation import Answer, Score
from rung.core.hashing import hash_json
from rung.core.method import Progress, Silent
from rung.core.model import Completion, Failure, Message, Model, Request
from rung.core.task import Example, Language
from rung.metrics.scoring import Floats, mean_of_only_part, score_each
from rung.text.normalise import normalise_label

Side = Literal["first", "second", "tie"]
Mode = Literal["grade", "prefer"]
PREFIX = "judge:"
"""A judged dimension is a metric called `judge:<dimension>`."""
CHUNK = 32
_LONGEST_REPLY = 16
"""Tokens: a mark needs one or two, and a judge that begins an essay is stopped."""
_AROUND = re.compile(r"^[\s\"'*`“”「『(（\[]+|[\s\"'*`“”」』)）\].。]+$")


@cache
def _words() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("judge_words.json").read_text("utf-8"))
    return found


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that is judged, and what it means in one line."""

    name: str
    definition: str


def dimension(name: str, definition: str = "", language: Language = "en") -> Dimension:
    """A dimension of your own, or a built-in one by its name alone. Raises KeyError for an unknown name without a line."""
    return Dimension(name, definition or _words()["dimensions"][name][language])


def known_dimensions() -> tuple[str, ...]:
    """Names that need no definition."""
    return tuple(_words()["dimensions"])


@dataclass(frozen=True)
class Rubric:
    """What is judged, and the marks that may be given, worst first."""

    dimensions: tuple[Dimension, ...]
    scale: tuple[str, ...] = ("1", "2", "3", "4", "5")
    language: Language = "en"
    reference: bool = True
    """Whether the judge is shown the right answer, where there is one."""

    def value(self, mark: str) -> float:
        """A mark as a number from 0 (worst) to 1 (best): by size where all marks are numbers, else by rank."""
        return place(mark, self.scale)


def place(mark: str, scale: Sequence[str]) -> float:
    """Where a mark lies on a scale, 0 to 1. Raises ValueError for a mark that is not on it."""
    at = list(scale).index(mark)
    try:
        sizes = [float(each) for each in scale]
    except ValueError:
        sizes = list(map(float, range(len(scale))))
    return (sizes[at] - sizes[0]) / (sizes[-1] - sizes[0])


@dataclass(frozen=True, slots=True)
class Grade:
    """One mark, or why there is none."""

    mark: str = ""
    expected: float | None = None
    """Mean place on the scale, 0 to 1, by the judge's own probabilities; where the backend scores choices."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two answers is better, asked in both orders. `first` and `second` name the answers, not their places."""

    shown_first: Side = "tie"
    """What was preferred when the first answer was shown first ..."""
    shown_second: Side = "tie"
    """... and when it was shown second."""
    failure: Failure | None = None

    @property
    def winner(self) -> Side:
        """A judge that changes its mind with the order has seen no difference."""
        return self.shown_first if self.shown_first == self.shown_second else "tie"

    @property
    def swayed(self) -> bool:
        """Whether the order changed the verdict."""
        return self.failure is None and self.shown_first != self.shown_second

    @property
    def lean(self) -> float:
        """Towards the answer shown first: 1 always, -1 always the other one, 0 neither."""
        sign = {"first": 1.0, "second": -1.0, "tie": 0.0}
        return (sign[self.shown_first] - sign[self.shown_second]) / 2

    def score(self) -> Score:
        """The preference as additive parts: wins of each side, ties, the lean and the swayed."""
        if self.failure is not None:
            return Score("unscored")
        parts = {self.winner: 1.0, "lean": self.lean, "swayed": float(self.swayed)}
        value = {"first": 1.0, "tie": 0.5, "second": 0.0}[self.winner]
        return Score("scored", value, {name: number for name, number in parts.items() if number})


class Judge:
    """Any Model that gives marks or preferences. It sees one answer, or two, and never whose they are."""

    def __init__(self, model: Model, rubric: Rubric) -> None:
        self.model, self.rubric = model, rubric

    def fingerprint(self, mode: Mode) -> str:
        """What a licence is about: the model, the words it is asked in, the dimensions and the scale."""
        ref = self.model.ref.model_dump(mode="json")
        if ref.get("weights"):
            ref["weights"].pop("path")
        rubric = self.rubric
        words = _words()[mode][rubric.language]
        points = [[d.name, d.definition] for d in rubric.dimensions]
        return hash_json([mode, ref, words, points, rubric.scale if mode == "grade" else [], rubric.reference])

    def grade(
        self,
        dimension: Dimension,
        examples: Sequence[Example],
        answers: Sequence[Answer],
        progress: Progress | None = None,
    ) -> list[Grade]:
        """A mark for every answer. Where there is no answer, its own failure stands for the mark."""
        asked = [i for i, answer in enumerate(answers) if answer.failure is None]
        requests = [self.grade_request(dimension, examples[i], answers[i].text) for i in asked]
        grades = [Grade(failure=answer.failure) for answer in answers]
        for i, completion in zip(asked, self._ask(requests, progress), strict=True):
            grades[i] = self._read_grade(completion)
        return grades

    def prefer(
        self,
        examples: Sequence[Example],
        first: Sequence[Answer],
        second: Sequence[Answer],
        progress: Progress | None = None,
    ) -> list[Preference]:
        """Which answer is better, every pair asked in both orders."""
        found = [Preference(failure=a.failure or b.failure) for a, b in zip(first, second, strict=True)]
        asked = [i for i, preference in enumerate(found) if preference.failure is None]
        requests = []
        for i in asked:
            a, b = first[i].text, second[i].text
            requests += [self.prefer_request(examples[i], a, b), self.prefer_request(examples[i], b, a)]
        replies = self._ask(requests, progress)
        for k, i in enumerate(asked):
            found[i] = self._read_preference(replies[2 * k], replies[2 * k + 1])
        return found

    def grade_request(self, dimension: Dimension, example: Example, answer: str) -> Request:
        rubric = self.rubric
        words = _words()["grade"][rubric.language]
        comma = "、" if rubric.language == "zh" else ", "
        lines = [
            *self._shown(words, example),
            _quoted(words["answer"], answer),
            _fill(words["point"], name=dimension.name, definition=dimension.definition),
            _fill(words["scale"], scale=comma.join(rubric.scale)),
            words["ask"],
        ]
        return _request(words["system"], lines, rubric.scale)

    def prefer_request(self, example: Example, shown_first: str, shown_second: str) -> Request:
        words = _words()["prefer"][self.rubric.language]
        points = [_fill(words["point"], name=d.name, definition=d.definition) for d in self.rubric.dimensions]
        lines = [
            *self._shown(words, example),
            _quoted(words["first"], shown_first),
            _quoted(words["second"], shown_second),
            "\n".join([words["points"], *points]),
            words["ask"],
        ]
        return _request(words["system"], lines, tuple(words["choices"].split("|")))

    def _shown(self, words: dict[str, str], example: Example) -> list[str]:
        shown = [_quoted(words["question"], example.asked)]
        if self.rubric.reference and example.references:
            shown.append(_quoted(words["reference"], example.references[0]))
        return shown

    def _ask(self, requests: Sequence[Request], progress: Progress | None) -> list[Completion]:
        progress = progress or Silent()
        replies: list[Completion] = []
        for start in range(0, len(requests), CHUNK):
            replies += self.model.generate(requests[start : start + CHUNK])
            progress.update(len(replies), len(requests), "judging")
        return replies

    def _read_grade(self, completion: Completion) -> Grade:
        scale = self.rubric.scale
        mark = read_choice(completion, scale)
        if isinstance(mark, Failure):
            return Grade(failure=mark)
        expected = None
        if completion.choice_scores:
            scores = np.array(completion.choice_scores)
            weights = np.exp(scores - scores.max())
            expected = float(weights @ [self.rubric.value(each) for each in scale] / weights.sum())
        return Grade(mark, expected)

    def _read_preference(self, straight: Completion, swapped: Completion) -> Preference:
        choices = tuple(_words()["prefer"][self.rubric.language]["choices"].split("|"))
        sides: list[Side] = []
        for completion, order in ((straight, ("first", "second", "tie")), (swapped, ("second", "first", "tie"))):
            said = read_choice(completion, choices)
            if isinstance(said, Failure):
                return Preference(failure=said)
            sides.append(order[choices.index(said)])  # type: ignore[arg-type]
        return Preference(sides[0], sides[1])


def _quoted(name: str, text: str) -> str:
    # A text that holds the closing mark must not step out of its quotes.
    return f"{name}\n<<<\n{text.replace('>>>', '> > >').strip()}\n>>>"


def _fill(text: str, **values: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda mark: values[mark[1]], text)


def _request(system: str, lines: Sequence[str], choices: tuple[str, ...]) -> Request:
    text = "\n\n".join(lines)
    messages = (Message("system", system), Message("user", text))
    return Request(messages, choices=choices, max_tokens=_LONGEST_REPLY, query=text)


def read_choice(completion: Completion, choices: Sequence[str]) -> str | Failure:
    """One of the choices: the likeliest where the backend scored them, else the reply itself, read strictly.

    A reply that is one of the choices after `normalise_label`, quotes and a full stop taken off, is that choice; anything
    else is a failure of kind `garbage` (or `empty`), and never a guess.
    """
    if completion.failure is not None:
        return completion.failure
    if completion.choice_scores:
        return choices[int(np.argmax(completion.choice_scores))]
    said = normalise_label(_AROUND.sub("", completion.text))
    if not said:
        return Failure("empty", "the judge said nothing")
    found = [choice for choice in choices if normalise_label(choice) == said]
    return found[0] if len(found) == 1 else Failure("garbage", f"the judge said: {completion.text.strip()[:80]}")


class JudgedDimension:
    """Mean mark of one dimension, 0 to 1, as a judge gave it. An answer that the judge gave no mark is unscored."""

    better: Literal["higher", "lower"] = "higher"
    needs = frozenset({"judge"})
    parts: tuple[str, ...] = ("mark",)

    def __init__(self, judge: Judge, dimension: Dimension) -> None:
        self.name = PREFIX + dimension.name
        self._judge, self._dimension = judge, dimension

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        score_each(examples, answers, lambda *_: Score("scored"))
        grades = self._judge.grade(self._dimension, examples, answers)
        return [self.of(answer, grade) for answer, grade in zip(answers, grades, strict=True)]

    def of(self, answer: Answer, grade: Grade) -> Score:
        """The score of one mark."""
        if answer.failure is not None:
            return Score("failed")
        if grade.failure is not None:
            return Score("unscored")
        value = self._judge.rubric.value(grade.mark)
        return Score("scored", value, {"mark": value} if value else {})

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        return mean_of_only_part(totals, n)
