"""Requests put to the model before and after tuning, one model in memory at a time; every answer is kept as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rung.core.append_log import AppendLog, read_log
from rung.core.hashing import hash_json
from rung.core.method import Progress
from rung.core.model import Completion, Model, Request
from rung.models.completion_record import read_completion, write_completion

Side = Literal["before", "after"]
Sheets = Mapping[str, Sequence[Request]]
"""Requests by what they are for."""
_CHUNK = 16


@dataclass(frozen=True)
class Sitting:
    """One model and what it is asked."""

    side: Side
    open: Callable[[], Model]
    """Called only where a request has no answer yet: reading weights takes longer than a few answers."""
    sheets: Sheets


def sit(sitting: Sitting, folder: Path, progress: Progress) -> dict[str, list[Completion]]:
    """Every sheet's answers, in order; those that `<folder>/<side>.jsonl` holds are not asked again."""
    opened: list[Model] = []

    def open_once() -> Model:
        opened.append(sitting.open())
        return opened[0]

    path = folder / f"{sitting.side}.jsonl"
    answers = completions_kept(path, open_once, sitting.sheets, progress, note=sitting.side)
    for model in opened:
        if hasattr(model, "release"):
            model.release()
    return answers


def completions_kept(
    path: Path, open: Callable[[], Model], sheets: Sheets, progress: Progress, *, note: str
) -> dict[str, list[Completion]]:
    """Every sheet's answers, in order. A request is asked once, however many sheets hold it, and never again where `path` has it."""
    kept = {line["key"]: read_completion(line["completion"]) for line in read_log(path)}
    keys = {name: [_key(request) for request in sheet] for name, sheet in sheets.items()}
    missing = {
        key: request
        for name, sheet in sheets.items()
        for key, request in zip(keys[name], sheet, strict=True)
        if key not in kept
    }
    if missing:
        model = open()
        left, done = list(missing.items()), 0
        with AppendLog(path) as log:
            for start in range(0, len(left), _CHUNK):
                part = left[start : start + _CHUNK]
                answers = model.generate([request for _, request in part])
                fresh = {key: answer for (key, _), answer in zip(part, answers, strict=True)}
                log.add([{"key": key, "completion": write_completion(answer)} for key, answer in fresh.items()])
                kept |= fresh
                done += len(part)
                progress.update(done, len(left), note)
    return {name: [kept[key] for key in of_sheet] for name, of_sheet in keys.items()}


def _key(request: Request) -> str:
    asked = [[asdict(message) for message in request.messages], request.choices, request.max_tokens]
    return hash_json([*asked, request.json_schema])
