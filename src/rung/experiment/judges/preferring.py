"""Pairs of systems before a judge that is licensed for preferences: win rates, and how far the order swayed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from rung.core.evaluation import Answer, Evaluation
from rung.core.method import Progress, Silent
from rung.core.task import Example
from rung.experiment.judges.calibrate import mean_interval
from rung.experiment.judges.judging import say, withheld
from rung.experiment.sentences import join_names, percent_text
from rung.metrics.judge import Judge, Preference
from rung.store.comparison import PreferenceRecord
from rung.store.judging import Licence
from rung.store.records import Interval, Text
from rung.store.runs import RunFolder


@dataclass(frozen=True)
class JudgedPairs:
    """What a judge prefers, or why that is not shown."""

    preferences: tuple[PreferenceRecord, ...] = ()
    notes: tuple[Text, ...] = ()


def judge_pairs(run: RunFolder, judge: Judge, licence: Licence, *, progress: Progress | None = None) -> JudgedPairs:
    """Ask a licensed judge about every pair of systems of a comparison; without its licence it is not asked.

    Equal answers are a tie without asking. Raises InterruptedRun E4003 at the judge's limit on money.
    """
    reason = withheld(judge, "prefer", licence, "overall")
    if reason is not None:
        return JudgedPairs(notes=(reason,))
    examples = {example.id: example for example in run.read_examples("test")}
    systems = [found for outcome in run.outcomes() if (found := run.read_evaluation(outcome.candidate, "test"))]
    pairs = combinations(systems, 2)
    return JudgedPairs(tuple(_pair(judge, examples, first, second, progress or Silent()) for first, second in pairs))


def _pair(
    judge: Judge, examples: dict[str, Example], first: Evaluation, second: Evaluation, progress: Progress
) -> PreferenceRecord:
    groups = [row.group or row.answer.example for row in first.rows]
    answers = [(a.answer, b.answer) for a, b in zip(first.rows, second.rows, strict=True)]
    said = _preferences(judge, examples, answers, progress)
    usable = [(p, group) for p, group in zip(said, groups, strict=True) if p is None or p.failure is None]
    # What nobody was asked about says nothing on how the order sways.
    asked, places = [p for p, _ in usable if p], [group for p, group in usable if p]
    won = Counter(p.winner if p else "tie" for p, _ in usable)
    worth = [p.score().value if p else 0.5 for p, _ in usable]
    rate = mean_interval(worth, [group for _, group in usable], 0.0, 1.0)
    lean = mean_interval([p.lean for p in asked], places, -1.0, 1.0)
    swayed = mean_interval([float(p.swayed) for p in asked], places, 0.0, 1.0)
    failed = len(said) - len(usable)
    names, counts = [first.header.model, second.header.model], [won["first"], won["second"]]
    share, ends = rate.point, [rate.low, rate.high]
    if share is not None and share < 0.5:
        # In words the one that is preferred comes first.
        share, ends = 1 - share, [None if end is None else 1 - end for end in reversed(ends)]
        names, counts = names[::-1], counts[::-1]
    values = {
        "judge": judge.model.ref.id,
        "first": names[0],
        "second": names[1],
        "n": f"{len(usable):,}",
        "rate": _percent(share),
        "low": _percent(ends[0]),
        "high": _percent(ends[1]),
        "wins": counts[0],
        "ties": won["tie"],
        "losses": counts[1],
        "swayed": _percent(swayed.point),
    }
    lines = [say("prefers", **values), *_leaning(lean), *([say("unanswered", failed=f"{failed:,}")] if failed else [])]
    return PreferenceRecord(
        first=first.header.model,
        second=second.header.model,
        judge=judge.model.ref.id,
        wins=won["first"],
        ties=won["tie"],
        losses=won["second"],
        failed=failed,
        win_rate=rate,
        position_bias=lean,
        swayed=swayed,
        said=join_names(lines, sentence=True),
    )


def _preferences(
    judge: Judge, examples: dict[str, Example], answers: Sequence[tuple[Answer, Answer]], progress: Progress
) -> list[Preference | None]:
    """In order; None for two equal answers, of which nobody can prefer one."""
    equal = [a.failure is None and b.failure is None and a.text.strip() == b.text.strip() for a, b in answers]
    asked = [pair for pair, same in zip(answers, equal, strict=True) if not same]
    first, second = [a for a, _ in asked], [b for _, b in asked]
    replies = iter(judge.prefer([examples[answer.example] for answer in first], first, second, progress))
    return [None if same else next(replies) for same in equal]


def _leaning(lean: Interval) -> list[Text]:
    """A word of caution where the judge is shown to lean to one place."""
    if lean.point is None or lean.low is None or lean.high is None or lean.low <= 0 <= lean.high:
        return []
    return [say("leans", side=say("first" if lean.point > 0 else "second"), lean=f"{lean.point:+.2f}")]


def _percent(value: float | None) -> str:
    return "–" if value is None else percent_text(value)
