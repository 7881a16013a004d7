"""Real data as Rung tasks of a size that a 2-core machine can train on: one function a data set, each writes a folder and says what it left out.

    PYTHONPATH=bench python -m tuning_tasks FOLDER [NAME ...]

writes them (all without names) and prints their sizes. Nothing of a data set is kept in the repository.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from harness import ROOT, need_datasets, read_rows, say

from rung.core.hashing import seed_from

LONGEST = 300
"""Tokens of the built-in model that question and answer may have together: what trains at a few rows a second on two cores."""
SEED = 7
Row = Mapping[str, Any]
More = Mapping[str, Any]
"""Further fields of task.yaml: methods, settings, budget, ..."""


@dataclass(frozen=True)
class Built:
    """A task that lies ready."""

    task: Path
    rows: int
    left_out: int
    """Rows that were looked at and are longer than the limit."""
    reason: str
    """Why it has this size."""


@dataclass(frozen=True)
class Picked:
    """Rows short enough, in a seeded order."""

    rows: list[Row]
    left_out: int


@cache
def tokenizer() -> Any:
    """That of the built-in model."""
    from transformers import AutoTokenizer

    from rung.models.embedded import embedded_folder

    return AutoTokenizer.from_pretrained(embedded_folder())


def tokens(*texts: str) -> int:
    return sum(len(ids) for ids in tokenizer()(list(texts), add_special_tokens=False)["input_ids"])


def pick(
    rows: Sequence[Row], texts: Callable[[Row], Iterable[str]], n: int, *names: object, longest: int = LONGEST
) -> Picked:
    """The first n rows of a seeded order whose texts have no more than `longest` tokens together; fewer where there are no more."""
    kept: list[Row] = []
    left = 0
    for i in np.random.default_rng(seed_from("tuning tasks", *names)).permutation(len(rows)):
        if len(kept) == n:
            break
        row = rows[i]
        if tokens(*texts(row)) <= longest:
            kept.append(row)
        else:
            left += 1
    return Picked(kept, left)


def save(folder: Path, settings: More, parts: Mapping[str, Picked], reason: str, more: More | None) -> Built:
    """Write task.yaml and a JSONL file for each part: 'examples', or 'train' and 'test'."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part.rows)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    data = {name: f"{name}.jsonl" for name in parts} | settings.get("data", {})
    whole = {"name": folder.name, **settings, "data": data, **(more or {})}
    (folder / "task.yaml").write_text(yaml.safe_dump(whole, allow_unicode=True, sort_keys=False, width=1000), "utf-8")
    rows = sum(len(part.rows) for part in parts.values())
    return Built(folder / "task.yaml", rows, sum(part.left_out for part in parts.values()), reason)


def zipped_json(path: Path) -> list[Row]:
    """The rows of a gzipped JSON list."""
    rows: list[Row] = json.loads(gzip.open(path, "rt", encoding="utf-8").read())
    return rows


