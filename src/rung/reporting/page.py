"""The page: one self-contained HTML file that loads nothing, runs nothing, and reads well on paper and on a phone."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.task import Language
from rung.reporting.aftermath import view_aftermath
from rung.reporting.aftermath_picture import draw_aftermath
from rung.reporting.charts import Pictures
from rung.reporting.comparison import view_gate
from rung.reporting.costs import ladder_costs
from rung.reporting.diagnosis import arm_name, view_diagnosis
from rung.reporting.dimensions import dimension_sections
from rung.reporting.facts import again_facts, data_facts, findings, glossary
from rung.reporting.knowledge import knowledge_sections
from rung.reporting.ladder import build_ladder, pairs_by_weight
from rung.reporting.letters import clean, clip
from rung.reporting.marks import EACH, side_by_side
from rung.reporting.mistakes import group_mistakes
from rung.reporting.numbers import Numbers
from rung.reporting.phrases import PairPhrase, Speaker
from rung.reporting.reading import Reading
from rung.reporting.stability import view_stability
from rung.reporting.training import view_trainings
from rung.reporting.words import Words

TEMPLATES = Path(__file__).with_name("templates")
LONGEST = 700
"""Characters of a question, an answer or a reference that the page shows."""


def render_page(reading: Reading, words: Words, pictures: Pictures) -> str:
    """The whole page as text."""
    ladder = build_ladder(reading, words)
    numbers = Numbers(words, reading.currency)
    say = Speaker(reading, ladder, words, numbers)
    trainings = view_trainings(ladder, words, numbers)
    return render(
        "report.html",
        words,
        numbers,
        say=say,
        reading=reading,
        decision=reading.decision,
        ladder=ladder,
        pictures=pictures,
        costs=ladder_costs(reading.costs, ladder, words, numbers),
        gate=view_gate(reading.comparison, words, numbers),
        dimensions=dimension_sections(reading.dimensions, words),
        pairs=_pairs(reading, say),
        sides=side_by_side(reading, ladder),
        each=EACH,
        mistakes=group_mistakes(reading, ladder),
        diagnosis=view_diagnosis(reading.diagnosis, words, numbers) if reading.diagnosis else None,
        arm_name=lambda name: arm_name(name, words),
        stability=view_stability(found, ladder.name(found.candidate), words, numbers)
        if (found := reading.stability)
        else None,
        aftermaths=[
            (view_aftermath(found, ladder.name(found.candidate), words, numbers), draw_aftermath(found, words, numbers))
            for found in reading.aftermaths
        ],
        knowledge=knowledge_sections(reading, ladder, words, numbers),
        aftermath_missing=reading.aftermath_missing,
        tuned=[
            line
            for line in ladder.lines
            if line.outcome and (line.outcome.trials or say.notes(line) or line.name in trainings)
        ],
        trainings=trainings,
        data=data_facts(reading, words),
        findings=findings(reading, words),
        again=again_facts(reading, words, numbers),
        terms=glossary(reading, ladder, words, numbers),
        version=(reading.record.get("versions") or {}).get("rung", ""),
    )


def render(template: str, words: Words, numbers: Numbers, **values: Any) -> str:
    """A page of ours: a template in the one style, with words `w` and numbers `num` at hand.

    Jinja escapes every value; the only raw parts are our own style sheet and the pictures, which `svg.tidy` has rebuilt from
    a list of allowed elements. The page has no script, and its policy names the style sheet by its hash.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters["clip"] = _clip(words)
    style = (TEMPLATES / "style.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(template).render(
        w=words, num=numbers, svg=Markup, style=Markup(style), style_hash=digest, along=along, **values
    )


def in_both(path: Path, language: Language) -> dict[Language, Path]:
    """Where a page lies in each language: `path` in this one, and beside it `<name>.<other>.<ending>`."""
    other: Language = "en" if language == "zh" else "zh"
    return {language: path, other: path.with_suffix(f".{other}{path.suffix}")}


@dataclass(frozen=True)
class PairRows:
    """Pairs in words, those with the winner first; `low` and `high` are the ends of the scale that all are drawn on."""

    first: list[PairPhrase]
    rest: list[PairPhrase]
    low: float
    high: float

    @property
    def tested(self) -> bool:
        return any(phrase.p_value is not None for phrase in [*self.first, *self.rest])

    @property
    def corrected(self) -> bool:
        return any(phrase.p_holm is not None for phrase in [*self.first, *self.rest])


def _pairs(reading: Reading, say: Speaker) -> PairRows:
    decision = reading.decision
    if decision is None:
        return PairRows([], [], 0.0, 1.0)
    with_winner, others = pairs_by_weight(reading)
    if not with_winner:
        with_winner, others = others, []
    first, rest = [say.pair(p, decision) for p in with_winner], [say.pair(p, decision) for p in others]
    ends = [v for p in [*first, *rest] for v in (p.difference.low, p.difference.high) if v is not None]
    low, high = min([*ends, -1.5 * decision.margin]), max([*ends, 1.5 * decision.margin])
    return PairRows(first, rest, low, high if high > low else low + 1.0)


def _clip(words: Words) -> Any:
    def shortened(text: str, length: int = LONGEST) -> str:
        if len(text) <= length:
            return text
        return clip(text, length).rstrip("…") + words("more", n=f"{len(text) - length + 1:,}")

    return shortened


def along(value: float | None, low: float, high: float) -> float:
    """Where a value lies between two ends, 0 to 1."""
    if value is None or high <= low:
        return 0.0
    return min(1.0, max(0.0, (value - low) / (high - low)))
