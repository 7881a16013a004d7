"""A look at the traffic of some time: the served answers against what was proved, and day by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from rung.core.hashing import seed_from
from rung.core.model import Encoder
from rung.core.task import Language
from rung.monitoring.alarms import (
    watch_answers,
    watch_feedback,
    watch_questions,
    watch_retrieval,
    watch_running,
)
from rung.monitoring.baseline import Baseline, changed_documents, held_documents
from rung.monitoring.days import Days
from rung.monitoring.judging import LEAST, judge
from rung.monitoring.sample import Counting, Hashed, Sample
from rung.monitoring.unlike import Letters, Unlike, compare_questions
from rung.store.traffic.database import Traffic
from rung.store.watch import Alarm, Watch

ALPHA = 0.01
"""How often one look rings for nothing, at most: daily looks, three or four days a year."""
MOST_CHANGED = 0.05
"""Share of documents changed since proof from which it rings."""
_EARLIER = 4
"""How many times as long the time before is looked at, for what was not measured at proof."""


@dataclass(frozen=True)
class Look:
    """What is looked at, and how hard. `encoder`: None takes likeness of questions from their letters."""

    since: datetime
    until: datetime
    alpha: float = ALPHA
    most_changed: float = MOST_CHANGED
    encoder: Encoder | None = None
    language: Language = "en"


def watch(traffic: Traffic, baseline: Baseline, look: Look) -> Watch:
    """Hold the champion's answers of some time against its test answers; raises what reading the database raises."""
    seen = _gather(traffic, baseline, look)
    before, now = baseline.sample, seen.now
    texts = any(now.texts) or not now.n
    found = judge(
        [
            *watch_questions(before, now, _unlike(baseline, now, look), texts=texts),
            *watch_answers(before, now),
            *watch_retrieval(before, now, seen.earlier),
            *watch_running(baseline, now),
            watch_feedback(seen.thumbs_earlier, seen.thumbs_now),
        ],
        look.alpha,
    )
    return Watch(
        run=baseline.run.path.name,
        candidate=baseline.candidate.id,
        since=look.since.isoformat(timespec="seconds"),
        until=look.until.isoformat(timespec="seconds"),
        answers=now.n,
        cancelled=seen.cancelled,
        others=seen.others,
        proved_on=before.n,
        alpha=look.alpha,
        least=LEAST,
        tests=found.tests,
        latency_p95=baseline.latency_p95,
        texts=texts,
        currency=baseline.currency,
        language=look.language,
        alarms=(*_index_alarms(baseline, seen.indexes, look), *found.alarms),
        measures=found.measures,
        days=seen.days.done(),
    )


@dataclass
class _Seen:
    """What was read of the traffic. `now` lies in the time asked for, `earlier` before it."""

    days: Days
    now: Sample = field(default_factory=Sample)
    earlier: Sample = field(default_factory=Sample)
    indexes: Counter[str] = field(default_factory=Counter)
    thumbs_now: Counter[int] = field(default_factory=Counter)
    thumbs_earlier: Counter[int] = field(default_factory=Counter)
    cancelled: int = 0
    others: int = 0


def _gather(traffic: Traffic, baseline: Baseline, look: Look) -> _Seen:
    counting = Counting.of(baseline.candidate)
    hashed = Hashed.of(baseline.candidate, traffic.fingerprint)
    seen = _Seen(Days(look.since, look.until))
    first = look.since - _EARLIER * (look.until - look.since)
    for trace in traffic.traces(since=first, until=look.until):
        current = trace.at >= look.since
        if trace.candidate != baseline.candidate.id or trace.role != "champion":
            seen.others += current
            continue
        if current:
            seen.days.add(trace)
            seen.cancelled += trace.cancelled
            seen.indexes[trace.index] += 1
        if not trace.cancelled:
            counting.add_trace(seen.now if current else seen.earlier, trace, hashed)
    current_ids, earlier_ids = set(seen.now.ids), set(seen.earlier.ids)
    for word in traffic.feedback(since=first):
        if word.trace in current_ids:
            seen.thumbs_now[word.rating] += 1
            seen.days.add_word(word)
        elif word.trace in earlier_ids:
            seen.thumbs_earlier[word.rating] += 1
    return seen


def _unlike(baseline: Baseline, now: Sample, look: Look) -> Unlike | None:
    rng = np.random.default_rng(seed_from("monitor", baseline.candidate.id))
    return compare_questions(baseline.sample.texts, now.texts, now.ids, look.encoder or Letters(), rng)


def _index_alarms(baseline: Baseline, indexes: Counter[str], look: Look) -> Iterator[Alarm]:
    """A plain fact, and no test: what is read is not what was read at proof."""
    held = held_documents(baseline)
    for index in sorted(set(indexes) - {baseline.index, ""}):
        changed = changed_documents(baseline, index)
        if changed is None or not held or changed >= look.most_changed * held:
            count = None if changed is None else float(changed)
            yield Alarm(
                cause="index_changed", about=index, unit="documents", before=held, now=count, n_now=indexes[index]
            )
