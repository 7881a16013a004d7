"""A GGUF file answering through llama.cpp (the package llama-cpp-python), in a child process that may die without us."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.core.errors import BackendError
from rung.core.model import Capabilities, Completion, ModelRef, Request
from rung.models.completion_record import read_completion


class LlamaCppModel:
    """Answers and scores of choices, one request at a time; order kept.

    Raises BackendError E3048 where llama.cpp cannot open the file, E3049 where it dies on it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._child: subprocess.Popen[str] | None = None
        self._plain = False
        hello = self._start()
        self.ref = ModelRef(
            kind="llama_cpp", id=path.name, engine=f"llama-cpp-python {hello['version']}", precision=path.stem
        )
        self.capabilities = Capabilities(choices=True, context_tokens=int(hello["context"]))

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        answers = [read_completion(self._ask(request)) for request in requests]
        return [replace(answer, served_by=self.ref.id) for answer in answers]

    def encode(self, request: Request, target: str | None = None) -> tuple[list[int], list[int]]:
        """Prompt token ids, and the target's with the end token, as llama.cpp cuts them."""
        told = self._ask(request, encode=True, target=target)
        return told["prompt"], told["target"]

    def release(self) -> None:
        """End the process; the next request starts another."""
        child, self._child = self._child, None
        if child is not None:
            # It holds nothing that would be lost, and may be deep in an answer that nobody waits for.
            child.kill()
            child.communicate()

    def __del__(self) -> None:
        self.release()

    def _start(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "rung.models.llama_cpp_engine", str(self._path)]
        self._child = subprocess.Popen(
            [*command, "plain"] if self._plain else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        hello = self._line("")
        if hello is None:
            return self._again()
        if "error" in hello:
            self.release()
            raise BackendError("E3048", path=self._path, reason=hello["error"])
        return hello

    def _ask(self, request: Request, *, encode: bool = False, target: str | None = None) -> dict[str, Any]:
        if self._child is None:
            self._start()
        asked = {
            "messages": [[message.role, message.text] for message in request.messages],
            "choices": request.choices,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "stop": request.stop,
            "encode": encode,
            "target": target,
        }
        line = json.dumps(asked) + "\n"
        answer = self._line(line)
        if answer is None:
            self._again()
            answer = self._line(line)
        if answer is None:
            raise self._died()
        return answer

    def _line(self, said: str) -> dict[str, Any] | None:
        """What the child says to a line; None where it is dead."""
        assert self._child is not None
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(said)
            self._child.stdin.flush()
        except BrokenPipeError:
            return None
        heard = self._child.stdout.readline()
        return json.loads(heard) if heard.endswith("\n") else None

    def _again(self) -> dict[str, Any]:
        """Once more without the processor's own layouts of weights. Raises E3049 where that was tried already."""
        if self._plain:
            raise self._died()
        self.release()
        self._plain = True
        return self._start()

    def _died(self) -> BackendError:
        code = self._child.wait() if self._child else 0
        self.release()
        return BackendError("E3049", path=self._path, ended=f"signal {-code}" if code < 0 else f"exit code {code}")
