"""The overfitting alarm: a tuned candidate on its own training rows against dev, and what the curves of training say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from rung.experiment.aftermath.unseen import Scored, gap_of, interval_of
from rung.store.aftermath import CurveReading, Overfitting
from rung.store.records import Interval

CLEAR, STRONG = 0.05, 0.15
"""Gaps between train and dev from which the alarm is called clear, and strong."""
_RISE = 1.05
"""Times the lowest dev loss that the last ones must reach to count as rising."""
_SCORINGS = 3

Alarm = Literal["none", "slight", "clear", "strong", "unknown"]


def alarm_of(gap: Interval) -> Alarm:
    """By the gap, where its 95 % interval lies above 0; so it goes off by chance once in forty runs or less."""
    if gap.point is None or gap.low is None:
        return "unknown"
    if gap.low <= 0:
        return "none"
    return "strong" if gap.point >= STRONG else "clear" if gap.point >= CLEAR else "slight"


def overfitting(train: Scored, dev: Scored) -> Overfitting | None:
    """None where either side has no scored answer."""
    if not train.n or not dev.n:
        return None
    one, other = train.drawn("train"), dev.drawn("dev")
    gap = gap_of(one, other, train.metric)
    return Overfitting(
        n_train=train.n,
        n_dev=dev.n,
        failed_train=train.failed,
        failed_dev=dev.failed,
        train=interval_of(one, train.metric),
        dev=interval_of(other, train.metric),
        gap=gap,
        alarm=alarm_of(gap),
    )


def read_curve(curve: Sequence[Mapping[str, Any]], kept_step: int | None = None) -> CurveReading | None:
    """Whether dev loss rose for good while training loss fell; None without a curve.

    `curve`: {step, loss} of every step, and dev_loss where dev was scored. Rising: the two last dev losses lie above the lowest
    one, the last by a twentieth or more, and the mean training loss since the scoring before is lower at the end than there.
    """
    if not curve:
        return None
    scored = [i for i, point in enumerate(curve) if point.get("dev_loss") is not None]
    if len(scored) < _SCORINGS:
        return CurveReading(shape="too_short", scored=len(scored), kept_step=kept_step)
    losses = [float(curve[i]["dev_loss"]) for i in scored]
    best = int(np.argmin(losses))
    train = [_mean_loss(curve, start, end) for start, end in zip([-1, *scored[:-1]], scored, strict=True)]
    there, end = train[best], train[-1]
    climbed = best <= len(scored) - 3 and losses[-2] > losses[best] and losses[-1] >= _RISE * losses[best]
    rising = climbed and there is not None and end is not None and end < there
    return CurveReading(
        shape="rising" if rising else "level",
        scored=len(scored),
        best_step=int(curve[scored[best]]["step"]),
        last_step=int(curve[scored[-1]]["step"]),
        dev_best=losses[best],
        dev_last=losses[-1],
        train_best=there,
        train_last=end,
        kept_step=kept_step,
    )


def _mean_loss(curve: Sequence[Mapping[str, Any]], after: int, until: int) -> float | None:
    """Over the points behind one scoring, up to and with the next."""
    found = [float(point["loss"]) for point in curve[after + 1 : until + 1] if point.get("loss") is not None]
    return float(np.mean(found)) if found else None
