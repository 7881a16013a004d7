"""The `fake` backend: scripted answers and faults, for contract and fault tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError
from rung.core.model import Capabilities, Completion, Failure, ModelRef, Request
from rung.models.completion_record import read_completion, write_completion

Scripted = str | Completion | Failure
Script = Mapping[str, Scripted] | Callable[[Request], Scripted]

SURE = 0.9
"""Probability of the scripted choice; the other choices share the rest."""


class FakeModel:
    """Answers from a script: a mapping from `Request.query`, or a function of the request.

    A query that the mapping does not hold gets `default`, or a failure without one. With `choices` a constrained request is
    answered with choice scores; a scripted text that is no choice is then a failure. Texts cost one token a word and no time;
    script a `Completion` for anything else. A scripted text ends before a request's stop strings; no temperature changes it.

    `faults` breaks the nth request (from 1, counted over the model's life): a `Failure` is returned, an exception raised.
    `calls` keeps every batch that was asked.
    """

    def __init__(
        self,
        answers: Script | None = None,
        *,
        id: str = "fake",
        default: Scripted | None = None,
        choices: bool = True,
        faults: Mapping[int, Failure | BaseException] | None = None,
        context_tokens: int = 0,
    ) -> None:
        self._answers: Script = {} if answers is None else answers
        self._default = default
        self._faults = dict(faults or {})
        self._asked = 0
        self.calls: list[tuple[Request, ...]] = []
        self.capabilities = Capabilities(choices=choices, json_schema=True, context_tokens=context_tokens)
        options: dict[str, Any] = {"choices": choices, "context_tokens": context_tokens, "default": _write(default)}
        if callable(self._answers):
            options["function"] = True
        else:
            options["answers"] = {query: _write(answer) for query, answer in self._answers.items()}
        self.ref = ModelRef(kind="fake", id=id, engine="fake", options=options)

    @classmethod
    def open(cls, ref: ModelRef, *, adapter: AdapterSlot | None = None, folder: Path | None = None) -> FakeModel:
        """The model of a record, without its faults. Raises BackendError E3109 for one scripted by a function."""
        options = dict(ref.options)
        if options.pop("function", False):
            raise BackendError("E3109", model=ref.id)
        answers = {query: _read(answer) for query, answer in options.pop("answers", {}).items()}
        default = options.pop("default", None)
        return cls(answers, id=ref.id, default=None if default is None else _read(default), **options)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.calls.append(tuple(requests))
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Completion:
        self._asked += 1
        fault = self._faults.get(self._asked)
        if isinstance(fault, BaseException):
            raise fault
        scripted = fault or self._scripted(request)
        if isinstance(scripted, Failure):
            return Completion(failure=scripted, finish="error")
        if isinstance(scripted, Completion):
            return scripted
        places = [place for mark in request.stop if mark and (place := scripted.find(mark)) >= 0]
        scripted = scripted[: min(places)].strip() if places else scripted
        words = sum(len(message.text.split()) for message in request.messages)
        completion = Completion(text=scripted, tokens_in=words, tokens_out=len(scripted.split()))
        if not (request.choices and self.capabilities.choices):
            return completion
        if scripted not in request.choices:
            failure = Failure("error", f"the script's answer '{scripted}' is none of the choices")
            return Completion(failure=failure, finish="error")
        return replace(completion, finish="choice", choice_scores=_scores(scripted, request.choices))

    def _scripted(self, request: Request) -> Scripted:
        if callable(self._answers):
            return self._answers(request)
        found = self._answers.get(request.query, self._default)
        return Failure("error", "the script holds no answer") if found is None else found


def _scores(chosen: str, choices: Sequence[str]) -> tuple[float, ...]:
    if len(choices) == 1:
        return (0.0,)
    rest = math.log((1 - SURE) / (len(choices) - 1))
    return tuple(math.log(SURE) if choice == chosen else rest for choice in choices)


def _write(scripted: Scripted | None) -> Any:
    if isinstance(scripted, Failure):
        scripted = Completion(failure=scripted, finish="error")
    return write_completion(scripted) if isinstance(scripted, Completion) else scripted


def _read(record: Any) -> Scripted:
    return record if isinstance(record, str) else read_completion(record)
