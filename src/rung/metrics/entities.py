"""The metric of named entities in a JSON answer: F1 over pairs of type and text, counted over the whole test set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Score
from rung.core.task import Example, Task
from rung.metrics.scoring import REFERENCES, Floats, nonzero, score_each
from rung.text.normalise import normalise_label
from rung.text.strict_json import read_json

Entities = frozenset[tuple[str, str]]


class EntityF1:
    """Micro F1 = tp / (tp + (fp + fn) / 2) over the (type, text) pairs of all answers.

    An answer is {"type": ["text", ...], ...} or [{"type": ..., "text": ...}, ...]. An entity counts once, however often it is
    named; types and texts are equal after `normalise_label`. An answer of another form, even in one place, counts as a single
    wrong entity: what could be saved of it is no answer that a program could read. Where nothing is to be found and nothing was
    said the value is 1. Of several references, the one that the answer is nearest to counts.
    """

    name = "entity_f1"
    better: Literal["higher", "lower"] = "higher"
    needs = REFERENCES
    parts: tuple[str, ...] = ("tp", "fp", "fn")

    def __init__(self, *, task: Task) -> None:
        del task  # every language is read alike

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return score_each(examples, answers, self._judge)

    def _judge(self, example: Example, answer: Answer) -> Score:
        right = [_reference(example, text) for text in example.references]
        try:
            said = read_entities(answer.text)
        except ValueError:
            return Score("scored", 0.0, nonzero({"fp": 1.0, "fn": min(map(len, right))}))
        counts = np.array([[len(said & one), len(said - one), len(one - said)] for one in right], dtype=np.float64)
        values = _f1(counts)
        best = int(values.argmax())
        return Score("scored", float(values[best]), nonzero(dict(zip(self.parts, counts[best], strict=True))))

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        return np.where(np.asarray(n) > 0, _f1(totals), np.nan)


def read_entities(text: str) -> Entities:
    """The entities of a JSON text. Raises ValueError for a text of another form."""
    value = read_json(text)
    if isinstance(value, dict):
        pairs = [(type, found) for type, texts in value.items() for found in _listed(texts)]
    elif isinstance(value, list):
        pairs = [_pair(item) for item in value]
    else:
        raise ValueError("it is neither an object nor a list")
    return frozenset((normalise_label(type), normalise_label(found)) for type, found in pairs)


def _listed(texts: Any) -> list[str]:
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError("the value of a type is no list of texts")
    return texts


def _pair(item: Any) -> tuple[str, str]:
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("type", "text")):
        raise ValueError("an entity has no type and text")
    return item["type"], item["text"]


def _reference(example: Example, text: str) -> Entities:
    try:
        return read_entities(text)
    except ValueError as error:
        raise DataError("E2841", where=example.id, example=example.id, reason=str(error)) from error


def _f1(counts: Floats) -> Floats:
    """[..., 3] -> [...]: F1 of tp, fp, fn; 1 where all are 0."""
    tp, wrong = counts[..., 0], counts[..., 1] + counts[..., 2]
    out: Floats = np.ones(counts.shape[:-1])
    np.divide(tp, tp + wrong / 2, out=out, where=tp + wrong > 0)
    return out
