"""OpenAI's fine-tuning formats: messages with tool calls and weights, and preferred against non-preferred output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.data.formats.row import Given, Made
from rung.data.formats.turns import OPENAI, dialogue, read_tools, read_turns, write_tools, write_turns
from rung.data.record import Record, Turn
from rung.data.rejects import BadRow


class OpenAI:
    """{"messages": [{"role", "content", "tool_calls", "weight", ...}], "tools": [...]}; TRL's conversational form is the same."""

    name = "openai"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        return are_messages(row.get("messages"))

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        messages = given.items("messages")
        if not messages:
            raise BadRow("E2230", "messages", format=self.name, detail="messages holds none")
        said: dict[str, Any] = {"messages": read_turns(messages, OPENAI, given.form, self.name)}
        if "tools" in given.left:
            said["tools"] = read_tools(given.left.pop("tools"), given.form, "tools", self.name)
        if isinstance(given.left.get("label"), bool):
            said["liked"] = given.left.pop("label")
        return given.record(**said)

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        turns = dialogue(record)
        messages = write_turns(turns, OPENAI, made.form)
        made.row["messages"] = messages if made.own else with_call_ids(messages)
        made.row |= write_tools(openai_tools(record, made.own), made.form, "tools", as_text=False)
        if record.liked is not None:
            made.row["label"] = record.liked
        return made.finish()


class OpenAIPreference:
    """{"input": {"messages", "tools"}, "preferred_output": [message], "non_preferred_output": [message]}."""

    name = "openai-preference"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        return {"input", "preferred_output", "non_preferred_output"} <= set(row)

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        asked = given.left.pop("input")
        if not isinstance(asked, dict) or not are_messages(asked.get("messages")):
            raise BadRow("E2230", "input", format=self.name, detail="input holds no messages")
        left = {key: value for key, value in asked.items() if key != "messages"}
        said: dict[str, Any] = {"messages": read_turns(asked["messages"], OPENAI, given.form, self.name)}
        if "tools" in left:
            said["tools"] = read_tools(left.pop("tools"), given.form, "tools", self.name)
        if left:
            given.form["input"] = left
        for slot, key in (("answers", "preferred_output"), ("rejected", "non_preferred_output")):
            said[slot] = (_one_answer(given, key, self.name),)
        return given.record(**said)

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        turns = dialogue(record.model_copy(update={"answers": ()}))
        messages = write_turns(turns, OPENAI, made.form)
        tools = write_tools(openai_tools(record, made.own), made.form, "tools", as_text=False)
        made.row["input"] = {
            "messages": messages if made.own else with_call_ids(messages),
            **tools,
            **made.form.get("input", {}),
        }
        for key, texts in (("preferred_output", record.answers), ("non_preferred_output", record.rejected)):
            turn = Turn(role="assistant", content=texts[0] if texts else "")
            made.row[key] = write_turns([turn], OPENAI, {"turns": made.form.get(key, {})})
        return made.finish()


def are_messages(value: Any) -> bool:
    """Whether a value is a list of messages with roles."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "role" in item for item in value)


def _one_answer(given: Given, key: str, of: str) -> str:
    value = given.left.pop(key)
    form: dict[str, Any] = {}
    turns = read_turns(value, OPENAI, form, of) if isinstance(value, list) else ()
    if len(turns) != 1 or turns[0].role != "assistant" or turns[0].calls:
        raise BadRow("E2230", key, format=of, detail=f"{key} is not one message of the assistant")
    if form:
        given.form[key] = form["turns"]
    return turns[0].content


def with_call_ids(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls that came without an id get one, and the tool messages that follow answer them in order."""
    made: list[dict[str, Any]] = []
    waiting: list[str] = []
    for n, message in enumerate(messages):
        calls = message.get("tool_calls")
        if calls:
            calls = [{"id": f"call_{n}_{m}", **call} for m, call in enumerate(calls)]
            waiting = [call["id"] for call in calls]
            message = {**message, "tool_calls": calls}
        elif message.get("role") == "tool" and "tool_call_id" not in message and waiting:
            message = {**message, "tool_call_id": waiting.pop(0)}
        made.append(message)
    return made


def openai_tools(record: Record, own: bool) -> Sequence[Mapping[str, Any]]:
    """Tools as OpenAI wraps them; bare descriptions of functions get their wrapping."""
    if own:
        return record.tools
    return [tool if "function" in tool else {"type": "function", "function": tool} for tool in record.tools]
