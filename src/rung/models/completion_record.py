"""Completions as JSON values and back, for the files that keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rung.core.model import Completion, Failure


def write_completion(completion: Completion) -> dict[str, Any]:
    """Every field, by name."""
    return asdict(completion)


def read_completion(record: Mapping[str, Any]) -> Completion:
    """The completion of a record. Raises TypeError, ValueError or KeyError for what is none."""
    fields = dict(record)
    failure = fields.pop("failure", None)
    scores = tuple(float(score) for score in fields.pop("choice_scores", ()))
    if not isinstance(fields.get("text", ""), str):
        raise TypeError("text")
    return Completion(**fields, choice_scores=scores, failure=Failure(**failure) if failure is not None else None)
