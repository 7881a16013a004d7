"""A proposed task.yaml for a new data set: what can be read off the rows is filled in, and every line says what it means."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from rung.config.schema import BUILT_IN_MODEL, DEFAULT_METRICS, field_docs
from rung.core.errors import UsageError
from rung.core.task import Language, OutputKind
from rung.text.script import language_of

# Column names by role, the likelier first; compared in lower case without separators.
_NAMES: dict[str, list[str]] = json.loads(Path(__file__).with_name("column_names.json").read_text("utf-8"))

_MAX_LABELS = 200
_LONGEST_LABEL = 60
_TOKEN_STEPS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
_DENIAL = re.compile(r"\b(not|no|none|unknown|cannot)\b|没有|未|无|不", re.IGNORECASE)
_QUESTION, _ANSWER = "question", "answer"
"""What the last question and the answer of a dialogue are called; no columns of the file."""
_BARE = re.compile(r"[^\W\d][\w./-]*( [\w./-]+)*")


@dataclass(frozen=True)
class Guess:
    """What the rows say about the task."""

    inputs: tuple[str, ...]
    answer: str
    kind: OutputKind
    language: Language
    id: str | None = None
    group: str | None = None
    document: str | None = None
    rejected: str | None = None
    liked: str | None = None
    messages: str | None = None
    """The column of whole dialogues, which then stand for inputs and answer."""
    unused: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    longest: int = 0
    """Characters of the longest answer."""
    abstain: str | None = None
    schema: dict[str, Any] | None = None


def propose_config(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], documents_folder: str | None, file_name: str
) -> str:
    """The text of a commented task.yaml that loads as it stands.

    `rows`: values by column, text or whatever JSON held; `documents_folder` and `file_name` as they should be written, that
    is relative to the task.yaml. Raises UsageError E1241 where fewer than two columns can be told apart.
    """
    return _write(guess(columns, rows, documents_folder is not None), documents_folder, file_name, len(rows))


def guess(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], documents: bool) -> Guess:
    """Roles of the columns and the kind of answer. Raises UsageError E1241 without a column for each."""
    values = {name: [value for row in rows if _said(value := row.get(name))] for name in columns}
    left = [name for name in columns if values[name]]
    id = _named(left, "id")
    if id and len(set(map(str, values[id]))) < len(rows):
        id = None
    messages = _named([name for name in left if all(map(_dialogue, values[name]))], "messages")
    group = _named([name for name in left if name != messages], "group")
    document = _named(left, "document") if documents else None
    left = [name for name in left if name not in {id, group, document}]
    left = [name for name in left if _key(name) not in _NAMES["time"]] if len(left) > 2 else left
    rejected = _named(left, "rejected") if len(left) > 2 else None
    liked = (
        next((n for n in left if _key(n) in _NAMES["liked"] and _is_thumb(values[n])), None) if len(left) > 2 else None
    )
    left = [name for name in left if name not in {rejected, liked}]
    if messages is not None:
        return _dialogue_guess(
            columns,
            values[messages],
            Guess((_QUESTION,), _ANSWER, "text", "en", id, group, document, rejected, liked, messages),
        )
    answer = _named(left, "answer") or _likely_answer(left, values)
    inputs = _likely_inputs([name for name in left if name != answer], values)
    if answer is None or not inputs:
        raise UsageError("E1241", columns=", ".join(columns))
    answers = values[answer]
    kind = _kind(answers)
    texts = [_text(item) for value in answers for item in (value if isinstance(value, list) else [value])]
    counts = Counter(texts)
    return Guess(
        inputs=tuple(inputs),
        answer=answer,
        kind=kind,
        language=language_of(" ".join(str(row.get(name) or "") for row in rows[:200] for name in inputs)),
        id=id,
        group=group,
        document=document,
        rejected=rejected,
        liked=liked,
        unused=tuple(name for name in columns if name not in {*inputs, answer, id, group, document, rejected, liked}),
        labels=tuple(sorted(counts)) if kind == "label" else (),
        longest=max(map(len, texts)),
        abstain=_abstention(counts) if documents and kind == "text" else None,
        schema=_schema([_mapping(value) for value in answers]) if kind == "json" else None,
    )


def _dialogue_guess(columns: Sequence[str], values: Sequence[Any], found: Guess) -> Guess:
    """A task of dialogues: the last message answers the one before it."""
    turns = [turn for value in values for turn in _dialogue(value) or ()]
    said = [str(turn.get("content") or turn.get("value") or "") for turn in turns]
    answers = [
        str(last.get("content") or last.get("value") or "")
        for value in values
        for last in (_dialogue(value) or [{}])[-1:]
    ]
    used = {found.id, found.group, found.document, found.rejected, found.liked, found.messages}
    return replace(
        found,
        language=language_of(" ".join(said[:400])),
        unused=tuple(name for name in columns if name not in used),
        longest=max(map(len, answers)),
    )


def _dialogue(value: Any) -> list[dict[str, Any]] | None:
    """A list of messages, as OpenAI or ShareGPT write them, or JSON text of one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    whole = (
        isinstance(value, list) and value and all(isinstance(t, dict) and ("role" in t or "from" in t) for t in value)
    )
    return value if whole else None


