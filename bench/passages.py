"""Passages found for real questions: words, meaning and both together, and the words' side of what a user would pick, on the same passages.

    RUNG_PEERS_PYTHON=/path/to/python python bench/passages.py [SET ...]

CMRC 2018 and XQuAD: whole encyclopedia paragraphs, each question about one of them. Dragonball: reports of invented companies, the
questions that have an answer. FinanceBench: SEC filings as PDF, read and cut by Rung; a passage is right on the page that people marked. For
every set: the share of questions with a right passage first, among the first five, among the first ten, and the mean reciprocal
rank, each with its interval; and by how much the words' side differs from each peer's, question by question. The built-in encoder
knows English only, so that Chinese is searched by words.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness import finish, need_datasets, read_rows, say
from numpy.typing import NDArray

PYTHON = "RUNG_PEERS_PYTHON"
PEERS = ("rank_bm25", "llama_index", "haystack")
TOP, WORDS, OVERLAP, RESAMPLES = 10, 140, 20, 2000


@dataclass(frozen=True)
class Asked:
    """A question, and which passages are right by their ids."""

    text: str
    right: Callable[[str], bool]


@dataclass(frozen=True)
class Corpus:
    language: str
    documents: list[Any]
    """`rung.core.task.Document`s."""
    questions: list[Asked]


def documents_of(texts: dict[str, str]) -> list[Any]:
    from rung.core.task import Document

    return [Document(name, "", text) for name, text in texts.items()]


def about(names: Sequence[str]) -> Callable[[str], bool]:
    wanted = frozenset(names)
    return lambda passage: passage.rpartition("#")[0] in wanted


def squad(path: Path, language: str) -> Corpus:
    texts, questions = {}, []
    for a, article in enumerate(json.loads(gzip.open(path, "rt", encoding="utf-8").read())["data"]):
        for p, paragraph in enumerate(article["paragraphs"]):
            name = f"{a}-{p}"
            texts[name] = paragraph["context"]
            questions += [Asked(question["question"], about([name])) for question in paragraph["qas"]]
    return Corpus(language, documents_of(texts), questions)


def dragonball(folder: Path, language: str) -> Corpus:
    texts = {
        str(row["doc_id"]): row["content"] for row in read_rows(folder / "docs.jsonl") if row["language"] == language
    }
    asked = [row for row in read_rows(folder / f"queries_{language}.jsonl") if row["doc_ids"] and not row["unsolvable"]]
    return Corpus(
        language,
        documents_of(texts),
        [Asked(row["question"], about([str(n) for n in row["doc_ids"]])) for row in asked],
    )


def financebench(folder: Path) -> Corpus:
    from rung.data.documents import read_documents

    kept = Path(tempfile.gettempdir()) / "rung-bench-filings"
    kept.mkdir(exist_ok=True)
    found = read_documents(folder / "pdfs", cache=kept)
    for failed in found.failed:
        say(f"  not read: {failed.id} {failed.code}")
    there = {document.id for document in found.documents}
    questions = []
    for row in read_rows(folder / "financebench_open_source.jsonl"):
        # Pages are counted from 0 there.
        pages = {(f"{proof['doc_name']}.pdf", proof["evidence_page_num"] + 1) for proof in row["evidence"]}
        if any(name in there for name, _ in pages):
            questions.append(Asked(row["question"], on_page(pages)))
    return Corpus("en", list(found.documents), questions)


def on_page(pages: set[tuple[str, int]]) -> Callable[[str], bool]:
    marks = tuple((f"{name}#", f"(p. {page})") for name, page in pages)
    return lambda passage: any(passage.startswith(name) and passage.endswith(page) for name, page in marks)


SETS: dict[str, Callable[[Path], Corpus]] = {
    "cmrc2018_zh": lambda home: squad(home / "qa_zh_cmrc2018" / "cmrc2018_dev.json.gz", "zh"),
    "xquad_zh": lambda home: squad(home / "qa_en_zh_xquad" / "xquad.zh.json.gz", "zh"),
    "xquad_en": lambda home: squad(home / "qa_en_zh_xquad" / "xquad.en.json.gz", "en"),
    "dragonball_zh": lambda home: dragonball(home / "rag_dragonball_finance", "zh"),
    "dragonball_en": lambda home: dragonball(home / "rag_dragonball_finance", "en"),
    "financebench_en": lambda home: financebench(home / "rag_financebench"),
}


def ranks(questions: Sequence[Asked], found: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """For every question the rank of the first right passage, from 1; infinite where none was found."""
    return np.array(
        [
            next((n for n, name in enumerate(names, 1) if asked.right(name)), np.inf)
            for asked, names in zip(questions, found, strict=True)
        ]
    )


def measures(first: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {**{f"hit_at_{k}": (first <= k).astype(float) for k in (1, 5, TOP)}, "mrr": 1 / first}


def interval(values: NDArray[np.float64]) -> list[float]:
    """Mean, and the bounds of 95 of 100 resamples of the questions."""
    draws = np.random.default_rng(0).integers(0, values.size, (RESAMPLES, values.size))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return [round(float(each), 4) for each in (values.mean(), low, high)]


def ours(corpus: Corpus, items: list[Any]) -> dict[str, NDArray[np.float64]]:
    from rung.core.answer import create_encoder
    from rung.retrieval.index import Index, build_index

    encoder = create_encoder("minilm") if corpus.language == "en" else None
    with tempfile.TemporaryDirectory() as folder:
        name = build_index(items, encoder=encoder, indexes=Path(folder), kind="passages")
        index = Index(Path(folder) / name.split("@")[0], encoder)
        texts = [asked.text for asked in corpus.questions]
        return {
            mode: ranks(
                corpus.questions, [[hit.item.id for hit in hits] for hits in index.search(texts, TOP, mode=mode)]
            )
            for mode in (("lexical", "dense", "rrf") if encoder else ("lexical",))
        }


def theirs(corpus: Corpus, items: list[Any]) -> dict[str, NDArray[np.float64]]:
    """What peers find by words with their defaults; nothing without an environment that has them."""
    python, found = os.environ.get(PYTHON, ""), {}
    script = Path(__file__).with_name("passages_peers.py")
    data = {"texts": [item.text for item in items], "queries": [asked.text for asked in corpus.questions], "top": TOP}
    for peer in PEERS if python else ():
        done = subprocess.run(
            [python, str(script), peer], input=json.dumps(data), stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            say(f"  {peer}: ended with {done.returncode}")
            continue
        places = json.loads(done.stdout.strip().splitlines()[-1])
        found[peer] = ranks(corpus.questions, [[items[n].id for n in row] for row in places])
    return found


def measured(corpus: Corpus) -> dict[str, Any]:
    from rung.retrieval.chunk import chunk_documents

    items = chunk_documents(corpus.documents, WORDS, OVERLAP)
    say(f"  {len(corpus.documents)} documents, {len(items)} passages, {len(corpus.questions)} questions")
    own, others = ours(corpus, items), theirs(corpus, items)
    table: dict[str, Any] = {"passages": len(items), "questions": len(corpus.questions)}
    for side, first in {**own, **others}.items():
        table[side] = {name: interval(values) for name, values in measures(first).items()}
        say(f"  {side:<12} {table[side]}")
    words = measures(own["lexical"])["hit_at_10"]
    for side, first in others.items():
        table[side]["words_ahead_at_10"] = interval(words - measures(first)["hit_at_10"])
    return table


def main() -> None:
    home = need_datasets("qa_zh_cmrc2018", "qa_en_zh_xquad", "rag_dragonball_finance", "rag_financebench")
    asked = sys.argv[1:] or list(SETS)
    tables = {}
    for name in asked:
        say(name)
        tables[name] = measured(SETS[name](home))
    if len(asked) == len(SETS):
        finish("passages", {name: table["questions"] for name, table in tables.items()}, sets=tables)


if __name__ == "__main__":
    main()
