"""Vectors that were made before: only texts that no sound index holds are encoded, so changed documents cost what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import DataError
from rung.core.model import Encoder
from rung.retrieval.dense import unit_vectors
from rung.retrieval.publish import MANIFEST
from rung.retrieval.segment import Segment
from rung.retrieval.versions import SEGMENTS

_LOOKED_AT = 20
"""Indexes that are opened in search of vectors, the newest first."""


def vectors_of(encoder: Encoder, texts: Sequence[str], indexes: Path) -> NDArray[np.float32]:
    """float32 [n, d]: vectors of texts, taken from the indexes of this run and the runs beside it where they hold them.

    An index counts when it is undamaged and of the same encoder. A text that stands in no document any more is in no new
    index: nothing is carried over but vectors of texts asked for. Raises BackendError E3205 as `unit_vectors` does.
    """
    wanted = dict.fromkeys(texts)
    known: dict[str, NDArray[np.float32]] = {}
    for folder in _newest(indexes):
        if len(known) == len(wanted):
            break
        known |= _held(folder, encoder.id, [text for text in wanted if text not in known])
    missing = [text for text in wanted if text not in known]
    if missing:
        known |= dict(zip(missing, unit_vectors(encoder, missing), strict=True))
    return np.ascontiguousarray(np.stack([known[text] for text in texts]))


def _newest(indexes: Path) -> list[Path]:
    beside = indexes.parent.parent.glob(f"*/{indexes.name}/*/{MANIFEST}")
    lent = indexes.glob(f"*/{SEGMENTS}/*/{MANIFEST}")
    own = {*indexes.glob(f"*/{MANIFEST}"), *lent}
    manifests = {*own, *(path for path in beside if (path.parents[2] / "run.yaml").is_file())}
    return [path.parent for path in sorted(manifests, key=_changed, reverse=True)[:_LOOKED_AT]]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # Another process has taken it away.
        return 0.0


def _held(folder: Path, encoder: str, wanted: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Vectors that an index holds of some texts; none where it is damaged, or another encoder's."""
    try:
        segment = Segment(folder)
    except (DataError, OSError, ValueError, KeyError):
        return {}
    return segment.vectors_of(wanted) if segment.encoder == encoder else {}
