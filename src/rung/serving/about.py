"""What a server says of itself: its models, its health, whether it takes work, its numbers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rung.serving.door import need_scope
from rung.serving.openai_schema import unknown_model
from rung.serving.refusals import overloaded
from rung.serving.sending import reply
from rung.serving.service import Service

MODELS = "/v1/models"


async def list_models(request: Request) -> Response:
    """The names under which the one model here is known."""
    need_scope(request.scope["rung.key"], "answer")
    return reply({"object": "list", "data": _models(request.app.state.service)})


async def show_model(request: Request) -> Response:
    need_scope(request.scope["rung.key"], "answer")
    name = request.path_params["name"]
    found = [model for model in _models(request.app.state.service) if model["id"] == name]
    if not found:
        raise unknown_model(name)
    return reply(found[0])


def _models(service: Service) -> list[dict[str, object]]:
    champion = service.desk.champion
    about = {"run": champion.run, "candidate": champion.name, "method": champion.candidate.method}
    if champion.other_engine:
        about["backend"] = champion.other_engine
    return [
        {"id": name, "object": "model", "created": 0, "owned_by": "rung", "rung": about}
        for name in dict.fromkeys(service.names())
    ]


async def health(request: Request) -> Response:
    """The process lives."""
    return reply({"status": "ok"})


async def ready(request: Request) -> Response:
    """It takes questions. Raises Refusal 503 while it is being stopped."""
    if not request.app.state.service.ready:
        raise overloaded(2, "This server is being stopped.")
    return reply({"status": "ready"})


async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    need_scope(request.scope["rung.key"], "metrics")
    text = request.app.state.service.gauges.text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
