"""How much one key may ask: at once and in a minute, counted here, and in a day, of which the database knows what others count."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rung.serving.minute import SharedMinute
from rung.serving.refusals import over_limit
from rung.store.traffic.records import Key

_MINUTE, _DAY = 60.0, 86_400.0
_REFRESH = 30.0
"""Seconds after which the day's tokens are read from the database again, where other processes write too."""
_KEPT = 4096
"""Keys remembered at once; idle ones are forgotten first."""


@dataclass(slots=True)
class _Account:
    running: int = 0
    asked: deque[float] = field(default_factory=deque)
    tokens: int = 0
    """Spent today, as far as known."""
    read: float | None = None


class Limits:
    """`spent(key id)`: tokens of the last 24 hours as the database has them; None where there is none. `minute`: requests are
    counted there, with other processes. On the event loop only.
    """

    def __init__(
        self,
        *,
        at_once: int,
        spent: Callable[[str], int] | None = None,
        minute: SharedMinute | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._spent = spent
        self._minute = minute
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def stale(self, key: Key) -> bool:
        """Whether the day's tokens must be read (`refresh`) before `enter`: kept apart, since a database may take its time."""
        if key.tokens_per_day is None or self._spent is None:
            return False
        read = self._account(key.id).read
        return read is None or self._clock() - read > _REFRESH

    def refresh(self, key: Key) -> None:
        """Read the day's tokens; from any thread."""
        if self._spent is not None:
            account = self._account(key.id)
            account.tokens, account.read = self._spent(key.id), self._clock()

    def enter(self, key: Key) -> None:
        """Count a request in. Raises Refusal 429; else `leave` must follow."""
        now, account = self._clock(), self._account(key.id)
        if account.running >= self._at_once:
            raise over_limit(1, f"This key has {account.running} requests under way; that is its limit.")
        if key.tokens_per_day is not None and account.tokens >= key.tokens_per_day:
            raise over_limit(120, f"This key has used its {key.tokens_per_day} tokens of the last 24 hours.")
        if key.requests_per_minute is not None:
            limit = key.requests_per_minute
            wait = self._minute.ask(key.id, limit) if self._minute else _ask(account.asked, limit, now)
            if wait:
                raise over_limit(wait + 0.5, f"This key may ask {limit} times a minute.")
        account.running += 1

    def leave(self, key: Key) -> None:
        self._account(key.id).running -= 1

    def spend(self, key: Key, tokens: int) -> None:
        self._account(key.id).tokens += tokens

    def _account(self, key: str) -> _Account:
        found = self._accounts.get(key)
        if found is None:
            if len(self._accounts) >= _KEPT:
                idle = next((name for name, each in self._accounts.items() if not each.running), None)
                if idle is not None:
                    del self._accounts[idle]
            found = self._accounts[key] = _Account()
        return found


def _ask(asked: deque[float], limit: int, now: float) -> float:
    """Count a request in, and 0; or the seconds until there is room for one."""
    while asked and asked[0] <= now - _MINUTE:
        asked.popleft()
    if len(asked) >= limit:
        return asked[0] + _MINUTE - now
    asked.append(now)
    return 0.0
