"""Measuring a judge against people: kappa with its interval, biases of position and length, and the licence that follows."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.core.errors import DataError
from rung.core.evaluation import Answer
from rung.core.hashing import hash_file, seed_from
from rung.core.method import Progress, Silent
from rung.experiment.evaluate import number
from rung.experiment.judges.judging import LEAST_LABELS
from rung.experiment.judges.ratings import ComparedItem, Labels, MarkedItem, rater_agreement, read_labels
from rung.metrics.judge import Dimension, Judge, Mode, Preference, Rubric, place
from rung.metrics.scoring import mean_of_only_part
from rung.stats.bootstrap import Aggregate, Draws, guarded_interval, resample
from rung.stats.intervals import Floats
from rung.store.judging import MAX_FAILURES, AgreementRecord, Licence
from rung.store.records import Interval

THRESHOLD = 0.4
"""Kappa below it is at best "fair" on the scale of Landis and Koch (1977): the interval's lower end must clear it."""
DRAWS = 4_000
SIDES = ("first", "tie", "second")


@dataclass(frozen=True)
class Agreement:
    """How well judged labels match people's."""

    kappa: Interval
    accuracy: Interval
    questions: int


def agreement(judged: Sequence[str], people: Sequence[str], scale: Sequence[str], groups: Sequence[str]) -> Agreement:
    """Cohen's kappa and the share of equal labels, with 95 % intervals; questions (`groups`) are resampled whole.

    With three categories or more, which `scale` orders from worst to best, disagreement is weighted by its squared
    distance (Cohen 1968); with two, kappa is the plain one (Cohen 1960). The parts are the cells of the table of
    agreement, so that kappa is computed anew in every resample. Guarded as all intervals are
    (`stats.intervals.guarded_bounds`). One and the same category on both sides throughout: nan.
    """
    k = len(scale)
    at = {mark: j for j, mark in enumerate(scale)}
    cells = np.zeros((len(judged), k * k))
    cell = np.array([at[a] * k + at[b] for a, b in zip(judged, people, strict=True)], dtype=np.int64)
    cells[np.arange(len(judged)), cell] = 1.0
    places = np.array([place(mark, scale) for mark in scale])
    distance = np.square(np.subtract.outer(places, places))

    def kappa(totals: Floats, n: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            table = totals.reshape(*totals.shape[:-1], k, k) / np.asarray(n)[..., None, None]
            observed = (table * distance).sum(axis=(-2, -1))
            expected = (table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :] * distance).sum(
                axis=(-2, -1)
            )
            return np.where(expected > 1e-12, 1 - observed / expected, np.nan)

    def equal(totals: Floats, n: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = totals[..., :: k + 1].sum(axis=-1) / n
        return found

    drawn = _resampled(cells, groups, kappa, "kappa")
    return Agreement(
        kappa=_interval(drawn, -1.0, 1.0),
        accuracy=_interval(_resampled(cells, groups, equal, "accuracy"), 0.0, 1.0),
        questions=int(drawn.units[0]),
    )


def length_bias(gaps: Sequence[float], lengths: Sequence[int], groups: Sequence[str]) -> Interval:
    """Mean of (judge - people), on a scale of 0 to 1, over the longer half of the answers less that over the shorter half.

    An answer of the middle length counts as short. Positive: the judge is more generous with length than people are.
    """
    gap, long = np.array(gaps), np.array(lengths) > np.median(lengths) if len(lengths) else np.zeros(0, dtype=bool)
    parts = np.stack([gap * long, long, gap * ~long, ~long], axis=1).astype(np.float64)

    def difference(totals: Floats, n: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = totals[..., 0] / totals[..., 1] - totals[..., 2] / totals[..., 3]
        return found

    return _interval(_resampled(parts, groups, difference, "length"), -1.0, 1.0)


def _resampled(parts: Floats, groups: Sequence[str], aggregate: Aggregate, seed: str) -> Draws:
    rng = np.random.default_rng(seed_from("calibration", seed))
    return resample(parts[:, None, :], groups, aggregate, rng, draws=DRAWS)


def _interval(drawn: Draws, lowest: float, highest: float) -> Interval:
    bounds = guarded_interval(drawn, lowest=lowest, highest=highest)
    return Interval(point=number(drawn.point[0]), low=number(bounds.low[0]), high=number(bounds.high[0]))


def mean_interval(values: Sequence[float], groups: Sequence[str], lowest: float, highest: float) -> Interval:
    """A mean of numbers between two ends with its guarded 95 % interval, whole groups resampled."""
    parts = np.array(values, dtype=np.float64)[:, None]
    return _interval(_resampled(parts, groups, mean_of_only_part, "mean"), lowest, highest)


def is_licensed(found: Agreement, n: int, failed: int, threshold: float = THRESHOLD) -> bool:
    """At least 50 labelled items with a usable reply, kappa's lower end at the threshold, and few failures."""
    low = found.kappa.low
    return n >= LEAST_LABELS and low is not None and low >= threshold and failed <= MAX_FAILURES * (n + failed)


def labels_needed(found: Agreement, n: int, threshold: float = THRESHOLD) -> int | None:
    """Further labels until the interval's lower end would reach the threshold, if kappa stays as it is.

    Half the interval shrinks with the root of n. None where kappa itself is not above the threshold and 50 labels are there.
    """
    short = max(0, LEAST_LABELS - n)
    point, low = found.kappa.point, found.kappa.low
    if point is None or low is None or point <= threshold:
        return short or None
    wanted = math.ceil(n * ((point - low) / (point - threshold)) ** 2)
    return max(short, wanted - n) or None


def calibrate(judge: Judge, path: Path, *, threshold: float = THRESHOLD, progress: Progress | None = None) -> Licence:
    """Ask the judge about what people have labelled, and write down how well it agrees.

    Marks are measured dimension by dimension; a file of preferences licenses the judge's preferences, as one dimension
    called `overall`. Several raters of an item count as one label: the middle mark, or what most of them said. Raises
    DataError as `ratings.read_labels` does.
    """
    labels = read_labels(path, judge.rubric)
    mode: Mode = "grade" if labels.marked else "prefer"
    progress = progress or Silent()
    bias = _Bias()
    if mode == "grade":
        records = [
            found
            for each in judge.rubric.dimensions
            if (found := _calibrate_marks(judge, each, labels.marked, threshold, progress))
        ]
    else:
        records, bias = _calibrate_preferences(judge, labels.compared, threshold, progress)
    if not records:
        raise DataError("E4320", path.name)
    return Licence(
        judge=judge.fingerprint(mode),
        model=judge.model.ref.id,
        mode=mode,
        scale=judge.rubric.scale if mode == "grade" else SIDES,
        labels=hash_file(path),
        raters=len(labels.raters),
        rater_agreement=rater_agreement(_of_mode(labels, mode), judge.rubric),
        least_labels=LEAST_LABELS,
        threshold=threshold,
        position_bias=bias.position,
        swayed=bias.swayed,
        dimensions=tuple(records),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


@dataclass(frozen=True)
class _Bias:
    position: Interval | None = None
    swayed: Interval | None = None


def _of_mode(labels: Labels, mode: Mode) -> Labels:
    return Labels(labels.marked, (), labels.raters) if mode == "grade" else Labels((), labels.compared, labels.raters)


def _calibrate_marks(
    judge: Judge, dimension: Dimension, items: Sequence[MarkedItem], threshold: float, progress: Progress
) -> AgreementRecord | None:
    rubric: Rubric = judge.rubric
    settled = [(item, mark) for item in items if (mark := item.settled(dimension.name, rubric.scale)) is not None]
    if not settled:
        return None
    examples = [item.example for item, _ in settled]
    grades = judge.grade(dimension, examples, [Answer(item.example.id, item.text) for item, _ in settled], progress)
    used = [(item, mark, grade.mark) for (item, mark), grade in zip(settled, grades, strict=True) if not grade.failure]
    failures = Counter(grade.failure.kind for grade in grades if grade.failure)
    groups = [item.example.group or item.example.id for item, _, _ in used]
    found = agreement([said for _, _, said in used], [mark for _, mark, _ in used], rubric.scale, groups)
    gaps = [rubric.value(said) - rubric.value(mark) for _, mark, said in used]
    bias = length_bias(gaps, [len(item.text) for item, _, _ in used], groups)
    return _record(dimension.name, found, bias, len(used), failures, threshold)


def _calibrate_preferences(
    judge: Judge, items: Sequence[ComparedItem], threshold: float, progress: Progress
) -> tuple[list[AgreementRecord], _Bias]:
    examples = [item.example for item in items]
    sides = [[Answer(item.example.id, item.texts[k]) for item in items] for k in (0, 1)]
    said = judge.prefer(examples, sides[0], sides[1], progress)
    used: list[tuple[ComparedItem, Preference]] = [
        (item, preference) for item, preference in zip(items, said, strict=True) if preference.failure is None
    ]
    failures = Counter(preference.failure.kind for preference in said if preference.failure)
    groups = [item.example.group or item.example.id for item, _ in used]
    people = [item.settled() for item, _ in used]
    found = agreement([preference.winner for _, preference in used], people, SIDES, groups)
    longer = _longer_preferred(used, groups)
    record = _record("overall", found, longer, len(used), failures, threshold)
    bias = _Bias(
        position=mean_interval([preference.lean for _, preference in used], groups, -1.0, 1.0),
        swayed=mean_interval([float(preference.swayed) for _, preference in used], groups, 0.0, 1.0),
    )
    return [record], bias


def _longer_preferred(used: Sequence[tuple[ComparedItem, Preference]], groups: Sequence[str]) -> Interval:
    """How often the judge prefers the longer answer, less how often people do; a tie is half."""
    gaps, kept = [], []
    for (item, preference), group in zip(used, groups, strict=True):
        first, second = map(len, item.texts)
        if first == second:
            continue
        worth = {"first": float(first > second), "tie": 0.5, "second": float(second > first)}
        gaps.append(worth[preference.winner] - worth[item.settled()])
        kept.append(group)
    return mean_interval(gaps, kept, -1.0, 1.0)


def _record(
    name: str, found: Agreement, bias: Interval, n: int, failures: Counter[str], threshold: float
) -> AgreementRecord:
    failed = failures.total()
    licensed = is_licensed(found, n, failed, threshold)
    return AgreementRecord(
        dimension=name,
        n=n,
        questions=found.questions,
        kappa=found.kappa,
        accuracy=found.accuracy,
        length_bias=bias,
        failed=failed,
        failures=dict(failures),
        licensed=licensed,
        needed=None if licensed else labels_needed(found, n, threshold),
    )
