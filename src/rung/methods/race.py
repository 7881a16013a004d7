"""The race: settings answer dev questions in growing blocks; clear losers leave, and a call budget thins out the rest.

Dev chooses and proves nothing, so the rule may be practical. Two rules work together. After each block a setting leaves that is
shown, at any-time validity, not to beat the leader over all of dev (`stats.sequential.lagging`; racing after Maron and Moore 1997
and Birattari et al. 2002, with a betting test in place of theirs). And what is left of the call budget is split evenly over the
blocks to come, each asked of as many of the best as its part pays for: sequential halving (Karnin, Koren and Somekh 2013, "Almost
optimal exploration in multi-armed bandits"; as successive halving in Jamieson and Talwalkar 2016) on questions that all share.
Calls that the first rule saves let more settings stay in the later blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from rung.stats.intervals import Floats
from rung.stats.sequential import lagging

Ask = Callable[[int, int, int], Floats]
"""(setting, start, stop) -> float [stop - start]: a setting's scores on questions start..stop of the race's order."""
Value = Callable[[int, int], float]
"""(setting, n) -> its score over the first n questions, higher is better."""


@dataclass(frozen=True)
class Rule:
    """How a race is run."""

    share: Fraction = Fraction(1, 3)
    """Calls that a large grid may take, as a share of asking every setting everything."""
    carried: int = 3
    """So many settings are always paid for to the end: a small grid gets at least their calls."""
    first: int = 8
    """Questions before anybody may leave, or fewer where the budget is small; each block then doubles what was asked."""
    alpha: float = 0.05
    """Chance that the one best setting leaves as a clear loser; 0: nobody leaves that way."""

    def calls(self, settings: int, questions: int) -> int:
        """The call budget of a grid."""
        return questions * min(settings, max(self.carried, int(self.share * settings)))

    def blocks(self, settings: int, questions: int, calls: int) -> list[range]:
        """The questions in blocks; the last one is not shorter than half of the one before."""
        # The first block, which everybody is asked, takes at most half of a budget that does not pay for everything.
        most = self.first if calls >= settings * questions else calls // settings // 2
        ends = [max(1, min(self.first, most, questions))]
        while ends[-1] * 2 < questions:
            ends.append(ends[-1] * 2)
        if len(ends) > 1 and questions - ends[-1] < (ends[-1] - ends[-2]) / 2:
            ends.pop()
        starts = [0, *ends]
        return [range(a, b) for a, b in zip(starts, [*ends, questions], strict=True) if a < min(b, questions)]


EXHAUSTIVE = Rule(share=Fraction(1), first=1_000_000, alpha=0.0)
"""Every setting answers everything."""


class Spent(Exception):
    """Raised by `ask` when there is no more time: the race ends with what it knows."""


@dataclass(frozen=True)
class Finish:
    """Where a race ended."""

    winner: int
    asked: tuple[int, ...]
    """Questions that each setting answered."""
    stopped: bool = False
    """The budget ended it; a longer race might name another winner."""
    left: tuple[int, ...] = field(default=())
    """Settings in the order in which they left; the winner comes last."""

    @property
    def calls(self) -> int:
        return sum(self.asked)


def race(
    ask: Ask,
    settings: int,
    questions: int,
    *,
    rule: Rule | None = None,
    value: Value | None = None,
    calls: int | None = None,
    leaves: Callable[[int, int], None] = lambda setting, n: None,
) -> Finish:
    """Race settings 0..settings on the same questions, in order; of equals the earlier one, taken as cheaper, stays.

    `ask` returns scores in [0, 1] and may raise Spent, though not at its first call; scores outside that range are not tested,
    only ranked. `value` ranks the settings of a metric that is no mean, and nobody is tested then; without it the mean score does.
    `calls`: a call budget in place of the rule's; one question is asked of everybody whatever it is. `leaves(setting, n)` is called once for each
    setting, when it leaves after n questions. The result depends on the scores alone.

    Raises ValueError without settings or questions.
    """
    if settings < 1 or questions < 1:
        raise ValueError(f"no race of {settings} settings on {questions} questions")
    rule = rule or Rule()
    table = np.full((questions, settings), np.nan)
    left_calls = rule.calls(settings, questions) if calls is None else calls
    running = list(range(settings))
    blocks = rule.blocks(settings, questions, left_calls)
    asked = [0] * settings
    gone: list[int] = []

    def standing(place: int, n: int) -> float:
        return value(place, n) if value else float(table[:n, place].mean())

    def best_first(places: Sequence[int], n: int) -> list[int]:
        return sorted(places, key=lambda place: (-standing(place, n), place))

    def leave(places: Sequence[int]) -> None:
        for place in places:
            running.remove(place)
            gone.append(place)
            leaves(place, asked[place])

    stopped = False
    for number, block in enumerate(blocks):
        if number and left_calls < len(running) * (questions - block.start):
            affordable = max(1, left_calls // (len(blocks) - number) // len(block))
            too_many = best_first(running, block.start)[affordable:]
            leave([place for place in running if place in too_many])
        if number and len(running) == 1:
            break
        try:
            for place in running:
                table[block.start : block.stop, place] = ask(place, block.start, block.stop)
                left_calls -= len(block)
                asked[place] = block.stop
        except Spent:
            stopped = True
            break
        if value is None:
            leave(list(_clear_losers(table[: block.stop], running, rule, settings, questions)))
    # A block that was broken off leaves some settings ahead of others: they are compared on what all have answered.
    reached = [place for place in running if asked[place]]
    winner = best_first(reached, min(asked[place] for place in reached))[0]
    leave([place for place in reached if place != winner])
    leave([winner])
    return Finish(winner, tuple(asked), stopped, tuple(gone))


def _clear_losers(table: Floats, running: Sequence[int], rule: Rule, settings: int, questions: int) -> Iterator[int]:
    scores = table[:, list(running)]
    if not rule.alpha or len(running) < 2 or scores.min() < 0.0 or scores.max() > 1.0:
        return
    found = lagging(scores, alpha=rule.alpha, rivals=settings - 1, population=questions)
    yield from (place for place, lags in zip(running, found, strict=True) if lags)
