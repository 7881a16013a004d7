"""The one path from a question to an answer: prepare, the model call, finish.

Evaluation, training rows, the command line and the server all come through here, so that nothing can differ between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rung.core.candidate import Candidate, OutputSlot, Recipe, ShotsSlot
from rung.core.errors import BackendError
from rung.core.evaluation import Answer
from rung.core.finding import Finder, Finding, Helper, Reranker
from rung.core.found import Effort
from rung.core.model import Completion, Encoder, Failure, Model, Request
from rung.core.prompt import render
from rung.core.quotes import QuoteCheck, check_quotes
from rung.core.registry import create, find
from rung.core.room import fitted
from rung.core.steps import Processed, Stepped, bind, process
from rung.core.task import Example, Passage

CHUNK = 64
_MARK = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True, slots=True)
class Item:
    """What an index holds: a passage of a document, or a solved example of the training pool."""

    id: str
    text: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    item: Item
    score: float


Where = Mapping[str, str | Sequence[str]]
"""A filter by metadata: every key named must have the value, or one of the values."""


class Retriever(Protocol):
    """An opened index, made as `Retriever(folder=, encoder=)`. `id` is `<name>@<version>`, and the folder's name the name."""

    id: str

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        mode: str = "rrf",
        exclude: Sequence[frozenset[str]] | None = None,
        seen_by: frozenset[str] | None = None,
        where: Where | None = None,
    ) -> list[list[Hit]]:
        """The k best items of every query, best first. `mode`: rrf | lexical | dense. `exclude`: item ids, a set a query.

        `seen_by`: the caller's labels; what the caller may not see is neither found nor felt in what is. None: everything
        may be seen; empty: only what everyone may see. `where` narrows by metadata.
        """
        ...


@dataclass(frozen=True)
class Opened:
    """A candidate with its parts loaded."""

    candidate: Candidate
    model: Model
    passages: Retriever | None = None
    pool: Retriever | None = None
    steps: tuple[Callable[[str], Stepped], ...] = ()
    shown: tuple[Callable[[str], Stepped], ...] = ()
    reranker: Reranker | None = None
    helper: Model | None = None
    """Who rewrites questions and judges passages, where a recipe wants that; the model itself when absent."""


def open_candidate(
    candidate: Candidate, folder: Path, indexes: Path, *, model: Model | None = None, encoder: Encoder | None = None
) -> Opened:
    """Load what a candidate's slots name, and nothing else.

    `folder` is the candidate's own (adapter, head); `indexes` holds the shared indexes. Pass `model` or `encoder` to share
    one that is already loaded; `model` must then be the one with this candidate's adapter in it.
    """
    if model is None:
        ref = candidate.model
        model = find("model", ref.kind).open(ref, adapter=candidate.adapter, folder=folder)
    steps, shown = bind(candidate.output.steps), bind(candidate.output.shown)
    opened: dict[str, Retriever] = {}
    wanted: dict[str, tuple[str, Recipe | ShotsSlot]] = {}
    if candidate.retriever:
        wanted["passages"] = (candidate.retriever.index, candidate.retriever.recipe)
    if candidate.shots and candidate.shots.mode == "nearest":
        wanted["pool"] = (candidate.shots.index, candidate.shots)
    for slot, (index, how) in wanted.items():
        part = encoder if encoder is not None and encoder.id.split("@")[0] == how.encoder else None
        if part is None and how.encoder:
            part = create_encoder(how.encoder, folder)
        opened[slot] = create("retriever", how.kind, folder=indexes / index.split("@")[0], encoder=part)
    return Opened(candidate, model, opened.get("passages"), opened.get("pool"), steps, shown, _reranker(candidate))


def _reranker(candidate: Candidate) -> Reranker | None:
    """Raises BackendError E2733 for another one than the candidate was made with."""
    if candidate.retriever is None or not candidate.retriever.recipe.rerank:
        return None
    recipe = candidate.retriever.recipe
    found = create_reranker(recipe.rerank)
    if recipe.rerank_id and found.id != recipe.rerank_id:
        raise BackendError("E2733", name=recipe.rerank, recorded=recipe.rerank_id, found=found.id)
    return found


def create_reranker(name: str) -> Reranker:
    """A reranker by its name in a recipe: a registry name, with `:PATH` behind it where it lies in a folder."""
    kind, _, path = name.partition(":")
    found: Reranker = create("reranker", kind, **({"path": Path(path)} if path else {}))
    return found


CANDIDATE = "@candidate"
"""Where the path of an encoder begins that lies in the candidate's own folder, wherever that is moved to."""


