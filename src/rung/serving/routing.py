"""How every answering route begins: the key's scope, the body, the number of the request, and who answers."""

from __future__ import annotations

from starlette.requests import Request

from rung.serving.door import need_scope
from rung.serving.openai_schema import Body, unknown_model
from rung.serving.reading import read_body
from rung.serving.service import Call, Picked, Service


async def begin(request: Request, scope: str) -> tuple[Service, Call, bytes]:
    """The service, the call and its body. Raises Refusal for a key that may not do this, and for a body that is no use."""
    service: Service = request.app.state.service
    key = request.scope["rung.key"]
    need_scope(key, scope)
    call = Call(request.scope["rung.id"], request.scope["path"], key)
    settings = service.settings
    data = await read_body(request, most=settings.body_bytes, seconds=settings.body_seconds)
    return service, call, data


def picked(service: Service, call: Call, body: Body) -> Picked:
    """Who answers this request. Raises Refusal 404 for a model that is not here."""
    if body.model and body.model not in service.names():
        raise unknown_model(body.model)
    return service.desk.pick(call.id, body.user or "")
