"""What a caller is told when there is no answer: OpenAI's error envelope, a status, and when to come back."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from rung.core.errors import RungError
from rung.core.model import Failure

_log = logging.getLogger(__name__)

Headers = Mapping[str, str]

_STATUS = {
    "unsupported": 400,
    "too_long": 400,
    "empty": 422,
    "unparsable": 422,
    "timeout": 504,
    "cancelled": 499,
    "stopped": 503,
    "rate_limit": 503,
    "refused": 503,
    "server": 502,
    "garbage": 502,
}
_CODES = {"too_long": "context_length_exceeded", "rate_limit": "overloaded", "refused": "backend_unavailable"}
_SAYS = {
    "too_long": "The question and what is shown with it are longer than the model can read.",
    "empty": "The model answered nothing.",
    "unparsable": "The model's answer cannot be read as an answer of this task.",
    "timeout": "The answer took longer than this server allows.",
    "cancelled": "The request was cancelled.",
    "stopped": "This server was stopped before the answer was finished.",
    "rate_limit": "The engine behind this server is busy; try again later.",
    "refused": "The engine behind this server cannot be reached.",
    "server": "The engine behind this server failed.",
    "garbage": "The engine behind this server sent no usable answer.",
}
"""Never the failure's own message: it may quote the prompt, the documents or an address."""


class Refusal(Exception):
    """A request that gets an error instead of an answer. `kind` is the envelope's type."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Headers | None = None,
    ) -> None:
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        super().__init__(message)

    @property
    def envelope(self) -> dict[str, object]:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}

    @property
    def body(self) -> bytes:
        return json.dumps(self.envelope).encode()


def wrong(message: str, param: str | None = None, *, code: str = "invalid_value") -> Refusal:
    """A request that says something that cannot be done."""
    return Refusal(400, message, param=param, code=code)


def overloaded(seconds: float, message: str = "This server is at its limit; try again later.") -> Refusal:
    return Refusal(503, message, kind="server_error", code="overloaded", headers=retry_after(seconds))


def over_limit(seconds: float, message: str) -> Refusal:
    return Refusal(429, message, kind="rate_limit_error", code="rate_limit_exceeded", headers=retry_after(seconds))


def not_found() -> Refusal:
    return Refusal(404, "There is nothing at this address.", code="not_found")


def of_error(error: Exception) -> Refusal:
    """What a caller is told of whatever went wrong, and no more; what it was is logged."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RungError):
        _log.error("the traffic database: %s", error)
        return no_store()
    _log.error("a request could not be answered", exc_info=error)
    return broken()


def broken() -> Refusal:
    """What is said of our own bugs: nothing that a stranger could use."""
    return Refusal(500, "The server failed on this request.", kind="server_error", code="internal_error")


def no_store() -> Refusal:
    """Keys, counts or feedback cannot be read or kept now."""
    return Refusal(
        503, "The server's database does not answer; try again later.",
        kind="server_error", code="unavailable", headers=retry_after(10),
    )  # fmt: skip


def retry_after(seconds: float) -> dict[str, str]:
    """Between 1 and 120 seconds, as the header says it."""
    return {"retry-after": str(min(120, max(1, round(seconds))))}


def of_failure(failure: Failure, param: str | None = None) -> Refusal:
    """The error that a failed answer becomes."""
    status = _STATUS.get(failure.kind, 500)
    said = _SAYS.get(failure.kind, "The answer failed.")
    if failure.kind == "unsupported":
        said = f"What answers here cannot do this: {failure.message}" if failure.message else "This is not supported."
    kind = "invalid_request_error" if status < 500 and status != 422 else "server_error"
    headers = retry_after(5) if status == 503 else {}
    return Refusal(status, said, kind=kind, code=_CODES.get(failure.kind, failure.kind), param=param, headers=headers)
