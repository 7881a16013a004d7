"""The quality check: every measure in turn, what applies to these rows, and what is said where one does not."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import create_encoder
from rung.core.errors import BackendError, DataError
from rung.core.hashing import seed_from
from rung.data.leakage.keys import keys_of
from rung.data.quality.annotators import annotator_agreement
from rung.data.quality.answers import WEIGHTS, find_faults
from rung.data.quality.copies import Repeats, copied_rows, count_copies, find_repeats
from rung.data.quality.coverage import cover
from rung.data.quality.notes import take_notes
from rung.data.quality.personal import count_personal, unreadable
from rung.data.quality.ranking import rank_rows
from rung.data.quality.record import (
    Agreement,
    Coverage,
    Diversity,
    Fault,
    Look,
    Personal,
    Quality,
    Reason,
    Skipped,
    Topics,
    Volume,
)
from rung.data.quality.topics import FEWEST_ROWS as FEWEST_FOR_TOPICS
from rung.data.quality.topics import cluster, describe_topics, strangers
from rung.data.quality.units import units_of
from rung.data.quality.vocabulary import count_vocabulary, measure_lengths, odd_lengths
from rung.data.quality.volume import FEW, count_labels
from rung.data.record import Record
from rung.experiment.inspecting.labels import Judged, judge_labels
from rung.experiment.inspecting.material import Material
from rung.experiment.inspecting.vectors import TFIDF, encoded_vectors, tfidf_vectors, vector_file
from rung.retrieval.chunk import chunk_documents
from rung.retrieval.lexical import build_lexical

Progress = Callable[[float, float, str], None]

AUTO = "auto"
SHOWN = 50
"""Rows that the page and quality.json hold; rows.jsonl has all."""
_CONFLICTS_SHOWN = 20
_IDS_SHOWN = 20
_ODD = 4.0
"""Robust standard deviations from which a length is odd."""
_MOST_ODD = 0.02
"""Share of rows that may be odd: beyond it lengths simply vary."""
_DUPLICATE = {False: 0.15, True: 0.35}
"""Weight of a copy, by whether the earlier row lies in another split."""
_CONFLICT = 0.7
_LENGTH = 0.25
_STRANGER = 0.25
_PERSONAL = 0.3
_SECTION_WORDS = 140


@dataclass(frozen=True)
class Settings:
    """How to look. `encoder`: 'minilm', 'tfidf', 'folder:PATH'; 'auto' is minilm for English and tfidf otherwise."""

    encoder: str = AUTO
    quick: bool = False
    """TF-IDF, one draw of the learning curve."""
    cache: Path | None = None
    """Where sentence vectors are kept from one check to the next."""


@dataclass(frozen=True)
class Inspection:
    """The record, and all rows to look at; those of test are apart."""

    quality: Quality
    rows: tuple[Look, ...]
    test_rows: tuple[Look, ...]


@dataclass
class _Work:
    """What is gathered on the way."""

    material: Material
    settings: Settings
    progress: Progress
    keys: list[str]
    units: NDArray[np.int64]
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    reasons: dict[int, list[Reason]] = field(default_factory=lambda: defaultdict(list))

    @property
    def records(self) -> tuple[Record, ...]:
        return self.material.records

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        self.progress(0, 0, name)
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)

    def skip(self, measure: str, code: str, **values: Any) -> None:
        self.skipped.append(Skipped(measure=measure, code=code, values=values))


def inspect_quality(
    material: Material, settings: Settings | None = None, progress: Progress | None = None
) -> Inspection:
    """Take every measure that applies.

    Labels of test rows are judged by a head that has seen none of them, counted and listed apart; nothing else here
    depends on them. Raises DataError E2881 for no rows, BackendError for an encoder that cannot be opened.
    """
    records = material.records
    if not any(record.question.strip() for record in records):
        raise DataError("E2881", material.name)
    keys = keys_of([record.question for record in records])
    units = units_of(records, keys)
    work = _Work(material, settings or Settings(), progress or (lambda done, total, note: None), keys, units)
    with work.timed("copies"):
        repeats = find_repeats(records, keys, progress)
        _tell_repeats(work, repeats)
    with work.timed("vectors"):
        vectors, encoder = _vectors(work)
    judged: Judged | None = None
    with work.timed("labels"):
        if material.kind == "label":
            judged = judge_labels(records, vectors, units, quick=work.settings.quick, progress=work.progress)
            for measure, code, values in judged.skipped:
                work.skip(measure, code, **values)
            for place, reason in judged.reasons.items():
                work.reasons[place].append(reason)
        else:
            for measure in ("labels", "curve"):
                work.skip(measure, "E2870")
    with work.timed("answers"):
        agreement, faults = _agreement(work), _faults(work)
    with work.timed("personal"):
        personal = _personal(work)
    with work.timed("variety"):
        diversity = _diversity(work, vectors, repeats)
    suggested = judged.suggested if judged else {}
    looks = rank_rows(records, work.reasons, suggested)
    rows = tuple(look for look in looks if look.split != "test")
    test_rows = tuple(look for look in looks if look.split == "test")
    quality = Quality(
        name=material.name,
        kind=material.kind,
        language=material.language,
        n=len(records),
        splits={
            name: n for name in ("train", "dev", "test", "") if (n := sum((r.split or "") == name for r in records))
        },
        rejected=material.rejected,
        vectors=encoder,
        labels=judged.errors if judged else None,
        conflicts=sum(not conflict.near for conflict in repeats.conflicts),
        near_conflicts=sum(conflict.near for conflict in repeats.conflicts),
        conflict_list=repeats.conflicts[:_CONFLICTS_SHOWN],
        agreement=agreement,
        faults=faults,
        personal=personal,
        diversity=diversity,
        volume=_volume(work, judged),
        rows=rows[:SHOWN],
        to_look_at=len(rows),
        test_to_look_at=len(test_rows),
        skipped=tuple(work.skipped),
        seconds=work.seconds,
    )
    return Inspection(quality.model_copy(update={"findings": take_notes(quality)}), rows, test_rows)


def _vectors(work: _Work) -> tuple[NDArray[np.float32], str]:
    """Vectors of all questions, and where they come from."""
    texts = [record.question for record in work.records]
    name = work.settings.encoder
    if name == AUTO:
        name = "minilm" if work.material.language == "en" and not work.settings.quick else TFIDF
        try:
            return _encoded(work, texts, name)
        except BackendError:
            name = TFIDF
    return _encoded(work, texts, name)


def _encoded(work: _Work, texts: Sequence[str], name: str) -> tuple[NDArray[np.float32], str]:
    if name == TFIDF:
        return tfidf_vectors(texts, seed_from("quality", len(texts))), TFIDF
    encoder = create_encoder(name)
    keep = vector_file(work.settings.cache, encoder, work.material.name) if work.settings.cache else None
    return encoded_vectors(texts, encoder, keep=keep, progress=work.progress), encoder.id


def _tell_repeats(work: _Work, repeats: Repeats) -> None:
    records = work.records
    copied = copied_rows(repeats, len(records))
    for place, other in repeats.conflicting.items():
        values = {
            "id": records[other].id,
            "answer": unreadable(records[other].answer[:200]),
            "split": records[other].split or "",
        }
        work.reasons[place].append(Reason(kind="conflict", weight=_CONFLICT, values=values))
    near = {later for _, later in repeats.near}
    for place in np.flatnonzero(copied >= 0).tolist():
        first = records[copied[place]]
        across = first.split != records[place].split
        found = {"id": first.id, "split": first.split or "", "near": place in near}
        work.reasons[place].append(Reason(kind="duplicate", weight=_DUPLICATE[across], values=found))


def _agreement(work: _Work) -> Agreement | None:
    found = annotator_agreement(work.records)
    if found is None:
        work.skip("agreement", "E2872")
    return found


def _faults(work: _Work) -> tuple[Fault, ...]:
    material = work.material
    if material.kind == "label":
        work.skip("answers", "E2874")
        return ()
    found = find_faults(material.records, material.kind, material.task, material.documents)
    for kind, places in found.rows.items():
        for place in places:
            values = {"fault": kind, **found.values.get((kind, place), {})}
            work.reasons[place].append(Reason(kind="answer", weight=WEIGHTS[kind], values=values))
    if material.kind == "text" and not found.looked_at.get("unsupported"):
        work.skip("support", "E2875")
    return tuple(
        Fault(
            kind=kind,
            n=len(found.rows.get(kind, ())),
            of=of,
            ids=tuple(material.records[place].id for place in found.rows.get(kind, ())[:_IDS_SHOWN]),
        )
        for kind, of in found.looked_at.items()
        if of
    )


def _personal(work: _Work) -> Personal:
    found = count_personal(work.records, work.progress)
    for place, kinds in found.items():
        values = {"n": sum(kinds.values()), "kinds": dict(kinds)}
        work.reasons[place].append(Reason(kind="personal", weight=_PERSONAL, values=values))
    total = sum(found.values(), Counter[str]())
    return Personal(rows=len(found), kinds=dict(total.most_common()))


def _diversity(work: _Work, vectors: NDArray[np.float32], repeats: Repeats) -> Diversity:
    material, records = work.material, work.records
    questions = [record.question for record in records]
    answers = [record.answer for record in records] if material.kind != "label" else []
    for texts, which in ((questions, "question"), (answers, "answer")):
        _tell_lengths(work, texts, which)
    return Diversity(
        vocabulary=count_vocabulary(questions, material.language),
        questions=measure_lengths(questions),
        answers=measure_lengths(answers),
        copies=count_copies(records, repeats),
        topics=_topics(work, questions, vectors),
        coverage=_coverage(work, questions),
    )


def _tell_lengths(work: _Work, texts: Sequence[str], which: str) -> None:
    odd = odd_lengths(texts)
    places = np.flatnonzero(odd >= _ODD).tolist()
    if not places or len(places) > max(1, _MOST_ODD * len(texts)):
        return
    usual = int(np.median([len(text) for text in texts]))
    for place in places:
        values = {"which": which, "n": len(texts[place]), "median": usual}
        work.reasons[place].append(Reason(kind="length", weight=_LENGTH, values=values))


def _topics(work: _Work, texts: Sequence[str], vectors: NDArray[np.float32]) -> Topics | None:
    # A question that stands many times would be a topic of its own.
    firsts = np.sort(np.unique(np.array(work.keys), return_index=True)[1])
    if len(firsts) < FEWEST_FOR_TOPICS:
        work.skip("topics", "E2871", n=len(firsts), needed=FEWEST_FOR_TOPICS)
        return None
    rng = np.random.default_rng(seed_from("topics", len(firsts)))
    clusters = cluster(vectors[firsts], rng, work.progress)
    far = strangers(clusters.reduced)
    if (far > 0).sum() <= max(1, _MOST_ODD * len(firsts)):
        for place in firsts[far > 0].tolist():
            work.reasons[place].append(Reason(kind="outlier", weight=_STRANGER))
    labels = [work.records[place].answer for place in firsts] if work.material.kind == "label" else []
    return describe_topics(clusters, [texts[place] for place in firsts], labels, rng)


def _coverage(work: _Work, texts: Sequence[str]) -> Coverage | None:
    documents = work.material.documents
    sections = chunk_documents(documents, chunk_words=_SECTION_WORDS, overlap=0) if documents else []
    if not sections:
        work.skip("coverage", "E2873")
        return None
    homes = [str(section.payload["document"]) for section in sections]
    lexical = build_lexical([section.text for section in sections])
    nearest = np.full(len(texts), -1, np.int64)
    for start in range(0, len(texts), 1000):
        scores = np.asarray(lexical.scores(texts[start : start + 1000]))
        for row, record in enumerate(work.records[start : start + 1000]):
            if record.documents:
                named = set(record.documents)
                scores[row, [home not in named for home in homes]] = 0
        best = scores.argmax(axis=1)
        found = scores[np.arange(len(best)), best] > 0
        nearest[start : start + len(best)][found] = best[found]
    return cover(work.records, [document.id for document in documents], homes, nearest)


def _volume(work: _Work, judged: Judged | None) -> Volume:
    if judged is None:
        return Volume()
    open_rows = [record.answer for record in work.records if record.split != "test" and record.answer]
    test = [record.answer for record in work.records if record.split == "test" and record.answer]
    task = work.material.task
    counts = count_labels(open_rows, test, judged.doubted, task.output.labels if task else ())
    below = {str(few): sum(count.n < few for count in counts) for few in FEW}
    return Volume(labels=counts, below=below, curve=judged.curve)
