"""Sentence vectors of a data set: an encoder's, kept on disk from one check to the next, or TF-IDF in fewer dimensions."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rung.core.durable import write_whole
from rung.core.errors import WriteError
from rung.core.hashing import hash_json
from rung.core.model import Encoder
from rung.models.tfidf import fit_tfidf

Vectors = NDArray[np.float32]
Progress = Callable[[float, float, str], None]

TFIDF = "tfidf"
DIMENSIONS = 256
_TERMS = 60_000
_BATCH = 512


def tfidf_vectors(texts: Sequence[str], seed: int) -> Vectors:
    """[n, at most 256], rows of length 1: TF-IDF of words and character runs, by latent semantic analysis.

    Deerwester et al. 1990. Nothing of any label goes in. Raises DataError E2710 where there is nothing to count.
    """
    from sklearn.decomposition import TruncatedSVD

    counts = fit_tfidf(texts, most_terms=_TERMS)(texts)
    width = min(DIMENSIONS, counts.shape[0] - 1, counts.shape[1] - 1)
    if width < 1:
        return np.ones((len(texts), 1), np.float32)
    found = TruncatedSVD(width, n_iter=3, random_state=seed % 2**32).fit_transform(counts)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    vectors: Vectors = (found / np.maximum(lengths, 1e-9)).astype(np.float32)
    return vectors


def encoded_vectors(
    texts: Sequence[str], encoder: Encoder, *, keep: Path | None = None, progress: Progress | None = None
) -> Vectors:
    """[n, d] of an encoder. `keep`: a file in which the vectors of the last check lie, and then those of this one.

    A text is known by its hash, so a changed data set has only its new rows encoded. The file holds no text. One that is
    damaged or cannot be written is done without.
    """
    hashes = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32] for text in texts]
    known = _read(keep, encoder.id) if keep else {}
    fresh = {hash: text for hash, text in zip(hashes, texts, strict=True) if hash not in known}
    names = list(fresh)
    for start in range(0, len(names), _BATCH):
        part = names[start : start + _BATCH]
        known |= dict(zip(part, encoder.encode([fresh[name] for name in part]), strict=True))
        if progress:
            progress(start + len(part), len(names), "vectors")
    vectors = np.stack([known[hash] for hash in hashes]).astype(np.float32)
    if keep and fresh:
        buffer = io.BytesIO()
        np.savez(buffer, encoder=np.array(encoder.id), hashes=np.array(hashes), vectors=vectors)
        with contextlib.suppress(WriteError, OSError):
            keep.parent.mkdir(parents=True, exist_ok=True)
            write_whole(keep, buffer.getvalue())
    return vectors


def vector_file(folder: Path, encoder: Encoder, name: str) -> Path:
    """Where a data set's vectors are kept."""
    plain = re.sub(r"[^\w.-]+", "-", encoder.id)
    return folder / "vectors" / f"{plain}-{hash_json(name, 12)}.npz"


def _read(path: Path, encoder: str) -> dict[str, NDArray[np.float32]]:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["encoder"]) != encoder:
                return {}
            return dict(zip(file["hashes"].tolist(), file["vectors"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}
