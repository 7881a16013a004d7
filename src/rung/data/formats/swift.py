"""ms-swift: messages with tool_call and tool_response, rejected_response, loss and label; and query, response, history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.data.formats.alpaca import Alpaca, Columns
from rung.data.formats.openai import are_messages
from rung.data.formats.row import Given, Made
from rung.data.formats.turns import Tags, dialogue, read_tools, read_turns, write_tools, write_turns
from rung.data.record import Record, Turn
from rung.data.rejects import BadRow

SWIFT = Tags(
    roles={"system": "system", "user": "user", "assistant": "assistant", "tool": "tool", "tool_response": "tool"},
    names={"system": "system", "user": "user", "assistant": "assistant", "tool": "tool_response"},
    call="tool_call",
    one_call=True,
    trained="loss",
)


class Swift:
    """{"messages", "tools", "rejected_response", "label"}: the form that ms-swift maps all others to."""

    name = "swift"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        messages = row.get("messages")
        if not are_messages(messages):
            return False
        roles = {message["role"] for message in messages or []}
        telling = {"rejected_response", "positive_messages", "negative_messages"} & set(row)
        return bool(
            telling or roles & {"tool_call", "tool_response"} or any("loss" in message for message in messages or [])
        )

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        messages = given.items("messages")
        if not messages:
            raise BadRow("E2230", "messages", format=self.name, detail="messages holds none")
        turns = read_turns(messages, SWIFT, given.form, self.name)
        said: dict[str, Any] = {}
        if "tools" in given.left:
            said["tools"] = read_tools(given.left.pop("tools"), given.form, "tools", self.name)
        if isinstance(given.left.get("label"), bool):
            said["liked"] = given.left.pop("label")
        rejected = given.left.get("rejected_response")
        if isinstance(rejected, str) or (
            isinstance(rejected, list) and rejected and all(isinstance(r, str) for r in rejected)
        ):
            given.form["rejected_response"] = "list" if isinstance(rejected, list) else "text"
            said["rejected"] = tuple(rejected) if isinstance(rejected, list) else (rejected,)
            del given.left["rejected_response"]
            last = turns[-1]
            bare = last == Turn(role="assistant", content=last.content)
            if bare and str(len(turns) - 1) not in given.form.get("turns", {}):
                said["answers"], turns = (last.content,), turns[:-1]
        for slot, key in (("positives", "positive_messages"), ("negatives", "negative_messages")):
            texts = _single_texts(given.left.get(key))
            if texts:
                said[slot] = texts
                del given.left[key]
        return given.record(messages=turns, **said)

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        made.row["messages"] = write_turns(dialogue(record), SWIFT, made.form)
        made.row |= write_tools(record.tools, made.form, "tools", as_text=not made.own)
        if record.rejected:
            several = len(record.rejected) > 1 or made.form.get("rejected_response") == "list"
            made.row["rejected_response"] = list(record.rejected) if several else record.rejected[0]
        if record.liked is not None:
            made.row["label"] = record.liked
        for key, texts in (("positive_messages", record.positives), ("negative_messages", record.negatives)):
            if texts:
                made.row[key] = [[{"role": "user", "content": text}] for text in texts]
        return made.finish()


class QueryResponse(Alpaca):
    """{"system", "query", "response", "history", "rejected_response"}."""

    suffix = ".jsonl"

    def __init__(self) -> None:
        super().__init__(Columns("query", "", "response", "history", "system", "tools", "", "", ""), "swift-query")

    def fits(self, row: Mapping[str, Any]) -> bool:
        return isinstance(row.get("query"), str) and isinstance(row.get("response"), str)

    def decode(self, row: Mapping[str, Any]) -> Record:
        record = super().decode(row)
        rejected = record.extra.get("rejected_response")
        label = record.extra.get("label")
        said: dict[str, Any] = {}
        if isinstance(rejected, str):
            said["rejected"] = (rejected,)
        if isinstance(label, bool):
            said["liked"] = label
        gone = {"rejected": "rejected_response", "liked": "label"}
        taken = {gone[field] for field in said}
        return record.model_copy(
            update={**said, "extra": {key: value for key, value in record.extra.items() if key not in taken}}
        )

    def encode(self, record: Record) -> dict[str, Any]:
        # The answer of a pair stands in `response` here, not in a field of its own.
        row = super().encode(record.model_copy(update={"rejected": (), "liked": None}))
        if record.rejected:
            row["rejected_response"] = record.rejected[0]
        if record.liked is not None:
            row["label"] = record.liked
        return row


def _single_texts(value: Any) -> tuple[str, ...]:
    """The texts of lists of one user's message each; nothing where they hold more."""
    if not isinstance(value, list) or not all(isinstance(messages, list) and len(messages) == 1 for messages in value):
        return ()
    texts = [message["content"] for [message] in value if isinstance(message, dict) and _is_plain(message)]
    return tuple(texts) if len(texts) == len(value) else ()


def _is_plain(message: Mapping[str, Any]) -> bool:
    return set(message) == {"role", "content"} and message["role"] == "user" and isinstance(message["content"], str)
