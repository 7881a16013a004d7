"""Training rows: what the candidate will see in production, rendered by the same code, with the answer it should give.

A row never retrieves itself: its own id, its group and its duplicates are kept out of the examples its prompt shows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.core.answer import Opened, prepare
from rung.core.model import Message, Request
from rung.core.task import Example
from rung.text.normalise import normalise_key


@dataclass(frozen=True)
class TrainingRow:
    """One rendered question with the text to be learned."""

    id: str
    request: Request
    target: str
    rejected: tuple[str, ...] = ()
    """Answers that are worse than the target: preference pairs."""
    liked: bool | None = None
    """A thumb up or down for the target, where no pair is known."""


def held_out(examples: Sequence[Example]) -> list[frozenset[str]]:
    """For each example, the ids that its own prompt must not show: itself, its group, and equal texts."""
    families: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        for family in _families(example):
            families[family].add(example.id)
    return [frozenset().union(*(families[family] for family in _families(example))) for example in examples]


def _families(example: Example) -> list[str]:
    found = [f"id:{example.id}", f"text:{normalise_key(example.asked)}"]
    return [*found, f"group:{example.group}"] if example.group else found


def render_rows(opened: Opened, examples: Sequence[Example]) -> list[TrainingRow]:
    """Rows of training examples, leave-one-out and leave-group-out."""
    requests = prepare(opened, examples, exclude=held_out(examples))
    return [
        TrainingRow(example.id, request, example.references[0], example.rejected, example.liked)
        for example, request in zip(examples, requests, strict=True)
        if example.references
    ]


def write_rows(path: Path, rows: Sequence[TrainingRow]) -> None:
    """One JSON object a line; passages and shots are left out, since the messages show them already."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            request = asdict(row.request)
            del request["passages"], request["shots"], request["found"]
            record: dict[str, Any] = {"id": row.id, "request": request, "target": row.target}
            if row.rejected:
                record["rejected"] = row.rejected
            if row.liked is not None:
                record["liked"] = row.liked
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[TrainingRow]:
    return [_row(json.loads(line)) for line in path.read_text("utf-8").split("\n") if line]


def _row(record: dict[str, Any]) -> TrainingRow:
    request = dict(record["request"])
    request["messages"] = tuple(Message(**message) for message in request["messages"])
    request["choices"] = tuple(request["choices"])
    request["stop"] = tuple(request.get("stop", ()))
    return TrainingRow(
        record["id"],
        Request(**request),
        record["target"],
        tuple(record.get("rejected", ())),
        record.get("liked"),
    )
