"""A metric over answers of which some failed, counted so that no failure makes a setting look better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rung.core.evaluation import Answer, Metric, Score, parts_matrix
from rung.core.task import Example


def worth(metric: Metric, examples: Sequence[Example], scores: Sequence[Score], labels: Sequence[str] = ()) -> float:
    """The metric over all examples, turned so that higher is better; for choosing among settings, never as evidence.

    Every failed answer is replaced, one after another, by whichever of nothing at all and the task's `labels` lowers the
    metric most, and the result is multiplied by the share of answers that are there. The share alone would not do: a macro
    average over labels leaves out a label that nobody was asked for or answered, so that failing on a rare one would be a
    gain. Nor would the replacement alone: a corpus metric may not feel one answer less. Where lower is better, the share
    divides. A metric of one part is a mean, which needs no replacement.

    An example that the metric does not score is left out, and is missing from that share.
    """
    sign = 1.0 if metric.better == "higher" else -1.0
    parts = parts_matrix(scores, metric.parts)
    known = ~np.isnan(parts).any(axis=1)
    if not known.any():
        # Nothing right at all, and comparable.
        return 0.0 if sign > 0 else -1.0
    total, n, share = parts[known].sum(axis=0), float(known.sum()), float(known.mean())

    def value(totals: np.ndarray, count: float) -> np.ndarray:
        found = metric.aggregate(totals, np.full(totals.shape[:-1], count))
        return sign * np.nan_to_num(found, nan=0.0)

    said = ("", *labels)
    failed = [example for example, score in zip(examples, scores, strict=True) if score.status == "failed"]
    for example in failed if len(metric.parts) > 1 else ():
        replies = [Answer(example.id, text) for text in said]
        options = parts_matrix(metric.score([example] * len(said), replies), metric.parts)
        options = options[~np.isnan(options).any(axis=1)]
        if len(options):
            n += 1
            total = total + options[int(np.argmin(value(total + options, n)))]
    found = float(value(total, n))
    return found * share if sign > 0 else found / share
