"""Local models through OpenVINO GenAI, the faster engine on a CPU: trained by transformers, answered from a GGUF of the merged weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError
from rung.core.model import Completion, Failure, ModelRef, Request, TrainingParts
from rung.core.streaming import Delta, never
from rung.models.choices import LabelTree, build_tree
from rung.models.embedded import NAME as EMBEDDED
from rung.models.local_weights import load_tokenizer
from rung.models.memory import return_memory
from rung.models.openvino_batcher import Batcher, Running
from rung.models.openvino_choices import ChoiceGraph
from rung.models.openvino_files import (
    GGUF,
    Wanted,
    arithmetic_here,
    check_precision,
    files_of,
    settings_of,
    version_of_openvino,
)
from rung.models.openvino_trial import GRAPH
from rung.models.prompt_ids import answer_ids, prompt_ids, too_long
from rung.models.transformers_local import TransformersModel
from rung.models.transformers_writing import decoding
from rung.models.under_way import Joining, UnderWay, whole_delta

_SOFT = ("soft", "prefix")


class OpenVINOModel(Joining):
    """A causal language model (Llama, Qwen2 or Qwen3), many requests at a time; what it writes comes from a process beside this one.

    `id` and `revision` as in `TransformersModel`, which it is trained through. `precision`: f16 | q8_0, of the weights. The first
    use of weights writes a GGUF into the cache. A sampled answer depends on its own seed only, and not on its company.

    Raises BackendError E3070 for another precision, E3002 when the model cannot be loaded, UsageError E1102 without OpenVINO GenAI;
    answering raises E3071, E3072 where the weights cannot be written or read as GGUF.
    """

    def __init__(self, id: str = EMBEDDED, *, precision: str = "f16", revision: str = "") -> None:
        check_precision(precision)
        version, self._arithmetic = version_of_openvino(), arithmetic_here()
        self._twin = TransformersModel(id, device="cpu", revision=revision)
        self._adapter: AdapterSlot | None = None
        self._folder: Path | None = None
        self._tokens: Any = None
        self._batcher: Batcher | None = None
        self._graph: ChoiceGraph | None = None
        self._trees: dict[tuple[str, ...], LabelTree] = {}
        self.ref = ModelRef(
            kind="openvino",
            id=id,
            revision=self._twin.ref.revision,
            engine=f"openvino-{version}-{self._arithmetic}",
            precision=precision,
            weights=self._twin.ref.weights,
        )
        # An adapter is merged and never worn beside the weights: what cannot be merged cannot be answered with.
        self.capabilities = replace(self._twin.capabilities, adapters=False, json_schema=True)

    @classmethod
    def open(cls, ref: ModelRef, *, adapter: AdapterSlot | None = None, folder: Path | None = None) -> OpenVINOModel:
        """Rebuild from a record, with the candidate's adapter merged in.

        Raises BackendError E3003 when the weights are not the recorded ones, E3004, E3005 for an adapter of another model or one that
        has changed, E3073 where the recorded engine is not this machine's, E3074 for virtual tokens, which no weight can take in.
        """
        model = cls(ref.id, precision=ref.precision or "f16", revision=ref.revision)
        if ref.engine and ref.engine != model.ref.engine:
            raise BackendError("E3073", name=ref.id, expected=ref.engine, found=model.ref.engine)
        if adapter is not None and adapter.kind in _SOFT:
            raise BackendError("E3074", name=ref.id)
        # It checks the weights and the adapter, and reads neither.
        TransformersModel.open(ref.model_copy(update=_twin_fields()), adapter=adapter, folder=folder)
        model._adapter, model._folder = adapter, folder
        return model

    @property
    def _tokenizer(self) -> Any:
        if self._tokens is None:
            self._tokens = load_tokenizer(self._twin.place, self.ref.revision)
        return self._tokens

    def encode(self, request: Request, target: str | None = None) -> tuple[list[int], list[int]]:
        """Prompt token ids, and the target's with the end token (empty without one)."""
        return prompt_ids(self._tokenizer, request), [] if target is None else answer_ids(self._tokenizer, target)

    def training_parts(self) -> TrainingParts:
        """Those of the transformers model of the same weights; what it has learned is answered here once it is an adapter."""
        return self._twin.training_parts()

    def save(self, folder: Path) -> None:
        """Write the weights, any adapter merged in, in Hugging Face's layout."""
        self._merged_twin().save(folder)

    def release(self) -> None:
        """Give the memory back; the next request reads the files again."""
        if self._batcher is not None:
            self._batcher.close()
        self._batcher, self._graph = None, None
        self._twin.release()
        return_memory()

    def _merged_twin(self) -> TransformersModel:
        # In bf16 small changes of large weights would be lost before they are rounded to blocks.
        fields = {**_twin_fields(), "precision": "fp32"}
        return TransformersModel.open(self.ref.model_copy(update=fields), adapter=self._adapter, folder=self._folder)

    def _files(self) -> Path:
        wanted = Wanted(
            id=self.ref.id,
            revision=self.ref.revision,
            weights=self.ref.weights.sha256 if self.ref.weights else "",
            settings=settings_of(Path(self._twin.place)),
            adapter=self._adapter.sha256 if self._adapter else "",
            precision=self.ref.precision,
            arithmetic=self._arithmetic,
        )
        return files_of(wanted, self._write_merged)

    def _write_merged(self, working: Path) -> Path:
        place = Path(self._twin.place)
        if self._adapter is None and place.is_dir():
            return place
        twin = self._merged_twin()
        try:
            twin.save(working)
        finally:
            twin.release()
        return working

    def _open_batcher(self) -> Batcher:
        if self._batcher is None:
            properties = {"INFERENCE_PRECISION_HINT": self._arithmetic}
            end, decode = self._tokenizer.eos_token_id, decoding(self._tokenizer)
            self._batcher = Batcher(self._files() / GGUF, end, decode, properties)
        return self._batcher

    def _open_graph(self) -> ChoiceGraph:
        if self._graph is None:
            path = self._files() / GRAPH
            try:
                self._graph = ChoiceGraph(path, {"INFERENCE_PRECISION_HINT": self._arithmetic})
            except RuntimeError as error:
                raise BackendError("E3072", path=path, reason=_last_line(error)) from error
        return self._graph

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer all at once; order kept. A prompt longer than the context is a `too_long` failure."""
        out: dict[int, Completion] = {}
        written: dict[int, Running] = {}
        chosen: dict[tuple[str, ...], list[int]] = {}
        prompts = [self.encode(request)[0] for request in requests]
        started = time.perf_counter()
        for i, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            failed = too_long(len(prompt), request, self.capabilities.context_tokens)
            if failed is not None:
                out[i] = failed
            elif request.choices:
                chosen.setdefault(request.choices, []).append(i)
            else:
                written[i] = self._open_batcher().begin(prompt, request)
        while any(running.completion is None for running in written.values()):
            self._open_batcher().advance()
        share = (time.perf_counter() - started) / max(1, len(written))
        for i, running in written.items():
            assert running.completion is not None
            out[i] = replace(running.completion, seconds=share)
        for choices, places in chosen.items():
            started = time.perf_counter()
            found = self._choose(choices, [prompts[i] for i in places])
            share = (time.perf_counter() - started) / len(places)
            for i, completion in zip(places, found, strict=True):
                out[i] = replace(completion, seconds=share, tokens_in=len(prompts[i]))
        return [replace(out[i], served_by="" if out[i].failure else self.ref.id) for i in range(len(requests))]

    def _choose(self, choices: tuple[str, ...], prompts: Sequence[list[int]]) -> list[Completion]:
        if choices not in self._trees:
            self._trees[choices] = build_tree([answer_ids(self._tokenizer, choice) for choice in choices])
        try:
            scores = self._open_graph().score(prompts, self._trees[choices])
        except RuntimeError as error:
            self._graph = None
            return [Completion(failure=Failure("error", _last_line(error)), finish="error") for _ in prompts]
        return [_chosen(choices, row) for row in scores]

    def stream(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Delta]:
        """Pieces as they come. A choice comes in one piece."""
        running = self._started(request)
        if not isinstance(running, Running):
            yield whole_delta(running if isinstance(running, Completion) else self.generate([request])[0])
            return
        batcher = self._open_batcher()
        try:
            while running.completion is None:
                if cancelled():
                    batcher.cancel(running)
                    break
                batcher.advance()
                if running.completion is None and (text := running.take_text()):
                    yield Delta(text)
            yield self._under_way.last(running)
        finally:
            # Also where the reader went away.
            batcher.cancel(running)

    def _open_under_way(self) -> UnderWay[Running]:
        def advance() -> None:
            self._open_batcher().advance()

        def stop(running: Running) -> None:
            self._open_batcher().cancel(running)

        return UnderWay(self._started, self.generate, advance, stop, self.ref.id)

    def joins(self) -> bool:
        return True

    def _started(self, request: Request) -> Running | Completion | Request:
        """A request on its way: running, failed at once, or a choice, which is made in one piece."""
        prompt = self.encode(request)[0]
        failed = too_long(len(prompt), request, self.capabilities.context_tokens)
        if failed is not None:
            return failed
        return request if request.choices else self._open_batcher().begin(prompt, request, pieces=True)


def _twin_fields() -> dict[str, Any]:
    return {"kind": "transformers", "engine": "transformers-cpu", "precision": ""}


def _chosen(choices: Sequence[str], row: Any) -> Completion:
    if not np.isfinite(row).all():
        return Completion(failure=Failure("error", "scores are not finite"), finish="error")
    best = choices[int(np.argmax(row))]
    return Completion(text=best, choice_scores=tuple(float(x) for x in row), finish="choice")


def _last_line(error: Exception) -> str:
    return str(error).strip().split("\n")[-1][:300]
