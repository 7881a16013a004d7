"""How the fields of task.yaml fit together: with each other, with the registry, and with the files and columns named."""

from __future__ import annotations

import codecs
import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rung.config.models import WEIGHTS, ModelConfig
from rung.config.post_process import wrong_steps
from rung.config.schema import Config
from rung.config.source import Loc
from rung.core.errors import Problem
from rung.core.registry import parts
from rung.text.address import is_address

NOT_BASE_MODELS = {"linear", "extractive"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A field that does not fit: its place, the error code and the values that its text names."""

    loc: Loc
    code: str
    values: dict[str, Any] = field(default_factory=dict)


def near(value: str, known: Sequence[str]) -> dict[str, str]:
    """A question after the nearest known name, as the values `near` and `near_zh` of a message; empty without one."""
    folded = {name.casefold(): name for name in known}
    found = [folded[key] for key in difflib.get_close_matches(value.casefold(), folded, n=1)]
    return {
        "near": f" Did you mean '{found[0]}'?" if found else "",
        "near_zh": f"是否应为“{found[0]}”？" if found else "",
    }


def check_columns(config: Config, columns: Sequence[str], file: str) -> list[Problem]:
    """A problem (E1240) for every column that task.yaml names and a data file does not have."""
    return [
        Problem(
            "E1240",
            config.where(*loc),
            {"column": name, "file": file, "known": ", ".join(columns), **near(name, columns)},
        )
        for loc, name in config.columns.items()
        if name not in columns
    ]


def find_mistakes(config: Config) -> Iterator[Mistake]:
    """Everything that does not fit together, in the order of the file's schema."""
    yield from _columns(config)
    yield from _output(config)
    yield from _steps(config)
    yield from _data(config)
    yield from _registered(config)
    yield from _arms(config)
    if config.tracking.mlflow and not _plain_address(config.tracking.mlflow):
        # The value is not shown: a password may be in it.
        yield Mistake(("tracking", "mlflow"), "E1244")
    for i, model in enumerate(config.models):
        yield from _model(config, ("models", i), model)
    for i, count in enumerate(_seen_before([model.label for model in config.models])):
        if count:
            yield Mistake(("models", i), "E1234", {"name": config.models[i].label})


def _arms(config: Config) -> Iterator[Mistake]:
    named = config.arms.named
    if named and "plain" not in named:
        yield Mistake(("arms",), "E4202", {"found": ", ".join(named)})
    for name, relative in named.items():
        path = config.path(relative)
        if not path.is_file():
            there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            yield Mistake(("arms", name), "E1222", {"path": path, **near(path.name, there)})


def _seen_before(values: Sequence[str]) -> list[bool]:
    return [value in values[:i] for i, value in enumerate(values)]


def _columns(config: Config) -> Iterator[Mistake]:
    answer = config.output.column
    for loc, name in config.columns.items():
        if name == answer and loc != ("output", "column"):
            yield Mistake(loc, "E1224", {"column": name})
    for i, again in enumerate(_seen_before(config.inputs)):
        if again:
            yield Mistake(("inputs", i), "E1225", {"value": config.inputs[i]})


def _output(config: Config) -> Iterator[Mistake]:
    output = config.output
    if output.kind != "label" and output.labels:
        yield Mistake(("output", "labels"), "E1229", {"field": "labels", "kind": "label", "found": output.kind})
    if output.kind != "json" and output.json_schema is not None:
        yield Mistake(
            ("output", "json_schema"), "E1229", {"field": "json_schema", "kind": "json", "found": output.kind}
        )
    if output.kind == "label" and output.labels:
        for i, label in enumerate(output.labels):
            if not label.strip():
                yield Mistake(("output", "labels", i), "E1212")
        counts = Counter(label.strip() for label in output.labels)
        for label, n in counts.items():
            if n > 1:
                yield Mistake(("output", "labels"), "E1225", {"value": label})
        if len(counts) < 2:
            yield Mistake(("output", "labels"), "E1226", {"labels": ", ".join(counts)})
    if output.kind == "json":
        if output.json_schema is None:
            yield Mistake(("output",), "E1227")
        elif problem := _schema_problem(output.json_schema):
            yield Mistake(("output", "json_schema"), "E1228", {"detail": problem})


def _steps(config: Config) -> Iterator[Mistake]:
    output = config.output
    for name, steps in (("steps", output.steps), ("shown", output.shown)):
        for wrong in wrong_steps(steps, shown=name == "shown", kind=output.kind, labels=output.labels):
            yield Mistake(("output", name, *wrong.loc), wrong.code, wrong.values)
    if output.safe_message and not (output.steps or output.shown):
        yield Mistake(("output", "safe_message"), "E7109")


def _schema_problem(schema: dict[str, Any]) -> str:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"{error.json_path}: {error.message[:200]}"
    outside = [ref for ref in _references(schema) if not ref.startswith("#")]
    return f"$ref points outside the schema: {outside[0]}" if outside else ""


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def _data(config: Config) -> Iterator[Mistake]:
    data = config.data
    if data.messages is not None and len(config.inputs) != 1:
        yield Mistake(("inputs",), "E1238", {"found": ", ".join(config.inputs)})
    own = [name for name in ("train", "dev", "test") if getattr(data, name)]
    if data.examples and own:
        yield Mistake(("data",), "E1220", {"own": ", ".join(own)})
    elif not data.examples and not {"train", "test"} <= set(own):
        yield Mistake(("data",), "E1219", {"found": ", ".join(own) or "neither"})
    if data.examples and data.dev_share + data.test_share >= 1:
        yield Mistake(("data", "test_share"), "E1221", {"dev": data.dev_share, "test": data.test_share})
    if data.split == "time" and not (data.time and data.examples):
        yield Mistake(("data", "split"), "E2183")
    if data.encoding:
        try:
            "".encode(codecs.lookup(data.encoding).name)
        except LookupError:
            known = ["utf-8", "gb18030", "gbk", "big5", "utf-16", "shift_jis", "euc_kr", "cp1252", "latin-1"]
            yield Mistake(("data", "encoding"), "E1237", {"value": data.encoding, **near(data.encoding, known)})
    for name, relative in config.data_files.items():
        path = config.path(relative)
        if not path.is_file() and not (name == "examples" and _is_dataset(path)):
            there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            yield Mistake(("data", name), "E1222", {"path": path, **near(path.name, there)})
    yield from _documents(config)
    if data.document is not None and config.documents is None:
        yield Mistake(("data", "document"), "E1236", {"column": data.document})


def _documents(config: Config) -> Iterator[Mistake]:
    if config.documents is None:
        return
    if config.base is not None:
        if config.drop_orders:
            yield Mistake(("drop_orders",), "E2730")
        for loc in _named_in(config.settings, "chunk_words"):
            yield Mistake(("settings", *loc), "E2729", {"base": config.documents})
    elif is_address(config.documents):
        # The value is not shown: a password may be in it.
        yield Mistake(("documents",), "E2734")
    elif not config.path(config.documents).exists():
        yield Mistake(("documents",), "E2372", {"path": config.path(config.documents)})


def _named_in(block: Mapping[str, Any], key: str) -> Iterator[Loc]:
    """Every place of a key in a block, and in the blocks within it."""
    for name, value in block.items():
        if name == key:
            yield (name,)
        elif isinstance(value, Mapping):
            yield from ((name, *loc) for loc in _named_in(value, key))


def _is_dataset(path: Path) -> bool:
    """Whether a path names a data set's folder, or a version of one: FOLDER@VERSION."""
    return any(
        (path.with_name(name) / "CURRENT").is_file() for name in (path.name, path.name.partition("@")[0]) if name
    )


def _registered(config: Config) -> Iterator[Mistake]:
    named: list[tuple[Loc, str, str]] = [
        *((("metrics", i), "metric", name) for i, name in enumerate(config.metrics)),
        *((("methods", i), "method", name) for i, name in enumerate(config.methods)),
        *((("settings", name), "method", name) for name in config.settings),
        *((("models", i, "kind"), "model", model.kind) for i, model in enumerate(config.models)),
        (("encoder",), "encoder", config.encoder.partition(":")[0]),
    ]
    for loc, kind, name in named:
        known = [part for part in parts(kind) if kind != "model" or part not in NOT_BASE_MODELS]
        if name not in known and not (kind == "method" and _staged(name, known)):
            values = {"kind": kind, "name": name, "known": ", ".join(known), **near(name, known)}
            yield Mistake(loc, "E1230", values)
    for section, names in (("metrics", config.metrics), ("methods", config.methods)):
        for i, again in enumerate(_seen_before(names)):
            if again:
                yield Mistake((section, i), "E1225", {"value": names[i]})


def _staged(name: str, known: Sequence[str]) -> bool:
    """Whether a name is a variant of a method, or stages of methods: `fine_tune-dora`, `rag+fine_tune+preference`."""

    def varied(part: str) -> bool:
        return part in known or part.rpartition("-")[0] in known

    return varied(name) or all(varied(part) for part in name.split("+"))


def _model(config: Config, loc: Loc, model: ModelConfig) -> Iterator[Mistake]:
    if model.kind in WEIGHTS and not (model.id or model.path):
        yield Mistake(loc, "E1231", {"kind": model.kind, "field": "id or path"})
    needed = {"openai": ("base_url", "id"), "recorded": ("path",)}.get(model.kind, ())
    for name in needed:
        if not getattr(model, name):
            yield Mistake(loc, "E1231", {"kind": model.kind, "field": name})
    if model.path and not (config.path(model.path).is_file() or model.kind in WEIGHTS):
        yield Mistake((*loc, "path"), "E1222", {"path": config.path(model.path), **near("", [])})
    if model.path and model.kind in WEIGHTS and not config.path(model.path).is_dir():
        yield Mistake((*loc, "path"), "E1223", {"path": config.path(model.path)})
    # A key pasted by mistake must not be repeated in a message, so neither text below shows the value.
    if model.api_key_env and not _VARIABLE.fullmatch(model.api_key_env):
        yield Mistake((*loc, "api_key_env"), "E1232")
    if model.base_url and not _plain_address(model.base_url):
        yield Mistake((*loc, "base_url"), "E1233")


def _plain_address(url: str) -> bool:
    """http or https, with a host, and without a name, a password or a query in which a key could lie."""
    try:
        parsed = urlsplit(url)
        return (
            parsed.scheme in {"http", "https"}
            and bool(parsed.hostname)
            and "@" not in parsed.netloc
            and not parsed.query
        )
    except ValueError:
        return False
