"""The ASGI application: which route answers, and one form for every error. The door stands before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rung.serving.about import MODELS, health, list_models, metrics, ready, show_model
from rung.serving.chat import chat
from rung.serving.completions import completions
from rung.serving.door import Door, send_refusal
from rung.serving.embeddings import embeddings
from rung.serving.feedback import feedback
from rung.serving.reading import Gone
from rung.serving.refusals import Refusal, not_found, of_error
from rung.serving.responses import responses
from rung.serving.service import Service

Endpoint = Callable[[Request], Awaitable[Response]]
_ASKED: Mapping[str, Endpoint] = {
    "/v1/chat/completions": chat,
    "/v1/completions": completions,
    "/v1/responses": responses,
    "/v1/embeddings": embeddings,
    "/v1/feedback": feedback,
}
_LOOKED_AT: Mapping[str, Endpoint] = {
    MODELS: list_models,
    "/health": health,
    "/ready": ready,
    "/metrics": metrics,
}

PATHS = frozenset({*_ASKED, *_LOOKED_AT})
"""All addresses, besides that of each model."""


class App:
    """Over a service, which it closes when it is shut down.

    Starlette's own router and its layers of error handling would cost time with every answer, and these routes need neither
    patterns nor mounts. An address with a slash too many is another address, and not a hint at the right one.
    """

    def __init__(self, service: Service) -> None:
        self.state = SimpleNamespace(service=service)
        self._door = Door(self._answer, keys=service.keys, gauges=service.gauges, routes=PATHS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._door(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        self.state.service.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        try:
            response = await _endpoint(scope)(Request(scope, receive))
        except Gone:
            # Nobody reads this: the caller left while its body was on the way.
            response = Response(status_code=499, headers={"connection": "close"})
        except Exception as error:
            await send_refusal(of_error(error), scope, send)
            return
        await response(scope, receive, send)


def _endpoint(scope: Scope) -> Endpoint:
    """What answers at this address. Raises Refusal 404 or 405."""
    path, method = scope["path"], scope["method"]
    asked, looked_at = _ASKED.get(path), _LOOKED_AT.get(path)
    if looked_at is None and asked is None and _one_model(path):
        scope["path_params"] = {"name": path[len(MODELS) + 1 :]}
        looked_at = show_model
    found = asked if method == "POST" else looked_at if method in {"GET", "HEAD"} else None
    if found is not None:
        return found
    if asked is None and looked_at is None:
        raise not_found()
    headers = {"allow": "POST" if looked_at is None else "GET, HEAD"}
    raise Refusal(405, "This address takes no such method.", code="method_not_allowed", headers=headers)


def _one_model(path: str) -> bool:
    return path.startswith(f"{MODELS}/") and path.count("/") == 3 and not path.endswith("/")
