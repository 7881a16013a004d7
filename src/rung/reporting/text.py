"""`rung show`: the summary for a terminal, with aligned columns, wide characters counted as two, no colours and no control characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rung.core.task import Language
from rung.reporting.aggregate import aggregate
from rung.reporting.ladder import Line, build_ladder
from rung.reporting.letters import clean, clip, wrap
from rung.reporting.numbers import Numbers
from rung.reporting.phrases import Speaker
from rung.reporting.reading import read_run
from rung.reporting.tables import GAP, align
from rung.reporting.words import Words
from rung.store.records import Decision
from rung.store.runs import RunFolder

NAME = 40
"""Longest name in a column."""


def show_text(run: RunFolder, language: Language | None = None, *, columns: int = 100) -> str:
    """Verdict, reason, the ladder as a table, rungs that did not run, real differences, what would change the verdict.

    Prose keeps to `columns`. Raises DataError E2901 for a damaged record.
    """
    reading = read_run(run)
    words = Words(language or reading.task.language)
    ladder = build_ladder(reading, words)
    say = Speaker(reading, ladder, words, Numbers(words, reading.currency))
    named = words("page.run", id=reading.record.get("id", run.path.name))
    blocks = [
        [f"{reading.task.name} · {named}"],
        [say.verdict(), "", *wrap(say.reason(), columns)],
        _ladder_lines(ladder.tested, say) if ladder.tested else [],
        [
            part
            for line in ladder.lines
            if line.state != "tested"
            for part in _hanging(words("labelled", name=line.name, value=say.state(line)), columns)
        ],
        _differences(say, columns),
        _listed(words("change.title"), say.would_change(), columns),
    ]
    return clean("\n\n".join("\n".join(block) for block in blocks if block)) + "\n"


def show_json(run: RunFolder) -> dict[str, Any]:
    """The same aggregate as `report.json`."""
    return aggregate(read_run(run))


def _ladder_lines(lines: Sequence[Line], say: Speaker) -> list[str]:
    words, numbers, metric = say.words, say.numbers, say.ladder.metric
    head = [
        "",
        words("table.system" if say.ladder.recorded else "table.rung"),
        words("table.quality", metric=words.metric(metric)),
        words("table.failed_head"),
        words("table.cost"),
        words("table.latency"),
        words("table.training"),
    ]
    rows = [head]
    for line in lines:
        counted = line.standing or (line.evaluation.summaries.get(metric) if line.evaluation else None)
        rows.append(
            [
                {"winner": "*", "tied": "=", "other": " "}[line.place],
                clip(clean(line.name), NAME),
                numbers.quality(line.quality, metric),
                numbers.whole(counted.failed if counted else None),
                numbers.money(line.standing.cost_per_1000 if line.standing else None),
                " / ".join(say.latency(line)),
                " · ".join(say.training(line)),
            ]
        )
    found = align(rows, left=2)
    marks = []
    if say.ladder.winner:
        marks.append(f"* {say.crown()}")
    if say.ladder.tied:
        marks.append(f"= {say.tied()}")
    remarks = [
        words("labelled", name=line.name, value=text)
        for line in lines
        for kind, text in say.flags(line)
        if kind == "warning"
    ]
    return [*found, *(["", GAP.join(marks)] if marks else []), *remarks]


def _differences(say: Speaker, columns: int) -> list[str]:
    decision: Decision | None = say.reading.decision
    if decision is None or decision.winner is None:
        return []
    told = [
        say.pair(pair, decision).sentence for pair in decision.pairs if decision.winner in {pair.candidate, pair.other}
    ]
    return _listed(say.words("pairs.title"), told, columns)


def _listed(title: str, texts: Sequence[str], columns: int) -> list[str]:
    return [title, *(line for text in texts for line in _hanging(text, columns, mark="- "))] if texts else []


def _hanging(text: str, columns: int, *, mark: str = "") -> list[str]:
    """The text in lines of which all but the first are indented."""
    lines = wrap(text, columns - 2)
    return [("  " if i else mark) + line for i, line in enumerate(lines)]
