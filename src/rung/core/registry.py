"""Parts by name: the only place that imports a part, and only when it is asked for.

Built-in parts are listed in `parts.json` beside this file; a package of your own adds parts through an entry point in group
`rung.models`, `rung.encoders`, `rung.metrics`, `rung.methods`, `rung.retrievers`, `rung.wordings`, `rung.rerankers` or `rung.steps`.
"""

from __future__ import annotations

import difflib
import importlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from rung.core.errors import UsageError

KINDS = ("model", "encoder", "metric", "method", "retriever", "wording", "reranker", "step")


@dataclass(frozen=True)
class Part:
    """One registered part: where it lives, one line about it, and the extra it needs."""

    kind: str
    name: str
    target: str
    about: str = ""
    extra: str = ""


@cache
def parts(kind: str) -> dict[str, Part]:
    """Every part of a kind, by name; nothing is imported."""
    listed = json.loads(Path(__file__).with_name("parts.json").read_text("utf-8")).get(kind, {})
    found = {name: Part(kind, name, **line) for name, line in listed.items()}
    for point in metadata.entry_points(group=f"rung.{kind}s"):
        found.setdefault(point.name, Part(kind, point.name, point.value, about=f"from {point.module.split('.')[0]}"))
    return found


def find(kind: str, name: str) -> Any:
    """The class or function registered under a name.

    Raises UsageError E1101 for an unknown name, E1102 where the package it needs is not installed.
    """
    known = parts(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            "E1101",
            kind=kind,
            name=name,
            known=", ".join(sorted(known)),
            near=f" Did you mean '{near[0]}'?" if near else "",
        )
    part = known[name]
    module, _, attribute = part.target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("rung"):
            raise
        raise UsageError("E1102", kind=kind, name=name, package=error.name, extra=part.extra or "all") from error


def create(kind: str, name: str, /, **arguments: Any) -> Any:
    """Build a part by name with plain arguments."""
    return find(kind, name)(**arguments)
