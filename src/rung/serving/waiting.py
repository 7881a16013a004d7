"""The bounded queue before an engine: tenants take turns, within a tenant its keys, within a key who came first; spare jobs last."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class _Keyed(Protocol):
    @property
    def tenant(self) -> str: ...

    @property
    def key(self) -> str: ...


J = TypeVar("J", bound=_Keyed)
_LOOK = 0.02
"""Seconds between two looks at whether a spare job may be taken."""


class Full(Exception):
    """Nobody more can wait."""


class WaitingLine(Generic[J]):
    """Jobs that wait. Put and drop from any thread, take from the engine's.

    A spare job is one that nobody waits for. It is taken alone, and only while no other job waits and its own `when` allows it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._changed = threading.Condition()
        self._tenants: OrderedDict[str, OrderedDict[str, deque[J]]] = OrderedDict()
        """By tenant and key, whoever's turn is next first."""
        self._spare: deque[tuple[J, Callable[[], bool]]] = deque()
        self._n = 0
        self._closed = False

    def __len__(self) -> int:
        """Spare ones not counted."""
        return self._n

    @property
    def spare(self) -> int:
        return len(self._spare)

    def put(self, job: J) -> None:
        """Raises Full where the queue is full or closed."""
        with self._changed:
            if self._closed or self._n >= self.limit:
                raise Full
            self._tenants.setdefault(job.tenant, OrderedDict()).setdefault(job.key, deque()).append(job)
            self._n += 1
            self._changed.notify()

    def put_spare(self, job: J, when: Callable[[], bool]) -> None:
        """`when`: whether it may be taken now; asked again and again. Raises Full as `put`, of spare ones."""
        with self._changed:
            if self._closed or len(self._spare) >= self.limit:
                raise Full
            self._spare.append((job, when))
            self._changed.notify()

    def take(self, most: int, *, wait: bool = True, hoped: int = 1, patience: float = 0.0) -> list[J] | None:
        """Up to `most` jobs, one of every tenant in turn; None once the line is closed and empty. `wait`: until there is one.

        `hoped`: so many are expected any moment, and are given `patience` seconds once the first is there. An empty list says
        that whoever waited has gone.
        """
        taken: list[J] = []
        with self._changed:
            while wait and not self._n and not self._closed and not self._spare_now():
                self._changed.wait(_LOOK if self._spare else None)
            if self._n and patience:
                self._changed.wait_for(lambda: self._closed or self._n >= min(hoped, most), patience)
            if not self._n and most and self._spare_now():
                return [self._spare.popleft()[0]]
            if self._closed and not self._n and not self._spare:
                return None
            while self._n and len(taken) < most:
                tenant, keys = next(iter(self._tenants.items()))
                key, line = next(iter(keys.items()))
                taken.append(line.popleft())
                # Whoever had a turn goes behind the others.
                keys.move_to_end(key)
                self._tenants.move_to_end(tenant)
                self._less(tenant, key)
        return taken

    def _spare_now(self) -> bool:
        """Whether a spare job may be taken; once nobody comes any more, they all may."""
        return bool(self._spare) and (self._closed or self._spare[0][1]())

    def drop(self, job: J) -> bool:
        """Take a job out whose caller has gone; False where an engine has it already."""
        with self._changed:
            keys = self._tenants.get(job.tenant)
            line = keys.get(job.key) if keys else None
            if line is None or job not in line:
                return False
            line.remove(job)
            self._less(job.tenant, job.key)
            return True

    def _less(self, tenant: str, key: str) -> None:
        """One has left this line; lines and tenants with nobody in them are forgotten."""
        self._n -= 1
        keys = self._tenants[tenant]
        if not keys[key]:
            del keys[key]
        if not keys:
            del self._tenants[tenant]

    def close(self) -> None:
        """Let nobody in any more; whoever waits is still answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
