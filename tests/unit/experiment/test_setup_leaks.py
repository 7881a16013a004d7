"""Copies in the data of a run: taken out of train for own splits, and known by name for official ones."""

from __future__ import annotations

from pathlib import Path

from rung.experiment.setup import prepare

WORDS = ("oven", "sink", "lamp", "fridge", "kettle", "window", "heating", "dishwasher", "shelf", "tap")
TASK = """
instruction: Say which kind of question this is.
inputs: question
output: {kind: label, column: kind}
data: %s
"""


def rows(texts: list[str]) -> str:
    return "question,kind,day\n" + "".join(f"{t},{'ab'[n % 2]},2024-01-{n % 28 + 1:02}\n" for n, t in enumerate(texts))


def questions() -> list[str]:
    return [f"{a} near the {b} makes a noise" for a in WORDS for b in WORDS]


def test_an_official_split_names_its_near_copies(tmp_path: Path) -> None:
    asked = questions()
    (tmp_path / "train.csv").write_text(rows(asked[:60]), "utf-8")
    (tmp_path / "test.csv").write_text(rows([*asked[60:], asked[0] + "s", asked[1].upper()]), "utf-8")
    (tmp_path / "task.yaml").write_text(TASK % "{train: train.csv, test: test.csv}", "utf-8")
    prepared = prepare(tmp_path / "task.yaml")
    texts = {e.text for e in prepared.examples["test"] if e.id in prepared.copied}
    assert {asked[0] + "s", asked[1].upper()} <= texts
    kinds = {p.kind for p in prepared.duplicates.across}
    assert {"near", "normalised"} <= kinds
    assert not prepared.removed
    told = {finding.code: finding.values for finding in prepared.findings}
    assert told["E2175"]["split"] == "test"
    assert told["E2175"]["n"] >= 2


def test_an_own_split_by_time_is_dealt_out_by_time_and_keeps_its_name_otherwise(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text(rows(questions()), "utf-8")
    (tmp_path / "task.yaml").write_text(TASK % "{examples: all.csv, time: day, split: time}", "utf-8")
    prepared = prepare(tmp_path / "task.yaml")
    days = dict(prepared.reads["examples"].times)
    ends = {name: [days[id] for id in prepared.splits[name].ids] for name in ("train", "test")}
    assert min(ends["train"]) < min(ends["test"])
    assert max(ends["train"]) < max(ends["test"])
    plain = tmp_path / "plain.yaml"
    plain.write_text(TASK % "{examples: all.csv}", "utf-8")
    timed = tmp_path / "timed.yaml"
    timed.write_text(TASK % "{examples: all.csv, time: day}", "utf-8")
    assert prepare(plain).hash == prepare(timed).hash != prepared.hash