def create_encoder(name: str, folder: Path | None = None) -> Encoder:
    """An encoder by its name in task.yaml: a registry name, or `folder:PATH` for one of your own.

    A candidate may name one in its own `folder`: `folder:@candidate/encoder`.
    """
    kind, _, path = name.partition(":")
    if folder is not None and path.startswith(f"{CANDIDATE}/"):
        path = str(folder / path.removeprefix(f"{CANDIDATE}/"))
    found: Encoder = create("encoder", kind, **({"path": Path(path)} if path else {}))
    return found


def prepare(
    opened: Opened,
    examples: Sequence[Example],
    *,
    exclude: Sequence[frozenset[str]] | None = None,
    seen_by: frozenset[str] | None = None,
    where: Where | None = None,
) -> list[Request]:
    """Retrieve and render. `exclude` keeps, for each example, items of the training pool out of its prompt.

    `seen_by` and `where` narrow the passages, as in `Retriever.search`.
    """
    queries = [example.asked for example in examples]
    finder = finder_of(opened, seen_by=seen_by, where=where)
    findings = finder.find(examples) if finder else [Finding()] * len(queries)
    shots = _found_shots(opened, queries, exclude)
    return [
        _request(opened, example, near, finding)
        for example, near, finding in zip(examples, shots, findings, strict=True)
    ]


def finder_of(opened: Opened, *, seen_by: frozenset[str] | None = None, where: Where | None = None) -> Finder | None:
    """What finds this candidate's passages, of those a caller may see; None where it shows none."""
    slot = opened.candidate.retriever
    if slot is None or opened.passages is None:
        return None
    helper = Helper(opened.helper or opened.model, opened.candidate.prompt.language)
    narrowed: dict[str, Any] = {"seen_by": seen_by} if seen_by is not None else {}
    if where:
        narrowed["where"] = where
    search = partial(opened.passages.search, **narrowed) if narrowed else opened.passages.search
    return Finder(slot.recipe, search, helper, opened.reranker)


def _request(opened: Opened, example: Example, shots: Sequence[Example], finding: Finding) -> Request:
    candidate = opened.candidate
    output, recipe = candidate.output, candidate.retriever.recipe if candidate.retriever else None

    def build(passages: Sequence[Passage]) -> Request:
        shown = tuple(reversed(passages)) if recipe and recipe.order == "best_last" else tuple(passages)
        return Request(
            messages=render(
                candidate.prompt,
                example.inputs,
                shots=shots,
                passages=shown,
                choices=output.choices,
                history=example.history,
            ),
            choices=output.choices if output.constrain else (),
            json_schema=output.json_schema,
            max_tokens=output.max_tokens,
            query=example.asked,
            passages=shown,
            shots=tuple(shots),
            found=finding.found,
        )

    if recipe is None or not recipe.fit_context:
        return build(finding.passages)
    return fitted(opened.model, finding.passages, build)


def _found_shots(
    opened: Opened, queries: Sequence[str], exclude: Sequence[frozenset[str]] | None
) -> list[list[Example]]:
    slot = opened.candidate.shots
    if slot is None:
        return [[] for _ in queries]
    if slot.mode == "fixed" or opened.pool is None:
        fixed = [Example(shot.id, shot.inputs, (shot.answer,)) for shot in slot.fixed[: slot.k]]
        if exclude is None:
            return [fixed for _ in queries]
        return [[shot for shot in fixed if shot.id not in hidden] for hidden in exclude]
    found = opened.pool.search(queries, slot.k, mode=slot.fusion, exclude=exclude)
    # The nearest comes last, next to the question.
    return [
        [Example(hit.item.id, hit.item.payload["inputs"], (hit.item.payload["answer"],)) for hit in reversed(hits)]
        for hits in found
    ]


def choice_logits(scores: NDArray[np.float64], output: OutputSlot) -> NDArray[np.float64]:
    """float [..., c]: summed log-probabilities of the choices after normalisation and prior correction."""
    if output.normalise == "mean":
        scores = scores / np.array([max(1, len(choice)) for choice in output.choices])
    if output.priors and output.prior_weight:
        scores = scores - output.prior_weight * np.array(output.priors)
    return scores


