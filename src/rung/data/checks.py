"""What a person should know about the data before any money is spent: for `rung check` and the report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from rung.core.task import Document, Example, Task
from rung.data.findings import Finding
from rung.data.labels import label_variants, split_labels
from rung.data.leakage.copies import CopySearch, Pair, find_duplicates
from rung.data.leakage.keys import text_key
from rung.data.privacy.redact import redact
from rung.data.split import FEWEST
from rung.text.normalise import normalise_key
from rung.text.script import language_of

FEW_PER_LABEL = 5
_LONG = 10
"""A text is an outlier from this many times the median length ..."""
_LONG_AT_LEAST = 1000
"""... and this many characters."""
_MIXED = 0.05
_SHOWN = 20
_ANSWER = 40
"""Characters of an answer that a finding shows."""
_LEFTOVERS = {
    "E2168": re.compile("\ufffd"),
    "E2169": re.compile(r"Ã[\x80-\xbf]|â€[™œ\x9d\x93\x94]|ï»¿|锟斤拷|烫烫烫|屯屯屯"),
    "E2170": re.compile(r"</?[a-z][a-z0-9]*(\s[^<>]{0,200})?/?>|&(nbsp|amp|lt|gt|quot|#\d{1,6});", re.IGNORECASE),
    # Zero-width joiners stay out: emoji and Persian need them.
    "E2171": re.compile(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
    ),
}


def check_data(examples: Sequence[Example], task: Task, documents: Sequence[Document] = ()) -> list[Finding]:
    """Everything worth saying about a data set, the gravest first."""
    found = [
        *_sizes(examples, task),
        *(_labels(examples) if task.output.kind == "label" else ()),
        *_repeats(examples),
        *_lengths(examples),
        *_languages(examples, task),
        *_leftovers({example.id: example.text for example in examples}),
        *_leftovers({document.id: document.text for document in documents}),
        *_documents(examples, documents),
    ]
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _sizes(examples: Sequence[Example], task: Task) -> Iterator[Finding]:
    answers = Counter(example.references[0] for example in examples)
    yield Finding("info", "E2160", {"n": len(examples), "answers": len(answers)})
    if len(examples) < FEWEST:
        yield Finding("error", "E2130", {"found": len(examples), "needed": FEWEST})
    if len(examples) > 1 and len({text_key(example) for example in examples}) == 1:
        yield Finding("error", "E2131", {"found": len(examples)})
    if task.output.kind == "label" and len(answers) == 1:
        yield Finding("error", "E2132", {"label": next(iter(answers))})


def _labels(examples: Sequence[Example]) -> Iterator[Finding]:
    counts = Counter(example.references[0] for example in examples)
    few = [label for label, n in sorted(counts.items()) if n < FEW_PER_LABEL]
    if few:
        listed = _listed([f"{label} ({counts[label]})" for label in few])
        rows = tuple(example.id for example in examples if example.references[0] in set(few))
        yield Finding("warning", "E2161", {"n": len(few), "limit": FEW_PER_LABEL, "labels": listed}, rows)
    for variants in label_variants(counts):
        listed = ", ".join(f"'{label}' ({counts[label]})" for label in variants)
        rows = tuple(example.id for example in examples if example.references[0] in variants)
        yield Finding("warning", "E2162", {"labels": listed}, rows)
    several = [label for label in counts if split_labels(label, counts)]
    if several:
        rows = tuple(example.id for example in examples if example.references[0] in several)
        yield Finding("warning", "E2163", {"n": len(rows), "labels": _listed(several)}, rows)


def _repeats(examples: Sequence[Example]) -> Iterator[Finding]:
    report = find_duplicates({"": examples}, CopySearch())
    near = [pair for pair in report.pairs if pair.kind == "near"]
    same = [pair for pair in report.pairs if pair.kind != "near"]
    if same:
        values = {kind: sum(pair.kind == kind for pair in same) for kind in ("exact", "normalised")}
        yield Finding("warning", "E2164", {"n": len(same), **values}, _ids(same))
    if near:
        rows = _ids(near)
        yield Finding("info", "E2174", {"n": len(rows), "total": len(examples)}, rows)
    if report.conflicts:
        by_id = {example.id: example for example in examples}
        listed = _listed([_both(pair, by_id) for pair in report.conflicts])
        yield Finding("warning", "E2165", {"n": len(report.conflicts), "listed": listed}, _ids(report.conflicts))


def _both(pair: Pair, by_id: Mapping[str, Example]) -> str:
    """Both answers of a contradiction, with the ids of their rows."""
    told = (f"{redact(id)}: '{redact(by_id[id].references[0])[:_ANSWER]}'" for id in (pair.first.id, pair.second.id))
    return " / ".join(told)


def _ids(pairs: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id for pair in pairs for id in (pair.first.id, pair.second.id)))


def _lengths(examples: Sequence[Example]) -> Iterator[Finding]:
    lengths = {example.id: len(example.asked) for example in examples}
    if not lengths:
        return
    usual = median(lengths.values())
    long = tuple(id for id, length in lengths.items() if length >= max(_LONG * usual, _LONG_AT_LEAST))
    if long:
        yield Finding(
            "warning", "E2166", {"n": len(long), "median": round(usual), "longest": max(lengths.values())}, long
        )


def _languages(examples: Sequence[Example], task: Task) -> Iterator[Finding]:
    other = tuple(example.id for example in examples if language_of(example.text) != task.language)
    if len(other) > _MIXED * len(examples):
        yield Finding("warning", "E2167", {"n": len(other), "total": len(examples), "language": task.language}, other)


def _leftovers(texts: Mapping[str, str]) -> Iterator[Finding]:
    for code, pattern in _LEFTOVERS.items():
        rows = tuple(id for id, text in texts.items() if pattern.search(text))
        if rows:
            yield Finding("warning", code, {"n": len(rows), "first": _listed(rows[:3])}, rows)


def _documents(examples: Sequence[Example], documents: Sequence[Document]) -> Iterator[Finding]:
    known = {document.id for document in documents}
    lost = [(example.id, name) for example in examples for name in example.documents if name not in known]
    if documents and lost:
        names = sorted({name for _, name in lost})
        yield Finding("warning", "E2172", {"n": len(lost), "names": _listed(names)}, tuple(dict(lost)))
    homes: dict[str, str] = {}
    twice: list[str] = []
    for document in documents:
        first = homes.setdefault(normalise_key(document.text), document.id)
        if first != document.id:
            twice += [f"{document.id} = {first}"]
    if twice:
        yield Finding("warning", "E2173", {"n": len(twice), "pairs": _listed(twice)})


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:_SHOWN]) + (", ..." if len(items) > _SHOWN else "")