def banking77(folder: Path, *, train: int = 770, test: int = 300, seed: int = SEED, more: More | None = None) -> Built:
    """77 intents of bank customers; official split."""
    source = need_datasets("banking77") / "banking77"
    parts = {}
    for name, n in (("train", train), ("test", test)):
        with (source / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = [{"text": row["text"], "label": row["category"]} for row in csv.DictReader(file)]
        # As many of each label as there are, so that none is missing from a small sample.
        parts[name] = pick(
            _by_turns(rows, "label", n, name, seed), lambda row: row.values(), n, "banking77", name, seed
        )
    settings = {
        "instruction": "Name the intent of a bank customer's message.",
        "inputs": ["text"],
        "output": {"kind": "label", "column": "label"},
        "metrics": ["accuracy", "macro_f1"],
    }
    reason = "10 training messages for each of 77 intents, as in published 10-shot figures; 300 for test give about ±5 points"
    return save(folder, settings, parts, reason, more)


def _by_turns(rows: Sequence[Row], label: str, n: int, *names: object) -> list[Row]:
    """n rows, one of each label after the other."""
    order = np.random.default_rng(seed_from("by turns", *names)).permutation(len(rows))
    turn: dict[str, int] = {}
    ranked = []
    for i in order:
        turn[rows[i][label]] = turn.get(rows[i][label], 0) + 1
        ranked.append((turn[rows[i][label]], len(ranked), rows[i]))
    return [row for _, _, row in sorted(ranked, key=lambda one: one[:2])[:n]]


def cluener(folder: Path, *, train: int = 400, test: int = 120, seed: int = SEED, more: More | None = None) -> Built:
    """Named entities of Chinese news as JSON; the published dev file is the test, as the labels of test are not published."""
    source = need_datasets("ner_zh_cluener") / "ner_zh_cluener"
    types = ["address", "book", "company", "game", "government", "movie", "name", "organization", "position", "scene"]
    parts = {}
    for name, file, n in (("train", "train", train), ("test", "dev", test)):
        rows = [
            {
                "text": row["text"],
                "entities": json.dumps({k: list(v) for k, v in row["label"].items()}, ensure_ascii=False),
            }
            for row in read_rows(source / f"{file}.jsonl")
        ]
        parts[name] = pick(rows, lambda row: row.values(), n, "cluener", name, seed, longest=180)
    settings = {
        "language": "zh",
        "instruction": "找出文本中的命名实体，以 JSON 回答。",
        "inputs": ["text"],
        "output": {
            "kind": "json",
            "column": "entities",
            "max_tokens": 128,
            "json_schema": {
                "type": "object",
                "propertyNames": {"enum": types},
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
            },
        },
        "metrics": ["entity_f1", "json_match"],
    }
    reason = "the schema alone takes 100 tokens of each prompt, so texts and answers stay under 180; 400 rows are minutes of training"
    return save(folder, settings, parts, reason, more)


def gsm8k(
    folder: Path, *, train: int = 300, test: int = 120, seed: int = SEED, language: str = "en", more: More | None = None
) -> Built:
    """Word problems with a checkable number. zh: trained on the English problems, tested on MGSM's Chinese ones."""
    source = need_datasets("math_gsm8k_mgsm") / "math_gsm8k_mgsm"

    def read(name: str) -> list[Row]:
        rows = read_rows(source / f"gsm8k_{name}.jsonl")
        # What stands in << >> was meant for a calculator.
        return [{"question": row["question"], "answer": re.sub(r"<<.*?>>", "", row["answer"])} for row in rows]

    tested = read("test")
    if language == "zh":
        lines = (source / "mgsm_zh.tsv").read_text("utf-8").split("\n")
        pairs = (line.rsplit("\t", 1) for line in lines if line)
        tested = [{"question": question, "answer": f"#### {number}"} for question, number in pairs]
    parts = {
        "train": pick(read("train_3000"), lambda row: row.values(), train, "gsm8k", "train", seed),
        "test": pick(tested, lambda row: row.values(), test, "gsm8k", language, seed),
    }
    told = {
        "en": "Solve the problem step by step. End with '####' and the number.",
        "zh": "一步一步解题，最后写“####”和得数。",
    }
    settings = {
        "language": language,
        "instruction": told[language],
        "inputs": ["question"],
        "output": {"kind": "text", "column": "answer", "max_tokens": 200},
        "metrics": ["final_number"],
    }
    reason = "a model of 135 million parameters hardly reasons: enough rows to see whether the reward moves at all"
    return save(folder, settings, parts, reason, more)


def dpo(folder: Path, *, rows: int = 120, seed: int = SEED, language: str = "en", more: More | None = None) -> Built:
    """Preference pairs: `Example.rejected` of every row."""
    source = need_datasets("prefs_llamafactory") / "prefs_llamafactory" / f"dpo_{language}_demo.json.gz"
    settings = _chat(language) | {
        "output": {"kind": "text", "column": "chosen", "rejected": "rejected", "max_tokens": 200},
        "data": {"messages": "conversations", "test_share": 0.3},
    }
    longest = 3 * LONGEST

    def texts(row: Row) -> list[str]:
        return [turn["value"] for turn in (*row["conversations"], row["chosen"], row["rejected"])]

    picked = pick(zipped_json(source), texts, rows, "dpo", language, seed, longest=longest)
    reason = (
        "question and both answers share 900 tokens, since few pairs of real chats are shorter; two answers cost twice"
    )
    return save(folder, settings, {"examples": picked}, reason, more)


def kto(folder: Path, *, rows: int = 200, seed: int = SEED, more: More | None = None) -> Built:
    """Thumbs: `Example.liked` of the rows in train, and `FitData.disliked`."""
    source = need_datasets("prefs_llamafactory") / "prefs_llamafactory" / "kto_en_demo.json.gz"
    settings = _chat("en") | {
        "output": {"kind": "text", "column": "answer", "liked": "label", "max_tokens": 200},
        "data": {"messages": "messages", "test_share": 0.35, "dev_share": 0.15},
    }
    picked = pick(
        zipped_json(source),
        lambda row: [turn["content"] for turn in row["messages"]],
        rows,
        "kto",
        seed,
        longest=2 * LONGEST,
    )
    reason = "about half of the rows have a thumb down and are only trained on; 600 tokens leave out most chats of several turns"
    return save(folder, settings, {"examples": picked}, reason, more)


def _chat(language: str) -> dict[str, Any]:
    told = {"en": "You are a helpful assistant.", "zh": "你是一个乐于助人的助手。"}
    return {
        "language": language,
        "instruction": told[language],
        "inputs": ["question"],
        "metrics": ["rouge_l", "chrf"],
    }


def ntrex(folder: Path, *, rows: int = 240, seed: int = SEED, into: str = "zh", more: More | None = None) -> Built:
    """Translation of news between English and Chinese; sentences of one article lie in one split."""
    source = need_datasets("translation_ntrex") / "translation_ntrex" / "ntrex_en_zh.jsonl"
    sides = {"en": "en", "zh": "zh_cn"}
    start = sides["en" if into == "zh" else "zh"]
    given = [
        {"source": row[start], "translation": row[sides[into]], "article": row["doc"]} for row in read_rows(source)
    ]
    picked = pick(given, lambda row: (row["source"], row["translation"]), rows, "ntrex", seed)
    settings = {
        "language": into,
        "instruction": "把英文新闻译成中文。" if into == "zh" else "Translate the Chinese news sentence into English.",
        "inputs": ["source"],
        "output": {"kind": "text", "column": "translation", "max_tokens": 160},
        "data": {"group": "article"},
        "metrics": ["chrf", "bleu"],
    }
    reason = "a character of Chinese costs about two tokens, so a sentence is long; the built-in model knows hardly any Chinese"
    return save(folder, settings, {"examples": picked}, reason, more)


def alpaca_zh(folder: Path, *, rows: int = 200, seed: int = SEED, more: More | None = None) -> Built:
    """Instructions of every kind with written answers."""
    source = need_datasets("instruct_llamafactory") / "instruct_llamafactory" / "alpaca_zh_demo.json.gz"
    given = [row for row in zipped_json(source) if row["output"].strip()]
    picked = pick(given, lambda row: (row["instruction"], row["input"], row["output"]), rows, "alpaca_zh", seed)
    settings = {
        "language": "zh",
        "instruction": "按照要求回答。",
        "inputs": ["instruction", "input"],
        "output": {"kind": "text", "column": "output", "max_tokens": 200},
        "metrics": ["rouge_l", "chrf"],
    }
    reason = "only short answers fit; a few hundred rows show whether form is learned, which is all that they can teach"
    return save(folder, settings, {"examples": picked}, reason, more)


def xquad(
    folder: Path,
    *,
    articles: int = 32,
    each: int = 5,
    seed: int = SEED,
    language: str = "en",
    more: More | None = None,
) -> Built:
    """Questions over paragraphs as documents, `each` of an article; whole articles lie in one split. Prompts grow by the passages shown."""
    source = need_datasets("qa_en_zh_xquad") / "qa_en_zh_xquad" / f"xquad.{language}.json.gz"
    data: list[Any] = json.loads(gzip.open(source, "rt", encoding="utf-8").read())["data"]
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for a in sorted(np.random.default_rng(seed_from("xquad", seed)).permutation(len(data))[:articles]):
        of_article: list[Row] = []
        for p, paragraph in enumerate(data[a]["paragraphs"]):
            name = f"{a:02d}-{p}.txt"
            (folder / "documents" / name).write_text(paragraph["context"], "utf-8")
            of_article += [
                {"id": q["id"], "question": q["question"], "answer": q["answers"][0]["text"], "article": f"article {a}", "document": name}
                for q in paragraph["qas"]
            ]  # fmt: skip
        chosen = np.random.default_rng(seed_from("xquad", seed, int(a))).permutation(len(of_article))[:each]
        rows += [of_article[i] for i in sorted(chosen)]
    told = {"en": "Answer the question about an encyclopedia article.", "zh": "回答关于百科文章的问题。"}
    settings = {
        "language": language,
        "instruction": told[language],
        "inputs": ["question"],
        "output": {"kind": "text", "column": "answer", "max_tokens": 32},
        "data": {"id": "id", "group": "article", "document": "document", "test_share": 0.3, "dev_share": 0.15},
        "documents": "documents",
        "metrics": ["token_f1", "exact_match", "retrieval_recall"],
    }
    picked = pick(rows, lambda row: (row["question"], row["answer"]), len(rows), "xquad", seed)
    reason = "a few questions of many articles, since an article counts as one case; a passage in each prompt makes rows of 300 tokens"
    return save(folder, settings, {"examples": picked}, reason, more)


def contract_clauses(folder: Path, *, language: str = "en", more: More | None = None) -> Built:
    """The example of the same name: clauses of a contract from an agent's notes."""
    suffix = "-zh" if language == "zh" else ""
    return _example("contract-clauses", f"task{suffix}.yaml", f"clauses{suffix}.csv", folder, more)


def desk_dialogue(folder: Path, *, more: More | None = None) -> Built:
    """The example of the same name: a desk that asks back."""
    return _example("desk-dialogue", "task.yaml", "dialogues.jsonl", folder, more)


def _example(name: str, task: str, rows: str, folder: Path, more: More | None) -> Built:
    source = ROOT / "examples" / name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / rows, folder / rows)
    settings = yaml.safe_load((source / task).read_text("utf-8"))
    settings = {key: value for key, value in settings.items() if key not in {"methods", "budget"}} | dict(more or {})
    (folder / "task.yaml").write_text(
        yaml.safe_dump(settings, allow_unicode=True, sort_keys=False, width=1000), "utf-8"
    )
    text = (folder / rows).read_text("utf-8")
    n = text.count("\n") if rows.endswith(".jsonl") else sum(1 for _ in csv.DictReader(text.splitlines(keepends=True)))
    return Built(folder / "task.yaml", n, 0, "all of it: it was made for this size")


TASKS: dict[str, Callable[..., Built]] = {
    "banking77": banking77,
    "cluener": cluener,
    "gsm8k": gsm8k,
    "mgsm-zh": lambda folder, **sizes: gsm8k(folder, language="zh", **sizes),
    "dpo-en": dpo,
    "dpo-zh": lambda folder, **sizes: dpo(folder, language="zh", **sizes),
    "kto-en": kto,
    "ntrex-en-zh": ntrex,
    "ntrex-zh-en": lambda folder, **sizes: ntrex(folder, into="en", **sizes),
    "alpaca-zh": alpaca_zh,
    "xquad-en": xquad,
    "xquad-zh": lambda folder, **sizes: xquad(folder, language="zh", **sizes),
    "clauses-en": contract_clauses,
    "clauses-zh": lambda folder, **sizes: contract_clauses(folder, language="zh", **sizes),
    "desk-dialogue": desk_dialogue,
}


def main() -> None:
    folder, *names = sys.argv[1:]
    for name in names or TASKS:
        built = TASKS[name](Path(folder) / name)
        say(f"{name}: {built.rows} rows, {built.left_out} too long; {built.reason}")


if __name__ == "__main__":
    main()
