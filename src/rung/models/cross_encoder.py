"""A cross-encoder in this process: reads a question and a passage together and says how well the passage answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import BackendError
from rung.core.finding import Helper, Judged
from rung.core.found import Effort
from rung.core.hashing import hash_file, hash_json
from rung.models.encoder_local import stamp_of, weights_in

BATCH = 16
"""Pairs that go through the network at once."""
_MOST_TOKENS = 512


class CrossEncoder:
    """A local folder with a sequence classification model of one score, or of two classes of which the second is 'answers'.

    `id` is `cross_encoder@<fingerprint>` of weights, tokenizer and configuration. A passage too long for the model is cut at
    its end. Safe to call from several threads. Raises BackendError E3201 without weights, E3202 when they are pickled, E2732
    when the folder cannot be loaded or has another head.
    """

    def __init__(self, path: Path) -> None:
        folder = Path(path).resolve()
        self._loaded = _load(folder, stamp_of(folder))
        self.id: str = self._loaded["id"]

    def score(self, pairs: Sequence[tuple[str, str]], helper: Helper) -> Judged:
        """Scores between 0 and 1; each pair is charged its share of the time that its batch took."""
        tokenizer, most = self._loaded["tokenizer"], self._loaded["max_tokens"]
        scores = np.zeros(len(pairs))
        efforts = [Effort()] * len(pairs)
        if not pairs:
            return Judged((), ())
        # A tokenizer that truncates holds state, and refuses to be called twice at once.
        with self._loaded["lock"]:
            texts = [[text.encode("utf-8", "replace").decode() for text in side] for side in zip(*pairs, strict=True)]
            coded = tokenizer(*texts, truncation="only_second", max_length=most)
            lengths = [len(row) for row in coded["input_ids"]]
            by_length = sorted(range(len(pairs)), key=lambda n: lengths[n])
            for start in range(0, len(pairs), BATCH):
                batch = by_length[start : start + BATCH]
                began = time.perf_counter()
                scores[batch] = self._scores([{name: coded[name][n] for name in coded} for n in batch])
                share = (time.perf_counter() - began) / len(batch)
                for n in batch:
                    efforts[n] = Effort(tokens_in=lengths[n], seconds=share)
        return Judged(tuple(map(float, scores)), tuple(efforts))

    def _scores(self, rows: list[dict[str, Any]]) -> NDArray[np.float64]:
        import torch

        module = self._loaded["module"]
        padded = self._loaded["tokenizer"].pad(rows, return_tensors="pt").to(module.device)
        with torch.inference_mode():
            logits = module(**padded).logits.float()
        found = torch.sigmoid(logits[:, 0]) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)[:, 1]
        return np.asarray(found.cpu().numpy(), np.float64)


@cache
def _load(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> dict[str, Any]:
    import torch
    import transformers

    weights = weights_in(folder)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **where)
        kind = transformers.AutoModelForSequenceClassification
        module, told = kind.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **where
        )
    except Exception as error:
        # Damaged files fail in many ways inside the libraries; all mean that this folder cannot be used.
        raise BackendError("E2732", path=folder, reason=str(error).split("\n")[0][:300]) from error
    if told["missing_keys"]:
        # A head that is not in the file would be filled with random numbers.
        raise BackendError("E2732", path=folder, reason=f"no weights for {', '.join(sorted(told['missing_keys'])[:3])}")
    if module.config.num_labels > 2:
        raise BackendError(
            "E2732", path=folder, reason=f"{module.config.num_labels} classes, where one or two are needed"
        )
    parts = [*weights, *(folder / part for part in ("config.json", "tokenizer.json") if (folder / part).is_file())]
    fingerprint = hash_json([hash_file(part) for part in parts], 12)
    most = min(_MOST_TOKENS, int(getattr(module.config, "max_position_embeddings", _MOST_TOKENS)))
    return {
        "id": f"cross_encoder@{fingerprint}",
        "tokenizer": tokenizer,
        "module": module.to("cuda" if torch.cuda.is_available() else "cpu").eval(),
        "max_tokens": most,
        "lock": threading.Lock(),
    }
