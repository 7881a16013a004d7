"""Who may see which document, and what a search may be narrowed by: `access.yaml` beside the documents, as the team writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, Problem
from rung.core.task import Document
from rung.data.documents import DocumentsResult

NAME = "access.yaml"


@dataclass(frozen=True)
class Rules:
    """Patterns over documents' ids, in the order of the file. `*` stands for any characters, `/` among them.

    Of several patterns that match a document, the last one says its labels; metadata add up, the later key wins.
    """

    access: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def rules_path(source: Path) -> Path:
    """Where the rules of some documents lie: in their folder, or beside an archive or a file with its name in front."""
    return source / NAME if source.is_dir() else source.with_name(f"{source.name}.{NAME}")


def read_rules(path: Path) -> Rules | None:
    """None where there is no such file. Raises DataError E2714 where it cannot be read as rules."""
    import yaml

    try:
        given = yaml.safe_load(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError("E2714", str(path), reason=" ".join(str(error).split())) from error
    try:
        return _rules(given)
    except ValueError as error:
        raise DataError("E2714", str(path), reason=str(error)) from error


def _rules(given: Any) -> Rules:
    if not isinstance(given, dict) or not given or given.keys() - {"access", "metadata"}:
        raise ValueError("it holds `access`, `metadata` or both, and nothing else")
    access = {}
    for pattern, labels in _mapping(given, "access").items():
        if not isinstance(labels, list) or not all(isinstance(label, str) and label.strip() for label in labels):
            raise ValueError(f"access of '{pattern}' is no list of labels")
        access[pattern] = tuple(labels)
    metadata = {}
    for pattern, pairs in _mapping(given, "metadata").items():
        if not isinstance(pairs, dict) or not all(isinstance(value, str | int | float) for value in pairs.values()):
            raise ValueError(f"metadata of '{pattern}' are no pairs of a name and a value")
        metadata[pattern] = {str(name): str(value) for name, value in pairs.items()}
    return Rules(access, metadata)


def _mapping(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = given.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(pattern, str) for pattern in found):
        raise ValueError(f"`{name}` does not map patterns to what they mean")
    return found


def with_rules(result: DocumentsResult, source: Path) -> DocumentsResult:
    """Documents with the labels and metadata that the rules beside them give.

    Raises DataError E2714 where the rules cannot be read, E2715 for patterns that match no file at all, not even one that
    could not be read: what they were to protect might be open to everyone.
    """
    rules = read_rules(rules_path(source))
    if rules is None:
        return result
    names = [*(d.id for d in result.documents), *result.copies, *(failed.id for failed in result.failed)]
    idle = [
        pattern
        for pattern in {**rules.access, **rules.metadata}
        if not any(fnmatchcase(name, pattern) for name in names)
    ]
    if idle:
        where = str(rules_path(source))
        raise DataError("E2715", problems=[Problem("E2715", where, {"pattern": pattern}) for pattern in idle])
    return replace(result, documents=tuple(_marked(document, rules) for document in result.documents))


def _marked(document: Document, rules: Rules) -> Document:
    labels = [labels for pattern, labels in rules.access.items() if fnmatchcase(document.id, pattern)]
    metadata: dict[str, str] = {}
    for pattern, pairs in rules.metadata.items():
        if fnmatchcase(document.id, pattern):
            metadata |= pairs
    return replace(document, access=labels[-1] if labels else (), metadata=metadata)
