"""Post-processing steps, named in a candidate's `output`: from what a model said to the answer, or a Failure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rung.core.errors import DataError
from rung.core.model import Failure
from rung.text.normalise import normalise_label
from rung.text.strict_json import RefusedJson, find_end, read_json, write_json

ANSWER_NAMES = ("Answer", "The answer", "Final answer", "Output", "Label", "答案", "最终答案", "回答", "输出", "标签")
_PAIRS = (
    ('"', '"'),
    ("'", "'"),
    ("\u201c", "\u201d"),
    ("\u2018", "\u2019"),
    ("「", "」"),
    ("『", "』"),
    ("`", "`"),
    ("**", "**"),
)
_OPENING = "\"'`*_\u201c\u2018「『【[( "
_CLOSING = _OPENING + "\u201d\u2019」』】])" + ".。!"
# What may stand between a label and what follows it: a joint such as - or / would make it another word, a point or comma
# before a digit another number.
_AFTER_LABEL = re.compile(r"$|[.,:](?!\d)|[\s;!?)\]\"'`*。、！？】」』\u201d\u2019]")
# What stands between the labels of a list; it matches at the start of any text, if only nothing.
_LISTING = re.compile(r"[\s,;|、\"'`*\u201c\u201d]*(?:(?:or|and)(?!\w)|[和或及与])?[\s\"'`*\u201c]*")
_FENCE = re.compile(r"```(?:[^\S\n]*\w*[^\S\n]*\n)?(.*?)```", re.DOTALL)


def first_line(text: str) -> str | Failure:
    """The first line that is not blank; '' where there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def strip_marks(text: str, names: Sequence[str] = ANSWER_NAMES) -> str | Failure:
    """The text without quotes and emphasis around all of it, and without an echoed `name:` before it."""
    echo = _echo(tuple(names))
    while True:
        bare = echo.sub("", text.strip(), count=1)
        if fenced := _FENCE.fullmatch(bare):
            bare = fenced[1].strip()
        for opening, closing in _PAIRS:
            inner = bare[len(opening) : -len(closing)]
            wrapped = len(bare) >= len(opening) + len(closing) and bare.startswith(opening) and bare.endswith(closing)
            # Marks inside as well: two quoted pieces, not one quoted answer.
            if wrapped and opening not in inner and closing not in inner:
                bare = inner.strip()
        if bare == text:
            return bare
        text = bare


@lru_cache(maxsize=64)
def _echo(names: tuple[str, ...]) -> re.Pattern[str]:
    if not names:
        return re.compile(r"(?!)")
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"^[*_#\s]*(?:{words})[*_\s]*[:：][*_\s]*", re.IGNORECASE)


def match_label(text: str, labels: Sequence[str]) -> str | Failure:
    """The label that the text is, as the task spells it; else a Failure of kind 'unparsable'.

    A text is a label when it equals it after `normalise_label`, bare, quoted or with a full stop; or when it begins
    with it, and a space or punctuation follows (the longest such label counts). "positive or negative" lists two
    labels and is neither.
    """
    book = _label_book(tuple(labels))
    if text.strip() in book.exact:
        return text.strip()
    folded = normalise_label(text)
    opened = folded.lstrip(_OPENING)
    for form in (folded, opened, opened.rstrip(_CLOSING)):
        if form in book.by_form:
            return _only(book.by_form[form])
    first = _leading(opened, book)
    if first is None:
        return Failure("unparsable", "the answer is none of the labels")
    rest = opened[len(first) :]
    second = _leading(_LISTING.sub("", rest, count=1), book)
    if second is not None and second != first:
        return Failure("unparsable", "the answer names more than one label")
    return _only(book.by_form[first])


@dataclass(frozen=True)
class _LabelBook:
    exact: frozenset[str]
    by_form: dict[str, tuple[str, ...]]
    longest_first: tuple[str, ...]


@lru_cache(maxsize=64)
def _label_book(labels: tuple[str, ...]) -> _LabelBook:
    by_form: dict[str, tuple[str, ...]] = {}
    for label in dict.fromkeys(labels):
        form = normalise_label(label)
        by_form[form] = (*by_form.get(form, ()), label)
    return _LabelBook(frozenset(labels), by_form, tuple(sorted(filter(None, by_form), key=len, reverse=True)))


def _only(labels: tuple[str, ...]) -> str | Failure:
    return labels[0] if len(labels) == 1 else Failure("unparsable", "labels that differ in case or width only")


def _leading(text: str, book: _LabelBook) -> str | None:
    starts = (form for form in book.longest_first if text.startswith(form) and _AFTER_LABEL.match(text, len(form)))
    return next(starts, None)


def json_answer(text: str, schema: dict[str, Any] | None = None) -> str | Failure:
    """The JSON object in the text that fits the schema, as canonical JSON (keys sorted, no spaces); else a Failure.

    Prose and ``` fences around it are passed over; where several objects fit, the first one counts. An array is
    looked for instead where the schema's type is array. An object that is cut off, repeats a key, holds NaN or an
    infinity or nests too deep makes the answer unparsable, and no part of it is taken for the whole. A `$ref` to
    another address is never followed.

    Raises DataError E2504 for a schema that is none.
    """
    opening = "[" if schema and schema.get("type") == "array" else "{"
    reason = f"the answer holds no JSON {'array' if opening == '[' else 'object'}"
    try:
        for value in _values(text, opening):
            reason = _misfit(value, schema)
            if not reason:
                return write_json(value)
    except RefusedJson as error:
        reason = f"the JSON is refused: {error}"
    return Failure("unparsable", reason)


def _values(text: str, opening: str) -> Iterator[Any]:
    """Every value that opens so, in order: in the fences, and then in the whole text."""
    fenced = [] if text.lstrip().startswith(opening) else _FENCE.findall(text)
    for source in (*fenced, text):
        start = source.find(opening)
        while start >= 0:
            end = find_end(source, start)
            if end is None:
                break
            try:
                yield read_json(source[start:end])
            except RefusedJson:
                raise
            except ValueError:
                pass  # braces of prose, such as {name}
            start = source.find(opening, end)


def _misfit(value: Any, schema: dict[str, Any] | None) -> str:
    """What is wrong with a value under a schema; '' when it fits."""
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    if schema is None:
        return ""
    try:
        error = best_match(_validator(json.dumps(schema, sort_keys=True)).iter_errors(value))
    except (Unresolvable, RecursionError, re.error) as wrong:
        raise DataError("E2504", reason=str(wrong)) from wrong
    return f"the JSON does not fit the schema at {error.json_path}: {error.validator}" if error else ""


@lru_cache(maxsize=16)
def _validator(schema: str) -> Any:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    loaded = json.loads(schema)
    kind = validator_for(loaded, default=Draft202012Validator)
    try:
        kind.check_schema(loaded)
    except SchemaError as error:
        raise DataError("E2504", where=error.json_path, reason=error.message) from error
    # An empty registry of its own: the default one would fetch a `$ref` over the network.
    return kind(loaded, registry=Registry())
