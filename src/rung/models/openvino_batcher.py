"""What runs in OpenVINO's process, seen from the asking one: text of tokens as they come, and going on after it has failed."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.core.errors import BackendError
from rung.core.model import Completion, Failure, Request
from rung.models.pieces import Decode, Pieces, written

_REMEMBERED = 1000
"""Schemas that are known to be good, or not."""
_UNREADABLE = "the engine cannot hold answers to this JSON schema"
_LOOK_SECONDS = 0.05
_log = logging.getLogger(__name__)


class Running:
    """One request in the engine's hands. `completion` is there when it has ended."""

    def __init__(self, prompt: Sequence[int], request: Request, decode: Decode, *, pieces: bool) -> None:
        self.completion: Completion | None = None
        self.request = request
        self.prompt = list(prompt)
        self.schema = "" if request.json_schema is None else json.dumps(request.json_schema)
        self.tokens: list[int] = []
        self._decode = decode
        # Text is only made on the way where somebody reads it, or where it decides when to stop.
        self._pieces = Pieces(decode, request.stop) if pieces or request.stop else None
        self._fresh = ""
        self._started = time.perf_counter()

    def take_text(self) -> str:
        """The text that has come since the last time."""
        fresh, self._fresh = self._fresh, ""
        return fresh

    def take_in(self, found: list[int], status: str, end: int) -> bool:
        """New tokens, and the engine's word for its state; whether the engine is to be told that no more are wanted."""
        ended = end in found
        found = found[: found.index(end)] if ended else found
        self.tokens += found
        if self._pieces is not None:
            self._fresh += self._pieces.add(found)
            if self._pieces.stopped:
                self.finish("stop")
                return status == "RUNNING"
        if ended:
            self.finish("stop", 1)
        elif len(self.tokens) >= self.request.max_tokens:
            self.finish("length")
        elif status == "FINISHED":
            # What a schema allows may be complete without an end token.
            self.finish("stop")
        elif status != "RUNNING":
            self.fail(f"the engine put the request down ({status.lower()})")
        return False

    def finish(self, how: str, more: int = 0) -> None:
        """End it with what has come. `more`: tokens that count and are no text."""
        cut = how in ("length", "cancelled")
        if self._pieces is None:
            text = written(self._decode, self.tokens, cut=cut)
        else:
            self._fresh += self._pieces.end(cut=cut)
            text = self._pieces.text
        self._end(Completion(text=text, finish=how, tokens_out=len(self.tokens) + more))

    def fail(self, why: str) -> None:
        self._end(Completion(failure=Failure("error", why[-300:]), finish="error", tokens_out=len(self.tokens)))

    def _end(self, completion: Completion) -> None:
        seconds = time.perf_counter() - self._started
        self.completion = replace(completion, tokens_in=len(self.prompt), seconds=seconds)


