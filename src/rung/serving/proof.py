"""The proof that what is served is what was evaluated: test questions of a run, asked over HTTP, beside the recorded answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from rung.core.answer import answer_many, prepare
from rung.core.errors import UsageError
from rung.core.evaluation import Answer
from rung.core.task import Example
from rung.serving.app import App
from rung.serving.hosting import Hosted, host, winner_of
from rung.serving.service import OneDesk, Service, prompt_hash
from rung.stats.paired import mcnemar
from rung.store.runs import RunFolder
from rung.store.traffic.records import Feedback, Trace

_LEVEL = 0.05
_AT_ONCE = 8
"""Questions that are asked at the same time, so that they are answered in batches as a server makes them."""


@dataclass(frozen=True)
class Agreement:
    """Served beside evaluated, on the same questions. Counts are out of `n`."""

    candidate: str
    precision: str
    n: int
    same_prompts: int
    """The model was shown the same, byte for byte."""
    same_passages: int
    same_answers: int
    """Served, several at once, equal to the recorded answer."""
    own_same_answers: int
    """The evaluated engine itself, one question at a time, equal to its own recorded answer."""
    alone_same_answers: int
    """Served one at a time, equal to the evaluated engine one at a time: nothing but the server lies between them."""
    p_lower: float
    """p value (exact, one-sided) for "served answers equal the recorded ones no less often than the engine's own"."""
    differing: tuple[str, ...] = ()
    """Ids of questions that are answered otherwise than recorded."""

    @property
    def holds(self) -> bool:
        """Everything shown and every lone answer is the same, and answers in batches are not shown to differ more than the engine's
        own between batch sizes: which questions fall into one batch is chance, and one near tie may tip."""
        same = self.same_prompts == self.same_passages == self.alone_same_answers == self.n
        return same and not self.p_lower < _LEVEL


def agreement(run: Path, n: int = 20, *, candidate: str = "", hosted: Hosted | None = None) -> Agreement:
    """Answer the first n test questions of a run through the HTTP application, in this process, and compare.

    Raises UsageError E7006 where the candidate was not evaluated on test.
    """
    folder = RunFolder.existing(run)
    name = candidate or winner_of(folder)
    evaluation = folder.read_evaluation(name, "test")
    if evaluation is None:
        raise UsageError("E7006", candidate=name, run=folder.path)
    recorded = {row.answer.example: row.answer for row in evaluation.rows}
    examples = [example for example in folder.read_examples("test") if example.id in recorded][:n]
    served = hosted or host(run, name)
    try:
        return _compared(served, examples, recorded)
    finally:
        if hosted is None:
            served.close()


def _compared(hosted: Hosted, examples: Sequence[Example], recorded: dict[str, Answer]) -> Agreement:
    wanted = [prompt_hash(request) for request in prepare(hosted.opened, examples)]
    alone = answer_many(hosted.opened, examples, chunk=1)
    # An engine that remembers what it has read rounds otherwise from memory: so it is asked once more, with the same to remember.
    again = answer_many(hosted.opened, examples, chunk=1)
    lone, _ = asyncio.run(_asked(hosted, examples, 1))
    texts, traces = asyncio.run(_asked(hosted, examples, _AT_ONCE))
    before = [recorded[example.id] for example in examples]
    same = np.array([text == _text(answer) for text, answer in zip(texts, before, strict=True)], np.bool_)
    own = np.array([_text(one) == _text(other) for one, other in zip(alone, before, strict=True)], np.bool_)
    apart = mcnemar(same, own)
    fewer = apart.only_second > apart.only_first
    return Agreement(
        candidate=hosted.name,
        precision=hosted.candidate.model.precision,
        n=len(examples),
        same_prompts=sum(trace.prompt_hash == hash for trace, hash in zip(traces, wanted, strict=True)),
        same_passages=sum(trace.passages == answer.passages for trace, answer in zip(traces, before, strict=True)),
        same_answers=int(same.sum()),
        own_same_answers=int(own.sum()),
        alone_same_answers=sum(text == _text(answer) for text, answer in zip(lone, again, strict=True)),
        p_lower=apart.exact / 2 if fewer else 1.0,
        differing=tuple(example.id for example, equal in zip(examples, same.tolist(), strict=True) if not equal),
    )


def _text(answer: Answer) -> str:
    return answer.text if answer.failure is None else f"({answer.failure.kind})"


class _Kept:
    """Traces by their number."""

    def __init__(self) -> None:
        self.by_number: dict[str, Trace] = {}

    def add(self, trace: Trace) -> None:
        self.by_number[trace.id] = trace

    def add_feedback(self, feedback: Feedback) -> None:
        """A proof asks questions and gives no marks."""


async def _asked(hosted: Hosted, examples: Sequence[Example], at_once: int) -> tuple[list[str], list[Trace]]:
    kept = _Kept()
    service = Service(OneDesk(hosted), traces=kept, keys=False)
    transport = httpx2.ASGITransport(app=App(service))
    turn = asyncio.Semaphore(at_once)
    async with httpx2.AsyncClient(transport=transport, base_url="http://served", timeout=None) as client:

        async def ask(example: Example) -> tuple[str, str]:
            async with turn:
                reply = await client.post("/v1/chat/completions", json=_body(example))
            number = reply.headers["x-request-id"]
            if reply.status_code == 200:
                return number, reply.json()["choices"][0]["message"]["content"]
            return number, f"({kept.by_number[number].failure})"

        found = await asyncio.gather(*(ask(example) for example in examples))
    return [text for _, text in found], [kept.by_number[number] for number, _ in found]


def _body(example: Example) -> dict[str, Any]:
    turns = [{"role": turn.role, "content": turn.text} for turn in example.history]
    return {"messages": [*turns, {"role": "user", "content": example.text}], "rung": {"inputs": dict(example.inputs)}}
