"""llama.cpp in a process of its own: a GGUF file, its tokenizer and its chat template, asked one JSON line at a time.

`python -m rung.models.llama_cpp_engine FILE [plain]` says what it is on its first line of stdout, and answers every line of stdin
with one of its own. `plain` leaves out the processor's own layouts of weights.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.model import Completion, Failure, Message, Request
from rung.models.choices import shared_prefix
from rung.models.completion_record import write_completion
from rung.models.drawing import draw
from rung.models.pieces import Pieces

_STEP = 256
"""Contexts are made in multiples of this many tokens."""


class Engine:
    """Answers and scores of choices. Raises ValueError where llama.cpp cannot open the file."""

    _engine: Any = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._context = 0
        self._open(_STEP)
        told: dict[str, str] = self._engine.metadata
        self._template = told.get("tokenizer.chat_template", "")
        self.context = int(told.get(f"{told.get('general.architecture', '')}.context_length", 0))

    def _open(self, tokens: int) -> None:
        """Make room for so many tokens."""
        import llama_cpp

        if tokens <= self._context:
            return
        self._context = -(-tokens // _STEP) * _STEP
        if self._engine is not None:
            self._engine.close()
        threads = _threads()
        self._engine = llama_cpp.Llama(
            str(self._path),
            n_ctx=self._context,
            n_batch=_STEP,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=True,
            verbose=False,
        )

    def encode(self, request: Request, target: str | None = None) -> tuple[list[int], list[int]]:
        """Prompt token ids, and the target's with the end token, as llama.cpp cuts them."""
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        engine = self._engine
        end = engine.token_eos()
        formatter = Jinja2ChatFormatter(
            template=self._template, eos_token=self._piece(end), bos_token=self._piece(engine.token_bos())
        )
        turns = [{"role": message.role, "content": message.text} for message in request.messages]
        text = formatter(messages=turns).prompt
        prompt = engine.tokenize(text.encode(), add_bos=False, special=True)
        return prompt, [] if target is None else self._answer_ids(target)

    def _answer_ids(self, text: str) -> list[int]:
        return [*self._engine.tokenize(text.encode(), add_bos=False, special=False), self._engine.token_eos()]

    def _piece(self, token: int) -> str:
        return str(self._engine.detokenize([token], special=True).decode("utf-8", "replace")) if token >= 0 else ""

    def answer(self, request: Request) -> Completion:
        started = time.perf_counter()
        prompt, _ = self.encode(request)
        labels = [self._answer_ids(choice) for choice in request.choices]
        longest = max((len(label) for label in labels), default=request.max_tokens)
        if self.context and len(prompt) + longest > self.context:
            message = f"{len(prompt)} prompt tokens and {longest} for the answer exceed the context of {self.context}"
            return Completion(failure=Failure("too_long", message), finish="error", tokens_in=len(prompt))
        self._open(len(prompt) + longest + 1)
        first = self._read(prompt)
        if labels:
            scores = tuple(self._score(len(prompt), first, label) for label in labels)
            best = request.choices[int(np.argmax(scores))]
            seconds = time.perf_counter() - started
            return Completion(text=best, choice_scores=scores, finish="choice", tokens_in=len(prompt), seconds=seconds)
        pieces, stopped = self._write(first, request)
        return Completion(
            text=pieces.text,
            finish="stop" if stopped else "length",
            tokens_in=len(prompt),
            tokens_out=len(pieces.tokens) + (stopped and not pieces.stopped),
            seconds=time.perf_counter() - started,
        )

    def _read(self, prompt: list[int]) -> NDArray[np.float32]:
        """Logits after the prompt. What it shares with the prompt before it stays in the cache."""
        engine = self._engine
        before = engine.input_ids[: engine.n_tokens].tolist()
        engine.n_tokens = shared_prefix([before, prompt]) if before and len(before) > 1 else 0
        engine.eval(prompt[engine.n_tokens :])
        return self._logits(len(prompt) - 1)

    def _logits(self, place: int) -> NDArray[np.float32]:
        return np.array(self._engine.scores[place], dtype=np.float32)

    def _score(self, start: int, first: NDArray[np.float32], label: list[int]) -> float:
        """Summed log-probability of a label behind the prompt, in nats."""
        engine = self._engine
        engine.n_tokens = start
        rows = [first]
        if len(label) > 1:
            engine.eval(label[:-1])
            rows += [self._logits(start + n) for n in range(len(label) - 1)]
        return float(sum(_log_share(row, token) for row, token in zip(rows, label, strict=True)))

    def _write(self, logits: NDArray[np.float32], request: Request) -> tuple[Pieces, bool]:
        """What was written, and whether it came to an end of its own."""
        engine = self._engine
        pieces = Pieces(lambda tokens: str(engine.detokenize(list(tokens)).decode("utf-8", "replace")), request.stop)
        generator = np.random.default_rng(request.seed)
        end, stopped = engine.token_eos(), False
        while len(pieces.tokens) < request.max_tokens and not stopped:
            token = draw(logits, request, generator)
            if token == end:
                stopped = True
                break
            pieces.add([token])
            stopped = pieces.stopped
            if len(pieces.tokens) < request.max_tokens and not stopped:
                engine.eval([token])
                logits = self._logits(engine.n_tokens - 1)
        pieces.end(cut=not stopped)
        return pieces, stopped


def _threads() -> int:
    """More threads than cores wait for each other in a circle, and one process may have few of a machine's cores."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(said), there) if said.isdigit() and int(said) else there


def _log_share(logits: NDArray[np.float32], token: int) -> float:
    values = logits.astype(np.float64)
    top = values.max()
    return float(values[token] - top - np.log(np.exp(values - top).sum()))


def _without_own_layouts() -> None:
    """Some virtual machines announce matrix units that they do not let anybody use; llama.cpp dies of it."""
    from llama_cpp import llama_cpp

    usual = llama_cpp.llama_model_default_params

    def plain() -> Any:
        parameters = usual()
        parameters.use_extra_bufts = False
        return parameters

    llama_cpp.llama_model_default_params = plain


def _end_with(parent: int) -> None:
    """An answer can take minutes; nobody waits for it when the parent has been killed."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main() -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    # llama.cpp writes to the process's own stdout; only our lines may go there.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    if sys.argv[2:] == ["plain"]:
        _without_own_layouts()
    import llama_cpp

    try:
        engine = Engine(Path(sys.argv[1]))
    except (ValueError, RuntimeError) as error:
        print(json.dumps({"error": str(error)[:300]}), file=lines)
        return
    print(json.dumps({"version": llama_cpp.__version__, "context": engine.context}), file=lines)
    for line in sys.stdin:
        asked = json.loads(line)
        request = Request(
            messages=tuple(Message(role, text) for role, text in asked["messages"]),
            choices=tuple(asked["choices"]),
            max_tokens=asked["max_tokens"],
            temperature=asked["temperature"],
            top_p=asked["top_p"],
            seed=asked["seed"],
            stop=tuple(asked["stop"]),
        )
        if asked["encode"]:
            prompt, target = engine.encode(request, asked["target"])
            print(json.dumps({"prompt": prompt, "target": target}), file=lines)
        else:
            print(json.dumps(write_completion(engine.answer(request))), file=lines)


if __name__ == "__main__":
    main()
