"""Which axis errors lie on: from what became of every question in every arm to a Diagnosis. It asks no model.

An arm's effect is (fixed - broken) less the control's, over the questions that plain, control and arm all scored, with a 95 %
interval that resamples whole groups (`stats.paired.compare`). An axis helps where the interval's lower end lies above 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Literal

import numpy as np

from rung.core.errors import DataError
from rung.core.evaluation import Answer
from rung.core.hashing import seed_from
from rung.core.task import Example
from rung.experiment.diagnosing.diagnosis_words import points, say
from rung.experiment.evaluate import number
from rung.experiment.sentences import join_names
from rung.metrics.scoring import mean_of_only_part
from rung.stats.bootstrap import DRAWS, Draws, guarded_interval, resample
from rung.stats.paired import compare
from rung.store.diagnosis import Arm, Axis, Diagnosis, Effect, Finding, Mark, MatrixCell, RetrievalFailures, Shown
from rung.store.records import Interval, Spend, Text

LEAST = 10
"""Questions that must be paired before anything is said."""
RIGHT_AT = 0.5
"""A score between 0 and 1 counts as right from here on, as it does in the report."""
ARMS = ("plain", "control", "gold", "format", "both")
_EXAMPLES = 5
_LONGEST = 300
_RUNGS: dict[Axis, tuple[str, ...]] = {
    "context": ("rag",),
    "behaviour": ("few_shot", "fine_tune"),
    "both": ("rag+fine_tune", "rag"),
}


@dataclass(frozen=True)
class ArmAnswers:
    """One arm: what became of each question, by id. A question without a mark could not be scored."""

    name: str
    source: Literal["asked", "copied", "recorded", "missing"]
    marks: Mapping[str, Mark] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    why_missing: Text | None = None

    @property
    def is_there(self) -> bool:
        return self.source != "missing"


def missing(name: str, key: str, **values: object) -> ArmAnswers:
    """An arm that nobody has answered, and why."""
    return ArmAnswers(name, "missing", why_missing=say(key, **values))


@dataclass(frozen=True)
class Subject:
    """What is diagnosed."""

    name: str
    metric: str
    questions: Sequence[Example]
    candidate: str = ""
    model: str = ""
    seed: int = 0
    split: str = "dev"
    outside: int = 0
    partly: bool = False
    """The metric gives scores between 0 and 1."""


def find_axis(
    subject: Subject,
    arms: Sequence[ArmAnswers],
    *,
    retrieval: Sequence[RetrievalFailures] = (),
    spent: Spend | None = None,
) -> Diagnosis:
    """The diagnosis over arms that answered the same questions.

    An arm that is missing leaves its axis not identified. Raises DataError E4203 where plain scored fewer than 10
    questions.
    """
    named = {arm.name: arm for arm in arms}
    plain = named["plain"]
    if len(plain.marks) < LEAST:
        raise DataError("E4203", n=len(plain.marks), least=LEAST)
    for name in ("control", "gold", "format", "both"):
        named.setdefault(name, missing(name, "missing_unrecorded"))
    named, effects = _effects(subject, named)
    findings = {name: _finding(effects.get(name)) for name in ("gold", "format")}
    control = named["control"]
    errors = [e.id for e in subject.questions if plain.marks.get(e.id, "right") != "right"]
    repeated = [id for id in errors if control.marks.get(id, "right") != "right"] if control.is_there else None
    axis = _axis(findings["gold"], findings["format"], effects.get("both"), len(errors))
    ordered = [*(named[name] for name in ARMS), *(arm for name, arm in named.items() if name not in ARMS)]
    return Diagnosis(
        name=subject.name,
        candidate=subject.candidate,
        model=subject.model,
        split=subject.split,
        metric=subject.metric,
        right_at=RIGHT_AT,
        draws=DRAWS,
        seed=subject.seed,
        n=len(plain.marks),
        groups=_group_count(subject, plain.marks),
        outside=subject.outside,
        arms=tuple(_arm(subject, arm) for arm in ordered),
        effects=tuple(effects.values()),
        context=findings["gold"],
        behaviour=findings["format"],
        axis=axis,
        errors=len(errors),
        repeated=None if repeated is None else len(repeated),
        matrix=() if repeated is None else _matrix(subject, named, repeated),
        retrieval=tuple(retrieval),
        reason=_reason(axis, findings, effects),
        advice=_advice(axis, retrieval),
        rungs=_RUNGS.get(axis, ()),
        cautions=_cautions(subject, named),
        spent=spent or Spend(),
    )


def _draw(subject: Subject, questions: Sequence[Example], arms: Sequence[ArmAnswers], *names: str) -> Draws:
    right = np.array([[float(arm.marks[e.id] == "right") for arm in arms] for e in questions])
    rng = np.random.default_rng(seed_from(subject.seed, "diagnosis", *names))
    return resample(right.reshape(len(questions), len(arms), 1), [e.group for e in questions], mean_of_only_part, rng)


def _group_count(subject: Subject, marks: Mapping[str, Mark]) -> int:
    return len({e.group or f"\0{e.id}" for e in subject.questions if e.id in marks})


def _arm(subject: Subject, arm: ArmAnswers) -> Arm:
    marks = list(arm.marks.values())
    share = Interval(point=None)
    if marks:
        drawn = _draw(subject, [e for e in subject.questions if e.id in arm.marks], [arm], arm.name)
        bounds = guarded_interval(drawn)
        share = Interval(point=number(drawn.point[0]), low=number(bounds.low[0]), high=number(bounds.high[0]))
    failed = sum(answer.failure is not None for id, answer in arm.answers.items() if arm.marks.get(id) == "refused")
    return Arm(
        name=arm.name,
        source=arm.source,
        why_missing=arm.why_missing,
        n=max(len(arm.answers), len(marks)),
        **{mark: marks.count(mark) for mark in ("right", "wrong", "refused")},
        failed=failed,
        unscored=max(0, len(arm.answers) - len(marks)),
        share=share,
    )


def _effects(subject: Subject, named: Mapping[str, ArmAnswers]) -> tuple[dict[str, ArmAnswers], dict[str, Effect]]:
    """Every arm's effect; an arm that shares too few questions with plain and control becomes a missing one."""
    arms, found = dict(named), {}
    control = named["control"] if named["control"].is_there else None
    for name, arm in named.items():
        if name in {"plain", "control"} or not arm.is_there:
            continue
        beside = [named["plain"], arm, *([control] if control else [])]
        questions = [e for e in subject.questions if all(e.id in part.marks for part in beside)]
        if len(questions) < LEAST:
            arms[name] = replace(arm, source="missing", why_missing=say("missing_too_few", least=LEAST))
            continue
        found[name] = _effect(subject, questions, arm, named["plain"], control)
    return arms, found


