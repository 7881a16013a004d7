"""The door: every request needs a key, but for two public addresses; every answer has a number; no error tells a stranger more."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rung.serving.gauges import Gauges
from rung.serving.refusals import Refusal, of_error
from rung.store.traffic.records import Key, new_id

PUBLIC = frozenset({("GET", "/health"), ("GET", "/ready"), ("HEAD", "/health"), ("HEAD", "/ready")})
"""Answered without a key. Everything else is closed, also what does not exist."""
_REMEMBERED = 2.0
"""Seconds for which a key that was found is not looked up again: that long a revoked one may still work."""
_MOST_REMEMBERED = 1024
_FAILED_A_MINUTE = 30
_SLOWED = 1.0
"""Seconds that further wrong keys from one address wait for their answer."""
_MOST_SLOWED = 64

ANYBODY = Key(
    id="",
    name="anybody",
    tenant="default",
    scopes=frozenset({"answer", "feedback", "metrics", "admin"}),
    labels=frozenset(),
    requests_per_minute=None,
    tokens_per_day=None,
    created=datetime.fromtimestamp(0, UTC),
)
"""Who comes in where no keys are asked for, which only loopback allows; sees the documents that are open to all."""


class KeyBook:
    """Finds keys by their secret and remembers them for a moment. `find`: `Traffic.find_key`."""

    def __init__(self, find: Callable[[str], Key | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Key]] = OrderedDict()
        self._failed: dict[str, deque[float]] = {}
        self._slowed = 0

    async def key_of(self, secret: str, address: str) -> Key | None:
        """None alike, and after the same work, for a secret that is unknown, revoked, expired or no secret at all."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        remembered = self._known.get(digest)
        if remembered is not None and remembered[0] > self._clock() and remembered[1].valid(datetime.now(UTC)):
            return remembered[1]
        self._known.pop(digest, None)
        key = await asyncio.to_thread(self._find, secret)
        if key is None:
            await self._slow_down(address)
            return None
        self._known[digest] = (self._clock() + _REMEMBERED, key)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        return key

    async def _slow_down(self, address: str) -> None:
        """Wrong keys after many others from one address wait. Right ones never do: they may share the address."""
        now = self._clock()
        failed = self._failed.setdefault(address, deque(maxlen=_FAILED_A_MINUTE))
        failed.append(now)
        if len(self._failed) > _MOST_REMEMBERED:
            del self._failed[next(iter(self._failed))]
        if len(failed) == _FAILED_A_MINUTE and now - failed[0] < 60 and self._slowed < _MOST_SLOWED:
            self._slowed += 1
            try:
                await asyncio.sleep(_SLOWED)
            finally:
                self._slowed -= 1


class Door:
    """ASGI middleware for HTTP. Puts `rung.key` and `rung.id` into the scope; `keys=None` lets everybody in."""

    def __init__(self, app: ASGIApp, keys: KeyBook | None, gauges: Gauges, routes: frozenset[str]) -> None:
        self.app = app
        self._keys = keys
        self._gauges = gauges
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = scope["rung.id"] = new_id("rq")
        header = (b"x-request-id", number.encode("ascii"))
        route = scope["path"] if scope["path"] in self._routes else "other"

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
                self._gauges.count_request(route, message["status"])
            await send(message)

        if (scope["method"], scope["path"]) not in PUBLIC:
            try:
                scope["rung.key"] = await self._key(scope)
            except Exception as error:
                await send_refusal(of_error(error), scope, numbered)
                return
        await self.app(scope, receive, numbered)

    async def _key(self, scope: Scope) -> Key:
        if self._keys is None:
            return ANYBODY
        secret = _bearer(scope)
        # The socket's address, never what a header says of it.
        address = scope["client"][0] if scope.get("client") else ""
        key = await self._keys.key_of(secret, address)
        if key is None:
            said = "A valid key is needed: Authorization: Bearer rung-..."
            headers = {"www-authenticate": "Bearer"}
            raise Refusal(401, said, kind="authentication_error", code="invalid_api_key", headers=headers)
        return key


def _bearer(scope: Scope) -> str:
    """The secret of the one Authorization header; '' for any other form."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) != 1 or len(found[0]) > 200:
        return ""
    scheme, _, secret = found[0].decode("latin-1").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def need_scope(key: Key, scope: str) -> None:
    """Raises Refusal 403 for a key that may not do this."""
    if scope not in key.scopes and "admin" not in key.scopes:
        said = f"This key may not do this: it lacks the scope '{scope}'."
        raise Refusal(403, said, kind="permission_error", code="insufficient_scope")


async def send_refusal(refusal: Refusal, scope: Scope, send: Send) -> None:
    body = refusal.body
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refusal.headers}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
