"""Alpaca: instruction, input, output, system, history; pairs of chosen and rejected, and KTO labels, as LLaMA-Factory has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.data.formats.codec import CannotCarry
from rung.data.formats.row import Given, Made, plain
from rung.data.formats.turns import dialogue, read_tools, write_tools
from rung.data.record import Record, Turn
from rung.data.rejects import BadRow


@dataclass(frozen=True)
class Columns:
    """What the fields are called; '' for one that is not used."""

    prompt: str = "instruction"
    query: str = "input"
    response: str = "output"
    history: str = "history"
    system: str = "system"
    tools: str = "tools"
    chosen: str = "chosen"
    rejected: str = "rejected"
    kto_tag: str = "kto_tag"


class Alpaca:
    """The codec; LLaMA-Factory's data sets give the columns other names."""

    suffix = ".json"

    def __init__(self, columns: Columns = Columns(), name: str = "alpaca") -> None:
        self.name, self._columns = name, columns

    def fits(self, row: Mapping[str, Any]) -> bool:
        answered = "output" in row or {"chosen", "rejected"} <= set(row)
        return isinstance(row.get("instruction"), str) and answered and not isinstance(row.get("output"), list | dict)

    def decode(self, row: Mapping[str, Any]) -> Record:
        names = self._columns
        given = Given(row, self.name)
        inputs = {
            field: text
            for field, key in (("instruction", names.prompt), ("input", names.query))
            if key and (text := given.take(key)) is not None
        }
        if not any(text.strip() for text in inputs.values()):
            raise BadRow("E2220", ", ".join(key for key in (names.prompt, names.query) if key))
        said: dict[str, Any] = {"inputs": inputs}
        said["system"] = given.text(names.system) if names.system else ""
        answer = given.text(names.response) if names.response else ""
        if not answer and names.chosen:
            answer = given.text(names.chosen)
        said["answers"] = (answer,) if answer else ()
        rejected = given.text(names.rejected) if names.rejected else ""
        said["rejected"] = (rejected,) if rejected else ()
        if names.kto_tag and isinstance(given.left.get(names.kto_tag), bool):
            said["liked"] = given.left.pop(names.kto_tag)
        if names.history:
            said["messages"] = self._history(given, names.history)
        if names.tools and names.tools in given.left:
            said["tools"] = read_tools(given.left.pop(names.tools), given.form, names.tools, self.name)
        return given.record(**said)

    def _history(self, given: Given, key: str) -> tuple[Turn, ...]:
        turns: list[Turn] = []
        for pair in given.items(key) or ():
            if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
                raise BadRow("E2230", key, format=self.name, detail=f"{key} holds more than pairs of texts")
            turns += [
                Turn(role="user", content=plain(pair[0], key)),
                Turn(role="assistant", content=plain(pair[1], key)),
            ]
        return tuple(turns)

    def encode(self, record: Record) -> dict[str, Any]:
        names = self._columns
        made = Made(record, self.name)
        asked = asked_with_history(record)
        inputs = asked.inputs
        fields = (("instruction", names.prompt), ("input", names.query))
        if set(inputs) <= {"instruction", "input"} and all(key for field, key in fields if inputs.get(field)):
            for field, key in fields:
                if key:
                    made.put(key, inputs.get(field))
        else:
            made.put(names.prompt, record.question if record.inputs else "\n".join(inputs.values()))
            if names.query:
                made.put(names.query, "")
        paired = bool(record.rejected)
        response = names.chosen if paired or not names.response or self._was_chosen(made) else names.response
        made.put(response, asked.answer if asked.answer or made.own or paired else "")
        for key in (names.response, names.chosen):
            if key and key != response:
                made.put(key, None)
        if names.rejected:
            made.put(names.rejected, record.rejected[0] if paired else None)
        if record.liked is not None and names.kto_tag:
            made.row[names.kto_tag] = record.liked
        if names.system:
            made.put(names.system, asked.system or None)
        if names.history:
            made.put_items(names.history, [list(pair) for pair in asked.history])
        if names.tools:
            made.row |= write_tools(record.tools, made.form, names.tools, as_text=not made.own)
        return made.finish()

    def _was_chosen(self, made: Made) -> bool:
        return bool(made.form.get("chosen"))


@dataclass(frozen=True)
class Asked:
    """One question with what was said before it."""

    inputs: Mapping[str, str]
    answer: str
    system: str
    history: tuple[tuple[str, str], ...]


def asked_with_history(record: Record) -> Asked:
    """A record as a question, its answer and pairs of earlier ones.

    Raises CannotCarry for a dialogue in which the two do not take turns, or in which tools are called.
    """
    turns = list(record.messages) if record.inputs else dialogue(record)
    system = record.system
    if turns and turns[0].role == "system":
        system = turns.pop(0).content
    answer = record.answers[0] if record.answers else ""
    if not record.inputs and turns and turns[-1].role == "assistant":
        answer = turns.pop().content
    inputs = dict(record.inputs) or ({"instruction": turns.pop().content} if turns and turns[-1].role == "user" else {})
    roles = [turn.role for turn in turns]
    if not inputs or roles != ["user", "assistant"] * (len(turns) // 2) or any(turn.calls for turn in record.messages):
        raise CannotCarry("dialogue")
    texts = [turn.content for turn in turns]
    return Asked(inputs, answer, system, tuple(zip(texts[::2], texts[1::2], strict=True)))
