"""What a run's documents can give, as sections of its report: ceilings, rewriting, health, and what poisoned documents do."""

from __future__ import annotations

from rung.reporting.attack import view_attack
from rung.reporting.ceilings import view_ceilings
from rung.reporting.health import view_health
from rung.reporting.ladder import Ladder
from rung.reporting.numbers import Numbers
from rung.reporting.reading import Reading
from rung.reporting.rewriting import view_rewriting
from rung.reporting.sections import Section
from rung.reporting.words import Words


def knowledge_sections(reading: Reading, ladder: Ladder, words: Words, numbers: Numbers) -> list[Section]:
    """Those that were measured, in the order in which they are read."""
    rewriting = view_rewriting(ladder, words, numbers)
    found = [view_ceilings(reading.ceilings, ladder.name, words, numbers)] if reading.ceilings else []
    found += [rewriting] if rewriting else []
    found += [view_health(reading.health, words, numbers)] if reading.health else []
    attacks = reading.attacks[:1]
    return found + [view_attack(one, ladder.name(one.candidate), words, numbers) for one in attacks]
