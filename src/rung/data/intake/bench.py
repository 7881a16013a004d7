"""Files on their way through the child processes: staged, parsed on every core, kept, counted."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType

from rung.core.durable import writing
from rung.data.intake.cache import Cache, staging
from rung.data.intake.files import Content
from rung.data.intake.limits import Limits
from rung.data.intake.pool import Pool
from rung.data.parsing.blocks import Parsed
from rung.data.parsing.refusal import Unreadable

Key = tuple[str, str]
"""SHA-256 of the content and the suffix of the name: what parsing depends on."""


class Bench:
    """Parses contents, each once. `found` fills as they are done."""

    def __init__(self, limits: Limits, cache: Cache | None, done: Callable[[str], None]) -> None:
        """`done` is called in the caller's own thread, with the name of each file that was parsed."""
        self._limits, self._cache, self._done = limits, cache, done
        self._waiting: dict[Future[Parsed | Unreadable], tuple[Key, str]] = {}
        self._numbers = itertools.count()
        self._exits = contextlib.ExitStack()
        self.found: dict[Key, Parsed | Unreadable] = {}
        self.parsed = 0
        """How many were parsed here, and not found in the cache."""

    def __enter__(self) -> Bench:
        parent = self._cache.folder if self._cache else Path(tempfile.gettempdir())
        self._stage = self._exits.enter_context(staging(parent))
        self._threads = self._exits.enter_context(ThreadPoolExecutor(self._limits.processes))
        self._pool = self._exits.enter_context(Pool(self._limits))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for future in self._waiting:
            future.cancel()
        self._exits.close()

    def knows(self, key: Key) -> bool:
        """Whether a content is parsed, on its way, or in the cache from before."""
        if key in self.found or any(key == other for other, _ in self._waiting.values()):
            return True
        kept = self._cache.get(*key) if self._cache else None
        if kept is None:
            return False
        self.found[key] = kept
        return True

    def add(self, key: Key, content: Content, called: str) -> None:
        """Give a content to the next free child; waits while many are on their way. Raises WriteError, Unreadable."""
        while len(self._waiting) >= 2 * self._limits.processes:
            self._collect()
        path = self._stage / f"{next(self._numbers)}{key[1]}"
        raw = content.read()
        with writing(path):
            path.write_bytes(raw)
        self._waiting[self._threads.submit(self._parse, key, path)] = (key, called)

    def finish(self) -> None:
        """Wait for all that is on its way."""
        while self._waiting:
            self._collect()

    def _collect(self) -> None:
        for future in wait(self._waiting, return_when=FIRST_COMPLETED).done:
            key, called = self._waiting.pop(future)
            self.found[key] = future.result()
            self.parsed += 1
            self._done(called)

    def _parse(self, key: Key, path: Path) -> Parsed | Unreadable:
        found: Parsed | Unreadable
        try:
            # Only the kind: what is kept of a content must not depend on what one of its files is called.
            found = self._pool.parse(path, f"document{key[1]}")
        except Unreadable as refused:
            found = refused
        finally:
            path.unlink(missing_ok=True)
        if self._cache:
            self._cache.put(*key, found)
        return found
