"""How a challenger stands in traffic: judged by what people said, in a test that may be looked at at any time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from rung.core.evaluation import Answer, Metric
from rung.core.task import Example
from rung.experiment.comparing.gate import points
from rung.experiment.evaluate import number
from rung.experiment.next_round.contest import say
from rung.experiment.next_round.review import Traffic
from rung.stats.anytime import AnytimeTest, paired_test, two_sample_test
from rung.stats.intervals import Floats
from rung.store.deployment import Challenger, Pointer
from rung.store.records import Interval
from rung.store.rounds import Trial
from rung.store.traffic.records import Feedback, Trace
from rung.text.normalise import normalise_label

_SILENT = -1
"""In place of the hash of an answer that failed."""


@dataclass(frozen=True)
class Judge:
    """What a word of a person makes of an answer."""

    metric: Metric

    def score(self, trace: Trace, word: Feedback) -> float | None:
        """0 to 1; None where nothing can be said. A correction is the reference; without one, the thumb is the score."""
        if word.corrected.strip():
            return self.against(trace, word.corrected)
        return None if word.rating == 0 else float(word.rating > 0)

    def against(self, trace: Trace, reference: str) -> float | None:
        """The metric's score of an answer against a reference; 0 for one that failed."""
        if trace.failure or not trace.answer:
            return 0.0
        example = Example(trace.id, dict(trace.inputs), (reference,))
        answer = Answer(trace.id, trace.answer, passages=trace.passages, citations=trace.citations)
        (score,) = self.metric.score([example], [answer])
        return min(1.0, max(0.0, score.value)) if score.status == "scored" else None


def judge_trial(traffic: Traffic, champion: Pointer, trial: Challenger, metric: Metric, *, margin: float) -> Trial:
    """Where a trial stands, from all traffic since it began. Reads it once, and may be called as often as anybody likes.

    canary: the mean score of the judged answers of either. shadow: the paired difference where both answers could be judged,
    by a correction, by a liked answer of the champion as the reference, or because both say the same. A champion's answer that was
    not liked says nothing of another one, so that a shadow is judged a little too hard rather than too kindly.
    """
    since = datetime.fromisoformat(trial.since)
    judge, words = Judge(metric), _words(traffic.feedback(since=since))
    own, others = _Side(words), _Side(words)
    for trace in traffic.traces(since=since):
        if _of(trace, trial.pointer) and trace.role in {"challenger", "shadow"}:
            own.take(trace, trace.parent or trace.id)
        elif _of(trace, champion) and trace.role == "champion":
            others.take(trace, trace.id)
    agreement = None
    if trial.mode == "shadow":
        both = own.said.keys() & others.said.keys()
        agreement = sum(own.said[id] == others.said[id] != _SILENT for id in both) / len(both) if both else None
        pairs = [(others.traces[id], shadow, words[id]) for id, shadow in own.traces.items() if id in others.traces]
        found = [_pair(judge, one, other, word) for one, other, word in pairs]
        test = paired_test(np.array([value for value in found if value is not None]), margin=margin)
    else:
        test = two_sample_test(own.scores(judge), others.scores(judge), margin=margin)
    told = {
        "difference": "–" if math.isnan(test.difference) else points(test.difference, sign=True),
        "low": points(test.low, sign=True),
        "high": points(test.high, sign=True),
        "margin": points(margin),
        "judged": test.first,
        "other": test.second,
    }
    return Trial(
        run=trial.run.name,
        candidate=trial.candidate,
        mode=trial.mode,
        share=trial.share,
        since=trial.since,
        answered=len(own.said),
        failed=own.failed,
        champion_answered=len(others.said),
        champion_failed=others.failed,
        agreement=agreement,
        judged=test.first,
        champion_judged=test.second,
        difference=_interval(test),
        verdict=test.verdict,
        said=say(f"trial_{test.verdict}", **told),
    )


class _Side:
    """The answers of one of the two, by the request that they are to, in the order in which they were asked for."""

    def __init__(self, words: Mapping[str, Feedback]) -> None:
        self._words = words
        self.said: dict[str, int] = {}
        """A hash of what every answer says: there may be millions."""
        self.traces: dict[str, Trace] = {}
        """Those on which somebody has said something, whole."""
        self.failed = 0

    def take(self, trace: Trace, request: str) -> None:
        if trace.cancelled:
            return
        self.said[request] = _SILENT if trace.failure else hash(normalise_label(trace.answer))
        self.failed += bool(trace.failure)
        if request in self._words:
            self.traces[request] = trace

    def scores(self, judge: Judge) -> Floats:
        found = [judge.score(trace, self._words[id]) for id, trace in self.traces.items()]
        return np.array([value for value in found if value is not None], dtype=np.float64)


def _of(trace: Trace, pointer: Pointer) -> bool:
    return (trace.run, trace.candidate) == (pointer.run.name, pointer.candidate)


def _words(feedback: Iterable[Feedback]) -> dict[str, Feedback]:
    """The last word on every answer."""
    return {word.trace: word for word in feedback if word.rating or word.corrected.strip()}


def _alike(one: Trace, other: Trace) -> bool:
    return not one.failure and not other.failure and normalise_label(one.answer) == normalise_label(other.answer)


def _pair(judge: Judge, champion: Trace, shadow: Trace, word: Feedback) -> float | None:
    """Shadow less champion, -1 to 1; None where the word does not tell."""
    if word.corrected.strip():
        one, other = judge.against(champion, word.corrected), judge.against(shadow, word.corrected)
        return None if one is None or other is None else other - one
    if _alike(champion, shadow):
        return 0.0
    if word.rating > 0 and champion.answer:
        against = judge.against(shadow, champion.answer)
        return None if against is None else against - 1.0
    return None


def _interval(test: AnytimeTest) -> Interval:
    return Interval(point=number(test.difference), low=number(test.low), high=number(test.high))
