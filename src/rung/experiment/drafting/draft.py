"""Drafting over all passages: ask what is missing, sieve, check, and say what became of every pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rung.core.answer import Item
from rung.core.append_log import AppendLog, read_log
from rung.core.errors import BackendError, DataError, UsageError
from rung.core.hashing import hash_json, seed_from
from rung.core.method import Progress, Silent
from rung.core.model import Completion, Failure, Model, Request
from rung.core.task import Document
from rung.data.leakage.keys import key_of
from rung.data.record import Record
from rung.data.versions.version import Sample, Step
from rung.experiment.drafting.parse import read_pairs
from rung.experiment.drafting.prompts import check_request, draft_request, prompt_hash
from rung.experiment.drafting.rows import KINDS, Kind, Maker
from rung.experiment.drafting.sieve import REASONS, SAME_ANSWER, Draft, Sieve, same_answer
from rung.retrieval.chunk import chunk_documents, count_words
from rung.text.script import language_of

BATCH = 8
"""Passages asked about at a time: after each batch everything is on disk."""
LEAST_WORDS = 20
"""A passage with fewer holds hardly a fact."""


@dataclass(frozen=True)
class Wanted:
    """What is to be drafted."""

    per_chunk: int = 2
    most: int = 0
    """Pairs to keep at most; 0: from every passage."""
    kinds: tuple[Kind, ...] = ("answerable",)
    chunk_words: int = 140
    distractors: int = 3
    abstain: str = ""
    split: Literal["train"] | None = None
    licence: str = ""
    max_calls: int = 0
    """Requests to models in all, those of earlier, interrupted calls included; 0: no limit."""
    seed: int = 0


@dataclass
class Drafted:
    """What drafting came to. drafted = kept + refused + surplus."""

    rows: tuple[Record, ...] = ()
    drafts: tuple[Draft, ...] = ()
    chunks: int = 0
    asked: int = 0
    failed: int = 0
    """Passages about which the model gave no answer at all."""
    drafted: int = 0
    surplus: int = 0
    """Pairs that came through after `most` were kept."""
    refused: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[str]] = field(default_factory=dict)
    calls: int = 0
    """Requests answered, whenever."""
    new_calls: int = 0
    """Those of this call of the function."""
    money: float = 0.0
    stopped: bool = False
    """Whether `max_calls` ended it."""
    step: Step = field(default_factory=lambda: Step(name="draft"))

    @property
    def kept(self) -> int:
        return len(self.drafts)


def draft(
    documents: Sequence[Document],
    model: Model,
    folder: Path,
    wanted: Wanted,
    *,
    checker: Model | None = None,
    known: Sequence[str] = (),
    progress: Progress | None = None,
) -> Drafted:
    """Draft question and answer pairs from passages and sieve them; every completion is kept in `folder` before the next is asked.

    The same call goes on where an earlier one stopped, and asks only what is missing or failed. `checker`: a model that is
    asked each question again with its passage; a pair whose answer it does not give is refused. `known`: questions that are
    no longer new.

    Raises UsageError E2403 for a model that reads no prompts, E2962 and E2963 for kinds that cannot be made, DataError E2960
    where no document holds a passage, BackendError E2964 where the first batch goes unanswered as a whole.
    """
    _check(model, wanted)
    chunks = _chunks(documents, wanted)
    asker = _Asker(folder, model, wanted, progress or Silent(), len(chunks))
    sieve = Sieve()
    sieve.known(known)
    found = Drafted(chunks=len(chunks))
    kept: list[Draft] = []
    with asker:
        for start in range(0, len(chunks), BATCH):
            if wanted.most and len(kept) >= wanted.most:
                break
            part = chunks[start : start + BATCH]
            lines = asker.drafts(part)
            drafts: list[Draft] = []
            for chunk in part:
                line = lines.get(chunk.id)
                if line is None:
                    continue
                found.asked += 1
                if line["failure"]:
                    found.failed += 1
                    continue
                pairs = read_pairs(line["text"], cut_off=line["finish"] == "length")
                found.drafted += len(pairs)
                drafts += [d for n, pair in enumerate(pairs) if (d := sieve.look(pair, chunk, n)) is not None]
            if checker is not None:
                drafts = _confirmed(drafts, checker, asker, sieve, found)
            kept += sieve.without_copies(drafts)
            asker.tell(found.asked, len(kept))
            if asker.exhausted:
                found.stopped = True
                break
    if wanted.most:
        found.surplus = max(0, len(kept) - wanted.most)
        kept = kept[: wanted.most]
    found.drafts = tuple(kept)
    found.refused = {reason: sieve.refused[reason] for reason in REASONS if sieve.refused[reason]}
    found.samples = sieve.samples
    found.calls, found.new_calls, found.money = asker.calls, asker.new_calls, asker.money
    mark = {"model": model.ref.id, "prompt": prompt_hash()}
    if checker is not None:
        mark["checked_by"] = checker.ref.id
    maker = Maker(
        chunks, wanted.kinds, mark, wanted.abstain, wanted.distractors, wanted.split, wanted.licence, wanted.seed
    )
    found.rows = tuple(maker.rows(kept))
    found.step = _step(found, wanted, mark)
    return found


def _check(model: Model, wanted: Wanted) -> None:
    if not model.capabilities.language_model:
        raise UsageError("E2403")
    unknown = [kind for kind in wanted.kinds if kind not in KINDS]
    if unknown or not wanted.kinds:
        raise UsageError("E2962", value=", ".join(unknown), known=", ".join(KINDS))
    if "unanswerable" in wanted.kinds and not wanted.abstain:
        raise UsageError("E2963")


def _chunks(documents: Sequence[Document], wanted: Wanted) -> list[Item]:
    """Passages in a seeded order that takes one of every document in turn, so that a limit still reaches all of them."""
    found = [
        item
        for item in chunk_documents(documents, wanted.chunk_words, 0)
        if count_words(item.text) >= min(LEAST_WORDS, wanted.chunk_words)
    ]
    if not found:
        raise DataError("E2960", words=LEAST_WORDS)
    turn: dict[str, int] = {}
    place: dict[str, int] = {}
    for item in sorted(found, key=lambda item: seed_from("draft chunks", wanted.seed, item.id)):
        document = item.payload["document"]
        place[item.id] = turn[document] = turn.get(document, -1) + 1
    return sorted(found, key=lambda item: (place[item.id], seed_from("draft turns", wanted.seed, item.id)))


def _confirmed(drafts: Sequence[Draft], checker: Model, asker: _Asker, sieve: Sieve, found: Drafted) -> list[Draft]:
    """The pairs that the checker answers alike with the passage in sight."""
    lines = asker.checks(drafts, checker)
    left = []
    for draft in drafts:
        line = lines.get(_check_key(draft))
        if line is None:
            # The limit on calls came first: the pair waits for the next call of this command.
            found.drafted -= 1
        elif line["failure"]:
            sieve.refuse("round_trip_failed", draft.pair)
        else:
            alike = same_answer(draft.pair.answer, line["text"], language_of(draft.chunk.text))
            if alike < SAME_ANSWER:
                sieve.refuse("round_trip", draft.pair)
            else:
                left.append(_scored(draft, round_trip=round(alike, 3)))
    return left


def _scored(draft: Draft, **scores: float) -> Draft:
    return Draft(draft.pair, draft.chunk, draft.number, {**draft.scores, **scores}, draft.start, draft.end)


def _step(found: Drafted, wanted: Wanted, mark: dict[str, Any]) -> Step:
    counts = {
        "passages": found.chunks,
        "asked": found.asked,
        "failed": found.failed,
        "drafted": found.drafted,
        "kept": found.kept,
        "surplus": found.surplus,
        "calls": found.calls,
        **{f"refused.{reason}": n for reason, n in found.refused.items()},
    }
    for row in found.rows:
        kind = f"rows.{row.extra['draft']['kind']}"
        counts[kind] = counts.get(kind, 0) + 1
    samples = [
        Sample(id=f"refused.{reason}", before=text, after="")
        for reason, shown in found.samples.items()
        for text in shown
    ]
    arguments = {**mark, "per_chunk": wanted.per_chunk, "chunk_words": wanted.chunk_words, "kinds": list(wanted.kinds)}
    return Step(
        name="draft",
        arguments=arguments,
        counts={name: n for name, n in counts.items() if n},
        samples=tuple(samples[:40]),
    )


class _Asker:
    """The drafting model, and the log of all that it and its checker have answered to these very requests."""

    def __init__(self, folder: Path, model: Model, wanted: Wanted, progress: Progress, chunks: int) -> None:
        self.model = model
        self._wanted, self._progress, self._chunks = wanted, progress, chunks
        # What is answered depends on the model, the words and the size of the draft; the limits are no part of it.
        asked = [model.ref.model_dump(mode="json"), prompt_hash(), wanted.per_chunk, wanted.seed]
        self._path = folder / f"{hash_json(asked, 8)}.jsonl"
        self._known: dict[str, dict[str, Any]] = {line["key"]: line for line in read_log(self._path)}
        self.new_calls = 0

    def __enter__(self) -> _Asker:
        self._log = AppendLog(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    @property
    def calls(self) -> int:
        return sum(line["calls"] for line in self._known.values())

    @property
    def money(self) -> float:
        return float(sum(line["money"] for line in self._known.values()))

    @property
    def exhausted(self) -> bool:
        return bool(self._wanted.max_calls) and self.calls >= self._wanted.max_calls

    def tell(self, asked: int, kept: int) -> None:
        self._progress.update(asked, self._chunks, f"{kept} kept, {self.calls} calls, {self.money:.4g} spent")

    def drafts(self, chunks: Sequence[Item]) -> dict[str, dict[str, Any]]:
        """What the model wrote about each passage, by its id; passages beyond the limit on calls are missing."""
        keys = {chunk.id: f"draft {chunk.id} {hash_json(chunk.text, 12)}" for chunk in chunks}
        requests = {keys[c.id]: draft_request(c, self._wanted.per_chunk, self._wanted.seed) for c in chunks}
        self._ask(self.model, requests)
        if not any(key in self._known and not self._known[key]["failure"] for key in keys.values()) and self.new_calls:
            failures = [self._known[key]["failure"] for key in keys.values() if key in self._known]
            if failures and not any(not line["failure"] for line in self._known.values()):
                raise BackendError("E2964", n=len(failures), reason=f"{failures[0][0]}: {failures[0][1]}")
        return {id: self._known[key] for id, key in keys.items() if key in self._known}

    def checks(self, drafts: Sequence[Draft], checker: Model) -> dict[str, dict[str, Any]]:
        """What the checker answered to each draft's question."""
        who = hash_json(checker.ref.model_dump(mode="json"), 8)
        keys = {_check_key(d): f"check {who} {_check_key(d)}" for d in drafts}
        requests = {keys[_check_key(d)]: check_request(d.chunk.text, d.pair.question) for d in drafts}
        self._ask(checker, requests)
        return {own: self._known[key] for own, key in keys.items() if key in self._known}

    def _ask(self, model: Model, requests: dict[str, Request]) -> None:
        missing = [key for key in requests if key not in self._known or self._known[key]["failure"]]
        if self._wanted.max_calls:
            missing = missing[: max(0, self._wanted.max_calls - self.calls)]
        for part in _batches(missing):
            completions = model.generate([requests[key] for key in part])
            lines = [_line(key, done, self._known.get(key)) for key, done in zip(part, completions, strict=True)]
            self._log.add(lines)
            self._known |= {line["key"]: line for line in lines}
            self.new_calls += len(lines)


def _line(key: str, done: Completion, before: dict[str, Any] | None) -> dict[str, Any]:
    failure: Failure | None = done.failure
    return {
        "key": key,
        "text": done.text,
        "finish": done.finish,
        "failure": [failure.kind, failure.message] if failure else None,
        "tokens": [done.tokens_in, done.tokens_out],
        "seconds": round(done.seconds, 3),
        "money": done.money + (before["money"] if before else 0.0),
        # A request that failed and was asked again was two calls.
        "calls": 1 + (before["calls"] if before else 0),
    }


def _check_key(draft: Draft) -> str:
    return f"{draft.chunk.id} {hash_json([draft.chunk.text, key_of(draft.pair.question)], 12)}"


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
