"""OpenVINO GenAI's continuous batching in a process of its own: requests join while others are being answered.

`python -m rung.models.openvino_engine FILE PROPERTIES` says on its first line of stdout that it is ready, and then a line after every
step. A step keeps Python's lock for as long as it takes, seconds for a long prompt: in the asking process it would stop every thread.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any

import numpy as np

from rung.models.openvino_import import openvino, openvino_genai

_CACHE_GB = 1
"""Keys and values of what is being answered and of prefixes that may come again: some 90,000 tokens of the built-in model."""
_BATCHED_TOKENS = 1024
"""Prompt tokens that one step reads at most: a long prompt is read in parts, so that others go on meanwhile."""


class Engine:
    """The pipeline and the handles of what it is answering, by the asking process's ids."""

    def __init__(self, path: str, properties: dict[str, str]) -> None:
        genai = openvino_genai()
        scheduling = genai.SchedulerConfig()
        scheduling.enable_prefix_caching = True
        scheduling.cache_size = _CACHE_GB
        scheduling.max_num_batched_tokens = _BATCHED_TOKENS
        self._pipeline = genai.ContinuousBatchingPipeline(path, scheduling, "CPU", properties)
        self.handles: dict[str, Any] = {}
        self._admitted = 0

    def take(self, asked: dict[str, Any]) -> None:
        """Begin or cancel a request."""
        if "cancel" in asked:
            handle = self.handles.pop(asked["cancel"], None)
            if handle is not None:
                handle.cancel()
            if not self.handles and self._pipeline.has_non_finished_requests():
                # Nobody else brings the step in which the pipeline lets go of it.
                self._pipeline.step()
            return
        self._admitted += 1
        ids = openvino().Tensor(np.array([asked["prompt"]], dtype=np.int64))
        self.handles[asked["begin"]] = self._pipeline.add_request(self._admitted, ids, _settings(asked))

    def step(self) -> dict[str, tuple[list[int], str]]:
        """New tokens and state of every request of which there is news."""
        self._pipeline.step()
        told: dict[str, tuple[list[int], str]] = {}
        for id, handle in list(self.handles.items()):
            tokens: list[int] = []
            while handle.can_read():
                for output in handle.read().values():
                    tokens.extend(output.generated_ids)
            status = handle.get_status().name
            if status != "RUNNING":
                del self.handles[id]
            if tokens or status != "RUNNING":
                told[id] = (tokens, status)
        return told


def _settings(asked: dict[str, Any]) -> Any:
    genai = openvino_genai()
    settings = genai.GenerationConfig()
    settings.eos_token_id = asked["end"]
    settings.max_new_tokens = asked["max_tokens"]
    settings.do_sample = asked["temperature"] > 0
    if settings.do_sample:
        settings.temperature = asked["temperature"]
        settings.top_p = asked["top_p"]
        settings.rng_seed = asked["seed"] % (1 << 32)
    if asked["schema"]:
        settings.structured_output_config = genai.StructuredOutputConfig(json_schema=asked["schema"])
    return settings


def _listen(lines: queue.SimpleQueue[str | None]) -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put(None)


def main() -> None:
    # OpenVINO may write to the process's own stdout; only our lines may go there.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    try:
        engine = Engine(sys.argv[1], json.loads(sys.argv[2]))
        print(json.dumps({"ready": True}), file=out)
        while True:
            while not engine.handles or not lines.empty():
                line = lines.get()
                if line is None:
                    os._exit(0)
                asked = json.loads(line)
                engine.take(asked)
                if "cancel" in asked:
                    # Whoever listens may have waited for just that one.
                    print(json.dumps({"news": {}}), file=out)
            print(json.dumps({"news": engine.step()}), file=out)
    except RuntimeError as error:
        # What has failed once is of no use to anybody else either.
        print(json.dumps({"failed": str(error)[-1000:]}), file=out)
    except BrokenPipeError:
        pass
    # Unwinding a pipeline with open requests takes long and says much.
    os._exit(0)


if __name__ == "__main__":
    main()
