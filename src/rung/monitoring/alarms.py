"""What is watched, and the causes that each measure may name: every cause is a test with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rung.monitoring.baseline import Baseline
from rung.monitoring.drift import Change, change, divergence, exceedance, kinds_test, shift
from rung.monitoring.judging import Cause, Watched
from rung.monitoring.sample import Sample, array
from rung.monitoring.unlike import FAR, Unlike
from rung.store.watch import Reference, Unit

LEAST_CHANGE = 0.02
"""Smallest change of a share that rings, however sure it is."""
LEAST_SHIFT = 0.1
"""Smallest population stability index that rings."""
LEAST_MOVE = 0.1
"""Smallest distance between the centroids of questions that rings."""
LEAST_DIVERGENCE = 0.1
"""Smallest Jensen-Shannon divergence of the documents found that rings, in bits."""
LEAST_SLOWDOWN = 1.2
"""Smallest factor between the 95th percentiles of now and of proof that rings."""
_MOST_KINDS = 100


def watch_questions(before: Sample, now: Sample, unlike: Unlike | None, *, texts: bool) -> Iterable[Watched]:
    """Length, language, and how far questions lie from those of test."""
    yield _numbers("input_length", before.lengths, now.lengths, unit="chars", up="input_longer", down="input_shorter")
    yield _kinds("languages", before.languages, now.languages, new="language_new", up="language_up", down="")
    why = "" if texts else "no_texts"
    if unlike is None:
        few = Watched("unlike", len(set(before.texts) - {""}), len(set(now.texts) - {""}), why=why)
        if not why and few.enough:
            few.why = "no_texts"
        yield few
        return
    far = Watched("unlike", unlike.n_before, unlike.n, before=FAR, now=unlike.far / unlike.n)
    if far.enough:
        size = (unlike.far / unlike.n - FAR) / LEAST_CHANGE
        far.causes.append(Cause("questions_unlike", unlike.p, size, before=FAR, now=far.now, examples=unlike.furthest))
    yield far
    moved = Watched("centroid", unlike.n_before, unlike.n, unit="score", now=unlike.moved)
    if moved.enough:
        moved.causes.append(
            Cause("questions_moved", unlike.moved_p, unlike.moved / LEAST_MOVE, unit="score", now=unlike.moved)
        )
    yield moved


def watch_answers(before: Sample, now: Sample) -> Iterable[Watched]:
    """Labels or lengths, abstention and confidence."""
    if before.labels:
        yield _kinds("labels", before.labels, now.labels, new="label_up", up="label_up", down="label_down")
    else:
        yield _numbers(
            "answer_length",
            before.answer_lengths,
            now.answer_lengths,
            unit="chars",
            up="answer_longer",
            down="answer_shorter",
        )
    if before.abstained or now.abstained:
        sides = (before.abstained, before.answered, now.abstained, now.answered)
        yield _share("abstention", *sides, up="abstains_more", down="abstains_less")
    if before.confidences:
        yield _numbers("confidence", before.confidences, now.confidences, unit="share", up="surer", down="less_sure")


def watch_retrieval(before: Sample, now: Sample, earlier: Sample) -> Iterable[Watched]:
    """Whether anything is found, what stands first, and the score that decides whether the documents say anything."""
    if not before.looked_up:
        return
    sides = (before.found_nothing, before.looked_up, now.found_nothing, now.looked_up)
    yield _share("found_nothing", *sides, up="finds_nothing", down="")
    first, second = before.top_documents, now.top_documents
    hits = Watched("hits", sum(first.values()), sum(second.values()), unit="bits")
    hits.effect, hits.effect_name = divergence(first, second), "js"
    if hits.enough:
        hits.causes.append(
            Cause(
                "other_documents",
                kinds_test(first, second),
                hits.effect / LEAST_DIVERGENCE,
                unit="bits",
                now=hits.effect,
            )
        )
    yield hits
    if now.signals or earlier.signals:
        yield _numbers(
            "signal", earlier.signals, now.signals, unit="score", up="", down="weaker_hits", reference="before"
        )


def watch_running(baseline: Baseline, now: Sample) -> Iterable[Watched]:
    """Speed, cost and failures."""
    yield _latency(baseline, now)
    before = baseline.sample
    if any(before.money):
        yield _numbers("cost", before.money, now.money, unit="money", up="dearer", down="")
    else:
        yield _numbers("cost", before.tokens, now.tokens, unit="tokens", up="more_tokens", down="")
    failures = Watched("failures", before.n, now.n)
    failures.before, failures.now = _part(before.failures.total(), before.n), _part(now.failures.total(), now.n)
    if failures.enough:
        for kind in sorted({*before.failures, *now.failures}):
            moved = change(before.failures[kind], before.n, now.failures[kind], now.n)
            name = "failures_up" if moved.now > moved.before else ""
            failures.causes.append(_cause(name, moved, about=kind, least=LEAST_CHANGE / 2))
    yield failures


def watch_feedback(before: Mapping[int, int], now: Mapping[int, int]) -> Watched:
    """Thumbs down among thumbs (ratings and how many there are), against the time before."""
    sides = [(side.get(-1, 0), side.get(-1, 0) + side.get(1, 0)) for side in (before, now)]
    found = _share("feedback", *sides[0], *sides[1], up="feedback_worse", down="")
    found.reference = "before"
    return found


def _latency(baseline: Baseline, now: Sample) -> Watched:
    """How many answers take longer than all but a twentieth did at proof."""
    found = Watched("latency", baseline.latency_n, len(now.seconds), unit="seconds")
    if baseline.latency_p95 is None:
        found.why = "no_latency"
        return found
    seconds, waiting = array(now.seconds), array(now.waiting)
    found.before = baseline.latency_p95
    found.now = float(np.quantile(seconds, 0.95)) if len(seconds) else None
    if not found.enough:
        return found
    # The percentile lies between two of the times measured: the lower one of them is the safe side.
    rank = baseline.latency_n - math.floor(0.95 * (baseline.latency_n - 1))
    slow = seconds > baseline.latency_p95
    size = ((found.now or 0.0) / baseline.latency_p95 - 1) / (LEAST_SLOWDOWN - 1) if baseline.latency_p95 else 0.0
    queued = bool(slow.any()) and bool((seconds - waiting)[slow].mean() <= baseline.latency_p95)
    p = exceedance(int(slow.sum()), len(seconds), rank, baseline.latency_n)
    found.causes.append(
        Cause("queue_longer" if queued else "slower", p, size, unit="seconds", before=found.before, now=found.now)
    )
    return found


def _numbers(
    name: str,
    before: Sequence[float],
    now: Sequence[float],
    *,
    unit: Unit,
    up: str,
    down: str,
    reference: Reference = "proof",
) -> Watched:
    found = Watched(name, len(before), len(now), unit=unit, reference=reference)
    moved = shift(array(before), array(now))
    found.before, found.now, found.effect, found.effect_name = moved.before, moved.now, moved.psi, "psi"
    # Values of one sample whose middle stays where it was have become more, or less, alike: named by where the mean went.
    risen = (
        moved.now > moved.before if moved.now != moved.before else bool(np.mean(now or [0]) > np.mean(before or [0]))
    )
    cause, size = up if risen else down, moved.psi / LEAST_SHIFT
    if found.enough:
        found.causes.append(
            Cause(cause, moved.p if cause else 1.0, size, unit=unit, before=moved.before, now=moved.now)
        )
    return found


def _share(name: str, hits_before: int, n_before: int, hits_now: int, n_now: int, *, up: str, down: str) -> Watched:
    moved = change(hits_before, n_before, hits_now, n_now)
    found = Watched(name, n_before, n_now, before=moved.before, now=moved.now)
    if found.enough:
        found.causes.append(_cause(up if moved.now > moved.before else down, moved))
    return found


def _kinds(name: str, before: dict[str, int], now: dict[str, int], *, new: str, up: str, down: str) -> Watched:
    """Every kind is a test of its own, so that it can be named."""
    n, m = sum(before.values()), sum(now.values())
    found = Watched(name, n, m, unit="bits", effect=divergence(before, now), effect_name="js")
    if not found.enough:
        return found
    for kind in sorted({*before, *now}, key=lambda kind: (-now.get(kind, 0) - before.get(kind, 0), kind))[:_MOST_KINDS]:
        moved = change(before.get(kind, 0), n, now.get(kind, 0), m)
        cause = down if moved.now < moved.before else up if before.get(kind) else new
        found.causes.append(_cause(cause, moved, about=kind))
    return found


def _cause(name: str, moved: Change, *, about: str = "", least: float = LEAST_CHANGE) -> Cause:
    """A change in a direction that has no name is no alarm, but it has been looked for, and counts among the tests."""
    return Cause(
        name,
        moved.p if name else 1.0,
        abs(moved.now - moved.before) / least,
        about,
        before=moved.before,
        now=moved.now,
        low=moved.low,
        high=moved.high,
    )


def _part(hits: int, n: int) -> float | None:
    return hits / n if n else None
