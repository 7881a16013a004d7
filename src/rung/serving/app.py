"""The ASGI application: routes, the door before them, and one form for every error."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rung.core.errors import RungError
from rung.serving.about import health, list_models, metrics, ready, show_model
from rung.serving.chat import chat
from rung.serving.completions import completions
from rung.serving.door import Door
from rung.serving.embeddings import embeddings
from rung.serving.feedback import feedback
from rung.serving.reading import Gone
from rung.serving.refusals import Refusal, broken, no_store, not_found
from rung.serving.responses import responses
from rung.serving.service import Service

_log = logging.getLogger(__name__)

ROUTES = (
    Route("/v1/chat/completions", chat, methods=["POST"]),
    Route("/v1/completions", completions, methods=["POST"]),
    Route("/v1/responses", responses, methods=["POST"]),
    Route("/v1/embeddings", embeddings, methods=["POST"]),
    Route("/v1/feedback", feedback, methods=["POST"]),
    Route("/v1/models", list_models, methods=["GET"]),
    Route("/v1/models/{name}", show_model, methods=["GET"]),
    Route("/health", health, methods=["GET"]),
    Route("/ready", ready, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
)


def make_app(service: Service) -> Starlette:
    """The application over a service, which it closes when it is shut down."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.close()

    paths = frozenset(route.path for route in ROUTES)
    app = Starlette(
        routes=list(ROUTES),
        middleware=[Middleware(Door, keys=service.keys, gauges=service.gauges, routes=paths)],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _no_route,
            Gone: _gone,
            RungError: _no_store,
            Exception: _broken,
        },
        lifespan=lifespan,
    )
    # An address with a slash too many is another address, and not a hint at the right one.
    app.router.redirect_slashes = False
    app.state.service = service
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    body = b"" if request.method == "HEAD" else error.body
    return Response(body, error.status, {"content-type": "application/json", **error.headers})


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = dict(error.headers or {})
        refusal = Refusal(405, "This address takes no such method.", code="method_not_allowed", headers=allowed)
        return await _refused(request, refusal)
    return await _refused(request, not_found())


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads this: the caller left while its body was on the way."""
    return Response(status_code=499, headers={"connection": "close"})


async def _no_store(request: Request, error: Exception) -> Response:
    _log.error("the traffic database: %s", error)
    return await _refused(request, no_store())


async def _broken(request: Request, error: Exception) -> Response:
    return await _refused(request, broken())
