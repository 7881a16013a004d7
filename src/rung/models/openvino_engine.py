"""OpenVINO GenAI's continuous batching, driven step by step: requests are admitted while others are being answered."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.model import Completion, Failure, Request
from rung.models.pieces import Decode, Pieces, written

_CACHE_GB = 1
"""Keys and values of what is being answered and of prefixes that may come again: some 90,000 tokens of the built-in model."""
_BATCHED_TOKENS = 2048
"""Prompt tokens that one step reads at most; a long prompt is read in parts, so that others go on meanwhile."""
_REMEMBERED = 1000
"""Schemas that are known to be good, or not."""
_UNREADABLE = "the engine cannot hold answers to this JSON schema"
_log = logging.getLogger(__name__)


class Running:
    """One request in the engine's hands. `completion` is there when it has ended."""

    def __init__(self, prompt: Sequence[int], request: Request, decode: Decode, *, pieces: bool) -> None:
        self.completion: Completion | None = None
        self.request = request
        self.prompt = list(prompt)
        self.schema = "" if request.json_schema is None else json.dumps(request.json_schema)
        self.tokens: list[int] = []
        self.handle: Any = None
        self._decode = decode
        # Text is only made on the way where somebody reads it, or where it decides when to stop.
        self._pieces = Pieces(decode, request.stop) if pieces or request.stop else None
        self._fresh = ""
        self._started = time.perf_counter()

    def take_text(self) -> str:
        """The text that has come since the last time."""
        fresh, self._fresh = self._fresh, ""
        return fresh

    def collect(self, end: int) -> None:
        """Read what the last step brought."""
        found: list[int] = []
        while self.handle.can_read():
            for output in self.handle.read().values():
                found.extend(output.generated_ids)
        ended = end in found
        found = found[: found.index(end)] if ended else found
        self.tokens += found
        if self._pieces is not None:
            self._fresh += self._pieces.add(found)
            if self._pieces.stopped:
                self.finish("stop")
                return
        if ended:
            self.finish("stop", 1)
        elif len(self.tokens) >= self.request.max_tokens:
            self.finish("length")
        else:
            status = self.handle.get_status().name
            if status == "FINISHED":
                # What a schema allows may be complete without an end token.
                self.finish("stop")
            elif status != "RUNNING":
                self.fail(f"the engine put the request down ({status.lower()})")

    def finish(self, how: str, more: int = 0) -> None:
        """End it with what has come. `more`: tokens that count and are no text."""
        if how != "length" and self.handle is not None and self.handle.get_status().name == "RUNNING":
            self.handle.cancel()
        cut = how in ("length", "cancelled")
        if self._pieces is None:
            text = written(self._decode, self.tokens, cut=cut)
        else:
            self._fresh += self._pieces.end(cut=cut)
            text = self._pieces.text
        self.completion = Completion(
            text=text,
            finish=how,
            tokens_in=len(self.prompt),
            tokens_out=len(self.tokens) + more,
            seconds=time.perf_counter() - self._started,
        )

    def fail(self, why: str) -> None:
        self.completion = Completion(
            failure=Failure("error", why[:300]),
            finish="error",
            tokens_in=len(self.prompt),
            tokens_out=len(self.tokens),
            seconds=time.perf_counter() - self._started,
        )


