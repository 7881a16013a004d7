"""Racing settings on dev against asking everything: calls saved, and what the winner loses by it, on three real tasks.

Every setting of a wide grid answers every dev question once, on the embedded model; those scores are kept, so
that a second run replays them. The race's decisions depend on scores alone, so racing over the kept scores in many seeded orders of
the questions is exact. Label tasks are raced before calibration, text tasks with short answers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xquad
from banking77 import write_split
from harness import ROOT, finish, need_datasets, say, work_folder

from rung.core.hashing import hash_json, seed_from
from rung.core.method import Budget, Trial
from rung.core.task import FitData
from rung.experiment.plan import fit_data, open_bench
from rung.experiment.setup import prepare
from rung.methods.dev_scores import DevScores
from rung.methods.few_shot import few_shot_grid, few_shot_settings
from rung.methods.race import Rule, race
from rung.methods.rag import rag_grid, rag_setting
from rung.methods.search import race_order
from rung.methods.slots import seeded_sample
from rung.methods.tuning import Setting

ORDERS = 40
QUESTIONS = {"label": 100, "text": 60}
BLOCK = 20
BANKING = """
name: banking77
instruction: Name the intent of a bank customer's message.
inputs: [text]
output: {kind: label, column: label}
data: {train: train.csv, test: test.csv, id: id, dev_share: 0.05}
"""
XQUAD = """
name: xquad-en
instruction: Answer the question about an encyclopedia article.
inputs: [question]
output: {kind: text, column: answer, max_tokens: 12}
data: {examples: questions.csv, id: id, group: article, document: document, dev_share: 0.2}
documents: documents
metrics: [token_f1, exact_match]
"""


@dataclass
class Notes:
    """A journal that nobody reads."""

    def find(self, setting: dict) -> Trial | None:
        return None

    def add(self, trial: Trial) -> None:
        return None

    def note(self, key: str, value: object) -> None:
        return None


@dataclass(frozen=True)
class Case:
    """A task with the method whose settings are raced on it."""

    name: str
    task: Path
    method: str


def cases(folder: Path) -> list[Case]:
    source = need_datasets("banking77", "qa_en_zh_xquad")
    banking = folder / "banking77"
    banking.mkdir()
    write_split(source / "banking77" / "train.csv", banking / "train.csv", None, "train")
    write_split(source / "banking77" / "test.csv", banking / "test.csv", 20, "test")
    (banking / "task.yaml").write_text(BANKING)
    english = folder / "xquad"
    xquad.write_project(english, source / "qa_en_zh_xquad" / "xquad.en.json.gz", "en")
    (english / "task.yaml").write_text(XQUAD)
    desk = ROOT / "examples" / "tenants-desk"
    return [
        Case("banking77", banking / "task.yaml", "few_shot"),
        Case("desk_labels", desk / "labels.yaml", "few_shot"),
        Case("xquad_en", english / "task.yaml", "rag"),
    ]


def settings_of(method: str, fit: FitData, model) -> list[Setting]:
    if method == "few_shot":
        # Prompts of eight and ten examples would take half of the benchmark's time.
        points = [point for point in few_shot_grid(fit, wide=True) if point["k"] <= 6]
        points += [{**point, "k": 4} for point in points if point["shots"] == "nearest" and point["k"] == 3]
        return few_shot_settings(fit, model, points)
    return [rag_setting(fit, model, point) for point in rag_grid(wide=True) if point["k"] <= 2]


def exhaustive(case: Case, cache: Path, questions: int) -> tuple[np.ndarray, list[Setting]]:
    """float [questions, settings]: every setting's score on every question; what is in the cache is not asked again."""
    prepared = prepare(case.task)
    model = next(iter(open_bench(prepared).models.values()))
    work = cache / f"{case.name}-{prepared.hash}"
    work.mkdir(parents=True, exist_ok=True)
    fit = fit_data(prepared, work, work, case.method)
    if len(fit.dev) < questions:
        # Settings are compared with each other only, so train rows may stand in; they are taken out of train.
        taken = seeded_sample(fit.train, questions - len(fit.dev), 0, "more dev")
        groups = {example.group for example in taken if example.group} | {example.id for example in taken}
        train = tuple(e for e in fit.train if e.id not in groups and (not e.group or e.group not in groups))
        fit = replace(fit, train=train, dev=(*fit.dev, *taken))
    examples = race_order(fit, questions)
    settings = settings_of(case.method, fit, model)
    scores = DevScores(fit, model, Budget(Notes()))
    columns, started = [], time.perf_counter()
    for number, setting in enumerate(settings, 1):
        parts = [scores.ask(setting, examples[i : i + BLOCK]) for i in range(0, len(examples), BLOCK)]
        columns.append(np.concatenate(parts))
        mean, seconds = columns[-1].mean(), time.perf_counter() - started
        say(f"{case.name} {number}/{len(settings)} {setting.name}: {mean:.3f}, {seconds:.0f} s so far")
    return np.stack(columns, axis=1), settings


@dataclass(frozen=True)
class Replay:
    """What racing over one table of scores costs and loses, over all orders."""

    ratios: list[float]
    regrets: list[float]

    def figures(self, name: str, table: np.ndarray) -> dict[str, object]:
        means = table.mean(axis=0)
        return {
            f"{name}_calls_ratio": round(float(np.mean(self.ratios)), 3),
            f"{name}_regret": round(float(np.mean(self.regrets)), 4),
            f"{name}_regret_worst": round(float(np.max(self.regrets)), 4),
            f"{name}_best": round(float(means.max()), 4),
            f"{name}_median_setting": round(float(np.median(means)), 4),
        }


def replay(name: str, table: np.ndarray, orders: int = ORDERS, rule: Rule | None = None) -> Replay:
    """Race over recorded scores [questions, settings], each time with the questions in another seeded order."""
    means = table.mean(axis=0)
    ratios, regrets = [], []
    for number in range(orders):
        order = np.random.default_rng(seed_from("racing", name, number)).permutation(len(table))
        shuffled = table[order]

        def ask(place: int, start: int, stop: int, shuffled: np.ndarray = shuffled) -> np.ndarray:
            return shuffled[start:stop, place]

        ended = race(ask, table.shape[1], len(table), rule=rule)
        ratios.append(table.size / ended.calls)
        regrets.append(float(means.max() - means[ended.winner]))
    return Replay(ratios, regrets)


def main(wanted: Sequence[str] = ()) -> None:
    cache = work_folder("racing")
    figures: dict[str, object] = {}
    ratios, regrets, n = [], [], {}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder)):
            if wanted and case.name not in wanted:
                continue
            kind = prepare(case.task).task.output.kind
            table, settings = exhaustive(case, cache, QUESTIONS[kind])
            found = replay(case.name, table)
            figures |= found.figures(case.name, table)
            ratios.append(float(np.mean(found.ratios)))
            regrets.append(float(np.mean(found.regrets)))
            n[case.name] = {"settings": len(settings), "questions": len(table), "scores": hash_json(table.tolist(), 8)}
    finish(
        "racing",
        n,
        calls_ratio=round(min(ratios), 3),
        regret=round(max(regrets), 4),
        **figures,
        orders=ORDERS,
        seconds=round(time.perf_counter() - started, 1),
    )


if __name__ == "__main__":
    main()
