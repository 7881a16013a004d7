"""What a person asks of cleaning: which steps, with what arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rung.core.errors import UsageError
from rung.core.task import Frozen
from rung.data.cleaning.registry import TextStep, all_steps, text_step
from rung.text.script import WRITINGS


class Wanted(Frozen):
    """Steps by name; an argument of a step asks for that step."""

    steps: tuple[str, ...] = ()
    """Only these; the defaults when empty. Steps run in the order of the table, whatever the order here."""
    skip: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    min_chars: int = 0
    max_chars: int = 0
    script: Literal["", "simplified", "traditional"] = ""
    form: Literal["NFC", "NFKC"] = "NFC"
    answers: bool = False
    """Whether labels may be changed by the steps that change texts."""
    merge: Mapping[str, str] = {}
    """Labels to write otherwise: {'是 ': '是'}."""

    @property
    def names(self) -> tuple[str, ...]:
        """The steps to run, in their order.

        Raises UsageError E2270 for a name that is no step, E2271 for a step without the argument that it needs, E2272
        where no step is left, E2273 for limits that leave nothing, E2274 for a language that no script tells, E2275 for
        a merge map that goes in circles.
        """
        table = all_steps()
        known = [info.name for info in table]
        for name in (*self.steps, *self.skip):
            if name not in known:
                raise UsageError("E2270", name=name, known=", ".join(known))
        needed = {
            "script": ("--script", self.script),
            "language": ("--language", self.languages),
            "length": ("--min-chars or --max-chars", self.min_chars or self.max_chars),
            "labels": ("--merge", self.merge),
        }
        for name in self.steps:
            option, value = needed.get(name, ("", True))
            if not value:
                raise UsageError("E2271", name=name, option=option)
        if self.min_chars < 0 or self.max_chars < 0 or 0 < self.max_chars < self.min_chars:
            raise UsageError("E2273", min=self.min_chars, max=self.max_chars)
        for language in self.languages:
            if language not in WRITINGS:
                raise UsageError("E2274", value=language, known=", ".join(WRITINGS))
        twice = [new for old, new in self.merge.items() if new != old and self.merge.get(new, new) != new]
        if twice:
            raise UsageError("E2275", label=twice[0])
        asked = set(self.steps or (info.name for info in table if info.default))
        asked |= {name for name, (_, value) in needed.items() if value}
        chosen = tuple(name for name in known if name in asked and name not in self.skip)
        if not chosen:
            raise UsageError("E2272")
        return chosen

    def text_steps(self) -> tuple[TextStep, ...]:
        """The chosen steps that change a text by itself."""
        texts = {info.name for info in all_steps() if info.kind == "text"}
        return tuple(text_step(name, self.arguments(name)) for name in self.names if name in texts)

    def arguments(self, name: str) -> dict[str, Any]:
        """What a step was told, for the log."""
        given: dict[str, dict[str, Any]] = {
            "unicode": {"form": self.form},
            "script": {"to": self.script},
            "language": {"keep": list(self.languages)},
            "length": {"min": self.min_chars, "max": self.max_chars},
            "labels": {"merge": dict(self.merge)},
        }
        return given.get(name, {})
