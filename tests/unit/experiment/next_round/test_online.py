"""How a trial stands: canary by judged answers, shadow by pairs, and nothing claimed early."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.hashing import seed_from
from rung.core.registry import create
from rung.core.task import OutputSpec, Task
from rung.experiment.next_round.online import judge_trial
from rung.store.deployment import Challenger, Pointer
from rung.store.rounds import Trial
from rung.store.traffic.records import Feedback, Trace

TASK = Task(
    name="t", instruction="i", inputs=("q",), output=OutputSpec(kind="label", labels=("a", "b")), metrics=("accuracy",)
)
OLD, NEW = Pointer(Path("runs/old"), "c1"), Pointer(Path("runs/new"), "c2")
START = datetime(2026, 5, 1, tzinfo=UTC)


class Heard:
    def __init__(self) -> None:
        self.all: list[Trace] = []
        self.words: list[Feedback] = []

    def trace(self, id: str, tenant: str | None = None) -> Trace | None:
        raise AssertionError("a trial reads traffic once")

    def traces(self, since: datetime | None = None) -> Iterable[Trace]:
        return [trace for trace in self.all if since is None or trace.at >= since]

    def feedback(self, since: datetime | None = None) -> Iterable[Feedback]:
        return [word for word in self.words if since is None or word.at >= since]

    def answered(self, pointer: Pointer, role: Any, answer: str, *, parent: str = "", failure: str = "") -> str:
        id = f"rq-{len(self.all)}"
        at = START + timedelta(seconds=len(self.all))
        self.all.append(
            Trace(
                id,
                at,
                run=pointer.run.name,
                candidate=pointer.candidate,
                role=role,
                parent=parent,
                answer=answer,
                failure=failure,
            )
        )
        return id

    def said(self, trace: str, rating: Any = 0, corrected: str = "") -> None:
        at = START + timedelta(days=1, seconds=len(self.words))
        self.words.append(Feedback(f"fb-{len(self.words)}", trace, at, rating=rating, corrected=corrected))


def stands(heard: Heard, mode: Any) -> Trial:
    trial = Challenger(NEW.run, NEW.candidate, mode, 0.3, since=START.isoformat())
    return judge_trial(heard, OLD, trial, create("metric", "accuracy", task=TASK), margin=0.05)


def test_a_canary_that_is_liked_less_is_shown_to_be_worse() -> None:
    heard, rng = Heard(), np.random.default_rng(seed_from("canary"))
    for n in range(1500):
        who, role, share = (NEW, "challenger", 0.55) if n % 3 == 0 else (OLD, "champion", 0.9)
        heard.said(heard.answered(who, role, "a"), rating=1 if rng.random() < share else -1)
    found = stands(heard, "canary")
    assert (found.verdict, found.answered, found.judged) == ("worse", 500, 500)
    assert "Stop the trial" in found.said.en
    assert found.difference.high is not None
    assert found.difference.high < 0


def test_few_answers_prove_nothing_and_others_traffic_is_not_counted() -> None:
    heard = Heard()
    heard.said(heard.answered(NEW, "challenger", "a"), rating=1)
    heard.said(heard.answered(OLD, "champion", "a"), rating=-1)
    heard.answered(Pointer(Path("runs/other"), "c9"), "champion", "a")
    heard.answered(NEW, "challenger", "", failure="timeout")
    found = stands(heard, "canary")
    assert (found.verdict, found.answered, found.failed, found.champion_answered) == ("open", 2, 1, 1)
    nothing = stands(Heard(), "canary")
    assert nothing.verdict == "open"
    assert nothing.difference.point is None


def test_a_correction_scores_both_answers_of_a_shadow() -> None:
    heard = Heard()
    for n in range(400):
        asked = heard.answered(OLD, "champion", "b" if n % 4 == 0 else "a")
        heard.answered(NEW, "shadow", "a", parent=asked)
        heard.said(asked, corrected="a")
    found = stands(heard, "shadow")
    assert found.verdict == "better"
    assert (found.agreement, found.judged, found.difference.point) == (0.75, 400, 0.25)


def test_a_thumb_judges_a_shadow_only_where_it_tells() -> None:
    heard = Heard()
    for answer, other, rating in (("a", "A", -1), ("a", "b", 1), ("a", "b", -1), ("a", "b", 0)):
        asked = heard.answered(OLD, "champion", answer)
        heard.answered(NEW, "shadow", other, parent=asked)
        heard.said(asked, rating=rating)
    found = stands(heard, "shadow")
    # Alike: no difference. Liked and not alike: the shadow is wrong. Not liked and not alike: nobody knows.
    assert (found.judged, found.difference.point) == (2, -0.5)