class Batcher:
    """The engine's process. Safe to use from several threads: whoever waits takes in what it says, for all.

    `end`: id of the end token. `decode`: token ids to text. `properties`: OpenVINO's, for the processor. Starting it raises
    BackendError E3072 where OpenVINO cannot read the file, or dies on it.
    """

    def __init__(self, path: Path, end: int, decode: Decode, properties: dict[str, str]) -> None:
        self._path = path
        self._end = end
        self._decode = decode
        self._properties = properties
        self._hearing, self._saying = threading.Lock(), threading.RLock()
        self._running: dict[str, Running] = {}
        self._proved: set[str] = set()
        self._refused: set[str] = set()
        self._named = 0
        self._child: subprocess.Popen[str] | None = None
        self._start()

    def begin(self, prompt: Sequence[int], request: Request, *, pieces: bool = False) -> Running:
        """Admit a request. `pieces`: its text is wanted as it comes."""
        running = Running(prompt, request, self._decode, pieces=pieces)
        why = self._unfit(running)
        if why:
            running.fail(why)
            return running
        with self._saying:
            if self._child is None:
                self._start()
            self._named += 1
            id = str(self._named)
            self._running[id] = running
            self._admit(id, running)
        return running

    def advance(self) -> None:
        """Take in what the engine says next; soon back where another thread is listening already."""
        if not self._hearing.acquire(timeout=_LOOK_SECONDS):
            return
        try:
            if not self._running:
                return
            heard = self._hear()
            if "news" not in heard:
                self._recover(heard.get("failed") or self._end_of_child())
                return
            for id, (tokens, status) in heard["news"].items():
                self._take_in(id, tokens, status)
        finally:
            self._hearing.release()

    def cancel(self, running: Running) -> None:
        """End a request with what has come of it."""
        for id, each in list(self._running.items()):
            if each is running and self._running.pop(id, None) is not None:
                running.finish("cancelled")
                self._say({"cancel": id})

    def close(self) -> None:
        """End the process; the next request starts another."""
        with self._saying:
            child, self._child = self._child, None
        if child is not None:
            # It holds nothing that would be lost, and may be deep in an answer that nobody waits for.
            child.kill()
            child.communicate()

    def __del__(self) -> None:
        if getattr(self, "_child", None) is not None:
            self.close()

    def _start(self) -> None:
        command = [sys.executable, "-m", "rung.models.openvino_engine", str(self._path), json.dumps(self._properties)]
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        heard = self._hear()
        if "ready" not in heard:
            reason = _last_line(heard.get("failed") or self._end_of_child())
            self.close()
            raise BackendError("E3072", path=self._path, reason=reason)

    def _hear(self) -> dict[str, Any]:
        """The engine's next line; {} where it is dead."""
        child = self._child
        if child is None or child.stdout is None:
            return {}
        line = child.stdout.readline()
        return json.loads(line) if line.endswith("\n") else {}

    def _say(self, asked: dict[str, Any]) -> None:
        # Where it is dead, whoever listens hears of it.
        with self._saying, contextlib.suppress(OSError, ValueError):
            if self._child is not None and self._child.stdin is not None:
                self._child.stdin.write(json.dumps(asked) + "\n")
                self._child.stdin.flush()

    def _end_of_child(self) -> str:
        code = self._child.wait() if self._child is not None else 0
        return f"it died of signal {-code}" if code < 0 else f"it ended with exit code {code}"

    def _admit(self, id: str, running: Running) -> None:
        request = running.request
        self._say(
            {
                "begin": id,
                "prompt": running.prompt + running.tokens,
                "end": self._end,
                "max_tokens": request.max_tokens - len(running.tokens),
                "temperature": request.temperature,
                "top_p": request.top_p,
                "seed": request.seed,
                "schema": running.schema,
            }
        )

    def _take_in(self, id: str, tokens: list[int], status: str) -> None:
        running = self._running.get(id)
        if running is None:
            return
        unwanted = running.take_in(tokens, status, self._end)
        if running.schema and running.tokens:
            _remember(self._proved, running.schema)
        if running.completion is not None:
            self._running.pop(id, None)
        if unwanted:
            self._say({"cancel": id})

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
        """The engine has failed for all that ran: start it anew, and go on with who was not to blame.

        A schema that it cannot read fails in the first step that it is in. Of several new ones, each is tried alone; where there is
        none, nobody is spared.
        """
        _log.warning("OpenVINO failed, and is started again when needed: %s", why)
        with self._saying:
            self.close()
            left = dict(self._running)
            new = {each.schema: each for each in left.values() if each.schema and each.schema not in self._proved}
            lost = {schema for schema, each in new.items() if len(new) == 1 or not self._readable(each)}
            if lost and self._child is None:
                self._start()
            for schema in lost:
                _remember(self._refused, schema)
            for id, running in left.items():
                if lost and running.schema not in lost:
                    self._admit(id, running)
                else:
                    running.fail(_UNREADABLE if lost else _last_line(why))
                    self._running.pop(id, None)

    def _readable(self, running: Running) -> bool:
        """Whether an engine with nothing else to do can hold an answer to a request's schema."""
        if self._child is None:
            self._start()
        trial = Running([self._end], replace(running.request, max_tokens=1), self._decode, pieces=False)
        self._admit("trial", trial)
        while trial.completion is None:
            heard = self._hear()
            if "news" not in heard:
                self.close()
                return False
            for tokens, status in heard["news"].values():
                trial.take_in(tokens, status, self._end)
        return True


def _remember(known: set[str], schema: str) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known.add(schema)


def _last_line(text: str) -> str:
    return text.strip().split("\n")[-1]
