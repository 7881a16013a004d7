"""ShareGPT: conversations of from and value, system, tools; chosen and rejected messages and KTO labels, as LLaMA-Factory has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.data.formats.row import Given, Made, plain
from rung.data.formats.turns import OPENAI, Tags, dialogue, read_tools, read_turns, write_tools, write_turns
from rung.data.record import Record, Turn
from rung.data.rejects import BadRow

SHAREGPT = Tags(
    role="from",
    content="value",
    roles={
        "human": "user",
        "gpt": "assistant",
        "system": "system",
        "observation": "tool",
        "user": "user",
        "assistant": "assistant",
        "chatgpt": "assistant",
        "bing": "assistant",
        "bard": "assistant",
        "tool": "tool",
        "function_response": "tool",
    },
    names={"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"},
    call="function_call",
)


def tags_of(messages: Sequence[Any]) -> Tags:
    """How a list of messages names roles and texts: as ShareGPT does, or as OpenAI."""
    return SHAREGPT if isinstance(messages[0], dict) and SHAREGPT.role in messages[0] else OPENAI


@dataclass(frozen=True)
class Columns:
    """What the fields are called; '' for one that is not used."""

    messages: str = "conversations"
    system: str = "system"
    tools: str = "tools"
    chosen: str = "chosen"
    rejected: str = "rejected"
    kto_tag: str = "kto_tag"


class ShareGPT:
    """The codec; LLaMA-Factory's data sets give columns and tags other names."""

    suffix = ".json"

    def __init__(
        self,
        columns: Columns = Columns(),
        tags: Tags = SHAREGPT,
        name: str = "sharegpt",
    ) -> None:
        self.name, self._columns, self._tags = name, columns, tags

    def fits(self, row: Mapping[str, Any]) -> bool:
        said = row.get("conversations")
        return isinstance(said, list) and all(isinstance(message, dict) and "from" in message for message in said)

    def decode(self, row: Mapping[str, Any]) -> Record:
        names = self._columns
        given = Given(row, self.name)
        messages = given.items(names.messages)
        if not messages:
            raise BadRow("E2230", names.messages, format=self.name, detail=f"{names.messages} holds no message")
        said: dict[str, Any] = {"messages": read_turns(messages, self._tags, given.form, self.name)}
        said["system"] = given.text(names.system) if names.system else ""
        if names.tools and names.tools in given.left:
            said["tools"] = read_tools(given.left.pop(names.tools), given.form, names.tools, self.name)
        for slot, key in (("answers", names.chosen), ("rejected", names.rejected)):
            if key and isinstance(given.left.get(key), str | dict):
                said[slot] = (self._only(given, key),)
        if names.kto_tag and isinstance(given.left.get(names.kto_tag), bool):
            said["liked"] = given.left.pop(names.kto_tag)
        return given.record(**said)

    def _only(self, given: Given, key: str) -> str:
        """The text of one message that stands alone."""
        value = given.left.pop(key)
        if isinstance(value, str):
            given.form[key] = "text"
            return plain(value, key)
        form: dict[str, Any] = {}
        turn = read_turns([value], self._tags, form, self.name)[0]
        if turn.role != "assistant" or turn.calls:
            # A call of tools stays the text that it is: answers are texts.
            form["turns"] = {"0": {"role": value[self._tags.role]}}
        if form:
            given.form[key] = form["turns"]["0"]
        return str(value[self._tags.content])

    def encode(self, record: Record) -> dict[str, Any]:
        names, tags = self._columns, self._tags
        made = Made(record, self.name)
        paired = bool(record.rejected) or bool(made.own and record.answers)
        turns = _before_answer(record, bool(names.system)) if paired else _all(record, bool(names.system))
        made.row[names.messages] = write_turns(turns, tags, made.form)
        if names.system:
            # A row of this form may say both: a system of its own, and one as its first message.
            made.put(names.system, (record.system if made.own else _system(record)) or None)
        if names.tools:
            made.row |= write_tools(record.tools, made.form, names.tools, as_text=not made.own)
        if paired:
            for key, texts in ((names.chosen, record.answers), (names.rejected, record.rejected)):
                if texts and key:
                    made.row[key] = self._message(texts[0], made.form.get(key))
        if record.liked is not None and names.kto_tag:
            made.row[names.kto_tag] = record.liked
        return made.finish()

    def _message(self, text: str, how: Any) -> Any:
        if how == "text":
            return text
        unusual = how if isinstance(how, dict) else {}
        role = unusual.get("role", self._tags.names["assistant"])
        return {self._tags.role: role, self._tags.content: text, **unusual.get("extra", {})}


def _system(record: Record) -> str:
    return "" if record.messages and record.messages[0].role == "system" else record.system


def _all(record: Record, has_system: bool) -> list[Turn]:
    turns = dialogue(record)
    return turns[1:] if has_system and _system(record) else turns


def _before_answer(record: Record, has_system: bool) -> list[Turn]:
    return _all(record.model_copy(update={"answers": ()}), has_system)
