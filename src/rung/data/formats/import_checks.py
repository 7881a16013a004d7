"""What a person should know about rows that come in: labels that say nothing or are written in several ways, and contradictions."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from rung.core.errors import DataError
from rung.data.findings import Finding
from rung.data.labels import label_variants, means_nothing, split_labels
from rung.data.privacy.redact import redact
from rung.data.record import Record
from rung.data.versions.version import Sample, Step
from rung.text.normalise import normalise_key
from rung.text.strict_json import read_json

_LONGEST_LABEL = 100
_SHOWN = 20


@dataclass(frozen=True)
class LabelCheck:
    """What was found, and which labels could be written as which other."""

    findings: tuple[Finding, ...]
    merges: Mapping[str, str]
    """A suggestion; applied only where a person hands it back with --merge-labels."""


def check_labels(records: Sequence[Record]) -> LabelCheck:
    """Empty labels, words for a missing value, several labels at once, variants of one label, and contradictions."""
    findings: list[Finding] = []
    merges: dict[str, str] = {}
    labelled = [record for record in records if record.answers]
    if are_labels([record.answers[0] for record in labelled]):
        counts = Counter(answer for record in labelled for answer in record.answers)
        empty = [r.id for r in records if not r.answers and not r.messages] + [
            r.id for r in labelled if not r.answers[0].strip()
        ]
        if empty:
            findings.append(Finding("warning", "E2255", {"n": len(empty), "total": len(records)}, tuple(empty)))
        nothing = [label for label in counts if means_nothing(label)]
        if nothing:
            listed = ", ".join(f"'{label}' ({counts[label]})" for label in nothing)
            findings.append(Finding("warning", "E2256", {"labels": listed}, _with(labelled, nothing)))
        several = [label for label in counts if split_labels(label, counts)]
        if several:
            findings.append(
                Finding("warning", "E2163", {"n": len(_with(labelled, several)), "labels": _listed(several)})
            )
        for variants in label_variants(label for label in counts if label.strip()):
            usual = max(variants, key=lambda label: (counts[label], label == normalize("NFKC", label).strip(), label))
            merges |= {label: usual for label in variants if label != usual}
            listed = ", ".join(f"'{label}' ({counts[label]})" for label in variants)
            findings.append(Finding("warning", "E2162", {"labels": listed}, _with(labelled, variants)))
    return LabelCheck((*findings, *_contradictions(labelled)), merges)


def are_labels(answers: Sequence[str]) -> bool:
    """Whether answers are short and repeat, as labels do and free text does not."""
    if len(answers) < 4:
        return False
    return len(set(answers)) <= len(answers) / 2 and max(map(len, answers)) <= _LONGEST_LABEL


def _contradictions(labelled: Sequence[Record]) -> list[Finding]:
    answers: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in labelled:
        if not record.messages:
            answers[normalise_key(record.question)][record.answers[0]].append(record.id)
    found = [said for said in answers.values() if len(said) > 1]
    if not found:
        return []
    listed = [
        " / ".join(f"{redact(ids[0])}: '{redact(answer)[:30]}'" for answer, ids in said.items())
        for said in found[:_SHOWN]
    ]
    rows = tuple(id for said in found for ids in said.values() for id in ids)
    return [Finding("warning", "E2264", {"n": len(found), "listed": "; ".join(listed)}, rows)]


def _with(records: Sequence[Record], labels: Sequence[str]) -> tuple[str, ...]:
    wanted = set(labels)
    return tuple(record.id for record in records if wanted & set(record.answers))


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:_SHOWN]) + (", ..." if len(items) > _SHOWN else "")


def read_merges(path: Path) -> dict[str, str]:
    """Which label is to be written as which: a JSON object, or a CSV of two columns. Raises DataError E2247."""
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix.lower() == ".json":
            value = read_json(text)
        else:
            value = {row[0]: row[1] for row in csv.reader(io.StringIO(text)) if row}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise DataError("E2247", str(path), detail=error) from error
    if not isinstance(value, dict) or not all(isinstance(to, str) for to in value.values()):
        raise DataError("E2247", str(path), detail="it is no object of texts")
    chained = [to for to in value.values() if value.get(to, to) != to]
    if chained:
        raise DataError("E2247", str(path), detail=f"'{chained[0]}' is merged itself")
    return value


@dataclass(frozen=True)
class Merged:
    """Records with labels written one way, and what that was."""

    records: tuple[Record, ...]
    step: Step


def merge_labels(records: Sequence[Record], merges: Mapping[str, str]) -> Merged:
    """Write labels as a person's map says; answers that are not in it stay to the letter."""
    changed: list[Record] = []
    samples: list[Sample] = []
    counts: Counter[str] = Counter()
    for record in records:
        answers = tuple(dict.fromkeys(merges.get(answer, answer) for answer in record.answers))
        if answers != record.answers:
            counts.update(answer for answer in record.answers if answer in merges)
            if len(samples) < 5:
                samples.append(
                    Sample(id=record.id, before=redact(record.answers[0]), after=redact(answers[0]), where="answers.0")
                )
            record = record.model_copy(update={"answers": answers})
        changed.append(record)
    touched = sum(new.answers != old.answers for new, old in zip(changed, records, strict=True))
    step = Step(
        name="merge_labels",
        arguments={"merges": dict(merges)},
        rows_before=len(records),
        rows_after=len(records),
        touched=touched,
        counts=dict(counts),
        samples=tuple(samples),
    )
    return Merged(tuple(changed), step)
