"""Questions unlike any test question: by an encoder that is passed in, or by their letters where there is none."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rung.core.model import Encoder
from rung.monitoring.drift import exceedance
from rung.text.normalise import fold

FAR = 0.05
"""Share of test questions that lie further from the other test questions than the border."""
MOST = 400
"""Questions of each side that are encoded."""
_SHOWN = 5


class Letters:
    """Texts by the runs of three characters that they hold, hashed into 2,048 places: for Chinese and English alike."""

    id = "letters"
    _PLACES = 2048

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n, 2048], every row of length 1."""
        found = np.zeros((len(texts), self._PLACES), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            padded = f" {fold(text)} "
            for start in range(max(1, len(padded) - 2)):
                row[zlib.crc32(padded[start : start + 3].encode("utf-8", "surrogatepass")) % self._PLACES] += 1.0
        np.sqrt(found, out=found)
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        found /= np.where(norms > 0, norms, 1.0)
        return found


@dataclass(frozen=True)
class Unlike:
    """Traffic's questions against those of test."""

    far: int
    n: int
    n_before: int
    p: float
    """One-sided: that more lie beyond the border than chance puts there."""
    furthest: tuple[str, ...]
    """Ids of the questions beyond the border, the furthest first."""
    moved: float
    """Distance between the two centroids, 0 to 2."""
    moved_p: float


def compare_questions(
    before: Sequence[str], now: Sequence[str], ids: Sequence[str], encoder: Encoder, rng: np.random.Generator
) -> Unlike | None:
    """None where either side has fewer than 20 different questions.

    A question is far when its likeness to the nearest test question is below that of all but the last twentieth of test
    questions to their nearest other one; how many are is tested by the number of exceedances. Whether the centroid moved
    is tested along the direction between the centroids of one half of the questions, on the other half (Mann-Whitney), so
    that the direction is not fitted to what it is tested on.
    """
    first, second = _different(before, range(len(before)), rng), _different(now, range(len(now)), rng)
    if min(len(first), len(second)) < 20:
        return None
    known, asked = (encoder.encode([side[n] for n in part]) for side, part in ((before, first), (now, second)))
    among = known @ known.T
    np.fill_diagonal(among, -np.inf)
    usual, likeness = np.sort(among.max(axis=1)), (asked @ known.T).max(axis=1)
    rank = max(1, math.floor(FAR * (len(usual) + 1)))
    beyond = likeness < usual[rank - 1]
    order = [n for n in np.argsort(likeness, kind="stable") if beyond[n]][:_SHOWN]
    return Unlike(
        far=int(beyond.sum()),
        n=len(asked),
        n_before=len(known),
        p=exceedance(int(beyond.sum()), len(asked), rank, len(usual)),
        furthest=tuple(ids[second[n]] for n in order),
        moved=float(np.linalg.norm(known.mean(axis=0) - asked.mean(axis=0))),
        moved_p=_moved_p(known, asked),
    )


def _different(texts: Sequence[str], places: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Places of some texts that are all different: who asks the same a thousand times has asked one question."""
    found = list({fold(texts[n]): n for n in reversed(places) if texts[n].strip()}.values())
    if len(found) > MOST:
        found = [found[n] for n in rng.choice(len(found), MOST, replace=False)]
    else:
        rng.shuffle(found)
    return found


def _moved_p(known: NDArray[np.float32], asked: NDArray[np.float32]) -> float:
    direction = asked[::2].mean(axis=0) - known[::2].mean(axis=0)
    test = stats.mannwhitneyu(asked[1::2] @ direction, known[1::2] @ direction, alternative="two-sided")
    return float(test.pvalue)
