"""One question on the way from what was typed to the answer: search words, passages, what was left out, prompt, checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.cli.spoken import spoken
from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.core.evaluation import Answer
    from rung.core.found import Scored
    from rung.core.model import Request
    from rung.core.task import Language

_SHOWN = 10
"""Passages of a list that are printed; all of them are in the JSON."""


@dataclass(frozen=True)
class Asked:
    """A question that was answered, with all that was shown to the model."""

    candidate: str
    request: Request
    answer: Answer


def ask_traced(
    question: str | Mapping[str, str],
    *,
    run: Path = Path("runs"),
    candidate: str | None = None,
    seen_by: frozenset[str] | None = None,
) -> Asked:
    """Answer one question with a run's winner, or another of its candidates, by the path on which it was evaluated.

    `seen_by`: labels of the one who asks; None: all passages may be shown.

    Raises UsageError E1307 where the run has named no winner and no candidate is given, E1308 for a missing field.
    """
    from rung.core.answer import answer_stream, open_candidate
    from rung.core.task import Example
    from rung.store.runs import RunFolder

    folder = RunFolder.existing(run)
    if candidate is None:
        decision = folder.read_decision()
        candidate = decision.winner if decision else None
        if candidate is None:
            raise UsageError("E1307", run=folder.path, known=", ".join(folder.candidates()))
    chosen = folder.read_candidate(candidate)
    inputs = {chosen.prompt.fields[0]: question} if isinstance(question, str) else dict(question)
    missing = [name for name in chosen.prompt.fields if name not in inputs]
    if missing:
        raise UsageError("E1308", fields=", ".join(missing))
    opened = open_candidate(chosen, folder.candidate_folder(candidate), folder.indexes)
    ((_, request, answer),) = next(answer_stream(opened, [Example("asked", inputs, ())], seen_by=seen_by))
    return Asked(candidate, request, answer)


def trace_record(asked: Asked) -> dict[str, Any]:
    """The whole way, for programs: question, searched, found, ranked, shown, left out, prompt, answer, checks."""
    request, answer, found = asked.request, asked.answer, asked.request.found
    record: dict[str, Any] = {"candidate": asked.candidate, "question": request.query}
    if found is not None:
        record |= {
            "searched": list(found.searched),
            "found": [asdict(hit) for hit in found.hits],
            "ranked": [asdict(hit) for hit in found.ranked],
            "too_weak": list(found.too_weak),
            "no_room": list(found.no_room),
            "signal": found.signal,
            "abstained_by_score": found.abstain,
            "effort": asdict(found.effort),
        }
    record["shown"] = [asdict(passage) for passage in request.passages]
    record["prompt"] = [asdict(message) for message in request.messages]
    record["answer"] = asdict(answer)
    record["checks"] = {
        "quotes": answer.quoted,
        "unsupported_quotes": list(answer.unsupported_quotes),
        "unsupported_citations": list(answer.unsupported_citations),
    }
    return record


def trace_lines(asked: Asked, language: Language) -> Iterator[str]:
    """The same for people, in the order in which it happens; the answer itself is not among them."""
    request, answer, found = asked.request, asked.answer, asked.request.found

    def told(key: str, **values: Any) -> str:
        return spoken(f"trace.{key}", language, **values)

    yield told("asked", text=request.query)
    if found is not None:
        for text in found.searched:
            yield told("searched", text=text)
        if found.failure:
            yield told("as_asked", reason=found.failure)
        yield told("found", n=len(found.hits))
        yield from _list(found.hits)
        if found.ranked:
            yield told("ranked")
            yield from _list(found.ranked)
        for key, names in (("too_weak", found.too_weak), ("no_room", found.no_room)):
            if names:
                yield told(key, names=", ".join(names))
        if found.signal is not None:
            yield told("abstained" if found.abstain else "signal", score=f"{found.signal:.4g}")
        if found.effort.seconds or found.effort.tokens_out:
            spent = found.effort
            yield told("effort", seconds=f"{spent.seconds:.2f}", tokens=spent.tokens_in + spent.tokens_out)
    yield told("prompt")
    for message in request.messages:
        yield f"  {message.role}:"
        yield from (f"    {line}" for line in message.text.splitlines())
    for name in answer.citations:
        sound = name not in answer.unsupported_citations
        yield told("citation_held" if sound else "citation_not_held", passage=name)
    if answer.quoted:
        yield told("quotes", n=answer.quoted, found=answer.quoted - len(answer.unsupported_quotes))
    for quote in answer.unsupported_quotes:
        yield told("quote_missing", text=quote)


def _list(hits: Sequence[Scored]) -> Iterator[str]:
    for rank, hit in enumerate(hits[:_SHOWN], 1):
        yield f"  {rank:>3}. {hit.score:.4f}  {hit.id}"