def _is_thumb(values: Sequence[Any]) -> bool:
    return len({str(value).strip().casefold() for value in values}) <= 2


def _said(value: Any) -> bool:
    return value is not None and str(value).strip() != ""


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _named(columns: Sequence[str], role: str) -> str | None:
    by_key = {_key(column): column for column in reversed(columns)}
    return next((by_key[name] for name in _NAMES[role] if name in by_key), None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _likely_answer(columns: Sequence[str], values: Mapping[str, Sequence[Any]]) -> str | None:
    """The last column that looks like labels, else the last column."""
    if len(columns) < 2:
        return None
    outside = [name for name in columns if _key(name) not in _NAMES["input"]]
    return next((name for name in reversed(outside) if _kind(values[name]) == "label"), columns[-1])


def _likely_inputs(columns: Sequence[str], values: Mapping[str, Sequence[Any]]) -> list[str]:
    """Columns called like a question or a text, else those that seldom repeat, else all."""
    named = [name for name in columns if _key(name) in _NAMES["input"]]
    telling = [name for name in columns if len(set(map(str, values[name]))) > len(values[name]) / 2]
    return named or telling or list(columns)


def _kind(values: Sequence[Any]) -> OutputKind:
    if all(_mapping(value) is not None for value in values):
        return "json"
    texts = [_text(value) for value in values if not isinstance(value, list)]
    counts = Counter(texts)
    if not texts or len(counts) > _MAX_LABELS or max(map(len, texts)) > _LONGEST_LABEL:
        return "text"
    repeated = sum(n for n in counts.values() if n > 1) / len(values)
    often = 4 if len(counts) > 10 else 2
    return "label" if repeated >= 0.8 and len(texts) / len(counts) >= often else "text"


def _mapping(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _abstention(counts: Counter[str]) -> str | None:
    """The one answer that comes back far more often than any other and denies: 'Not in the guidance.'"""
    (first, n), *others = counts.most_common(2)
    often = n >= 3 and n >= 0.03 * counts.total() and n >= 2 * (others[0][1] if others else 0)
    return first if often and _DENIAL.search(first) else None


def _schema(objects: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """A JSON schema that every answer fits: the fields, their types, and which are always there."""
    known: dict[str, set[str]] = {}
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    rows = [row for row in objects if row is not None]
    for row in rows:
        for name, value in row.items():
            known.setdefault(name, set()).add(names.get(type(value), "null"))
    fields = {name: {"type": types.pop() if len(types) == 1 else sorted(types)} for name, types in known.items()}
    return {"type": "object", "properties": fields, "required": [n for n in known if all(n in row for row in rows)]}


def _instruction(found: Guess, documents: bool) -> str:
    zh = found.language == "zh"
    if found.kind == "label":
        return "判断文本属于哪一类。" if zh else "Decide which category the text belongs to."
    if found.kind == "json":
        return "从文本中提取信息，以 JSON 回答。" if zh else "Extract the information from the text and answer in JSON."
    brief = found.longest <= (30 if zh else _LONGEST_LABEL)
    if zh:
        text = ("根据文档" if documents else "") + ("用几个词" if brief else "") + "回答问题。"
        return text + (f"如果文档中没有说明，就回答：{found.abstain}" if found.abstain else "")
    text = "Answer the question" + (" from the documents" if documents else "") + (" in a few words." if brief else ".")
    return text + (f" If the documents do not say, answer exactly: {found.abstain}" if found.abstain else "")


def _quote(value: Any) -> str:
    """A YAML flow value: bare where that is safe, else in JSON's quotes."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_quote, value)) + "]"
    if isinstance(value, str) and (not _BARE.fullmatch(value) or value.lower() in {"null", "true", "false"}):
        # Line and control characters that YAML folds or refuses are escaped as well.
        quoted = json.dumps(value, ensure_ascii=False)
        return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda c: f"\\u{ord(c[0]):04x}", quoted)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write(found: Guess, documents: str | None, file_name: str, n: int) -> str:
    docs = field_docs(found.language)
    zh = found.language == "zh"

    def line(path: str, value: Any, *, off: bool = False) -> str:
        *parents, name = path.split(".")
        return "  " * len(parents) + ("# " if off else "") + f"{name}: {_quote(value)}  # {docs[path]}"

    def lines() -> Iterator[str]:
        yield f"# {'由 rung init 根据' if zh else 'Proposed by rung init from'} {file_name}{f'（{n} 行）生成' if zh else f' ({n} rows)'}"
        yield line("name", PurePath(file_name).name.split(".")[0] or "task")
        yield line("language", found.language)
        yield line("instruction", _instruction(found, documents is not None))
        yield line("inputs", list(found.inputs))
        if found.unused:
            yield f"# {'没有用到的列：' if zh else 'columns not used: '}{', '.join(map(_quote, found.unused))}"
        yield f"output:  # {docs['output']}"
        yield line("output.kind", found.kind)
        yield line("output.column", found.answer)
        for role in ("rejected", "liked"):
            if (column := getattr(found, role)) is not None:
                yield line(f"output.{role}", column)
        if 1 < len(found.labels) <= 30:
            yield line("output.labels", list(found.labels), off=True)
        if found.schema is not None:
            yield f"  json_schema: {json.dumps(found.schema, ensure_ascii=False)}  # {docs['output.json_schema']}"
        if found.kind != "label":
            yield line("output.max_tokens", _tokens(found))
        if found.abstain:
            yield line("output.abstain", found.abstain)
        yield f"data:  # {docs['data']}"
        yield line("data.examples", file_name)
        for role in ("id", "group", "document", "messages"):
            if (column := getattr(found, role)) is not None:
                yield line(f"data.{role}", column)
        if documents is not None:
            yield line("documents", documents)
        yield line("metrics", list(DEFAULT_METRICS[found.kind]))
        if zh:
            yield '# 内置的小模型几乎不会中文；有更好的模型时写在这里，例如 {kind: openai, id: 模型名, base_url: "http://localhost:8000/v1"}'
        yield line("models", [BUILT_IN_MODEL])
        yield line("target", 0.9, off=True)
        yield f"# budget: {{minutes: 30}}  # {docs['budget']}"
        yield f"# constraints: {{max_latency_p95: 2}}  # {docs['constraints']}"
        yield f"# cost: {{monthly_volume: 10000, months: 6}}  # {docs['cost']}"

    return "\n".join(lines()) + "\n"


def _tokens(found: Guess) -> int:
    """Room for the longest answer: about two tokens a Chinese character, one for two letters, in steps."""
    needed = found.longest * (2 if found.language == "zh" else 0.5) + 8
    return next((step for step in _TOKEN_STEPS if step >= needed), _TOKEN_STEPS[-1])
