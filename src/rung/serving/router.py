"""Who answers a request: the champion, or its challenger; a new one takes over only after it has been opened and warmed up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rung.core.errors import InterruptedRun, RungError, WriteError
from rung.core.hashing import seed_from
from rung.store.deployment import Challenger, Deployment, Pointer
from rung.store.traffic.records import Role

_log = logging.getLogger(__name__)
T = TypeVar("T")
_LONGEST_ANSWER = 600.0
"""Seconds after which an old candidate is let go whatever it still does."""


@dataclass(frozen=True, slots=True)
class Served(Generic[T]):
    """Who answers one request, and as what."""

    opened: T
    role: Role
    run: str
    """Id of its run."""
    candidate: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A candidate that was to take over and could not."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Live(Generic[T]):
    pointer: Pointer
    opened: T


@dataclass(frozen=True, slots=True)
class _Line(Generic[T]):
    """Who is there now. Replaced as a whole, so that no request sees half a change."""

    champion: _Live[T]
    challenger: _Live[T] | None = None
    trial: Challenger | None = None

    def all(self) -> list[_Live[T]]:
        return [live for live in (self.champion, self.challenger) if live is not None]


@dataclass(frozen=True)
class Handling(Generic[T]):
    """How candidates are brought to life and let go."""

    open: Callable[[Pointer], T]
    warm: Callable[[T, Pointer], None] = lambda opened, pointer: None
    """Asks it something; raises where it does not answer."""
    idle: Callable[[T], bool] = lambda opened: True
    """Whether nothing is under way in it."""
    close: Callable[[T], object] = lambda opened: None


class Router(Generic[T]):
    """Follows a deployment. Safe to call from any thread; a call never waits for a candidate to be opened.

    `poll`: seconds between two looks at the pointers. `linger`: seconds for which one that has been replaced is kept at least, for
    requests that were given to it a moment before.
    """

    def __init__(
        self, deployment: Deployment, handling: Handling[T], *, poll: float = 1.0, linger: float = 2.0
    ) -> None:
        """Opens and warms up the champion. Raises what that raises."""
        self._deployment, self._handling = deployment, handling
        self._poll, self._linger = poll, linger
        self._seen: tuple[int, ...] = ()
        self._looked = 0.0
        self._lock = threading.Lock()
        self._following: threading.Thread | None = None
        self._closed = threading.Event()
        self.refused: Refused | None = None
        """Who could not take over when the pointers changed last."""
        version = deployment.version
        self._line: _Line[T] = _Line(self._brought(deployment.champion))
        # The challenger is opened behind the scenes: the champion need not wait for it.
        self._seen = version if deployment.challenger is None else ()
        self._look()

    @property
    def champion(self) -> T:
        return self._line.champion.opened

    def pick(self, request: str, session: str = "") -> Served[T]:
        """Who answers a request, by its number; all requests of a session are answered by the same one, as long as a trial lasts."""
        self._look()
        line = self._line
        if line.challenger and line.trial and line.trial.mode == "canary" and _falls(session or request, line.trial):
            return _served(line.challenger, "challenger")
        return _served(line.champion, "champion")

    def shadow(self, request: str, session: str = "") -> Served[T] | None:
        """Who answers the same unseen; None for nobody."""
        line = self._line
        if line.challenger and line.trial and line.trial.mode == "shadow" and _falls(session or request, line.trial):
            return _served(line.challenger, "shadow")
        return None

    def state(self) -> dict[str, Any]:
        """Champion, challenger and who could not take over, for people who look after the server."""
        line, refused = self._line, self.refused
        return {
            "champion": line.champion.pointer.name,
            "challenger": line.challenger.pointer.name if line.challenger else "",
            "changing": self._following is not None,
            "refused": {"name": refused.name, "reason": refused.reason} if refused else None,
        }

    def settle(self, seconds: float = 30.0) -> bool:
        """Look at the pointers now, and wait until a change is through; False where that takes longer."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._looked = 0.0
            self._look()
            thread = self._following
            if thread is not None:
                thread.join(max(0.0, until - time.monotonic()))
            elif self._deployment.version == self._seen:
                return True
        return False

    def close(self, seconds: float = 5.0) -> bool:
        """Let everybody go; False where one of them could not end in time."""
        self._closed.set()
        thread = self._following
        if thread is not None:
            thread.join(seconds)
        ended = [self._handling.close(live.opened) is not False for live in self._line.all()]
        return all(ended)

    def _look(self) -> None:
        """Start to follow a change of the pointers, if there is one."""
        now = time.monotonic()
        if now - self._looked < self._poll and self._looked:
            return
        with self._lock:
            self._looked = now
            if self._following is not None or self._closed.is_set():
                return
            try:
                if self._deployment.version == self._seen:
                    return
            except OSError as error:
                # Whoever serves goes on, and it is looked again later.
                _log.warning("the deployment cannot be looked at: %s", error)
                return
            self._following = threading.Thread(target=self._follow, name="rung-router", daemon=True)
            self._following.start()

    def _follow(self) -> None:
        try:
            while not self._closed.is_set():
                version = self._deployment.version
                try:
                    self._change()
                except Exception:
                    _log.exception("the deployment could not be followed")
                # Tried once: the same again would go wrong again.
                self._seen = version
                if self._deployment.version == version:
                    return
        finally:
            self._following = None

    def _change(self) -> None:
        """Bring the line to what the pointers say; whoever cannot be brought to life changes nothing."""
        before, self.refused = self._line, None
        try:
            pointer, trial = self._deployment.champion, self._deployment.challenger
        except RungError as error:
            # A damaged pointer names nobody: whoever serves goes on.
            _log.error("the deployment cannot be read: %s", error)
            self.refused = Refused("", str(error))
            return
        champion = _there(pointer, before) or self._taken(pointer) or before.champion
        if trial is None:
            self._swap(_Line(champion))
            return
        challenger = _there(trial.pointer, before)
        if challenger is None:
            # The champion need not wait for its challenger.
            self._swap(_Line(champion))
            challenger = self._taken(trial.pointer)
        self._swap(_Line(champion, challenger, trial if challenger else None))

    def _taken(self, pointer: Pointer) -> _Live[T] | None:
        """Opened and warmed up; None where that failed, which is said."""
        try:
            found = self._brought(pointer)
        except Exception as error:
            reason = str(error) if isinstance(error, RungError) else f"{type(error).__name__}: {error}"
            _log.error("%s does not take over: %s", pointer.name, reason, exc_info=not isinstance(error, RungError))
            self.refused = Refused(pointer.name, reason)
            self._tell("refused", pointer, why=reason)
            return None
        _log.info("%s takes over", pointer.name)
        return found

    def _brought(self, pointer: Pointer) -> _Live[T]:
        opened = self._handling.open(pointer)
        try:
            self._handling.warm(opened, pointer)
        except BaseException:
            self._handling.close(opened)
            raise
        return _Live(pointer, opened)

    def _swap(self, line: _Line[T]) -> None:
        before, self._line = self._line, line
        kept = {id(live.opened) for live in line.all()}
        for live in before.all():
            if id(live.opened) not in kept:
                threading.Thread(target=self._retire, args=(live,), name="rung-retire", daemon=True).start()

    def _retire(self, live: _Live[T]) -> None:
        until = time.monotonic() + _LONGEST_ANSWER
        self._closed.wait(self._linger)
        while not self._handling.idle(live.opened) and time.monotonic() < until:
            time.sleep(0.05)
        self._handling.close(live.opened)
        _log.info("%s has been let go", live.pointer.name)

    def _tell(self, what: str, pointer: Pointer, **more: Any) -> None:
        try:
            self._deployment.note(what, pointer, **more)
        except (InterruptedRun, WriteError) as error:
            _log.warning("the history of the deployment was not written: %s", error)


def _there(pointer: Pointer, line: _Line[T]) -> _Live[T] | None:
    return next((live for live in line.all() if live.pointer.same(pointer)), None)


def _falls(key: str, trial: Challenger) -> bool:
    """Whether a key falls into the share of a trial: always the same way in one trial, anew in another."""
    return seed_from("trial", trial.run.name, trial.candidate, trial.since, key) < trial.share * (1 << 63)


def _served(live: _Live[T], role: Role) -> Served[T]:
    return Served(live.opened, role, live.pointer.run.name, live.pointer.candidate)
