"""The `recorded` backend: answers that somebody else's system has already given, from a JSONL file."""

from __future__ import annotations

import copy
import json
import math
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.candidate import AdapterSlot
from rung.core.errors import DataError
from rung.core.hashing import hash_file, hash_json
from rung.core.model import Capabilities, Completion, Failure, ModelRef, Request, WeightsRef
from rung.core.task import Example
from rung.text.normalise import squeeze
from rung.text.strict_json import RefusedJson, read_json

QUESTIONS = ("query", "question", "input", "inputs")
ANSWERS = ("answer", "text", "output", "prediction", "response")
LONGEST_LINE = 16 * 1024 * 1024
_NO_ANSWER = Completion(failure=Failure("error", "no answer is recorded for this question"), finish="error")


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that could not be used: where it is (file:line), and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """One object of a JSONL file, and where it stands."""

    where: str
    row: Any


def match_key(text: str) -> str:
    """A question's text as it is compared: Unicode NFKC, with every run of white space one space."""
    return squeeze(unicodedata.normalize("NFKC", text))


class RecordedModel:
    """Looks an answer up by the question's text.

    A row holds the question (`query`, `question`, `input`, or `inputs`: an object of fields), or an `id`; and the answer
    (`answer`, `text`, `output`, `prediction`, `response`) or a `failure` (a text, or {kind, message}). Further fields it may hold:
    `tokens_in`, `tokens_out`, `seconds`, `money`, `served_by`. All other fields, such as a gold `label`, are left alone.
    `question` and `answer` name the fields where they are called otherwise; several question fields are joined by line
    breaks, as an example's fields are.

    Rows known by `id` alone are found after `for_examples`. A question without a row is answered by a failure. Lines that
    cannot be used are in `rejects`, with a warning. Raises DataError E2600 for a file that cannot be read, E2601 where no
    line can be used.
    """

    capabilities = Capabilities(language_model=False)

    def __init__(self, path: Path | str, *, id: str = "", question: Sequence[str] = (), answer: str = "") -> None:
        path = Path(path)
        fields = (question,) if isinstance(question, str) else tuple(question)
        options: dict[str, Any] = {"question": list(fields)} if fields else {}
        if answer:
            options["answer"] = answer
        try:
            weights = WeightsRef(path=str(path), sha256=hash_file(path))
            self.rejects: tuple[Reject, ...] = ()
            self._take(read_lines(path), fields, answer, where=str(path))
        except OSError as error:
            raise DataError("E2600", where=str(path), reason=error.strerror or type(error).__name__) from None
        self.ref = ModelRef(kind="recorded", id=id or path.stem, engine="recorded", weights=weights, options=options)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], *, id: str = "recorded") -> RecordedModel:
        """A model of rows that are in memory; `open` cannot find these again."""
        rows = [dict(row) for row in rows]
        model = cls.__new__(cls)
        model.ref = ModelRef(kind="recorded", id=id, engine="recorded", options={"rows": hash_json(rows)})
        model.rejects = ()
        model._take([Line(f"row {n}", row) for n, row in enumerate(rows, 1)], (), "", where=id)
        return model

    @classmethod
    def open(cls, ref: ModelRef, *, adapter: AdapterSlot | None = None, folder: Path | None = None) -> RecordedModel:
        """The model of a record; its file is looked for in `folder` first.

        Raises DataError E2602 when the file has changed since, E2603 for a record without a file.
        """
        if ref.weights is None:
            raise DataError("E2603", model=ref.id)
        path = Path(ref.weights.path)
        if folder is not None and (folder / path.name).is_file():
            path = folder / path.name
        if path.is_file() and hash_file(path) != ref.weights.sha256:
            raise DataError("E2602", where=str(path))
        model = cls(path, id=ref.id, **ref.options)
        model.ref = ref
        return model

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [self._by_text.get(match_key(request.query), _NO_ANSWER) for request in requests]

    def for_examples(self, examples: Sequence[Example]) -> RecordedModel:
        """The same answers, with the rows known by `id` alone found under the text of the example of that id."""
        model = copy.copy(self)
        model._by_text = dict(self._by_text)
        for example in examples:
            if example.id in self._by_id:
                model._by_text.setdefault(match_key(example.text), self._by_id[example.id])
        return model

    def _take(self, lines: Iterable[Line | Reject], question: tuple[str, ...], answer: str, *, where: str) -> None:
        self._by_text: dict[str, Completion] = {}
        self._by_id: dict[str, Completion] = {}
        rejects: list[Reject] = []
        for line in lines:
            try:
                if isinstance(line, Reject):
                    raise ValueError(line.reason)
                self._add(line.row, question, answer)
            except ValueError as error:
                rejects.append(Reject(line.where, str(error)))
        first = f"{rejects[0].where}: {rejects[0].reason}" if rejects else "it holds no lines"
        if not self._by_text and not self._by_id:
            raise DataError("E2601", where=where, first=first)
        if rejects:
            self.rejects = tuple(rejects)
            warnings.warn(f"{len(rejects)} of the recorded answers are left out; the first: {first}", stacklevel=3)

    def _add(self, row: Any, question: tuple[str, ...], answer: str) -> None:
        if not isinstance(row, dict):
            raise ValueError("not a JSON object")
        completion = _completion(row, (answer,) if answer else ANSWERS)
        text, name = _question(row, question), row.get("id")
        name = str(name) if isinstance(name, str | int) else ""
        if not text and not name:
            raise ValueError("neither a question nor an id")
        for found, key in ((self._by_text, match_key(text)), (self._by_id, name)):
            if key and found.setdefault(key, completion) != completion:
                raise ValueError("another answer to the same question, or under the same id, stands above")


