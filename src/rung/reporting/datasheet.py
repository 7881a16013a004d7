"""The datasheet of a data set: sources, licences, steps, counts and limits, as Markdown with the head of a Hugging Face card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from rung.core.task import Language
from rung.data.privacy.kinds import kinds
from rung.data.versions.dataset import DataSet
from rung.data.versions.version import Step, Version
from rung.reporting.words import Words

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_TASKS = {
    "answered": "question-answering",
    "dialogue": "text-generation",
    "preference": "text-generation",
    "feedback": "text-generation",
    "triplet": "sentence-similarity",
    "spans": "token-classification",
}
PRIVACY = ("mask", "privacy", "forget")
"""Steps that say something about personal data."""


def datasheet(dataset: DataSet, version: str = "", language: Language = "en") -> str:
    """A version's datasheet as Markdown. Raises as DataSet.version does."""
    words = Words(language)
    history = dataset.history(version)
    now = history[0]
    steps = [step for known in reversed(history) for step in known.steps]
    parts = [
        _head(dataset.name, now),
        f"# {dataset.name}",
        words("datasheet.intro", version=now.id, rows=f"{now.rows:,}", made=now.made),
        f"## {words('datasheet.content')}",
        _content(now, words),
        f"## {words('datasheet.sources')}",
        _sources(now, words),
        f"## {words('datasheet.steps')}",
        _steps(steps, words),
        f"## {words('datasheet.privacy')}",
        *_privacy(steps, now, words),
        f"## {words('datasheet.limits')}",
        *_limits(now, words),
        f"## {words('datasheet.versions')}",
        _versions(history, words),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(name: str, version: Version) -> str:
    """The YAML that Hugging Face reads; what nobody has said stays out, and several licences are 'other'."""
    licences = sorted({source.licence.lower() for source in version.sources if source.licence})
    known = len(licences) == 1 and not version.unlicensed
    head: dict[str, Any] = {
        "pretty_name": name,
        "language": sorted(language for language in version.languages if language),
        "license": licences[0] if known else "other" if licences else "unknown",
        "size_categories": [next((label for limit, label in _SIZES if version.rows < limit), "n>1M")],
        "task_categories": sorted({_TASKS[kind] for kind in version.kinds if kind in _TASKS}),
    }
    if version.synthetic:
        head["tags"] = ["synthetic"]
    written = yaml.safe_dump({k: v for k, v in head.items() if v}, allow_unicode=True, sort_keys=False)
    return f"---\n{written}---"


def _content(version: Version, words: Words) -> str:
    named = {words.known(f"datasheet.split.{name}", name): n for name, n in version.splits.items()}
    kinds = {words.known(f"datasheet.kind.{name}", name): n for name, n in version.kinds.items()}
    rows = [
        (words("datasheet.rows"), f"{version.rows:,}"),
        (words("datasheet.splits"), _counts(named, words)),
        (words("datasheet.kinds"), _counts(kinds, words)),
        (words("datasheet.languages"), _counts(version.languages, words)),
        (words("datasheet.synthetic"), f"{version.synthetic:,}"),
    ]
    return _table((words("datasheet.what"), words("datasheet.value")), rows)


def _sources(version: Version, words: Words) -> str:
    if not version.sources:
        return words("datasheet.no_sources")
    heads = [words(f"datasheet.{name}") for name in ("file", "rows", "format", "licence", "hash")]
    rows = [
        (
            source.name,
            f"{source.rows:,}",
            source.format,
            source.licence or words("datasheet.unsaid"),
            source.sha256[:12],
        )
        for source in version.sources
    ]
    lines = [f"- {source.name}: {' '.join(filter(None, (source.url, source.note)))}" for source in version.sources]
    notes = [line for line in lines if not line.endswith(": ")]
    return "\n\n".join(filter(None, (_table(heads, rows), "\n".join(notes))))


def _steps(steps: Sequence[Step], words: Words) -> str:
    if not steps:
        return words("datasheet.no_steps")
    heads = [words(f"datasheet.{name}") for name in ("step", "before", "after", "touched", "counts")]
    rows = [
        (step.name, f"{step.rows_before:,}", f"{step.rows_after:,}", f"{step.touched:,}", _counts(step.counts, words))
        for step in steps
    ]
    return _table(heads, rows)


def _privacy(steps: Iterable[Step], version: Version, words: Words) -> list[str]:
    done = [step for step in steps if step.name.split(".")[0] in PRIVACY]
    masked: Counter[str] = Counter()
    for step in done:
        if step.name == "mask":
            masked.update(step.counts)
    named = {kinds()[kind].word(words.language) if kind in kinds() else kind: n for kind, n in masked.items()}
    lines = [words("datasheet.masked", counts=_counts(named, words)) if masked else words("datasheet.unmasked")]
    if version.forgotten:
        lines.append(words("datasheet.forgotten", n=version.forgotten))
    return lines


def _limits(version: Version, words: Words) -> list[str]:
    limits = []
    if version.unlicensed:
        limits.append(words("datasheet.limit.unlicensed", names=words.join([s.name for s in version.unlicensed])))
    if version.synthetic:
        limits.append(words("datasheet.limit.synthetic", share=f"{version.synthetic / version.rows:.0%}"))
    unanswered = version.kinds.get("unanswered", 0)
    if unanswered:
        limits.append(words("datasheet.limit.unanswered", n=unanswered))
    if set(version.splits) == {""}:
        limits.append(words("datasheet.limit.unsplit"))
    return ["\n".join(f"- {limit}" for limit in limits)] if limits else [words("datasheet.limit.none")]


def _versions(history: Sequence[Version], words: Words) -> str:
    heads = [words(f"datasheet.{name}") for name in ("version", "made", "rows", "step")]
    rows = [(v.id, v.made, f"{v.rows:,}", words.join([step.name for step in v.steps])) for v in history]
    return _table(heads, rows)


def _counts(counts: dict[str, int] | Counter[str], words: Words) -> str:
    return words.join([f"{name or '-'} {n:,}" for name, n in counts.items()])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )
