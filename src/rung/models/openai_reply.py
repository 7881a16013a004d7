"""What an OpenAI-compatible endpoint's HTTP answer means: a completion, a failure, or a reason to stop altogether.

Failure kinds used here: `rate_limit` (429), `server` (5xx, or an error inside a 200), `timeout` (408), `refused` (403),
`too_long` (the prompt does not fit), `content_filter` (a filter, or the model's own refusal), `empty` (no text), `garbage` (not
what the protocol says), `error` (any other 4xx). An answer cut off by the length limit is a completion with finish `length`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rung.core.errors import BackendError
from rung.core.model import Completion, Failure
from rung.models.endpoint import Reply
from rung.models.pacing import RETRIED

_NO_MONEY = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
)
_FILTERED = re.compile(r"content_?(filter|policy)|moderation|data_inspection", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|(prompt|input|message)s?.{0,40}too long|exceeds?.{0,40}(token|context)|上下文|过长",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt's result."""

    completion: Completion
    again: bool = False
    """The failure may pass by itself."""
    throttled: bool = False
    asked: float | None = None
    """Seconds that the endpoint wants to be left alone."""
    counted: bool = False
    """The endpoint said how many tokens it took."""
    garbage: bool = False
    """The body is worth a look in the log."""


@dataclass(frozen=True, slots=True)
class _Problem:
    """The error an endpoint describes in its answer."""

    status: int
    names: frozenset[str]
    message: str


def read_reply(reply: Reply, place: str, model: str, clean: Callable[[str], str]) -> Outcome:
    """Make sense of an answer. `clean` makes the endpoint's own words fit to be shown.

    Raises BackendError where asking on is of no use: E3103 the key is refused, E3104 no such model or path, E3105 no money left.
    """
    data, fault = _read_json(reply.body)
    if not 200 <= reply.status < 300:
        return _refusal(_problem(reply.status, data or {}, clean), place, model)
    if data is None:
        return fail("garbage", f"{place}: {fault}", garbage=True)
    if data.get("error") and not data.get("choices"):
        return read_error(data, place, model, clean)
    return _read_completion(data, place)


def read_error(data: dict[str, Any], place: str, model: str, clean: Callable[[str], str]) -> Outcome:
    """What an error says that came under status 200, from a gateway or in the middle of an answer. Raises as `read_reply`."""
    error = data.get("error")
    code = error.get("code") if isinstance(error, dict) else data.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return _refusal(_problem(status, data, clean), place, model)


def fail(kind: str, message: str, *, again: bool = False, throttled: bool = False, garbage: bool = False) -> Outcome:
    completion = Completion(failure=Failure(kind, message), finish="error")
    return Outcome(completion, again=again, throttled=throttled, garbage=garbage)


def _read_json(body: bytes) -> tuple[dict[str, Any] | None, str]:
    """The JSON object in a body, or None and what is there instead."""
    if not body.strip():
        return None, "the answer is empty"
    try:
        data = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return None, "the answer is not UTF-8"
    except (ValueError, RecursionError):
        page = body.lstrip()[:1] == b"<"
        return None, "the answer is a web page, not JSON" if page else "the answer is not JSON, or breaks off"
    return (data, "") if isinstance(data, dict) else (None, "the answer is not a JSON object")


def _problem(status: int, data: dict[str, Any], clean: Callable[[str], str]) -> _Problem:
    error = data.get("error") or data
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        error = {}
    names = frozenset(value for key in ("code", "type") if isinstance(value := error.get(key), str))
    message = error.get("message") or error.get("detail") or ""
    return _Problem(status, names, clean(message) if isinstance(message, str) else "")


def _refusal(problem: _Problem, place: str, model: str) -> Outcome:
    status, names = problem.status, problem.names
    said = f": {problem.message}" if problem.message else ""
    text = f"{place}: HTTP {status}{said}"
    if status == 401:
        raise BackendError("E3103", place=place, said=said)
    if status == 402 or names & _NO_MONEY:
        raise BackendError("E3105", place=place, said=said)
    if status == 404:
        raise BackendError("E3104", place=place, model=model, said=said)
    if status == 429:
        return fail("rate_limit", text, again=True, throttled=True)
    if status >= 500:
        return fail("server", text, again=status in RETRIED)
    if status < 400:
        return fail("garbage", f"{text} (redirects are not followed)", garbage=True)
    if any(_FILTERED.search(name) for name in names):
        return fail("content_filter", text)
    if status in {400, 422} and _TOO_LONG.search(" ".join([problem.message, *names]).replace("_", " ")):
        return fail("too_long", text)
    return fail({403: "refused", 408: "timeout", 413: "too_long"}.get(status, "error"), text)


def _read_completion(data: dict[str, Any], place: str) -> Outcome:
    usage = data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    tokens_in, tokens_out = count_of(usage.get("prompt_tokens")), count_of(usage.get("completion_tokens"))
    served_by = data.get("model")
    text, finish, failure = _read_choices(data.get("choices"))
    if failure is not None:
        text, finish, failure = "", "error", Failure(failure.kind, f"{place}: {failure.message}")
    completion = Completion(
        text=text,
        failure=failure,
        finish=finish,
        tokens_in=tokens_in or 0,
        tokens_out=tokens_out or 0,
        served_by=served_by if isinstance(served_by, str) else "",
    )
    counted = tokens_in is not None and tokens_out is not None
    return Outcome(completion, counted=counted, garbage=failure is not None and failure.kind == "garbage")


def _read_choices(choices: Any) -> tuple[str, str, Failure | None]:
    """Text, finish and failure of the first choice."""
    found = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    if not found:
        return "", "", Failure("garbage", "the answer holds no choices")
    choice = next((choice for choice in found if choice.get("index") == 0), found[0])
    message, reason = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict):
        return "", "", Failure("garbage", "the choice holds no message")
    if reason == "content_filter":
        return "", "", Failure("content_filter", "the endpoint's content filter stopped the answer")
    if message.get("refusal"):
        return "", "", Failure("content_filter", "the model declined to answer")
    if reason == "error":
        return "", "", Failure("server", "the endpoint gave up in the middle of the answer")
    text = _text_of(message.get("content"))
    if text is None:
        return "", "", Failure("garbage", "the message's content is neither text nor null")
    if text.strip():
        return text, "length" if reason in {"length", "max_tokens"} else "stop", None
    if message.get("tool_calls") or message.get("function_call"):
        return "", "", Failure("garbage", "the model called a tool instead of answering")
    if reason in {"length", "max_tokens"}:
        return "", "", Failure("empty", "the length limit was used up before any answer, perhaps by reasoning")
    return "", "", Failure("empty", "the model answered nothing")


def _text_of(content: Any) -> str | None:
    """Text of a message's content, without the reasoning that some servers leave in it; None for what is no content."""
    if isinstance(content, list):
        parts = [part.get("text", "") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        content = "".join(part for part in parts if isinstance(part, str))
    text = "" if content is None else content
    if not isinstance(text, str):
        return None
    _, mark, rest = text.rpartition("</think>")
    if mark:
        text = rest.lstrip()
    elif text.lstrip().startswith("<think>"):
        text = ""
    # Half a surrogate pair is no text, and no file would take it.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def count_of(value: Any) -> int | None:
    """A number of tokens as an endpoint reports it; None for what is no number of tokens."""
    plausible = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
    return value if plausible else None