def _effect(
    subject: Subject, questions: Sequence[Example], arm: ArmAnswers, plain: ArmAnswers, control: ArmAnswers | None
) -> Effect:
    base = control or plain
    drawn = _draw(subject, questions, [arm, base], arm.name, base.name)
    bounds = compare(drawn)
    low = number(bounds.lower[0, 1])

    def turned(to: ArmAnswers, mark: bool) -> int:
        changed = [e for e in questions if (plain.marks[e.id] == "right") != (to.marks[e.id] == "right")]
        return sum((to.marks[e.id] == "right") is mark for e in changed)

    return Effect(
        arm=arm.name,
        n=len(questions),
        groups=int(drawn.units[0]),
        fixed=turned(arm, True),
        broken=turned(arm, False),
        control_fixed=turned(control, True) if control else 0,
        control_broken=turned(control, False) if control else 0,
        against="control" if control else "plain",
        effect=Interval(point=number(bounds.difference[0, 1]), low=low, high=number(bounds.upper[0, 1])),
        helps=low is not None and low > 0,
    )


def _finding(effect: Effect | None) -> Finding:
    if effect is None or effect.effect.low is None:
        return "not_identified"
    return "helps" if effect.helps else "does_not_help"


def _axis(gold: Finding, form: Finding, both: Effect | None, errors: int) -> Axis:
    if not errors:
        return "no_errors"
    if gold == form == "helps":
        return "both"
    if gold == "helps":
        return "context"
    if form == "helps":
        return "behaviour"
    if "not_identified" in {gold, form}:
        return "not_identified"
    return "both" if both is not None and both.helps else "neither"


