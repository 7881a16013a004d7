"""Local models through transformers: any safetensors folder or hub id, on CPU or CUDA, whole or with a trained adapter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError, UsageError
from rung.core.hashing import hash_file
from rung.core.model import Capabilities, Completion, Failure, ModelRef, Request, TrainingParts
from rung.core.streaming import Delta, never
from rung.models.choices import LabelTree, build_tree, score_choices
from rung.models.embedded import NAME as EMBEDDED
from rung.models.embedded import embedded_folder
from rung.models.local_weights import Loaded, config_of, device_of, load, merge, precision_of, weights_of
from rung.models.memory import return_memory
from rung.models.packed import pack_linears
from rung.models.prompt_ids import answer_ids, prompt_ids, too_long
from rung.models.sizes import sizes_of
from rung.models.soft_prompt import wear, worn
from rung.models.transformers_live import LiveBatch, Row, can_join
from rung.models.transformers_writing import stream_one, write_batch
from rung.models.under_way import Joining, UnderWay
from rung.models.weights_check import (
    check_config,
    check_config_file,
    check_same_kind,
)

BATCH_TOKENS = 12_288
"""Prompt and answer tokens, padding included, that go through the model at once."""
BATCH_ROWS = 32
_WHOLE = "model.safetensors"


class TransformersModel(Joining):
    """A causal language model in this process.

    `id`: 'smollm2-135m' (built in), a local folder, or a hub id. `precision`: bf16 | fp32 | auto (bf16 where the processor
    has it). `device`: cpu | cuda | auto. Raises BackendError E3002 when the model cannot be loaded.
    """

    def __init__(
        self,
        id: str = EMBEDDED,
        *,
        precision: str = "auto",
        device: str = "auto",
        revision: str = "",
        adapter: Path | None = None,
        loaded: Loaded | None = None,
    ) -> None:
        device = device_of(device)
        self._place = embedded_folder() if id == EMBEDDED else Path(id)
        self._adapter = adapter
        self._kept = loaded
        self._borrowed = loaded is not None
        self._packed = False
        self._trees: dict[tuple[str, ...], LabelTree] = {}
        chosen = precision_of(precision, device)
        if id != EMBEDDED and self._place.is_dir():
            check_config_file(self._place, chosen, device)
        config = config_of(str(self._place) if self._place.exists() else id, revision)
        if not self._place.exists():
            check_config(config.to_dict(), id, chosen, device)
        self.ref = ModelRef(
            kind="transformers",
            id=id,
            revision=revision or getattr(config, "_commit_hash", None) or "",
            engine=f"transformers-{device}",
            precision=chosen,
            weights=weights_of(id, self._place),
        )
        self.capabilities = Capabilities(
            trainable=True,
            adapters=True,
            choices=True,
            context_tokens=int(getattr(config, "max_position_embeddings", 0) or 0),
            sizes=sizes_of(config.to_dict(), chosen, device),
        )

    @property
    def place(self) -> str:
        """Where the base is loaded from: a folder, or a hub id."""
        return str(self._place) if self._place.exists() else self.ref.id

    @property
    def _loaded(self) -> Loaded:
        """The weights, read when they are first needed."""
        if self._kept is None:
            place = self.place
            device = self.ref.engine.removeprefix("transformers-")
            whole = self._adapter is not None and (self._adapter / _WHOLE).is_file()
            if self._adapter is not None and whole:
                check_config_file(self._adapter, self.ref.precision, device)
                check_same_kind(self._adapter, config_of(place, self.ref.revision).to_dict(), self.ref.id)
                place = str(self._adapter)
            self._kept = load(place, self.ref.precision, device, self.ref.revision)
            if self._adapter is not None and not whole:
                self._kept = replace(self._kept, module=merge(self._kept.module, self._adapter, self.ref.id))
        return self._kept

    @property
    def _answering(self) -> Loaded:
        """The weights as answering uses them: on a CPU laid out for it, which training could not go on from."""
        if not self._packed and not self._borrowed and self.ref.engine == "transformers-cpu":
            pack_linears(self._loaded.module)
            self._packed = True
        return self._loaded

    def release(self) -> None:
        """Give the weights' memory back; the next request reads them again."""
        self._kept, self._packed = None, False
        self.__dict__.pop("_under_way", None)
        return_memory()

    @classmethod
    def open(
        cls, ref: ModelRef, *, adapter: AdapterSlot | None = None, folder: Path | None = None
    ) -> TransformersModel:
        """Rebuild from a record, with the candidate's adapter merged in.

        Raises BackendError E3003 when the weights are not the recorded ones, E3004 when the adapter was trained on another
        model, E3005 when its file has changed.
        """
        path = None
        if adapter is not None:
            path = (folder or Path()) / adapter.path
            if adapter.base != ref.id:
                raise BackendError("E3004", adapter=path, base=adapter.base, model=ref.id)
            # Full fine-tuning leaves a whole model in place of an adapter.
            found = hash_file(path / (_WHOLE if adapter.kind == "full" else "adapter_model.safetensors"))
            if found != adapter.sha256:
                raise BackendError("E3005", path=path, expected=adapter.sha256[:12], found=found[:12])
        model = cls(
            ref.id,
            precision=ref.precision or "auto",
            device=ref.engine.removeprefix("transformers-") or "auto",
            revision=ref.revision,
            adapter=path,
        )
        if ref.weights and model.ref.weights and ref.weights.sha256 != model.ref.weights.sha256:
            raise BackendError(
                "E3003", name=ref.id, expected=ref.weights.sha256[:12], found=model.ref.weights.sha256[:12]
            )
        return model

    def encode(self, request: Request, target: str | None = None) -> tuple[list[int], list[int]]:
        """Prompt token ids, and the target's with the end token (empty without one)."""
        return prompt_ids(self._loaded.tokenizer, request), [] if target is None else self._answer_ids(target)

    def _answer_ids(self, text: str) -> list[int]:
        return answer_ids(self._loaded.tokenizer, text)

    def training_parts(self) -> TrainingParts:
        """Module, encoding and an evaluator for training; the module is this model's own, not a copy."""
        if self._packed:
            self.release()
        return TrainingParts(
            module=self._loaded.module,
            encode=self.encode,
            evaluator=self._around,
            device=self._loaded.device,
            extra={
                "tokenizer": self._loaded.tokenizer,
                "end": self._loaded.tokenizer.eos_token_id,
                "encode_text": self._answer_ids,
                "sizes": self.capabilities.sizes,
                "context": self.capabilities.context_tokens,
                "wear": wear,
            },
        )

    def save(self, folder: Path) -> None:
        """Write the weights as they answer, any adapter merged in, with tokenizer and chat template, in Hugging Face's layout.

        Raises UsageError E6204 for a soft prompt, which no weight can take in.
        """
        if worn(self._loaded.module).ids:
            raise UsageError("E6204", kind="soft", form="hf")
        if self._packed:
            self.release()
        self._loaded.module.save_pretrained(folder)
        self._loaded.tokenizer.save_pretrained(folder)

    def _around(self, module: Any) -> TransformersModel:
        """A model that answers with this module, whose linear layers it lays out anew where answering does."""
        if self.ref.engine == "transformers-cpu":
            pack_linears(module)
        return TransformersModel(
            self.ref.id,
            precision=self.ref.precision,
            device=self._loaded.device,
            revision=self.ref.revision,
            loaded=replace(self._loaded, module=module),
        )

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer in batches of like length; order kept. A prompt longer than the context is a `too_long` failure."""
        out: list[Completion | None] = [None] * len(requests)
        prompts: dict[int, list[int]] = {}
        before = worn(self._loaded.module).ids
        for i, request in enumerate(requests):
            ids = [*before, *self.encode(request)[0]]
            out[i] = too_long(len(ids), request, self.capabilities.context_tokens)
            if out[i] is None:
                prompts[i] = ids
        for batch in self._batches(requests, prompts):
            started = time.perf_counter()
            done = self._answer_batch([requests[i] for i in batch], [prompts[i] for i in batch])
            share = (time.perf_counter() - started) / len(batch)
            for i, completion in zip(batch, done, strict=True):
                out[i] = replace(completion, seconds=share, tokens_in=len(prompts[i]), served_by=self.ref.id)
        return [completion for completion in out if completion is not None]

    def _batches(self, requests: Sequence[Request], prompts: dict[int, list[int]]) -> list[list[int]]:
        """Positions of requests that go together: one kind, one set of choices, like lengths, bounded tokens."""
        kinds: dict[tuple[Any, ...], list[int]] = {}
        for i in prompts:
            request = requests[i]
            drawn = (request.temperature, request.top_p, request.seed)
            kinds.setdefault((request.choices, request.max_tokens, *drawn, request.stop), []).append(i)
        batches: list[list[int]] = []
        for (choices, max_tokens, *_), places in kinds.items():
            extra = len(self._tree(choices).tokens) if choices else max_tokens
            batch: list[int] = []
            for i in sorted(places, key=lambda i: len(prompts[i]), reverse=True):
                rows = len(batch) + 1
                longest = len(prompts[batch[0]]) if batch else len(prompts[i])
                if batch and (rows > BATCH_ROWS or rows * (longest + extra) > BATCH_TOKENS):
                    batches.append(batch)
                    batch = []
                batch.append(i)
            batches.append(batch)
        return batches

    def _tree(self, choices: tuple[str, ...]) -> LabelTree:
        if choices not in self._trees:
            self._trees[choices] = build_tree([self._answer_ids(choice) for choice in choices])
        return self._trees[choices]

    def _answer_batch(self, requests: Sequence[Request], prompts: Sequence[list[int]]) -> list[Completion]:
        try:
            if requests[0].choices:
                return self._choose(requests, prompts)
            return write_batch(self._answering, requests[0], prompts)
        except (RuntimeError, MemoryError) as error:
            if len(prompts) > 1 and "memory" in str(error).lower():
                half = len(prompts) // 2
                return self._answer_batch(requests[:half], prompts[:half]) + self._answer_batch(
                    requests[half:], prompts[half:]
                )
            return [Completion(failure=Failure("error", str(error)[:300]), finish="error") for _ in prompts]

    def _choose(self, requests: Sequence[Request], prompts: Sequence[list[int]]) -> list[Completion]:
        choices = requests[0].choices
        scores = score_choices(self._answering.module, prompts, self._tree(choices))
        completions = []
        for row in scores:
            if not np.isfinite(row).all():
                completions.append(Completion(failure=Failure("error", "scores are not finite"), finish="error"))
                continue
            best = choices[int(np.argmax(row))]
            completions.append(
                Completion(text=best, choice_scores=tuple(float(x) for x in row), finish="choice", tokens_out=0)
            )
        return completions

    def stream(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Delta]:
        """Pieces as they come. A choice comes in one piece, and so does what fails before it begins."""
        ids = [*worn(self._loaded.module).ids, *self.encode(request)[0]]
        if request.choices or too_long(len(ids), request, self.capabilities.context_tokens):
            (completion,) = self.generate([request])
            yield Delta("" if completion.failure else completion.text, completion)
            return
        started = time.perf_counter()
        for delta in stream_one(self._answering, request, ids, cancelled):
            if delta.completion is not None:
                seconds, by = time.perf_counter() - started, "" if delta.completion.failure else self.ref.id
                delta = replace(
                    delta, completion=replace(delta.completion, seconds=seconds, tokens_in=len(ids), served_by=by)
                )
            yield delta

    def joins(self) -> bool:
        return can_join(self._loaded.module)

    def _open_under_way(self) -> UnderWay[Row]:
        batch = LiveBatch(self._answering, rows=BATCH_ROWS, tokens=BATCH_TOKENS)

        def start(request: Request) -> Row | Completion | Request:
            ids = self.encode(request)[0]
            failed = too_long(len(ids), request, self.capabilities.context_tokens)
            if failed is not None or request.choices:
                return failed or request
            return batch.begin(ids, request)

        return UnderWay(start, self.generate, batch.advance, batch.stop, self.ref.id)