def finish(opened: Opened, example: Example, request: Request, completion: Completion) -> Answer:
    """From what the model said to the answer: choose, post-process, cite."""
    output, retriever = opened.candidate.output, opened.candidate.retriever
    found = request.found
    text: str = completion.text
    failure = completion.failure
    confidence: float | None = None
    done = Processed(text)
    if found is not None and found.abstain and output.abstain:
        text, failure = output.abstain, None
    elif failure is None:
        if completion.choice_scores:
            logits = choice_logits(np.array(completion.choice_scores), output)
            best = int(np.argmax(logits))
            text = output.choices[best]
            confidence = float(1.0 / np.exp(logits - logits[best]).sum())
        done = process(opened.steps, text)
        text, failure = done.text, done.failure
    if failure is None and not text.strip():
        failure = Failure("empty", "the model answered nothing")
    cites = failure is None and (retriever is None or retriever.cite)
    citations = _citations(text, request.passages, output.abstain) if cites else ()
    checked = _checked(opened, request, text, citations) if failure is None else QuoteCheck()
    effort = found.effort if found else Effort()
    shown = Processed(output.safe if done.stopped else "")
    if failure is None:
        shown = process(opened.shown, text)
    best_last = retriever is not None and retriever.recipe.order == "best_last"
    return Answer(
        example=example.id,
        text=text if failure is None else "",
        raw=completion.text if failure or completion.text != text else "",
        failure=failure,
        confidence=confidence,
        citations=citations,
        passages=tuple(passage.id for passage in (reversed(request.passages) if best_last else request.passages)),
        shots=tuple(shot.id for shot in request.shots),
        tokens_in=completion.tokens_in + effort.tokens_in,
        tokens_out=completion.tokens_out + effort.tokens_out,
        seconds=completion.seconds + effort.seconds,
        money=completion.money + effort.money,
        finish=completion.finish,
        served_by=completion.served_by,
        notes=(*(found.notes if found else ()), *done.notes, *shown.notes),
        quoted=checked.quoted,
        unsupported_quotes=checked.unsupported_quotes,
        unsupported_citations=checked.unsupported_citations,
        shown=output.safe if shown.stopped else shown.text if failure or shown.text != text else "",
    )


def _checked(opened: Opened, request: Request, text: str, citations: Sequence[str]) -> QuoteCheck:
    """Quotations and citations of an answer in words; a label, an object and an abstention quote nothing."""
    candidate = opened.candidate
    if not request.passages or candidate.output.choices or candidate.output.json_schema is not None:
        return QuoteCheck()
    if text == candidate.output.abstain:
        return QuoteCheck()
    # Who was asked to copy words, or can do nothing else, is taken at that word.
    copied = candidate.model.kind == "extractive" or "grounded" in candidate.prompt.phrasing.split("+")
    return check_quotes(text, request.passages, citations, question=request.query, copied=copied)


def _citations(text: str, passages: Sequence[Passage], abstain: str | None) -> tuple[str, ...]:
    """Passages that the answer names as [n], or else those that hold it word for word. Never one that was not shown."""
    if not passages or text == abstain:
        return ()
    named = [int(mark) for mark in _MARK.findall(text)]
    cited = [passages[n - 1].id for n in dict.fromkeys(named) if 1 <= n <= len(passages)]
    if cited:
        return tuple(cited)
    quote = text.strip().rstrip(".。").casefold()
    return tuple(p.id for p in passages if quote and quote in p.text.casefold())


def complete(opened: Opened, requests: Sequence[Request]) -> list[Completion]:
    """What the model says to every request; one on which the documents say nothing is not put to it."""
    asked = [request for request in requests if not (request.found and request.found.abstain)]
    said = iter(opened.model.generate(asked) if asked else [])
    return [
        Completion(finish="abstain") if request.found and request.found.abstain else next(said) for request in requests
    ]


def answer_stream(
    opened: Opened, examples: Sequence[Example], *, chunk: int = CHUNK, seen_by: frozenset[str] | None = None
) -> Iterator[list[tuple[Example, Request, Answer]]]:
    """Answer in chunks, so that a caller can keep what is done. `seen_by`: as in `Retriever.search`."""
    for start in range(0, len(examples), chunk):
        part = examples[start : start + chunk]
        requests = prepare(opened, part, seen_by=seen_by)
        completions = complete(opened, requests)
        yield [
            (example, request, finish(opened, example, request, completion))
            for example, request, completion in zip(part, requests, completions, strict=True)
        ]


def answer_many(
    opened: Opened, examples: Sequence[Example], *, chunk: int = CHUNK, seen_by: frozenset[str] | None = None
) -> list[Answer]:
    """Every example's answer, in order."""
    parts = answer_stream(opened, examples, chunk=chunk, seen_by=seen_by)
    return [answer for part in parts for _, _, answer in part]
