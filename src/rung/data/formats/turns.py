"""Messages of a dialogue as chat formats write them: names of roles, tool calls, parts of a content."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.data.formats.row import plain
from rung.data.record import Record, Role, Turn
from rung.data.rejects import BadRow
from rung.text.strict_json import RefusedJson, read_json

_STYLES = ((False, ", ", ": "), (True, ", ", ": "), (False, ",", ":"), (True, ",", ":"))
"""How programs write JSON: ASCII only or not, and what stands between values."""


@dataclass(frozen=True)
class Tags:
    """How one format names what a message holds."""

    role: str = "role"
    content: str = "content"
    roles: Mapping[str, Role] = field(default_factory=dict)
    """What each of its role names means."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The name that it writes for each role."""
    call: str = ""
    """The role name of a message that is nothing but a call of tools; '' where calls lie in `tool_calls`."""
    one_call: bool = False
    """Whether such a message holds a single call, and several follow each other."""
    trained: str = ""
    """The field that says whether a message is learned: 'weight' (0 or 1) or 'loss' (false or true)."""


OPENAI = Tags(
    roles={
        "system": "system",
        "developer": "system",
        "user": "user",
        "assistant": "assistant",
        "tool": "tool",
        "function": "tool",
    },
    names={"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"},
    trained="weight",
)


def read_turns(messages: Sequence[Any], tags: Tags, form: dict[str, Any], of: str) -> tuple[Turn, ...]:
    """Messages as turns; what is unusual about one goes into `form["turns"]` by its number.

    Raises BadRow E2230 for a message that is none, E2203 for a NUL character.
    """
    turns: list[Turn] = []
    odd: dict[str, Any] = {}
    for n, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRow("E2230", format=of, detail=f"message {n + 1} is no object")
        turn, unusual = _read_turn(message, tags, f"message {n + 1}", of)
        turns.append(turn)
        if unusual:
            odd[str(n)] = unusual
    if odd:
        form["turns"] = odd
    return tuple(turns)


def _read_turn(message: Mapping[str, Any], tags: Tags, place: str, of: str) -> tuple[Turn, dict[str, Any]]:
    left = dict(message)
    name = left.pop(tags.role, None)
    role = "assistant" if tags.call and name == tags.call else tags.roles.get(name) if isinstance(name, str) else None
    if role is None:
        known = ", ".join([*tags.roles, *([tags.call] if tags.call else [])])
        detail = f"{place} has no role" if name is None else f"{place} has the role {name!r}; known: {known}"
        raise BadRow("E2230", tags.role, format=of, detail=detail)
    unusual: dict[str, Any] = {}
    content = _content(left, tags, unusual, place, of)
    said: dict[str, Any] = {"role": role, "content": content}
    called = _calls(content) if tags.call and name == tags.call else None
    if called is not None:
        said |= {"content": "", "calls": called[0]}
        if called[1]:
            unusual["calls"] = called[1]
    elif name != tags.names.get(role):
        unusual["role"] = name
    if (
        not tags.call
        and isinstance(left.get("tool_calls"), list)
        and all(isinstance(c, dict) for c in left["tool_calls"])
    ):
        said["calls"] = tuple(left.pop("tool_calls"))
        if not said["calls"]:
            unusual["calls"] = "empty"
        elif not content and "content" not in unusual:
            unusual["content"] = "empty"
    for key, slot in (("name", "name"), ("tool_call_id", "call_id")):
        if isinstance(left.get(key), str) and left[key]:
            said[slot] = left.pop(key)
    flag = left.get(tags.trained)
    if (tags.trained == "weight" and type(flag) is int and flag in (0, 1)) or (
        tags.trained == "loss" and type(flag) is bool
    ):
        said["trained"] = bool(left.pop(tags.trained))
    if left:
        unusual["extra"] = left
    return Turn(**said), unusual


def _content(left: dict[str, Any], tags: Tags, unusual: dict[str, Any], place: str, of: str) -> str:
    if tags.content not in left:
        if left.get("tool_calls") or left.get("function_call"):
            unusual["content"] = "absent"
            return ""
        raise BadRow("E2230", tags.content, format=of, detail=f"{place} has no {tags.content}")
    content = left.pop(tags.content)
    if content is None:
        unusual["content"] = "null"
        return ""
    if isinstance(content, list):
        parts = [
            part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content
        ]
        if not all(isinstance(part, str) and len(item) == 2 for part, item in zip(parts, content, strict=True)):
            raise BadRow("E2230", tags.content, format=of, detail=f"{place} holds more than text (a picture, a sound)")
        texts = [str(part) for part in parts]
        unusual["content"] = [len(text) for text in texts]
        return plain("".join(texts), tags.content)
    if not isinstance(content, str):
        raise BadRow("E2230", tags.content, format=of, detail=f"the {tags.content} of {place} is no text")
    return plain(content, tags.content)


