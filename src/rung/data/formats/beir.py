"""BEIR: a folder of corpus.jsonl, queries.jsonl and qrels/*.tsv; one record a query, with the texts judged for it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.durable import write_text
from rung.core.task import SplitName
from rung.data.formats.codec import CannotCarry
from rung.data.formats.row import Given, Made
from rung.data.record import Record
from rung.data.rejects import BadRow, Reject, Row
from rung.data.table import DataFile

NAME = "beir"
QUERIES, CORPUS, JUDGED = "queries.jsonl", "corpus.jsonl", "qrels"
_SPLITS: dict[str, SplitName] = {"train": "train", "dev": "dev", "val": "dev", "validation": "dev", "test": "test"}


def is_beir(folder: Path) -> bool:
    """Whether a folder has the files."""
    return all(_found(folder / name) for name in (QUERIES, CORPUS))


def _found(path: Path) -> Path | None:
    """A file, or its gzipped form."""
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.is_file()), None)


@dataclass(frozen=True)
class Beir:
    """What a folder held."""

    records: tuple[Record, ...]
    lines: tuple[int, ...]
    """The line of queries.jsonl of every record."""
    rejects: tuple[Reject, ...]
    rows: tuple[Mapping[str, Any], ...]
    """The first queries as they stand."""
    unjudged: int
    """Texts of the corpus that no judgement names: they belong to the documents of a task, not to its questions."""


def read_beir(folder: Path) -> Beir:
    """Raises DataError as reading its files does. Judgements of queries or texts that are not there become rejects."""
    rejects: list[Reject] = []
    corpus = dict(_by_id(folder / CORPUS, rejects))
    texts = {id: _text_of(row.values) for id, row in corpus.items()}
    judged = _judgements(folder, texts, rejects)
    records: list[Record] = []
    lines: list[int] = []
    rows: list[Mapping[str, Any]] = []
    known = set()
    for id, row in _by_id(folder / QUERIES, rejects):
        known.add(id)
        rows.append(row.values)
        splits = judged.get(id) or {"": []}
        for split, found in splits.items():
            try:
                records.append(_record(id, row.values, split, found, corpus, texts))
                lines.append(row.line)
            except BadRow as bad:
                rejects.append(bad.reject(QUERIES, row.line, row.raw))
    for id in judged.keys() - known:
        rejects.append(
            BadRow("E2230", format=NAME, detail=f"the judged query {id} is not in {QUERIES}").reject(JUDGED, 0, id)
        )
    seen = {name for splits in judged.values() for found in splits.values() for name, _ in found}
    return Beir(tuple(records), tuple(lines), tuple(rejects), tuple(rows[:3]), len(corpus.keys() - seen))


def _by_id(path: Path, rejects: list[Reject]) -> Iterator[tuple[str, Row]]:
    seen = set()
    for row in DataFile(_found(path) or path):
        problem = row.problem
        id = row.values.get("_id")
        if problem is None and (not isinstance(id, str) or not isinstance(row.values.get("text"), str)):
            problem = BadRow("E2230", format=NAME, detail="a row needs _id and text")
        if problem is None and id in seen:
            problem = BadRow("E2230", "_id", format=NAME, detail=f"the _id {id} stands twice")
        if problem is not None:
            rejects.append(problem.reject(path.name, row.line, row.raw))
        else:
            seen.add(id)
            yield str(id), row


def _judgements(
    folder: Path, texts: Mapping[str, str], rejects: list[Reject]
) -> dict[str, dict[str, list[tuple[str, int]]]]:
    """Judged texts with their scores by query and split."""
    judged: dict[str, dict[str, list[tuple[str, int]]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((folder / JUDGED).glob("*.tsv")):
        for row in DataFile(path):
            values = row.values
            problem = row.problem
            try:
                query, text, score = (
                    values.get("query-id", ""),
                    values.get("corpus-id", ""),
                    int(values.get("score", "")),
                )
            except ValueError:
                problem = problem or BadRow("E2230", "score", format=NAME, detail="the score is no whole number")
            if problem is None and text not in texts:
                problem = BadRow("E2230", "corpus-id", format=NAME, detail=f"the text {text} is not in {CORPUS}")
            if problem is not None:
                rejects.append(problem.reject(f"{JUDGED}/{path.name}", row.line, row.raw))
                continue
            judged[query][path.stem].append((text, score))
    return judged


def _text_of(document: Mapping[str, Any]) -> str:
    title = document.get("title")
    return f"{title}\n{document['text']}" if isinstance(title, str) and title else str(document["text"])


def _record(
    id: str,
    query: Mapping[str, Any],
    split: str,
    found: Sequence[tuple[str, int]],
    corpus: Mapping[str, Row],
    texts: Mapping[str, str],
) -> Record:
    given = Given(query, NAME)
    given.left.pop("_id")
    text = given.take("text") or ""
    if not text.strip():
        raise BadRow("E2220", "text")
    order = [pair for pair in found if pair[1] > 0] + [pair for pair in found if pair[1] <= 0]
    given.form["documents"] = [
        {"score": score, **{k: v for k, v in corpus[name].values.items() if k not in {"_id", "text"}}}
        for name, score in order
    ]
    if split and split not in ("train", "dev", "test"):
        given.form["split"] = split
    return given.record(
        id=id,
        inputs={"query": text},
        positives=tuple(texts[name] for name, score in order if score > 0),
        negatives=tuple(texts[name] for name, score in order if score <= 0),
        documents=tuple(name for name, _ in order),
        split=_SPLITS.get(split),
    )


class BeirRows:
    """Records as the rows that the folder's files are made of: {"query": ..., "documents": [...], "split": ...}."""

    name = NAME
    suffix = ""

    def fits(self, row: Mapping[str, Any]) -> bool:
        return False

    def decode(self, row: Mapping[str, Any]) -> Record:
        """Only to see what a row carries: reading takes the folder as a whole."""
        documents = row["documents"]
        return Record(
            id=row["query"]["_id"],
            inputs={"query": row["query"]["text"]},
            positives=tuple(_text_of(d) for d in documents if d["score"] > 0),
            negatives=tuple(_text_of(d) for d in documents if d["score"] <= 0),
            documents=tuple(d["_id"] for d in documents if d["named"]),
            split=_SPLITS.get(row["split"]),
            extra={key: value for key, value in row["query"].items() if key not in {"_id", "text"}},
        )

    def encode(self, record: Record) -> dict[str, Any]:
        """Raises CannotCarry for a record without a question."""
        if not record.question:
            raise CannotCarry("no inputs")
        made = Made(record, NAME)
        made.put("text", record.question)
        query = made.finish()
        query.pop("id", None)
        positives = record.positives or record.answers[:1]
        scored = [(text, 1) for text in positives] + [(text, 0) for text in record.negatives]
        about = made.form.get("documents", [])
        if len(about) != len(scored):
            about = [{} for _ in scored]
        named = len(record.documents) == len(scored)
        documents = []
        for n, ((text, score), left) in enumerate(zip(scored, about, strict=True)):
            title = left.get("title")
            body = text.removeprefix(f"{title}\n") if isinstance(title, str) and title else text
            id = record.documents[n] if named else f"{record.id}-{n}"
            keeps_sign = (left.get("score", score) > 0) == (score > 0)
            documents.append(
                {
                    "_id": id,
                    "named": named,
                    **left,
                    "text": body,
                    "score": left["score"] if left and keeps_sign else score,
                }
            )
        split = made.form.get("split") or record.split or "test"
        return {"query": {"_id": record.id, **query}, "documents": documents, "split": split}


def write_beir(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """The three parts of the folder. Raises WriteError."""
    corpus: dict[str, dict[str, Any]] = {}
    judged: dict[str, list[str]] = defaultdict(list)
    queries: dict[str, Any] = {}
    for row in rows:
        query = row["query"]
        queries.setdefault(query["_id"], query)
        for document in row["documents"]:
            corpus.setdefault(document["_id"], {k: v for k, v in document.items() if k not in {"score", "named"}})
            judged[row["split"]].append(f"{query['_id']}\t{document['_id']}\t{document['score']}\n")
    write_text(folder / CORPUS, _jsonl(corpus.values()))
    write_text(folder / QUERIES, _jsonl(queries.values()))
    for split, lines in judged.items():
        write_text(folder / JUDGED / f"{split}.tsv", "query-id\tcorpus-id\tscore\n" + "".join(lines))


def _jsonl(rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