class Batcher:
    """The pipeline over a GGUF file. Safe to use from several threads: whoever waits drives the next step.

    `end`: id of the end token. `decode`: token ids to text. `properties`: OpenVINO's, for the processor. Raises RuntimeError
    where OpenVINO cannot read the file.
    """

    def __init__(self, path: Path, end: int, decode: Decode, properties: dict[str, str]) -> None:
        self._path = path
        self._end = end
        self._decode = decode
        self._properties = properties
        self._lock = threading.RLock()
        self._running: list[Running] = []
        self._proved: set[str] = set()
        self._refused: set[str] = set()
        self._admitted = 0
        self._pipeline = self._open()

    def begin(self, prompt: Sequence[int], request: Request, *, pieces: bool = False) -> Running:
        """Admit a request. `pieces`: its text is wanted as it comes."""
        running = Running(prompt, request, self._decode, pieces=pieces)
        with self._lock:
            why = self._unfit(running)
            if why:
                running.fail(why)
            else:
                self._admit(running)
                self._running.append(running)
        return running

    def advance(self) -> None:
        """One step for all that runs: a part of the prompts, or one token of each answer."""
        with self._lock:
            self._running = [running for running in self._running if running.completion is None]
            if not self._running:
                return
            try:
                self._pipeline.step()
                for running in self._running:
                    running.collect(self._end)
                    if running.schema and running.tokens:
                        _remember(self._proved, running.schema)
            except RuntimeError as error:
                self._recover(str(error))

    def cancel(self, running: Running) -> None:
        """End a request with what has come of it."""
        with self._lock:
            if running.completion is None:
                running.finish("cancelled")
            if (
                all(each.completion is not None for each in self._running)
                and self._pipeline.has_non_finished_requests()
            ):
                # Nobody else drives the step in which the pipeline lets go of it.
                self._pipeline.step()

    def _open(self) -> Any:
        import openvino_genai

        scheduling = openvino_genai.SchedulerConfig()
        scheduling.enable_prefix_caching = True
        scheduling.cache_size = _CACHE_GB
        scheduling.max_num_batched_tokens = _BATCHED_TOKENS
        return openvino_genai.ContinuousBatchingPipeline(str(self._path), scheduling, "CPU", self._properties)

    def _admit(self, running: Running) -> None:
        import openvino

        self._admitted += 1
        ids = openvino.Tensor(np.array([running.prompt + running.tokens], dtype=np.int64))
        settings = self._settings(running.request, len(running.tokens))
        running.handle = self._pipeline.add_request(self._admitted, ids, settings)

    def _settings(self, request: Request, written: int = 0) -> Any:
        import openvino_genai

        settings = openvino_genai.GenerationConfig()
        settings.eos_token_id = self._end
        settings.max_new_tokens = request.max_tokens - written
        settings.do_sample = request.temperature > 0
        if settings.do_sample:
            settings.temperature = request.temperature
            settings.top_p = request.top_p
            settings.rng_seed = request.seed % (1 << 32)
        if request.json_schema is not None:
            settings.structured_output_config = openvino_genai.StructuredOutputConfig(
                json_schema=json.dumps(request.json_schema)
            )
        return settings

    def _unfit(self, running: Running) -> str:
        """Why an answer cannot be held to its schema; '' where it may be, or there is none."""
        if running.request.json_schema is None or running.schema in self._proved:
            return ""
        import jsonschema

        try:
            jsonschema.Draft202012Validator.check_schema(running.request.json_schema)
        except jsonschema.SchemaError as error:
            return f"the JSON schema is not one: {error.message}"
        return _UNREADABLE if running.schema in self._refused else ""

    def _recover(self, why: str) -> None:
        """A step that fails leaves the pipeline useless for everybody: open it anew, and go on with who was not to blame.

        A schema that the engine cannot read fails in the first step that it is in. Of several new ones, each is tried alone; where
        there is none, nobody is spared.
        """
        _log.warning("OpenVINO failed, and is opened again: %s", why[:500])
        self._pipeline = None
        self._pipeline = self._open()
        left = [running for running in self._running if running.completion is None]
        new = {running.schema: running for running in left if running.schema and running.schema not in self._proved}
        lost = {schema for schema, running in new.items() if len(new) == 1 or not self._readable(running.request)}
        for schema in lost:
            _remember(self._refused, schema)
        for running in left:
            if running.schema in lost:
                running.fail(_UNREADABLE)
            elif lost:
                self._admit(running)
            else:
                running.fail(why.strip().split("\n")[-1])

    def _readable(self, request: Request) -> bool:
        """Whether a pipeline with nothing else to do can hold an answer to a request's schema."""
        import openvino

        self._admitted += 1
        settings = self._settings(replace(request, max_tokens=1))
        try:
            prompt = openvino.Tensor(np.array([[self._end]], dtype=np.int64))
            # A request whose handle nobody holds is put down at once.
            handle = self._pipeline.add_request(self._admitted, prompt, settings)
            while handle.get_status().name == "RUNNING":
                self._pipeline.step()
        except RuntimeError:
            self._pipeline = None
            self._pipeline = self._open()
            return False
        return True


def _remember(known: set[str], schema: str) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known.add(schema)
