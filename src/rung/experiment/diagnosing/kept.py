"""Answers kept as they come, so that a measurement that was stopped goes on; and models that are asked the same again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.core.answer import Opened, answer_stream
from rung.core.append_log import AppendLog, read_log
from rung.core.evaluation import Answer, Row
from rung.core.method import Progress
from rung.core.model import Completion, Model, Request
from rung.core.task import Example
from rung.store.runs import row_from, row_record

_CHUNK = 32


class Repeated:
    """A model asked for the nth time: a cache in front of an endpoint then gives another answer, not the kept one."""

    def __init__(self, model: Model, repeat: int) -> None:
        self._model, self._repeat = model, repeat
        self.ref, self.capabilities = model.ref, model.capabilities

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return self._model.generate([replace(request, repeat=self._repeat) for request in requests])


def is_deterministic(model: Model) -> bool:
    """Whether it runs in this process and always takes the likeliest token: in equal batches it answers alike.

    In another batch, rounding may tip an answer. An endpoint may answer otherwise at any time, even at temperature 0.
    """
    return model.capabilities.trainable or not model.capabilities.language_model


def answers_kept(
    path: Path,
    opened: Opened,
    examples: Sequence[Example],
    progress: Progress,
    *,
    note: str = "",
    known: Mapping[str, Answer] | None = None,
) -> dict[str, Answer]:
    """Every example's answer by id: from `known`, from what the file holds, and the rest asked and added to the file."""
    rows: list[Any] = read_log(path)
    kept = {**(known or {}), **{row.answer.example: row.answer for row in map(row_from, rows)}}
    left = [example for example in examples if example.id not in kept]
    done = len(examples) - len(left)
    progress.update(done, len(examples), note)
    if left:
        with AppendLog(path) as log:
            for part in answer_stream(opened, left, chunk=_CHUNK):
                log.add([row_record(Row(answer, {}, example.group)) for example, _, answer in part])
                kept |= {answer.example: answer for _, _, answer in part}
                done += len(part)
                progress.update(done, len(examples), note)
    return {example.id: kept[example.id] for example in examples}
