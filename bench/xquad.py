"""XQuAD as questions over documents, English and Chinese: the paragraphs are the documents, whole articles lie in one split.

Published figures are for models that are handed the right paragraph; here it has to be found among all 240 first.
"""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
from pathlib import Path

from harness import finish, need_datasets, say

from rung.cli.screen import Screen
from rung.experiment.run import run_task

PUBLISHED = {"en": {"mbert_f1": 0.835, "mbert_em": 0.722}, "zh": {"mbert_f1": 0.580, "mbert_em": 0.483}}
INSTRUCTION = {"en": "Answer the question about an encyclopedia article.", "zh": "回答关于百科文章的问题。"}
METHODS = {"en": "[baseline, prompt, rag, rag+fine_tune]", "zh": "[baseline, prompt, rag]"}
TASK = """
name: xquad-LANGUAGE
language: LANGUAGE
instruction: INSTRUCTION
inputs: [question]
output: {kind: text, column: answer, max_tokens: 24}
data: {examples: questions.csv, id: id, group: article, document: document, test_share: 0.17, dev_share: 0.1}
documents: documents
metrics: [token_f1, exact_match]
methods: METHODS
settings:
  rag+fine_tune: {max_seconds: 240, k: 2, evaluations: 4}
"""


def write_project(folder: Path, source: Path, language: str) -> None:
    data = json.loads(gzip.open(source, "rt", encoding="utf-8").read())["data"]
    (folder / "documents").mkdir(parents=True)
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "question", "answer", "article", "document"])
        for a, article in enumerate(data):
            for p, paragraph in enumerate(article["paragraphs"]):
                name = f"{a:02d}-{p}.txt"
                (folder / "documents" / name).write_text(paragraph["context"], "utf-8")
                for question in paragraph["qas"]:
                    writer.writerow(
                        [question["id"], question["question"], question["answers"][0]["text"], f"article {a}", name]
                    )
    text = (
        TASK.replace("LANGUAGE", language)
        .replace("INSTRUCTION", INSTRUCTION[language])
        .replace("METHODS", METHODS[language])
    )
    (folder / "task.yaml").write_text(text, "utf-8")


def main() -> None:
    source = need_datasets("qa_en_zh_xquad") / "qa_en_zh_xquad"
    figures: dict[str, object] = {}
    n = {}
    for language in ("en", "zh"):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder) / language
            write_project(work, source / f"xquad.{language}.json.gz", language)
            with Screen() as screen:
                run = run_task(work / "task.yaml", watcher=screen)
            decision = run.read_decision()
            for standing in decision.standings:
                found = run.read_evaluation(standing.candidate, "test").summaries
                figures[f"{language}_{standing.method}"] = {
                    name: [round(value, 4) for value in (s.value, s.low, s.high)] for name, s in found.items()
                }
        figures |= {f"{language}_verdict": decision.verdict, f"{language}_reason": decision.reason.en}
        n[language] = decision.n
        say(decision.reason.en)
    finish("xquad", n, **figures, published_with_gold_paragraph=PUBLISHED)


if __name__ == "__main__":
    main()
