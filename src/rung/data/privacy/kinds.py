"""The kinds of personal data that are looked for, from `kinds.json` beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rung.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of personal data."""

    name: str
    tag: str
    """What stands in its place, as [PHONE_3]."""
    format: bool
    """Whether it has a written form that can be checked; otherwise finding it is a guess from the words around it."""
    priority: int
    """Where two findings share characters, the kind with the higher number stays."""
    default: bool
    """Looked for where nobody names kinds: web addresses, ages and organisations are not, alone they name no person."""
    en: str
    zh: str

    def word(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@cache
def kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    listed: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("kinds.json").read_text("utf-8"))
    return {name: Kind(**{"name": name, "default": True, **line}) for name, line in listed.items()}


@cache
def wanted(names: tuple[str, ...] | None) -> frozenset[str]:
    """Names of the kinds to look for: the usual ones for None, every one for ['all'].

    Raises UsageError E2910 for a kind that does not exist.
    """
    known = kinds()
    if names is None:
        return frozenset(name for name, kind in known.items() if kind.default)
    if "all" in names:
        return frozenset(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError("E2910", kinds=", ".join(unknown), known=", ".join(known))
    return frozenset(names)
