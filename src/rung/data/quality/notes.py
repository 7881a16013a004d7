"""What a person should make of the figures: findings, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator

from rung.data.quality.record import Estimate, Note, Quality

LOW_KAPPA = 0.667
"""Agreement below which Krippendorff (2019, section 12.4) would draw no conclusion."""
_COPIES = 0.05
_ONE_TOPIC = 0.6
_UNCOVERED = 0.2
_WORTH = 0.01
"""Gain of a doubling, as a share of 1, below which more rows of the same kind are hardly worth their labels."""
_LISTED = 8


def take_notes(quality: Quality) -> tuple[Note, ...]:
    """Findings of a check, by gravity and then in the order of the page."""
    found = [*_answers(quality), *_labels(quality), *_variety(quality), *_amount(quality)]
    order = {"error": 0, "warning": 1, "info": 2}
    return tuple(sorted(found, key=lambda note: order[note.level]))


def _answers(quality: Quality) -> Iterator[Note]:
    if quality.rejected:
        yield Note(level="warning", code="E2866", values={"n": f"{quality.rejected:,}"})
    if quality.conflicts:
        yield Note(level="warning", code="E2852", values={"n": f"{quality.conflicts:,}"})
    found = quality.agreement
    if found and found.kappa.point is not None and found.kappa.point < LOW_KAPPA:
        yield Note(level="warning", code="E2853", values={"kappa": f"{found.kappa.point:.2f}", "n": found.kappa.n})
    if quality.personal.rows:
        yield Note(level="warning", code="E2867", values={"n": f"{quality.personal.rows:,}", "total": f"{quality.n:,}"})
    bad = sum(fault.n for fault in quality.faults)
    if bad:
        yield Note(level="warning", code="E2854", values={"n": f"{bad:,}", "total": f"{quality.n:,}"})


def _labels(quality: Quality) -> Iterator[Note]:
    errors = quality.labels
    if errors is None:
        return
    if errors.suspected:
        values = {"n": f"{errors.suspected:,}", "judged": f"{errors.judged:,}", "head": _percents(errors.head)[0]}
        if errors.wrong.point is None:
            yield Note(level="warning", code="E2858", values=values)
        else:
            wrong, low, high = _percents(errors.wrong)
            yield Note(level="warning", code="E2851", values=values | {"wrong": wrong, "low": low, "high": high})
    if errors.test_suspected:
        yield Note(
            level="warning",
            code="E2863",
            values={"n": f"{errors.test_suspected:,}", "judged": f"{errors.test_judged:,}"},
        )


def _variety(quality: Quality) -> Iterator[Note]:
    diversity = quality.diversity
    copies = diversity.copies
    if copies.n and copies.exact + copies.near > _COPIES * copies.n:
        percent = f"{(copies.exact + copies.near) / copies.n:.1%}"
        yield Note(level="warning", code="E2855", values={"n": f"{copies.exact + copies.near:,}", "percent": percent})
    if copies.across:
        yield Note(level="warning", code="E2865", values={"n": f"{copies.across:,}"})
    topics = diversity.topics
    if topics and topics.topics[0].share > _ONE_TOPIC:
        percent = f"{topics.topics[0].share:.0%}"
        yield Note(level="info", code="E2862", values={"percent": percent, "k": len(topics.topics)})
    coverage = diversity.coverage
    if coverage and coverage.documents - coverage.reached > _UNCOVERED * coverage.documents:
        missed = coverage.documents - coverage.reached
        names = ", ".join(coverage.missed[:_LISTED]) + (", ..." if missed > _LISTED else "")
        values = {"n": missed, "documents": coverage.documents, "names": names}
        yield Note(level="warning", code="E2861", values=values)


def _amount(quality: Quality) -> Iterator[Note]:
    volume = quality.volume
    if volume.below.get("5"):
        rare = [f"{count.label} ({count.n})" for count in reversed(volume.labels) if count.n < 5]
        names = ", ".join(rare[:_LISTED]) + (", ..." if len(rare) > _LISTED else "")
        yield Note(level="warning", code="E2856", values={"n": volume.below["5"], "names": names})
    if volume.below.get("16", 0) > volume.below.get("5", 0):
        yield Note(level="info", code="E2857", values={"n": volume.below["16"]})
    curve = volume.curve
    if curve is None or curve.gain.point is None:
        return
    values = {
        "gain": f"{100 * curve.gain.point:.1f}",
        "low": f"{100 * (curve.gain.low or 0):.1f}",
        "high": f"{100 * (curve.gain.high or 0):.1f}",
        "rows": f"{curve.points[-1].rows:,}",
        "twice": f"{2 * curve.points[-1].rows:,}",
        "score": f"{100 * (curve.points[-1].score.point or 0):.1f}%",
    }
    worth = (curve.gain.high or 0) >= _WORTH
    yield Note(level="info", code="E2859" if worth else "E2860", values=values)


def _percents(estimate: Estimate) -> tuple[str, str, str]:
    """A share and its ends in percent."""
    point, low, high = ("–" if end is None else f"{end:.1%}" for end in (estimate.point, estimate.low, estimate.high))
    return point, low, high
