"""TRL: text, prompt and completion, chosen and rejected (also without a prompt of their own), and unpaired labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.data.formats.openai import are_messages, openai_tools, with_call_ids
from rung.data.formats.row import Given, Made, plain
from rung.data.formats.turns import OPENAI, dialogue, read_tools, read_turns, write_tools, write_turns
from rung.data.record import Record, Turn
from rung.data.rejects import BadRow


class Text:
    """{"text"}: plain language modelling."""

    name = "trl-text"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        return isinstance(row.get("text"), str) and set(row) <= {"text", "id", "meta", "source", "url", "timestamp"}

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        text = given.take("text")
        if not text or not text.strip():
            raise BadRow("E2220", "text")
        return given.record(inputs={"text": text})

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        made.put("text", "\n".join(turn.content for turn in dialogue(record)))
        return made.finish()


class PromptCompletion:
    """{"prompt", "completion", "label"}: texts, or lists of messages; a prompt may stand alone."""

    name = "trl"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        prompt, completion = row.get("prompt"), row.get("completion")
        if are_messages(prompt):
            return completion is None or are_messages(completion)
        return isinstance(prompt, str) and isinstance(completion, str)

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        said: dict[str, Any] = {}
        if isinstance(given.left.get("label"), bool):
            said["liked"] = given.left.pop("label")
        if "tools" in given.left:
            said["tools"] = read_tools(given.left.pop("tools"), given.form, "tools", self.name)
        prompt = given.items("prompt") if isinstance(given.left.get("prompt"), list) else None
        if prompt is None:
            text = given.take("prompt")
            if not text or not text.strip():
                raise BadRow("E2220", "prompt")
            answer = given.text("completion")
            return given.record(inputs={"prompt": text}, answers=(answer,) if answer else (), **said)
        completion = given.items("completion") or []
        turns = read_turns([*prompt, *completion], OPENAI, given.form, self.name)
        given.form["prompt"] = len(prompt)
        return given.record(messages=turns, **said)

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        if record.messages or record.system or record.tools:
            turns = dialogue(record)
            messages = write_turns(turns, OPENAI, made.form)
            messages = messages if made.own else with_call_ids(messages)
            count = made.form.get("prompt", len(turns) - (bool(turns) and turns[-1].role == "assistant"))
            made.row["prompt"] = messages[:count]
            if messages[count:] or not made.own:
                made.row["completion"] = messages[count:]
            elif made.form.get("completion") == "empty":
                made.row["completion"] = []
            made.row |= write_tools(openai_tools(record, made.own), made.form, "tools", as_text=False)
        else:
            made.put("prompt", record.question)
            made.put("completion", record.answer if record.answer or made.own else "")
            if made.own and not record.answer and "completion" not in made.form:
                made.row.pop("completion")
        if record.liked is not None:
            made.row["label"] = record.liked
        return made.finish()


class Preference:
    """{"prompt", "chosen", "rejected"}: texts or messages, with the prompt apart, repeated in both, or only there."""

    name = "trl-preference"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        chosen, rejected = row.get("chosen"), row.get("rejected")
        if {"conversations", "instruction", "messages"} & set(row):
            return False
        if isinstance(chosen, str) and isinstance(rejected, str):
            return isinstance(row.get("prompt", ""), str) or are_messages(row["prompt"])
        return (are_messages(chosen) or _is_message(chosen)) and (are_messages(rejected) or _is_message(rejected))

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        said: dict[str, Any] = {}
        if "tools" in given.left:
            said["tools"] = read_tools(given.left.pop("tools"), given.form, "tools", self.name)
        prompt = given.left.get("prompt")
        before: tuple[Turn, ...] = ()
        if are_messages(prompt):
            before = read_turns(given.left.pop("prompt"), OPENAI, given.form, self.name)
            given.form["prompt"] = "messages"
        elif "prompt" in given.left:
            text = given.take("prompt")
            said["inputs"] = {"prompt": text or ""}
        both = [self._side(given, key) for key in ("chosen", "rejected")]
        shared = both[0][0]
        if shared != both[1][0] or (shared and before):
            raise BadRow(
                "E2230", "rejected", format=self.name, detail="chosen and rejected part before the last message"
            )
        if shared:
            form: dict[str, Any] = {}
            before = read_turns(shared, OPENAI, form, self.name)
            given.form |= form
            given.form["shared"] = True
            if said.get("inputs", {}).get("prompt") == _last_said(before):
                # The prompt only repeats the question, so it is made from it again.
                del said["inputs"]
                given.form["prompt"] = "repeated"
        return given.record(messages=before, answers=(both[0][1],), rejected=(both[1][1],), **said)

    def _side(self, given: Given, key: str) -> tuple[list[Any], str]:
        """What was said before, where the side repeats it, and the answer."""
        value = given.left.pop(key, None)
        if isinstance(value, str):
            return [], plain(value, key)
        messages = [value] if isinstance(value, dict) else value
        if not are_messages(messages):
            raise BadRow("E2230", key, format=self.name, detail=f"{key} is neither a text nor messages")
        *before, last = messages
        form: dict[str, Any] = {}
        turn = read_turns([last], OPENAI, form, self.name)[0]
        if turn.role != "assistant" or turn.calls:
            raise BadRow("E2230", key, format=self.name, detail=f"{key} does not end with the assistant's words")
        given.form[key] = {"one": isinstance(value, dict), **form.get("turns", {}).get("0", {})}
        return before, turn.content

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        form = made.form
        turns = dialogue(record.model_copy(update={"answers": ()}))
        as_messages = bool(record.messages or record.system or record.tools)
        shared: list[dict[str, Any]] = []
        if form.get("shared"):
            shared = write_turns(record.messages, OPENAI, form)
            if form.get("prompt") == "repeated":
                made.row["prompt"] = _last_said(record.messages)
            elif "prompt" in record.inputs:
                made.put("prompt", record.inputs["prompt"])
        elif as_messages:
            messages = write_turns(turns, OPENAI, form)
            made.row["prompt"] = messages if made.own else with_call_ids(messages)
        elif record.inputs:
            made.put("prompt", record.question)
        for key, texts in (("chosen", record.answers), ("rejected", record.rejected)):
            made.row[key] = self._written(
                texts[0] if texts else "", form.get(key), shared, as_messages and not made.own
            )
        made.row |= write_tools(openai_tools(record, made.own), form, "tools", as_text=False)
        return made.finish()

    def _written(self, text: str, how: Any, shared: Sequence[dict[str, Any]], as_messages: bool) -> Any:
        if not isinstance(how, dict) and not as_messages:
            return text
        odd = {key: value for key, value in (how or {}).items() if key != "one"}
        message = write_turns([Turn(role="assistant", content=text)], OPENAI, {"turns": {"0": odd}})[0]
        return message if how and how["one"] else [*shared, message]


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "role" in value and "content" in value


def _last_said(turns: Sequence[Turn]) -> str:
    said = [turn.content for turn in turns if turn.role == "user"]
    return said[-1] if said else ""
