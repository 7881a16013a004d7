"""A quality check as text: the short of it for a terminal, and all of it as Markdown, without pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rung.core.task import Language
from rung.data.quality.record import Quality
from rung.reporting.letters import clean, clip, one_line, wrap
from rung.reporting.markdown import escape
from rung.reporting.quality import QualityTeller, percent, some

_LONG = 400


def quality_text(quality: Quality, language: Language, *, columns: int = 100, rows: int = 5) -> str:
    """The short of it for a terminal: the headline, what stands out, the first rows to look at."""
    told = QualityTeller(quality, language)
    lines = [told.title, *wrap(told.headline, columns), *wrap(told.lead, columns), ""]
    for note, said, hint in told.findings:
        lines += _hung(f"{told.word(f'level_{note.level}')}: ", f"{said} [{note.code}]", columns)
        lines += _hung("    ", hint, columns) if hint else []
    lines += [] if told.findings else [told.word("no_findings")]
    if told.rows:
        lines += ["", told.word("rows")]
        for row in told.rows[:rows]:
            label = f"{clip(row.answer, 60)} -> {row.suggested}" if row.suggested else clip(row.answer, 60)
            lines += _hung("  ", f"{row.id}  {one_line(row.text, 120)}  [{one_line(label)}]", columns)
            lines += _hung("      ", " ".join(row.reasons), columns)
    return clean("\n".join(lines)) + "\n"


def _hung(mark: str, text: str, columns: int) -> list[str]:
    first, *rest = wrap(text, columns - len(mark)) or [""]
    return [mark + first, *(" " * max(4, len(mark) - len(mark.lstrip())) + line for line in rest)]


def quality_markdown(quality: Quality, language: Language) -> str:
    """The same as Markdown, without pictures."""
    told = QualityTeller(quality, language)
    parts = [f"# {escape(told.title)}", f"**{escape(told.headline)}**", escape(told.lead)]
    for title, blocks in _sections(told):
        parts += [f"## {escape(title)}", *blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def _sections(told: QualityTeller) -> Iterator[tuple[str, list[str]]]:
    word, quality = told.word, told.quality
    findings = [f"{said} {hint}".strip() for _, said, hint in told.findings] or [word("no_findings")]
    yield word("findings"), [_list(findings)]
    head = [
        word("row"),
        word("text"),
        word("label" if quality.kind == "label" else "answer"),
        word("suggested"),
        word("why"),
    ]
    rows = [
        [row.id, clip(row.text, _LONG), clip(row.answer, _LONG), row.suggested, " ".join(row.reasons)]
        for row in told.rows
    ]
    yield word("rows"), [escape(told.rows_lead), _table(head, rows) if rows else "", escape(told.rows_test)]
    yield word("accuracy"), list(_accuracy(told))
    yield word("variety"), list(_variety(told))
    yield word("volume"), list(_volume(told))
    yield word("skipped"), [_list(told.skipped), escape(told.also)]


def _accuracy(told: QualityTeller) -> Iterator[str]:
    word, errors = told.word, told.quality.labels
    yield _list([f"{name}: {figure} ({basis})" for name, figure, basis in told.label_stats])
    yield "\n\n".join(escape(note) for note in told.label_notes)
    if errors and errors.confusions:
        yield f"### {escape(word('confusions'))}"
        yield _table(
            [word("given"), word("suggested"), word("n")], [[c.given, c.suggested, str(c.n)] for c in errors.confusions]
        )
    yield f"### {escape(word('conflicts'))}"
    yield escape(told.conflicts_lead)
    yield _list(
        [
            f"{some(c.ids)}: {one_line(c.text)} | {' | '.join(map(one_line, c.answers))}"
            for c in told.quality.conflict_list
        ]
    )
    yield f"### {escape(word('personal'))}"
    yield escape(told.personal)
    if told.agreement:
        yield f"### {escape(word('agreement'))}"
        yield escape(told.agreement)
    if told.faults:
        yield f"### {escape(word('faults'))}"
        yield _table([word("fault"), word("found"), word("looked_at"), word("rows_named")], told.faults)


def _variety(told: QualityTeller) -> Iterator[str]:
    word, diversity = told.word, told.quality.diversity
    yield _list([told.words("labelled", name=fact.label, value=fact.value) for fact in told.variety_facts])
    yield _list([said for said, _ in told.lengths])
    if diversity.topics:
        yield f"### {escape(word('topics'))}"
        yield escape(told.topics_lead)
        head = ["", word("words"), word("n"), word("share"), word("example")]
        rows = [
            [str(t.number), told.words.join([*t.words]), f"{t.n:,}", percent(t.share), t.example]
            for t in diversity.topics.topics
        ]
        yield _table(head, rows)
    if told.coverage:
        yield f"### {escape(word('coverage'))}"
        yield _list(told.coverage)


def _volume(told: QualityTeller) -> Iterator[str]:
    word, volume = told.word, told.quality.volume
    if volume.labels:
        yield escape(told.labels_lead)
        yield f"### {escape(word('rarest'))}"
        yield _table([word("label"), word("n"), word("test_rows"), word("doubted")], told.rarest)
    if volume.curve:
        yield f"### {escape(word('curve'))}"
        yield escape(told.curve_lead)
        yield escape(told.curve_said)
    if not volume.labels:
        yield escape(told.headline)


def _list(texts: Sequence[str]) -> str:
    return "\n".join(f"- {escape(text)}" for text in texts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[escape(cell) for cell in head], ["---"] * len(head), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