def _matrix(subject: Subject, named: Mapping[str, ArmAnswers], repeated: Sequence[str]) -> tuple[MatrixCell, ...]:
    by_id = {example.id: example for example in subject.questions}
    cells: dict[tuple[bool | None, bool | None], list[str]] = {}
    known: dict[str, list[bool | None]] = {
        name: [True, False] if named[name].is_there else [None] for name in ("gold", "format")
    }
    for cell in product(known["gold"], known["format"]):
        cells[cell] = []
    for id in repeated:
        cells.setdefault((_mends(named["gold"], id), _mends(named["format"], id)), []).append(id)
    return tuple(
        MatrixCell(
            knowledge=knowledge,
            format=form,
            n=len(ids),
            by_both=sum(bool(_mends(named["both"], id)) for id in ids) if named["both"].is_there else None,
            ids=tuple(ids),
            examples=tuple(_shown(by_id[id], named) for id in ids[:_EXAMPLES]),
        )
        for (knowledge, form), ids in cells.items()
    )


def _mends(arm: ArmAnswers, id: str) -> bool | None:
    return arm.marks[id] == "right" if arm.is_there and id in arm.marks else None


def _shown(example: Example, named: Mapping[str, ArmAnswers]) -> Shown:
    answers = {name: arm.answers[example.id] for name, arm in named.items() if example.id in arm.answers}
    return Shown(
        id=example.id,
        question=_clipped(example.text),
        references=tuple(_clipped(reference) for reference in example.references[:3]),
        answers={name: f"[{a.failure.kind}]" if a.failure else _clipped(a.text) for name, a in answers.items()},
    )


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _reason(axis: Axis, findings: Mapping[str, Finding], effects: Mapping[str, Effect]) -> Text:
    told = {name: points(effect.effect, effect.n) for name, effect in effects.items()}
    neither_alone = axis == "both" and "helps" not in findings.values()
    said = [say("together" if neither_alone else axis, **told)]
    for name, finding in findings.items() if axis in {"context", "behaviour", "not_identified"} else ():
        if finding == "not_identified":
            said.append(say(f"{name}_missing"))
        elif finding == "does_not_help":
            said.append(say(f"{name}_no_help", **told))
    return join_names(said, sentence=True)


def _advice(axis: Axis, retrieval: Sequence[RetrievalFailures]) -> Text:
    said = [say(f"advise_{axis}")]
    for failures in retrieval:
        errors = failures.misses + failures.reading
        if errors and axis in {"context", "both", "neither"}:
            key = "advise_search" if 2 * failures.misses >= errors else "advise_reading"
            counts = {"errors": errors, "misses": failures.misses, "reading": failures.reading}
            said.append(say(key, name=failures.name, **counts))
    return join_names(said, sentence=True)


def _answered(named: Mapping[str, ArmAnswers]) -> list[ArmAnswers]:
    return [arm for arm in named.values() if arm.source in {"asked", "recorded"}]


def _cautions(subject: Subject, named: Mapping[str, ArmAnswers]) -> tuple[Text, ...]:
    found = []
    if not named["control"].is_there:
        found.append(say("no_control"))
    elif named["control"].source == "copied":
        found.append(say("trivial_control"))
    if subject.partly:
        found.append(say("threshold", metric=subject.metric, right_at=RIGHT_AT))
    failed = [(arm, sum(a.failure is not None for a in arm.answers.values())) for arm in _answered(named)]
    if any(n for _, n in failed):
        found.append(say("failures", arms=", ".join(f"{a.name} {n}/{len(a.answers)}" for a, n in failed if n)))
    if subject.outside:
        found.append(say("outside", n=subject.outside))
    return tuple(found)
