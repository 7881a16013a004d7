"""Drawing one token: the likeliest, or by temperature within a nucleus (Holtzman et al. 2020, arXiv 1904.09751, section 3.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.core.model import Request


def draw(logits: NDArray[np.float32], request: Request, generator: np.random.Generator) -> int:
    """A token id from logits [vocabulary], as the request's temperature and top_p ask; `generator` is the request's own."""
    if request.temperature <= 0:
        return int(np.argmax(logits))
    scaled = logits.astype(np.float64) / request.temperature
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    if request.top_p < 1.0:
        order = np.argsort(-shares, kind="stable")
        before = np.cumsum(shares[order]) - shares[order]
        # The likeliest token always stays.
        shares[order[1:][before[1:] >= request.top_p]] = 0.0
        shares /= shares.sum()
    return int(generator.choice(len(shares), p=shares))
