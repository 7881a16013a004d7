"""The exception tree: every mistake a user can make, with a stable code and a message in English and Chinese.

RungError
├── UsageError        exit 2   E1xxx  task.yaml, arguments, a missing optional package
├── DataError         exit 3   E2xxx  examples, documents, splits, recorded answers
├── BackendError      exit 4   E3xxx  a model or encoder that cannot be reached or loaded
├── InterruptedRun    exit 5   E4xxx  stopped or in use by another process: the same command resumes
├── TargetNotMet      exit 6   E6xxx  the run finished; no candidate meets the target
└── WriteError        exit 7   E5xxx  disk full, read-only, no permission

Texts live in `messages.json` beside this file: {code: {en, zh, hint_en, hint_zh}}; `{name}` marks a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

_MARK = re.compile(r"\{(\w+)\}")


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every error code with its texts."""
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("messages.json").read_text("utf-8"))
    return found


def _fill(text: str, values: dict[str, Any]) -> str:
    # In one pass, and without str.format: a value may hold braces (a prompt, a JSON row) and is shown as it is.
    return _MARK.sub(lambda mark: str(values.get(mark[1], mark[0])), text)


@dataclass(frozen=True)
class Problem:
    """One mistake: its code, where it is (file:line or a field path) and the values its text names."""

    code: str
    where: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    def message(self, language: str = "en") -> str:
        return _fill(catalogue()[self.code][language], self.values)

    def hint(self, language: str = "en") -> str:
        return _fill(catalogue()[self.code].get(f"hint_{language}", ""), self.values)


def in_words(reason: str, language: str = "en") -> str:
    """A blocker or reason as records keep it: a code of the catalogue by its text, a sentence as it is."""
    return Problem(reason).message(language) if reason in catalogue() else reason


class RungError(Exception):
    """Base of every error Rung raises on purpose; carries one or more `Problem`s, reported together."""

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, where: str = "", *, problems: Sequence[Problem] = (), **values: Any) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems) or (Problem(code, where, values),)
        super().__init__(code)

    @property
    def code(self) -> str:
        return self.problems[0].code

    def lines(self, language: str = "en") -> Iterator[str]:
        """What is wrong and where, one line a problem; then a blank line and a hint for each distinct next step."""
        for problem in self.problems:
            place = f"{problem.where}: " if problem.where else ""
            yield f"{place}{problem.message(language)} [{problem.code}]"
        hints = dict.fromkeys(hint for p in self.problems if (hint := p.hint(language)))
        if hints:
            yield ""
        for hint in hints:
            yield f"hint: {hint}" if language == "en" else f"提示：{hint}"

    def __str__(self) -> str:
        return "\n".join(self.lines())


class UsageError(RungError):
    exit_code = 2


class DataError(RungError):
    exit_code = 3


class BackendError(RungError):
    exit_code = 4


class InterruptedRun(RungError):
    exit_code = 5


class TargetNotMet(RungError):
    exit_code = 6


class WriteError(RungError):
    exit_code = 7
