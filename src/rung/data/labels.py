"""Labels as people type them: empty ones, several in one cell, and near misses of a known label."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from rung.core.task import Example
from rung.text.normalise import normalise_key

NOTHING = frozenset({"none", "null", "nan", "n/a", "#n/a", "nil", "<na>"})
"""What programs write for a missing value."""
_SEPARATOR = re.compile(r"\s*[,;|/，；、]\s*")


def means_nothing(label: str) -> bool:
    """Whether a label is what a program writes for a missing value ('None', 'nan')."""
    return label.strip().lower() in NOTHING


def split_labels(value: str, known: Collection[str]) -> list[str]:
    """The labels in 'a; b' where every part is a known one; else nothing."""
    parts = [part for part in _SEPARATOR.split(value.strip()) if part]
    return parts if len(parts) > 1 and all(part in known for part in parts) else []


def nearest_label(value: str, known: Iterable[str]) -> str | None:
    """The known label that a value equals but for case, width, spaces or punctuation. A suggestion, never applied."""
    key = normalise_key(value)
    return next((label for label in known if normalise_key(label) == key), None)


def label_variants(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of labels that differ only in case, width, spaces or punctuation: probably one label each."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels)):
        groups[normalise_key(label)].append(label)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def labels_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """Every label that occurs, sorted."""
    return tuple(sorted({label for example in examples for label in example.references}))
