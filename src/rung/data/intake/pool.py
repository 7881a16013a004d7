"""Child processes that parse files, kept for the next file: one that hangs, grows or crashes costs only its file."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from rung.core.errors import DataError
from rung.data.intake.limits import MIB, Limits
from rung.data.intake.wire import from_json
from rung.data.parsing.blocks import Parsed
from rung.data.parsing.refusal import Unreadable

# -P: a folder that Rung happens to be run in must not lend the child its modules.
COMMAND = (sys.executable, "-P", "-m", "rung.data.intake.child")
_START_SECONDS = 60
_BLOCK = 1 << 16


class Worker:
    """One child process, started and ready."""

    def __init__(self, limits: Limits) -> None:
        """Raises DataError E2359 where it does not start."""
        self._limits = limits
        self._process = subprocess.Popen(
            [*COMMAND, str(limits.memory_mib), str(limits.seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # One thread: others would only take address space, and there is a process for every core.
            env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        )
        self.usable = True
        assert self._process.stdout is not None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        try:
            self._line(time.monotonic() + _START_SECONDS)
        except (Unreadable, OSError) as error:
            raise DataError("E2359", reason=self._last_words() or str(error)) from error

    def parse(self, path: Path, name: str) -> Parsed:
        """What a file holds. `path` is where it lies, `name` what it is called.

        Raises Unreadable with the parser's own codes, or E2351 (too much computing), E2352 (memory), E2353 (too much
        text), E2354 (the parser stumbled), E2355 (it crashed) or E2358 (it hung).
        """
        limits = self._limits
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"path": str(path), "name": name}).encode() + b"\n")
            self._process.stdin.flush()
            reply = json.loads(self._line(time.monotonic() + limits.wall_seconds).decode("utf-8", "surrogatepass"))
            if reply.get("last"):
                self.close()
            if "code" in reply:
                raise Unreadable(reply["code"], **{"limit": limits.memory_mib, **reply["values"]})
            return from_json(reply["parsed"])
        except (OSError, ValueError, KeyError) as error:
            self.close()
            raise Unreadable("E2355", reason=f"{type(error).__name__}: {error}"[:200]) from error

    def _line(self, deadline: float) -> bytes:
        """The child's next line, read as it comes, so that neither its end nor its silence is missed."""
        assert self._process.stdout is not None
        parts: list[bytes] = []
        size = 0
        while True:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                self.close()
                raise Unreadable("E2358", seconds=self._limits.wall_seconds)
            part = os.read(self._process.stdout.fileno(), _BLOCK)
            if not part:
                raise self._death()
            parts.append(part)
            size += len(part)
            if size > self._limits.text_mib * MIB:
                self.close()
                raise Unreadable("E2353", limit=self._limits.text_mib)
            if part.endswith(b"\n"):
                return b"".join(parts)

    def _death(self) -> Unreadable:
        """Why the child is gone."""
        self.usable = False
        ended = self._process.wait()
        if ended == -signal.SIGXCPU:
            return Unreadable("E2351", seconds=self._limits.seconds)
        if ended < 0:
            return Unreadable("E2355", reason=signal.Signals(-ended).name)
        return Unreadable("E2355", reason=f"exit {ended}")

    def _last_words(self) -> str:
        self.close(keep_stderr=True)
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            said = stream.read().decode("utf-8", "replace").strip()
        return said.splitlines()[-1] if said else ""

    @property
    def alive(self) -> bool:
        """Whether the next file may be given to it: something else may have ended the child while it waited."""
        return self.usable and self._process.poll() is None

    def kill(self) -> None:
        """End the child at once; the thread that waits for it is told. May be called from another thread."""
        self.usable = False
        self._process.kill()

    def close(self, *, keep_stderr: bool = False) -> None:
        """End the child and give back what it held. May be called again, by the thread that has the worker."""
        self.kill()
        self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, None if keep_stderr else self._process.stderr):
            if pipe is not None:
                # A request that the child did not live to read is still in the buffer.
                with contextlib.suppress(OSError):
                    pipe.close()


class Pool:
    """Children for several threads: each call of `parse` has one to itself, started when first needed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._stopped = False

    def parse(self, path: Path, name: str) -> Parsed:
        """As `Worker.parse`. Raises DataError E2359 where no child starts."""
        worker = self._take()
        try:
            return worker.parse(path, name)
        finally:
            with self._lock:
                self._busy.discard(worker)
                if worker.usable:
                    self._idle.append(worker)
                else:
                    worker.close()

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    self._busy.add(worker)
                    return worker
                worker.close()
        worker = Worker(self._limits)
        with self._lock:
            self._busy.add(worker)
            if self._stopped:
                worker.kill()
        return worker

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every child; a call of `parse` that is under way raises Unreadable."""
        with self._lock:
            self._stopped = True
            for worker in self._busy:
                worker.kill()
            for worker in self._idle:
                worker.close()
            self._idle.clear()