def write_turns(turns: Sequence[Turn], tags: Tags, form: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turns as messages; `form` as `read_turns` left it."""
    odd = form.get("turns", {})
    messages: list[dict[str, Any]] = []
    for n, turn in enumerate(turns):
        messages += _write_turn(turn, tags, odd.get(str(n), {}))
    return messages


def _write_turn(turn: Turn, tags: Tags, unusual: Mapping[str, Any]) -> list[dict[str, Any]]:
    name = unusual.get("role")
    if tags.roles.get(str(name)) != turn.role and name != tags.call:
        name = tags.names[turn.role]
    about: dict[str, Any] = {}
    if turn.name:
        about["name"] = turn.name
    if turn.call_id:
        about["tool_call_id"] = turn.call_id
    if turn.trained is not None and tags.trained:
        about[tags.trained] = int(turn.trained) if tags.trained == "weight" else turn.trained
    about |= {key: value for key, value in unusual.get("extra", {}).items() if key not in about}
    if turn.calls and tags.call:
        groups = [[call] for call in turn.calls] if tags.one_call else [list(turn.calls)]
        texts = [_call_text(group, unusual.get("calls", "")) for group in groups]
        return [{tags.role: tags.call, tags.content: text, **about} for text in texts]
    message: dict[str, Any] = {tags.role: name}
    how = unusual.get("content")
    if isinstance(how, list) and sum(how) == len(turn.content):
        message[tags.content] = _parts(turn.content, how)
    elif not turn.content and (how == "null" or (turn.calls and how is None)):
        message[tags.content] = None
    elif turn.content or how != "absent":
        message[tags.content] = turn.content
    if not tags.call and (turn.calls or unusual.get("calls") == "empty"):
        message["tool_calls"] = [dict(call) for call in turn.calls]
    return [message | about]


def _parts(text: str, lengths: Sequence[int]) -> list[dict[str, str]]:
    parts, at = [], 0
    for length in lengths:
        parts.append({"type": "text", "text": text[at : at + length]})
        at += length
    return parts


def _calls(text: str) -> tuple[tuple[dict[str, Any], ...], str] | None:
    """The calls in a text of JSON and how it is written; None where they could not be written back to the letter."""
    try:
        value = read_json(text)
    except (RefusedJson, ValueError):
        return None
    items = value if isinstance(value, list) else [value]
    if not items or not all(
        isinstance(i, dict) and set(i) == {"name", "arguments"} and isinstance(i["name"], str) for i in items
    ):
        return None
    calls = tuple(tool_call(item["name"], item["arguments"]) for item in items)
    for number in range(len(_STYLES)):
        for shape in ("", "list"):
            style = f"{shape}{number or ''}"
            if _call_text(calls, style) == text:
                return calls, style
    return None


def tool_call(name: str, arguments: Any) -> dict[str, Any]:
    """A call as OpenAI's messages write it. Arguments that are no object keep their JSON text."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"type": "function", "function": {"name": name, "arguments": text}}


def _call_text(calls: Sequence[Mapping[str, Any]], style: str) -> str:
    items = []
    for call in calls:
        function = call.get("function", {})
        arguments = function.get("arguments", "")
        if isinstance(arguments, str):
            try:
                parsed = read_json(arguments)
                arguments = parsed if isinstance(parsed, dict | list) else arguments
            except (RefusedJson, ValueError):
                pass
        items.append({"name": function.get("name", ""), "arguments": arguments})
    number = int(style.removeprefix("list") or 0)
    single = len(items) == 1 and not style.startswith("list")
    return dump(items[0] if single else items, number)


def dump(value: Any, style: int = 0) -> str:
    """JSON text in one of the usual ways of writing it."""
    ascii_only, comma, colon = _STYLES[style]
    return json.dumps(value, ensure_ascii=ascii_only, separators=(comma, colon))


def read_tools(value: Any, form: dict[str, Any], key: str, of: str) -> tuple[dict[str, Any], ...]:
    """Descriptions of tools, given as a list or as the JSON text of one. Raises BadRow E2230."""
    if value is None or value == "":
        form[key] = "null" if value is None else "empty"
        return ()
    text = value if isinstance(value, str) else None
    if text is not None:
        try:
            value = read_json(text)
        except (RefusedJson, ValueError) as error:
            raise BadRow("E2230", key, format=of, detail=f"{key} is no JSON: {error}") from error
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise BadRow("E2230", key, format=of, detail=f"{key} is no list of objects")
    if text is not None:
        styles = [number for number in range(len(_STYLES)) if dump(value, number) == text]
        form[key] = {"text": styles[0]} if styles else {"raw": text}
    elif not value:
        form[key] = "list"
    return tuple(value)


def write_tools(
    tools: Sequence[Mapping[str, Any]], form: Mapping[str, Any], key: str, *, as_text: bool
) -> dict[str, Any]:
    """The field that holds tools, as {key: value}; empty where there are none."""
    how = form.get(key)
    if not tools and isinstance(how, str):
        return {key: {"null": None, "empty": "", "list": []}[how]}
    if isinstance(how, dict) and "raw" in how and read_json(how["raw"]) == list(tools):
        return {key: how["raw"]}
    if isinstance(how, dict) and "text" in how:
        return {key: dump(list(tools), how["text"])}
    if not tools:
        return {}
    return {key: dump(list(tools)) if as_text else list(tools)}


def dialogue(record: Record) -> list[Turn]:
    """All that is said, as turns: the system's words, what was said before, the question, the first right answer."""
    turns = list(record.messages)
    if record.system and not (turns and turns[0].role == "system"):
        turns.insert(0, Turn(role="system", content=record.system))
    if any(record.inputs.values()):
        turns.append(Turn(role="user", content=record.question))
    if record.answers and not (turns and turns[-1].role == "assistant" and turns[-1].content == record.answers[0]):
        turns.append(Turn(role="assistant", content=record.answers[0]))
    return turns
