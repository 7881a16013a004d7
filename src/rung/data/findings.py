"""A finding: something about the data that a person should know before trusting a score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from rung.core.errors import Problem

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation. Its text is a code of the message catalogue, E2150-E2199."""

    level: Level
    code: str
    values: dict[str, Any] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    """Ids of the examples or documents concerned."""

    def message(self, language: str = "en") -> str:
        return Problem(self.code, "", self.values).message(language)

    def hint(self, language: str = "en") -> str:
        return Problem(self.code, "", self.values).hint(language)

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "code": self.code, "values": dict(self.values), "rows": list(self.rows)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Finding:
        return cls(value["level"], value["code"], dict(value["values"]), tuple(value["rows"]))
