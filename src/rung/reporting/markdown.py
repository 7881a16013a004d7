"""The report in brief as Markdown, for a pull request, a wiki or a terminal pager."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rung.reporting.aftermath import Part, view_aftermath
from rung.reporting.comparison import view_gate
from rung.reporting.costs import ladder_costs
from rung.reporting.diagnosis import view_diagnosis
from rung.reporting.dimensions import cells, dimension_sections
from rung.reporting.facts import Fact, again_facts, data_facts, findings
from rung.reporting.knowledge import knowledge_sections
from rung.reporting.ladder import Line, build_ladder, pairs_by_weight
from rung.reporting.letters import clean, clip
from rung.reporting.marks import side_by_side
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.phrases import PairPhrase, Speaker
from rung.reporting.reading import Reading
from rung.reporting.stability import view_stability
from rung.reporting.training import view_trainings
from rung.reporting.words import Words

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&$])")
_ADDRESS = re.compile(r"(?i)(?<=[a-z]):(?=//)|(?<=\bwww)\.")
LONGEST = 300


def escape(text: str) -> str:
    """Text that Markdown shows as it is: on one line, with no markup, HTML, table cell or link of its own."""
    plain = " ".join(clean(text).split())
    return _ADDRESS.sub(lambda mark: "\\" + mark[0], _SPECIAL.sub(r"\\\1", plain))


def render_markdown(reading: Reading, words: Words) -> str:
    """The whole file: verdict, winner, table, pairs, before and after, what would change it, how to get it again."""
    ladder = build_ladder(reading, words)
    numbers = Numbers(words, reading.currency)
    say = Speaker(reading, ladder, words, numbers)
    parts = [
        f"# {escape(say.verdict())}",
        f"**{escape(reading.task.name)}** · {escape(say.when(str(reading.record.get('created', ''))))} · "
        + escape(words("page.run", id=reading.record.get("id", reading.run.path.name))),
        escape(say.reason()),
        *_winner(say),
        *_gate(say),
        f"## {escape(words('table.systems' if ladder.recorded else 'table.title'))}",
        _table(_head(say), [_row(line, say) for line in ladder.lines]),
        *_costs(say),
        *_pairs(say),
        *_dimensions(say),
        *_answers(say),
        *_diagnosis(say),
        *_stability(say),
        *_knowledge(say),
        *_trainings(say),
        *_aftermaths(say),
        *_list(words("change.title"), say.would_change()),
        f"## {escape(words('openings.title'))}",
        escape(say.openings()),
        *_facts(words("data.title"), data_facts(reading, words), words),
        "\n".join(f"- {escape(text)}" for _, text in findings(reading, words)),
        *_facts(words("again.title"), _command(reading, words) + again_facts(reading, words, numbers), words),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _winner(say: Speaker) -> list[str]:
    line = say.ladder.winner
    if line is None or line.standing is None:
        return []
    words, numbers = say.words, say.numbers
    facts = [
        Fact(say.crown(), line.name),
        Fact(words.metric(say.ladder.metric), numbers.quality(line.quality, say.ladder.metric)),
        Fact(words("card.cost"), numbers.money(line.standing.cost_per_1000)),
        Fact(words("table.latency"), " / ".join(say.latency(line))),
        Fact(words("card.training"), " · ".join(say.training(line))),
    ]
    return ["\n".join(_fact(fact, words) for fact in facts)]


def _head(say: Speaker) -> list[str]:
    words = say.words
    keys = ("table.dev", "table.answers", "table.cost", "table.latency", "table.training", "training.notes")
    return [
        words("table.system" if say.ladder.recorded else "table.rung"),
        words("table.quality", metric=words.metric(say.ladder.metric)),
        *(words(key) for key in keys),
    ]


def _row(line: Line, say: Speaker) -> list[str]:
    remarks = [text for _, text in say.flags(line)] + [text for text in [say.state(line)] if text]
    counted = line.standing or (line.evaluation.summaries.get(say.ladder.metric) if line.evaluation else None)
    answers = NONE
    if counted:
        kinds = [("scored", counted.scored), ("failed", counted.failed), ("unscored", counted.unscored)]
        answers = say.words.join([say.words(f"table.{kind}", n=f"{n:,}") for kind, n in kinds if n or kind == "scored"])
    return [
        line.name,
        say.numbers.quality(line.quality, say.ladder.metric),
        say.dev(line),
        answers,
        say.numbers.money(line.standing.cost_per_1000 if line.standing else None),
        " / ".join(say.latency(line)),
        " · ".join(say.training(line)),
        ("；" if say.words.language == "zh" else "; ").join(remarks),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell if cell == '---' else escape(cell) for cell in line)} |" for line in lines)


def _pairs(say: Speaker) -> list[str]:
    decision, comparison = say.reading.decision, say.reading.comparison
    if decision is None:
        return []
    with_winner, others = pairs_by_weight(say.reading)
    told = [_tested(say.pair(pair, decision), say) for pair in with_winner or others]
    told += [say.words.of(found.said) for found in (comparison.preferences if comparison else ())]
    return _list(say.words("pairs.title"), told)


def _tested(phrase: PairPhrase, say: Speaker) -> str:
    comparison = say.reading.comparison
    if comparison is None or phrase.p_holm is None:
        return phrase.sentence
    one, holm = map(say.numbers.p_value, (phrase.p_value, phrase.p_holm))
    return say.words("pairs.tested", sentence=phrase.sentence, one=one, holm=holm, n=len(comparison.pairs))


def _gate(say: Speaker) -> list[str]:
    gate = view_gate(say.reading.comparison, say.words, say.numbers)
    if gate is None:
        return []
    lines = [f"- **{escape(row.state)}** · {escape(row.text)}" for row in gate.rows]
    lead = f"**{escape(gate.verdict)}** {escape(gate.rule)}"
    return [f"## {escape(say.words('gate.title'))}", lead, "\n".join(lines)]


def _dimensions(say: Speaker) -> list[str]:
    sections = dimension_sections(say.reading.dimensions, say.words)
    parts = [f"## {escape(say.words('dimensions.title'))}"] if sections else []
    for section in sections:
        parts += [escape(section.lead), _table(section.head, [cells(line) for line in section.lines])]
    return parts


def _costs(say: Speaker) -> list[str]:
    found = ladder_costs(say.reading.costs, say.ladder, say.words, say.numbers)
    if found is None:
        return []
    words, money = say.words, say.numbers.money
    head = [words(key) for key in ("table.rung", "costs.month", "costs.training", "costs.serving", "costs.upkeep")]
    rows = [
        [row.name, *map(money, (m.total, m.training, m.serving, row.upkeep))]
        for row in found.rows
        for m in [row.line.monthly]
    ]
    told = "\n".join(f"- {escape(text)}" for text in [*found.even, *found.rest])
    return [f"## {escape(words('costs.title'))}", escape(found.summary), _table([*head], rows), told]


def _diagnosis(say: Speaker) -> list[str]:
    if say.reading.diagnosis is None:
        return []
    view = view_diagnosis(say.reading.diagnosis, say.words, say.numbers)
    told = [*view.missing, view.note, *view.retrieval, *view.cautions]
    return [
        f"## {escape(say.words('diagnosis.title'))}",
        f"**{escape(view.axis)}** · {escape(view.finding)}",
        escape(view.reason),
        escape(say.words("labelled", name=say.words("diagnosis.advice"), value=view.advice)),
        _table(view.arms.head, view.arms.rows),
        escape(view.matrix_lead),
        _table(view.matrix.head, view.matrix.rows) if view.matrix else "",
        "\n".join(f"- {escape(text)}" for text in told),
    ]


def _stability(say: Speaker) -> list[str]:
    found = say.reading.stability
    if found is None:
        return []
    view = view_stability(found, say.ladder.name(found.candidate), say.words, say.numbers)
    told = "\n".join(f"- {escape(text)}" for text in [*view.skipped, *view.notes])
    title = f"## {escape(say.words('stability.title'))}"
    return [title, escape(view.lead), escape(view.overall), _table(view.table.head, view.table.rows), told]


def _aftermaths(say: Speaker) -> list[str]:
    found, words = say.reading.aftermaths, say.words
    if not found and not say.reading.aftermath_missing:
        return []
    parts = [f"## {escape(words('aftermath.title'))}"]
    parts += [escape(words("aftermath.missing"))] if say.reading.aftermath_missing else []
    for one in found:
        view = view_aftermath(one, say.ladder.name(one.candidate), words, say.numbers)
        parts.append(escape(view.lead))
        parts += [text for part in view.parts for text in _aftermath_part(part)]
        parts += [escape(note) for note in view.notes]
    return parts


def _knowledge(say: Speaker) -> list[str]:
    parts = []
    for section in knowledge_sections(say.reading, say.ladder, say.words, say.numbers):
        parts += [f"## {escape(section.title)}", escape(section.lead)]
        parts += [text for part in section.parts for text in _aftermath_part(part)]
        parts += [escape(note) for note in section.notes]
    return parts


def _aftermath_part(part: Part) -> list[str]:
    tables = [_table(table.head, table.rows) for table in (part.table, part.more) if table is not None]
    first, *others = part.said
    return [f"### {escape(part.title)}", f"**{escape(first)}**", *map(escape, others), *tables]


def _trainings(say: Speaker) -> list[str]:
    told = [
        say.words("labelled", name=view.name, value=sentence)
        for view in view_trainings(say.ladder, say.words, say.numbers).values()
        for sentence in [*view.sentences, *(view.search.sentences if view.search else ())]
    ]
    return _list(say.words("training.title"), told)


def _answers(say: Speaker) -> list[str]:
    sides = side_by_side(say.reading, say.ladder)
    if sides is None:
        return []
    words = say.words
    head = [words("answers.question"), words("answers.reference"), *(line.name for line in sides.columns)]
    parts = [f"## {escape(words('answers.title_recorded' if sides.recorded else 'answers.title'))}"]
    for kind, questions in sides.by_kind():
        rows = []
        for question in questions:
            by_line = {given.line.candidate: given for given in question.given}
            cells = [clip(question.example.text, LONGEST), clip(" / ".join(question.example.references), LONGEST)]
            for line in sides.columns:
                given = by_line.get(line.candidate)
                said = NONE
                if given and given.answer.failure:
                    said = say.failure(given.answer.failure.kind)
                elif given:
                    said = clip(given.answer.text, LONGEST) or words("answers.empty")
                cells.append(words("labelled", name=words(f"mark.{given.mark}"), value=said) if given else said)
            rows.append(cells)
        parts += [f"### {escape(say.kind(kind, sides))}", _table(head, rows)]
    return parts


def _list(title: str, texts: Sequence[str]) -> list[str]:
    return [f"## {escape(title)}", "\n".join(f"- {escape(text)}" for text in texts)] if texts else []


def _fact(fact: Fact, words: Words) -> str:
    return f"- {escape(words('labelled', name=fact.label, value=fact.value))}"


def _facts(title: str, facts: Sequence[Fact], words: Words) -> list[str]:
    return [f"## {escape(title)}", "\n".join(_fact(fact, words) for fact in facts)] if facts else []


def _command(reading: Reading, words: Words) -> list[Fact]:
    command = reading.record.get("command")
    return [Fact(words("again.command"), str(command))] if command else []
