"""What a search over hyper-parameters looks among: ranges and choices by kind of adapter, or those of task.yaml."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from rung.core.errors import UsageError
from rung.training.settings import TrainSettings

_ABOUT_THE_RUN = frozenset(
    {"seed", "max_steps", "max_seconds", "max_length", "evaluations", "patience", "save_steps", "micro_tokens"}
    | {"gradient_checkpointing", "generations"}
)
"""Settings that say how a training is run and watched; trying others would not be a fair comparison."""
_DEFAULTS = {field.name: field.default for field in fields(TrainSettings)}
SEARCHABLE = frozenset(_DEFAULTS) - _ABOUT_THE_RUN
_FRACTIONS = frozenset(name for name in SEARCHABLE if isinstance(_DEFAULTS[name], float)) | {"learning_rate"}
_LOG_RATIO = 10.0
"""A range whose ends are so many times apart is searched by orders of magnitude."""


@dataclass(frozen=True)
class Range:
    """All numbers between two."""

    low: float
    high: float
    log: bool = False

    def nearest(self, value: Any) -> Any:
        return min(self.high, max(self.low, float(value)))

    def holds(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    @property
    def told(self) -> str:
        return f"{self.low:g} - {self.high:g}"


@dataclass(frozen=True)
class Choices:
    """A few values."""

    values: tuple[Any, ...]

    def nearest(self, value: Any) -> Any:
        if value in self.values:
            return value
        if all(isinstance(known, (int, float)) for known in (value, *self.values)):
            return min(self.values, key=lambda known: abs(known - value))
        return self.values[0]

    def holds(self, value: Any) -> bool:
        return value in self.values

    @property
    def told(self) -> str:
        return ", ".join(map(str, self.values))


Space = Mapping[str, Range | Choices]


@cache
def _table() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("spaces.json").read_text("utf-8"))
    return found


def usual_space(settings: TrainSettings) -> Space:
    """What is searched where task.yaml names nothing; `around`: so many times the setting that the search starts from."""
    space: dict[str, Range | Choices] = {}
    for name, row in _table().items():
        if settings.adapter not in row["adapters"]:
            continue
        if "choices" in row:
            space[name] = Choices(tuple(row["choices"]))
        elif "range" in row:
            low, high = row["range"]
            space[name] = Range(low, high, row.get("log", False))
        else:
            low, high = (_rounded(start_of(settings, name) * times) for times in row["around"])
            space[name] = Range(low, high, row.get("log", False))
    return space


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def asked_space(asked: Mapping[str, Any], settings: TrainSettings, searchable: frozenset[str] = SEARCHABLE) -> Space:
    """The ranges of task.yaml: two numbers of a setting that is a fraction are ends, anything else is a list of choices.

    Raises UsageError E2441 for a name that cannot be searched, E2442 for values that are no range, E2460 for impossible ones.
    """
    for name in asked:
        if name not in searchable:
            raise UsageError("E2441", name=name, known=", ".join(sorted(searchable)))
    return {name: _asked(name, values, settings) for name, values in asked.items()}


def _asked(name: str, values: Any, settings: TrainSettings) -> Range | Choices:
    numeric = not isinstance(_DEFAULTS[name], str)
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) < 2 or _odd(values, numeric):
        raise UsageError("E2442", name=name, value=values)
    for value in values:
        replace(settings, **{name: value})
    if name in _FRACTIONS and len(values) == 2:
        low, high = map(float, values)
        if not low < high:
            raise UsageError("E2442", name=name, value=values)
        return Range(low, high, log=low > 0 and (high / low >= _LOG_RATIO or name == "learning_rate"))
    return Choices(tuple(dict.fromkeys(values)))


def _odd(values: Sequence[Any], numeric: bool) -> bool:
    if not numeric:
        return not all(isinstance(value, str) for value in values)
    return not all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) for value in values
    )


def start_of(settings: TrainSettings, name: str) -> Any:
    """The value that a search starts from."""
    return settings.rate if name == "learning_rate" else getattr(settings, name)


def with_values(settings: TrainSettings, values: Mapping[str, Any]) -> TrainSettings:
    """Settings with other values. `alpha` goes with the rank, so that one learning rate means the same at every rank."""
    changed = dict(values)
    if "rank" in changed and "alpha" not in changed:
        changed["alpha"] = max(1, round(settings.alpha * changed["rank"] / settings.rank))
    return replace(settings, **changed)
