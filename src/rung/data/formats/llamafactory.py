"""LLaMA-Factory's data folder: dataset_info.json with one entry a data set, and the files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.durable import write_json
from rung.core.errors import DataError, UsageError
from rung.data.formats import alpaca, sharegpt
from rung.data.formats.codec import Codec
from rung.data.formats.row import FORM
from rung.data.formats.turns import Tags
from rung.data.record import Record
from rung.text.strict_json import read_json

INFO = "dataset_info.json"
NAME = "llamafactory"
_USUAL_TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "observation_tag": "observation",
    "function_tag": "function_call", "system_tag": "system",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One data set of the folder."""

    name: str
    path: Path
    said: Mapping[str, Any]
    """What dataset_info.json says about it."""


def entry_of(path: Path) -> Entry | None:
    """The entry of dataset_info.json beside a file that names the file; None without one."""
    info = path.parent / INFO
    if not info.is_file() or path.name == INFO:
        return None
    names = {path.name, path.name.removesuffix(".gz")}
    for name, said in _entries(info).items():
        if said.get("file_name") in names:
            return Entry(name, path, said)
    return None


def find_entry(path: Path, name: str = "") -> Entry:
    """A data set of a folder or of its dataset_info.json; the only one where no name is given.

    Raises UsageError E2244 where there are several or none of this name, DataError E2248 for an entry that is none.
    """
    info = path if path.name == INFO else path / INFO
    found: dict[str, Entry] = {}
    for key, said in _entries(info).items():
        file_name = said.get("file_name")
        if isinstance(file_name, str):
            for file in (info.parent / file_name, info.parent / f"{file_name}.gz"):
                if file.is_file() and file.resolve().is_relative_to(info.parent.resolve()):
                    found.setdefault(key, Entry(key, file, said))
    if name not in found and (name or len(found) != 1):
        raise UsageError("E2244", str(info), known=", ".join(found) or "-", name=name or "-")
    return found[name] if name else next(iter(found.values()))


def _entries(info: Path) -> dict[str, dict[str, Any]]:
    try:
        value = read_json(info.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError("E2248", str(info), detail=error) from error
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise DataError("E2248", str(info), detail="it is no object of objects")
    return value


class LlamaFactory:
    """The codec of one entry: Alpaca or ShareGPT with the entry's own names."""

    suffix = ".json"
    name = NAME

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Raises DataError E2248 for a way of formatting that is none."""
        kind = said.get("formatting", "alpaca")
        if kind not in {"alpaca", "sharegpt", "openai"}:
            raise DataError("E2248", INFO, detail=f"formatting is {kind!r}; known: alpaca, sharegpt, openai")
        self._said = {key: said[key] for key in ("formatting", "ranking", "columns", "tags") if key in said}
        self._codec: Codec = _alpaca(said) if kind == "alpaca" else _sharegpt(said)

    def fits(self, row: Mapping[str, Any]) -> bool:
        return True

    def decode(self, row: Mapping[str, Any]) -> Record:
        record = self._codec.decode(row)
        if not self._said:
            return record
        form = {**record.extra[FORM], "entry": self._said}
        return record.model_copy(update={"extra": {**record.extra, FORM: form}})

    def encode(self, record: Record) -> dict[str, Any]:
        return self._codec.encode(record)


def _alpaca(said: Mapping[str, Any]) -> Codec:
    if "columns" not in said:
        return alpaca.Alpaca(alpaca.Columns(history="", system="", tools="", kto_tag="", **_no_pair(said)), NAME)
    named = said["columns"]
    unused = dict.fromkeys(asdict(alpaca.Columns()), "")
    return alpaca.Alpaca(alpaca.Columns(**{**unused, **{key: named[key] for key in unused if named.get(key)}}), NAME)


def _no_pair(said: Mapping[str, Any]) -> dict[str, str]:
    return {} if said.get("ranking") else {"chosen": "", "rejected": ""}


def _sharegpt(said: Mapping[str, Any]) -> Codec:
    columns = sharegpt.Columns(system="", tools="", kto_tag="", **_no_pair(said))
    if "columns" in said:
        named = said["columns"]
        unused = dict.fromkeys(asdict(columns), "")
        columns = sharegpt.Columns(**{**unused, **{key: named[key] for key in unused if named.get(key)}})
        columns = replace(columns, messages=columns.messages or "conversations")
    usual = _USUAL_TAGS
    if said.get("formatting") == "openai":
        usual = {
            **usual,
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        }
    tags = {key: said.get("tags", {}).get(key) or name for key, name in usual.items()}
    names = {role: tags[f"{tag}_tag"] for role, tag in _ROLES.items()}
    return sharegpt.ShareGPT(
        columns,
        Tags(
            role=tags["role_tag"],
            content=tags["content_tag"],
            roles={name: role for role, name in names.items()},
            names=names,
            call=tags["function_tag"],
        ),
        NAME,
    )


_ROLES: dict[Any, str] = {"user": "user", "assistant": "assistant", "system": "system", "tool": "observation"}


def entry_for(records: Sequence[Record]) -> dict[str, Any]:
    """What dataset_info.json has to say of a file of these records, without its name: as they came, or by what they hold."""
    forms = [record.extra.get(FORM, {}) for record in records]
    own = [form.get("entry", {}) if form.get("of") == NAME else None for form in forms]
    if own and own[0] and all(said == own[0] for said in own):
        return dict(own[0])
    chat = any(record.messages and not record.inputs for record in records)
    columns: dict[str, str] = {"messages": "conversations"} if chat else {"prompt": "instruction", "query": "input"}
    paired = any(record.rejected for record in records)
    if paired:
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    elif not chat:
        columns["response"] = "output"
    if not chat and any(record.messages for record in records):
        columns["history"] = "history"
    if any(record.system or (record.messages and record.messages[0].role == "system") for record in records):
        columns["system"] = "system"
    if any(record.tools for record in records):
        columns["tools"] = "tools"
    if any(record.liked is not None for record in records):
        columns["kto_tag"] = "kto_tag"
    said: dict[str, Any] = {"formatting": "sharegpt"} if chat else {}
    if paired:
        said["ranking"] = True
    usual = {"prompt": "instruction", "query": "input", "response": "output"}
    return {**said, "columns": columns} if chat or columns != usual else said


def add_entry(path: Path, said: Mapping[str, Any]) -> None:
    """Name a written file in dataset_info.json beside it; other entries stay. Raises DataError E2248, WriteError."""
    info = path.parent / INFO
    entries = _entries(info) if info.is_file() else {}
    name = path.name.split(".")[0]
    write_json(info, {**entries, name: {"file_name": path.name, **said}})
