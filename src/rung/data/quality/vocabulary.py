"""What the questions are made of: how many words, how many different ones, and how long the texts are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.task import Language
from rung.data.quality.record import Bin, Estimate, Lengths, Vocabulary
from rung.stats.intervals import two_sided_z
from rung.text.tokens import tokens

WINDOW = 1000
_BINS = 24


def count_vocabulary(texts: Sequence[str], language: Language) -> Vocabulary | None:
    """Words as `text.tokens` cuts them; None where there are none.

    `even_ratio` is the mean over runs of WINDOW words in the order of the rows, with the interval of that mean; with fewer
    than two runs it has none.
    """
    words = [word for text in texts for word in tokens(text, language)]
    if not words:
        return None
    counts = Counter(words)
    size = min(WINDOW, len(words))
    runs = [len(set(words[at : at + size])) / size for at in range(0, len(words) - size + 1, size)]
    point, low, high = float(np.mean(runs)), None, None
    if len(runs) > 1:
        half = two_sided_z(0.95) * float(np.std(runs, ddof=1)) / len(runs) ** 0.5
        low, high = max(0.0, point - half), min(1.0, point + half)
    return Vocabulary(
        words=len(words),
        different=len(counts),
        ratio=len(counts) / len(words),
        even_ratio=Estimate(point=point, low=low, high=high, n=len(runs)),
        window=size,
        once=sum(n == 1 for n in counts.values()) / len(counts),
    )


def measure_lengths(texts: Sequence[str]) -> Lengths | None:
    """Lengths in characters; bars of equal width up to the 99th percentile, and one for all beyond. None for no texts."""
    if not texts:
        return None
    sizes = np.array([len(text) for text in texts])
    p05, middle, p95, p99 = (float(value) for value in np.quantile(sizes, [0.05, 0.5, 0.95, 0.99]))
    step = max(1.0, round(p99 / _BINS))
    edges = np.arange(0, p99 + step + 0.5, step)
    counts, _ = np.histogram(sizes[sizes < edges[-1]], edges)
    bins = [
        Bin(low=a, high=b, n=n)
        for a, b, n in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    beyond = int((sizes >= edges[-1]).sum())
    if beyond:
        bins.append(Bin(low=float(edges[-1]), high=float(sizes.max()) + 1, n=beyond))
    return Lengths(n=len(sizes), median=middle, p05=p05, p95=p95, longest=int(sizes.max()), bins=tuple(bins))


def odd_lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    """[n]: how far each text's length lies from the usual, in robust standard deviations of its logarithm.

    The spread is taken from the median absolute deviation and is at least that of texts a fifth longer or shorter, so that
    a data set of equal lengths has no outlier by a hair.
    """
    logs = np.log1p(np.array([len(text) for text in texts], np.float64))
    if not len(logs):
        return logs
    off = np.abs(logs - np.median(logs))
    found: NDArray[np.float64] = off / max(1.4826 * float(np.median(off)), 0.18)
    return found
