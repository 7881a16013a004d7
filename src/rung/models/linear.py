"""The linear baseline, no language model: the commonest label, or TF-IDF or sentence vectors with a linear head."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.special import log_softmax

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError
from rung.core.hashing import hash_file
from rung.core.model import Capabilities, Completion, Encoder, Failure, ModelRef, Request, WeightsRef
from rung.models.encoder_local import reopen_encoder
from rung.models.tfidf import fit_tfidf, restore_tfidf

Features = Callable[[Sequence[str]], Any]
"""Texts to a matrix [n, d], dense or sparse."""

UNKNOWN = -1e9
"""Log-probability of a choice that the head was never shown."""
STRENGTH = {"majority": 1.0, "tfidf": 10.0, "embedding": 20.0}
"""Kinds of head, and the default C of each: unit vectors of many dimensions have small entries and need large weights."""
_TOLERANCE = {"tfidf": 3e-4, "embedding": 1e-4}
_MOST_STEPS = 1000
_MOST_WEIGHTS = 6_000_000
"""Terms times labels: bounds the solver's memory to about a gigabyte."""
_ROWS = 4096


@dataclass(frozen=True)
class _Head:
    """Weights [labels, d] and bias [labels]."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    converged: bool = True


class LinearModel:
    """A linear head over texts. It reads `Request.query`; where a request has choices, it picks among them.

    `choice_scores` are the head's log-probabilities, UNKNOWN for a choice that is none of its labels; a request none of
    whose choices it knows is a failure. `labels` are in the order of the head's rows.
    """

    def __init__(self, ref: ModelRef, head: _Head, features: Features) -> None:
        self.ref = ref
        self.capabilities = Capabilities(choices=True, language_model=False)
        self.labels = head.labels
        self._head = head
        self._features = features
        self._columns = {label: column for column, label in enumerate(head.labels)}

    @classmethod
    def open(
        cls,
        ref: ModelRef,
        *,
        adapter: AdapterSlot | None = None,
        folder: Path | None = None,
        encoder: Encoder | None = None,
    ) -> LinearModel:
        """Restore what `fit_linear` has saved in the candidate's folder. Pass `encoder` to share one already loaded.

        Raises BackendError E3206 when the encoder is not the recorded one, E3210 when a file is missing, E3211 when one
        has changed, E3212 for an adapter.
        """
        if adapter is not None:
            raise BackendError("E3212", kind=ref.kind)
        if ref.weights is None:
            raise BackendError("E3210", path=ref.id)
        weights = (folder or Path()) / ref.weights.path
        _check(weights, ref.weights.sha256)
        try:
            with safe_open(weights, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                sealed = file.metadata()["settings_sha256"]
        except (SafetensorError, KeyError, TypeError) as error:
            raise BackendError("E3210", path=weights) from error
        _check(weights.with_suffix(".json"), sealed)
        settings = json.loads(weights.with_suffix(".json").read_bytes().decode("utf-8", "surrogatepass"))
        head = _Head(tuple(settings["labels"]), arrays["weights"], arrays["bias"])
        if settings["kind"] == "embedding":
            encoder = reopen_encoder(ref.options["encoder"], ref.options["encoder_id"], encoder, folder)
        return cls(ref, head, _features(settings, arrays, encoder))

    def log_probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """float64 [n, labels], in the order of `labels`."""
        found = np.zeros((len(texts), len(self.labels)))
        for start in range(0, len(texts), _ROWS):
            part = self._features(texts[start : start + _ROWS])
            logits = np.asarray(part @ self._head.weights.T, np.float64) + self._head.bias
            found[start : start + _ROWS] = log_softmax(logits, axis=1)
        return found

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """The most probable label of every request, in order; `seconds` is an equal share of the time all took."""
        started = time.perf_counter()
        rows = self.log_probabilities([request.query for request in requests])
        found = [self._answer(request, row) for request, row in zip(requests, rows, strict=True)]
        share = (time.perf_counter() - started) / max(1, len(found))
        return [replace(completion, seconds=share, served_by=self.ref.id) for completion in found]

    def _answer(self, request: Request, row: NDArray[np.float64]) -> Completion:
        if not request.choices:
            return Completion(text=self.labels[int(np.argmax(row))])
        scores = tuple(float(row[self._columns[c]]) if c in self._columns else UNKNOWN for c in request.choices)
        best = int(np.argmax(scores))
        if scores[best] == UNKNOWN:
            return Completion(
                failure=Failure("error", "none of the choices was among the training labels"), finish="error"
            )
        return Completion(text=request.choices[best], choice_scores=scores, finish="choice")


def fit_linear(
    kind: str,
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    folder: Path,
    encoder_name: str = "",
    encoder: Encoder | None = None,
    seed: int = 0,
    C: float | None = None,
) -> ModelRef:
    """Fit a head on texts and labels, save it in `folder`, and return the record that `LinearModel.open` needs.

    'majority': the shares of the labels. 'tfidf', 'embedding': multinomial logistic regression with an L2 penalty of
    strength 1 / C (default STRENGTH) over `rung.models.tfidf` or the vectors of `encoder`, registered as
    `encoder_name`.

    Writes `linear-<kind>.safetensors` and `linear-<kind>.json`, over those of an earlier fit. `options["converged"]`
    tells whether the solver came to rest. Raises DataError E2710 when there is nothing to count in the texts.
    """
    if kind not in STRENGTH or not texts or len(texts) != len(labels):
        raise ValueError(f"kind {kind!r} of {tuple(STRENGTH)}, {len(texts)} texts and {len(labels)} labels")
    strength = STRENGTH[kind] if C is None else C
    settings: dict[str, Any] = {"kind": kind, "labels": sorted(set(labels)), "C": strength, "rows": len(texts)}
    arrays: dict[str, NDArray[np.float32]] = {}
    options: dict[str, Any] = {"kind": kind, "C": strength}
    if kind == "tfidf":
        counts = fit_tfidf(texts, most_terms=_MOST_WEIGHTS // len(settings["labels"]))
        settings["analysers"], arrays = counts.settings, counts.arrays
    elif kind == "embedding":
        if encoder is None or not encoder_name:
            raise ValueError("kind 'embedding' needs an encoder and its name")
        options |= {"encoder": encoder_name, "encoder_id": encoder.id}
    if kind == "majority":
        head = _shares(labels)
    else:
        head = _regression(kind, _features(settings, arrays, encoder)(texts), labels, strength, seed)
        options["converged"] = head.converged

    path = folder / f"linear-{kind}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_bytes(json.dumps(settings, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    # One checksum in the record seals both files.
    sealed = {"settings_sha256": hash_file(path.with_suffix(".json"))}
    path.write_bytes(save({**arrays, "weights": head.weights, "bias": head.bias}, metadata=sealed))
    return ModelRef(
        kind="linear",
        id=f"linear-{kind}",
        engine="scikit-learn",
        precision="fp32",
        weights=WeightsRef(path=path.name, sha256=hash_file(path)),
        options=options,
    )


def _shares(labels: Sequence[str]) -> _Head:
    names, counts = np.unique(np.array(labels, dtype=object), return_counts=True)
    bias = np.log(counts / counts.sum()).astype(np.float32)
    return _Head(tuple(names.tolist()), np.zeros((len(names), 0), np.float32), bias)


def _regression(kind: str, features: Any, labels: Sequence[str], strength: float, seed: int) -> _Head:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(set(labels)) == 1:
        # Nothing to tell apart: the one label has probability 1.
        return _Head((labels[0],), np.zeros((1, features.shape[1]), np.float32), np.zeros(1, np.float32))
    solver = LogisticRegression(C=strength, tol=_TOLERANCE[kind], max_iter=_MOST_STEPS, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(features, np.array(labels, dtype=object))
    weights, bias = solver.coef_, solver.intercept_
    if len(solver.classes_) == 2:
        # Of two labels the solver keeps one row; the other's logit is 0.
        weights, bias = np.vstack([np.zeros_like(weights), weights]), np.concatenate([np.zeros_like(bias), bias])
    return _Head(
        tuple(solver.classes_.tolist()),
        np.ascontiguousarray(weights, np.float32),
        np.ascontiguousarray(bias, np.float32),
        converged=int(np.max(solver.n_iter_)) < _MOST_STEPS,
    )


def _features(
    settings: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]], encoder: Encoder | None
) -> Features:
    if settings["kind"] == "tfidf":
        return restore_tfidf(settings["analysers"], arrays)
    if settings["kind"] == "embedding" and encoder is not None:
        return encoder.encode
    return lambda texts: np.zeros((len(texts), 0), np.float32)


def _check(path: Path, sha256: str) -> None:
    """Raise BackendError E3210 when a file is missing, E3211 when it is not the one recorded."""
    if not path.is_file():
        raise BackendError("E3210", path=path)
    found = hash_file(path)
    if found != sha256:
        raise BackendError("E3211", path=path, expected=sha256[:12], found=found[:12])