def read_lines(path: Path) -> Iterator[Line | Reject]:
    """The objects of a JSONL file in UTF-8; blank lines are no lines."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(LONGEST_LINE):
            number += 1
            where = f"{path.name}:{number}"
            if len(raw) == LONGEST_LINE and not raw.endswith(b"\n"):
                while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield Reject(where, f"the line is longer than {LONGEST_LINE} bytes")
            elif raw.strip():
                yield _parse(raw, where)


def _parse(raw: bytes, where: str) -> Line | Reject:
    try:
        return Line(where, read_json(raw.decode("utf-8-sig")))
    except UnicodeDecodeError:
        return Reject(where, "not UTF-8")
    except json.JSONDecodeError as error:
        return Reject(where, f"not JSON: {error.msg} at column {error.colno}")
    except RefusedJson as error:
        return Reject(where, str(error))


def _question(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    if names:
        return "\n".join(str(row[name]) for name in names if row.get(name))
    value = next((row[name] for name in QUESTIONS if row.get(name)), "")
    if isinstance(value, dict):
        return "\n".join(str(part) for part in value.values() if part)
    return value if isinstance(value, str) else ""


def _completion(row: Mapping[str, Any], names: Sequence[str]) -> Completion:
    spent = Completion(
        tokens_in=int(_number(row, "tokens_in")),
        tokens_out=int(_number(row, "tokens_out")),
        seconds=_number(row, "seconds"),
        money=_number(row, "money"),
        served_by=row["served_by"] if isinstance(row.get("served_by"), str) else "",
    )
    if failure := row.get("failure"):
        kind, message = ("error", failure)
        if isinstance(failure, dict):
            kind, message = failure.get("kind") or "error", failure.get("message") or ""
        return replace(spent, failure=Failure(str(kind), str(message)), finish="error")
    value = next((row[name] for name in names if row.get(name) is not None), None)
    if value is None:
        raise ValueError("neither an answer nor a failure")
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return replace(spent, text=value if isinstance(value, str) else json.dumps(value))


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"'{name}' is not a number of 0 or more")
    return float(value)
