"""Plain facts of a run as label and value: its data, how to get it again, and the terms a manager may not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rung.report.ladder import Ladder
from rung.report.numbers import Numbers
from rung.report.reading import Reading
from rung.report.text import clip
from rung.report.words import Words, catalogue

LONGEST = 600
_COMMON_TERMS = ("interval", "margin", "splits", "cost", "latency", "failed")


@dataclass(frozen=True)
class Fact:
    label: str
    value: str
    code: bool = False
    """A command, hash or version, set in fixed width."""


def data_facts(reading: Reading, words: Words) -> list[Fact]:
    """What the data held, what was left out of it and why, as the data step counted it."""
    found = []
    for split, n in (reading.plan.splits if reading.plan else {}).items():
        found.append(Fact(words.known(f"data.{split}", split), words("data.examples", n=f"{n:,}")))
    for name, value in dict(reading.record.get("data") or {}).items():
        label = words.known(f"data.{name}", str(name).replace("_", " "))
        found.append(Fact(label, plain(value, words), code="hash" in str(name)))
    return found


def plain(value: Any, words: Words) -> str:
    """Any value of run.yaml on one line; a long list by its length."""
    if value is None or value == {} or value == []:
        return words("data.none")
    if isinstance(value, bool):
        return words("yes" if value else "no")
    if isinstance(value, dict):
        return clip(words.join([f"{name}: {plain(inner, words)}" for name, inner in value.items()]), LONGEST)
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, (dict, list)) for item in value):
            return f"{len(value):,}"
        return clip(words.join([str(item) for item in value]), LONGEST)
    return f"{value:,}" if isinstance(value, (int, float)) else clip(str(value), LONGEST)


def again_facts(reading: Reading, words: Words, numbers: Numbers) -> list[Fact]:
    """What somebody needs to get the same numbers."""
    record, decision = reading.record, reading.decision
    found = [
        Fact(words("again.created"), str(record.get("created", ""))),
        Fact(words("again.seed"), str(record.get("seed", "")), code=True),
        Fact(words("again.versions"), plain(record.get("versions"), words), code=True),
        Fact(words("again.machine"), _machine(record.get("machine") or {}, words)),
        Fact(words("again.metric"), words.metric(reading.metric)),
        Fact(words("again.margin"), numbers.step(decision.margin if decision else reading.task.margin, reading.metric)),
    ]
    if decision:
        groups = words("again.groups_value", n=f"{decision.n:,}", groups=f"{decision.groups:,}")
        found += [
            Fact(words("again.groups"), groups),
            Fact(words("again.draws"), f"{decision.draws:,}"),
            Fact(words("again.decision_seed"), str(decision.seed), code=True),
        ]
    if record.get("wall_seconds") is not None:
        found.append(Fact(words("again.wall"), numbers.seconds(float(record["wall_seconds"]))))
    if record.get("peak_memory_gib") is not None:
        found.append(Fact(words("again.memory"), f"{float(record['peak_memory_gib']):.2f} GiB"))
    return [fact for fact in found if fact.value]


def _machine(machine: dict[str, Any], words: Words) -> str:
    parts = [str(machine["cpu"])] if machine.get("cpu") else []
    if machine.get("cores"):
        parts.append(words("again.cores", n=machine["cores"]))
    if machine.get("memory_gib"):
        parts.append(words("again.memory_gib", n=f"{float(machine['memory_gib']):.3g}"))
    if machine:
        parts.append(plain(machine["gpu"], words) if machine.get("gpu") else words("again.no_gpu"))
    return words.join(parts)


def glossary(reading: Reading, ladder: Ladder, words: Words, numbers: Numbers) -> list[Fact]:
    """The terms that this report uses, in two sentences each."""
    found = []
    if f"about.{reading.metric}" in catalogue():
        found.append(Fact(words.metric(reading.metric), words(f"about.{reading.metric}")))
    decision = reading.decision
    terms = [
        *_COMMON_TERMS,
        *(["target"] if reading.task.target is not None else []),
        *(["tie"] if decision and (decision.ties or decision.verdict == "tie") else []),
        *(["converged"] if not all(line.converged for line in ladder.lines) else []),
    ]
    margin = numbers.step(decision.margin if decision else reading.task.margin, reading.metric)
    found += [Fact(words(f"term.{name}.name"), words(f"term.{name}", margin=margin)) for name in terms]
    parts = dict.fromkeys(part for line in ladder.lines for part in line.cell.method.split("+"))
    found += [Fact(words.method(part), words(f"term.{part}")) for part in parts if f"term.{part}" in catalogue()]
    return found
