"""From drafted pairs to rows: answerable, with distracting passages, and with passages that do not hold the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rung.core.answer import Item
from rung.core.errors import DataError
from rung.core.hashing import hash_json, seed_from
from rung.data.leakage.keys import key_of
from rung.data.record import Record
from rung.experiment.drafting.sieve import Draft
from rung.retrieval.lexical import build_lexical
from rung.text.script import language_of

Kind = Literal["answerable", "unanswerable", "distractor"]
KINDS: tuple[Kind, ...] = ("answerable", "unanswerable", "distractor")
PASSAGES = "passages"
"""The input field, and the key under `extra`, that hold the passages of a row."""
MARK = "draft"
"""Key under `extra` for how a row was drafted."""


@dataclass(frozen=True)
class Maker:
    """Makes rows of drafts; `mark` goes into each (model, prompt, check)."""

    chunks: Sequence[Item]
    kinds: Sequence[Kind]
    mark: Mapping[str, Any]
    abstain: str = ""
    distractors: int = 3
    split: Literal["train"] | None = None
    licence: str = ""
    seed: int = 0

    def rows(self, drafts: Sequence[Draft]) -> Iterator[Record]:
        """Rows in the order of the drafts, all rows of one passage in one group.

        `answerable`: the question and its answer. `distractor`: the same with its own passage among `distractors` others, in
        a seeded order. `unanswerable`: the question with other passages only, and the abstain text as the answer. The
        others are those that BM25 finds for the question, without the ones that hold the answer or overlap its passage. A
        question for which there is no other passage makes no such row.
        """
        others = self._others(drafts) if set(self.kinds) - {"answerable"} else [[] for _ in drafts]
        for draft, near in zip(drafts, others, strict=True):
            if "answerable" in self.kinds:
                yield self._row(draft, "answerable", draft.pair.answer, ())
            if "distractor" in self.kinds and near:
                rng = np.random.default_rng(seed_from("distractors", self.seed, draft.chunk.id, draft.number))
                shown = [draft.chunk, *near]
                mixed = [shown[n] for n in rng.permutation(len(shown))]
                yield self._row(draft, "distractor", draft.pair.answer, mixed)
            if "unanswerable" in self.kinds and near:
                yield self._row(draft, "unanswerable", self.abstain, near)

    def _others(self, drafts: Sequence[Draft]) -> list[list[Item]]:
        index = build_lexical([chunk.text for chunk in self.chunks])
        keys = [key_of(chunk.text) for chunk in self.chunks]
        found = []
        for draft in drafts:
            scores = index.scores([draft.pair.question])[0]
            answer = key_of(draft.pair.answer)
            near: list[Item] = []
            for n in np.argsort(-scores, kind="stable"):
                chunk = self.chunks[int(n)]
                if answer not in keys[int(n)] and not _overlap(chunk, draft.chunk):
                    near.append(chunk)
                if len(near) == self.distractors:
                    break
            found.append(near)
        return found

    def _row(self, draft: Draft, kind: Kind, answer: str, passages: Sequence[Item]) -> Record:
        chunk = draft.chunk
        document, start, end = chunk.payload["document"], chunk.payload["start"], chunk.payload["end"]
        question = {"question": draft.pair.question}
        # Passages come first, as in a prompt; numbered, as every prompt of Rung numbers them.
        shown = {PASSAGES: "\n\n".join(f"[{n}] {item.text}" for n, item in enumerate(passages, 1))} if passages else {}
        mark: dict[str, Any] = {**self.mark, "kind": kind, "chunk": chunk.id, "scores": draft.scores}
        if kind != "unanswerable":
            mark["answer_span"] = [draft.start, draft.end]
        extra: dict[str, Any] = {MARK: mark}
        if passages:
            extra[PASSAGES] = [
                {"id": item.id, "document": item.payload["document"], "text": item.text, "gold": item.id == chunk.id}
                for item in passages
            ]
        return Record(
            id=f"draft-{hash_json([chunk.id, key_of(draft.pair.question), kind], 12)}",
            inputs={**shown, **question},
            answers=(answer,),
            documents=() if kind == "unanswerable" else (document,),
            split=self.split,
            group=f"{document}#{start}-{end}",
            language=language_of(chunk.text),
            source=f"{document}#{start}-{end}",
            licence=self.licence,
            synthetic=True,
            extra=extra,
        )


def check_splits(records: Sequence[Record]) -> None:
    """Raises DataError E2961 for a drafted row in dev or test that no person has confirmed by labelling it."""
    wrong = [r for r in records if r.synthetic and r.split not in {None, "train"} and not r.labelled]
    if wrong:
        split = ", ".join(sorted({str(record.split) for record in wrong}))
        raise DataError("E2961", split=split, n=len(wrong), ids=", ".join(record.id for record in wrong[:10]))


def _overlap(one: Item, other: Item) -> bool:
    a, b = one.payload, other.payload
    return bool(a["document"] == b["document"] and a["start"] < b["end"] and b["start"] < a["end"])
