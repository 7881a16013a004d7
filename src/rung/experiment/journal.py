"""A method's notebook in its working folder: trials and notes survive a kill, and are read again on resume."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rung.core.append_log import AppendLog, read_log
from rung.core.durable import write_json
from rung.core.hashing import hash_json
from rung.core.method import Trial
from rung.store.records import TrialRecord


class FileJournal:
    """`trials.jsonl` and `notes.json` of one cell."""

    def __init__(self, folder: Path) -> None:
        self._trials = folder / "trials.jsonl"
        self._notes = folder / "notes.json"
        self.trials = [Trial(**line) for line in read_log(self._trials)]
        self.notes: dict[str, Any] = json.loads(self._notes.read_text("utf-8")) if self._notes.is_file() else {}

    def find(self, setting: dict[str, Any]) -> Trial | None:
        wanted = hash_json(setting)
        return next((trial for trial in self.trials if hash_json(trial.setting) == wanted), None)

    def add(self, trial: Trial) -> None:
        with AppendLog(self._trials) as log:
            log.add([asdict(trial)])
        self.trials.append(trial)

    def note(self, key: str, value: Any) -> None:
        self.notes[key] = value
        write_json(self._notes, self.notes)

    def records(self) -> tuple[TrialRecord, ...]:
        return tuple(TrialRecord(**asdict(trial)) for trial in self.trials)
