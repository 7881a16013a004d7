"""Plain facts of a run as label and value: its data, how to get it again, and the terms a manager may not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rung.core import errors
from rung.core.errors import Problem
from rung.reporting.ladder import Ladder
from rung.reporting.letters import clip
from rung.reporting.numbers import Numbers
from rung.reporting.reading import Reading
from rung.reporting.words import Words, catalogue

LONGEST = 600
_COMMON_TERMS = ("interval", "margin", "splits", "cost", "latency", "failed")


@dataclass(frozen=True)
class Fact:
    """One line of a list of facts."""

    label: str
    value: str
    code: bool = False
    """A command, hash or version, set in fixed width."""


def data_facts(reading: Reading, words: Words) -> list[Fact]:
    """What the data held, what was left out of it and why, as the data step counted it."""
    recorded = dict(reading.record.get("data") or {})
    counted = recorded.pop("n", None)
    recorded.pop("findings", None)
    found = []
    if isinstance(counted, int):
        found.append(Fact(words("data.n"), words("data.count", n=f"{counted:,}")))
    for split, n in (reading.plan.splits if reading.plan else counted if isinstance(counted, dict) else {}).items():
        found.append(Fact(words.known(f"data.{split}", split), words("data.count", n=f"{n:,}")))
    for name, value in recorded.items():
        found.append(Fact(_label(name, words), plain(value, words), code="hash" in str(name)))
    return found


def _label(name: Any, words: Words) -> str:
    return words.known(f"data.{name}", str(name).replace("_", " "))


def plain(value: Any, words: Words) -> str:
    """Any value of run.yaml on one line; a list of records by its length."""
    if value is None or value == {} or value == []:
        return words("data.none")
    if isinstance(value, bool):
        return words("yes" if value else "no")
    if isinstance(value, dict):
        parts = []
        for name, inner in value.items():
            shown = plain(inner, words)
            form = "grouped" if isinstance(inner, dict) else "labelled"
            parts.append(words(form, name=_label(name, words), value=shown))
        return clip(words.join(parts), LONGEST)
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, (dict, list)) for item in value):
            return f"{len(value):,}"
        return clip(words.join([str(item) for item in value]), LONGEST)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else clip(str(value), LONGEST)


def findings(reading: Reading, words: Words) -> list[tuple[str, str]]:
    """(level, sentence) of what the data step found and a reader should know before trusting a score."""
    noted = (reading.record.get("data") or {}).get("findings") or []
    return [
        (
            str(finding.get("level", "info")),
            Problem(finding["code"], "", finding.get("values") or {}).message(words.language),
        )
        for finding in noted
        if finding.get("code") in errors.catalogue()
    ]


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
            *_power(reading, words, numbers),
            Fact(words("again.draws"), f"{decision.draws:,}"),
            Fact(words("again.decision_seed"), str(decision.seed), code=True),
        ]
    if record.get("wall_seconds") is not None:
        found.append(Fact(words("again.wall"), numbers.seconds(float(record["wall_seconds"]))))
    if record.get("peak_memory_gib") is not None:
        found.append(Fact(words("again.memory"), f"{float(record['peak_memory_gib']):.2f} GiB"))
    return [fact for fact in found if fact.value]


def _power(reading: Reading, words: Words, numbers: Numbers) -> list[Fact]:
    """How small a difference this test can see, and, where that leaves the verdict open, how many questions would settle it."""
    decision = reading.decision
    if decision is None:
        return []
    found = []
    if decision.resolvable is not None:
        found.append(Fact(words("again.resolvable"), numbers.step(decision.resolvable, decision.metric)))
    if decision.verdict == "unresolved" and decision.examples_needed is not None:
        found.append(Fact(words("again.needed"), f"{decision.examples_needed:,}"))
    return found


def _machine(machine: dict[str, Any], words: Words) -> str:
    parts = [str(machine[key]) for key in ("system", "architecture", "cpu") if machine.get(key)]
    if machine.get("cores"):
        parts.append(words("again.cores", n=machine["cores"]))
    if machine.get("memory_gib"):
        parts.append(words("again.memory_gib", n=f"{float(machine['memory_gib']):.3g}"))
    if "gpu" in machine:
        parts.append(plain(machine["gpu"], words) if machine["gpu"] else words("again.no_gpu"))
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
