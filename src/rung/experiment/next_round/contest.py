"""May a new candidate take the champion's place? Paired on the same test questions, as a whole and slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import DataError
from rung.core.evaluation import Evaluation, Metric
from rung.core.hashing import seed_from
from rung.core.task import Example, OutputKind
from rung.experiment.comparing.gate import points
from rung.experiment.comparing.pairs import parts_of
from rung.experiment.evaluate import number
from rung.experiment.kept_run import KeptRun
from rung.experiment.sentences import Sentences, plain
from rung.stats.bootstrap import resample
from rung.stats.intervals import Floats
from rung.stats.noninferior import non_inferiority
from rung.stats.paired import compare
from rung.store.records import Interval, Text
from rung.store.rounds import Contest, Shown, Side, Slice
from rung.text.script import language_of

say = Sentences(Path(__file__).with_name("next_round.json"))
ALPHA = 0.05
LEAST = 10
"""Questions below which a slice says nothing."""
_MOST_SLICES = 40


@dataclass(frozen=True)
class Corner:
    """A candidate of a run."""

    kept: KeptRun
    candidate: str

    def test(self) -> Evaluation:
        """Raises DataError E7121 where it was not evaluated on test."""
        found = self.kept.evaluation(self.candidate, "test")
        if found is None:
            raise DataError("E7121", run=self.kept.run.path, candidate=self.candidate)
        return found


def contest(champion: Corner, new: Corner) -> Contest:
    """The verdict on a new candidate.

    It passes where the 95 % lower bound of (new - champion) lies above -margin, its own score is not the lower one, no slice is shown
    to be worse, and it fails on no more questions than the task allows. Raises DataError E7121 where one of them was not evaluated,
    E7122 where their test questions differ.
    """
    old_test, new_test = champion.test(), new.test()
    ids = [row.answer.example for row in old_test.rows]
    if ids != [row.answer.example for row in new_test.rows] or old_test.header.split_hash != new_test.header.split_hash:
        raise DataError("E7122", old=champion.kept.run.path, new=new.kept.run.path)
    task, metric = champion.kept.task, champion.kept.metric
    parts = np.stack([parts_of(new_test, metric), parts_of(old_test, metric)], axis=1)
    joint: NDArray[np.bool_] = np.asarray(~np.isnan(parts).any(axis=(1, 2)))
    parts[~joint] = np.nan
    groups = [row.group for row in old_test.rows]
    drawn = resample(
        parts, groups, metric.aggregate, np.random.default_rng(seed_from("contest", *ids[:1], new.candidate))
    )
    bounds = compare(drawn)
    difference, low, high = (float(m[0, 1]) for m in (bounds.difference, bounds.lower, bounds.upper))
    examples = {example.id: example for example in champion.kept.run.read_examples("test")}
    named = list(_slices([examples.get(id) for id in ids], task.output.kind))
    slices = tuple(_sliced(named, parts, joint, groups, metric))
    limit = task.constraints.max_failure_share
    failed = new_test.summaries[metric.name].failed
    shown = _shown(difference, low, high, task.margin)
    reasons = list(_reasons(shown, difference, low, task.margin, int(joint.sum())))
    passed = shown in {"better", "not_worse"} and difference >= 0
    if failed > limit * len(ids):
        passed = False
        reasons.append(say("failing", failed=failed, n=len(ids), limit=f"{100 * limit:g}"))
    for part in slices:
        if part.regresses:
            passed = False
            told = {"name": part.name, "difference": points(part.difference.point or 0.0, sign=True), "n": part.n}
            reasons.append(say("slice", **told))
    return Contest(
        metric=metric.name,
        n=int(joint.sum()),
        margin=task.margin,
        champion=_side(champion, old_test, metric, drawn.point[1]),
        new=_side(new, new_test, metric, drawn.point[0]),
        difference=Interval(point=number(difference), low=number(low), high=number(high)),
        shown=shown,
        slices=slices,
        passed=passed,
        reasons=tuple(reasons),
    )


def _side(corner: Corner, test: Evaluation, metric: Metric, score: float) -> Side:
    failed = test.summaries[metric.name].failed
    return Side(run=corner.kept.run.path.name, candidate=corner.candidate, score=number(score), failed=failed)


def _shown(difference: float, low: float, high: float, margin: float) -> Shown:
    if low > 0:
        return "better"
    if low > -margin:
        return "not_worse"
    return "worse" if high < 0 else "open"


def _reasons(shown: Shown, difference: float, low: float, margin: float, n: int) -> Iterator[Text]:
    told = {
        "difference": points(difference, sign=True),
        "low": points(low, sign=True),
        "margin": points(margin),
        "n": n,
    }
    yield say(shown, **told)
    if shown == "not_worse" and difference < 0:
        # Round after round of "no worse by the margin" would walk downhill.
        yield say("lower", **told)


def _sliced(
    named: Sequence[tuple[Text, list[int]]],
    parts: Floats,
    joint: NDArray[np.bool_],
    groups: Sequence[str],
    metric: Metric,
) -> Iterator[Slice]:
    there = [(name, kept) for name, rows in named if len(kept := [i for i in rows if joint[i]]) >= LEAST]
    there = sorted(there, key=lambda part: -len(part[1]))[:_MOST_SLICES]
    for name, rows in there:
        rng = np.random.default_rng(seed_from("slice", name.en))
        drawn = resample(parts[rows], [groups[i] for i in rows], metric.aggregate, rng, draws=4_000)
        found = non_inferiority(drawn, margin=0.0, alpha=ALPHA / len(there))
        # Seen from the champion, the same bound from above.
        high = -float(found.lower[1, 0])
        point = float(found.difference[0, 1])
        low = float(found.lower[0, 1])
        interval = Interval(point=number(point), low=number(low), high=number(high))
        yield Slice(name=name, n=len(rows), difference=interval, regresses=bool(high < 0))


def _slices(examples: Sequence[Example | None], kind: OutputKind) -> Iterator[tuple[Text, list[int]]]:
    """Parts of the questions by label, document, language and length; one that holds all of them is no part."""
    found: dict[str, tuple[Text, list[int]]] = {}
    lengths = sorted(len(example.asked) for example in examples if example)
    middle = lengths[len(lengths) // 2] if lengths else 0
    for i, example in enumerate(examples):
        if example is None:
            continue
        names = {
            "long" if len(example.asked) > middle else "short": say(
                "of_length_long" if len(example.asked) > middle else "of_length_short"
            )
        }
        language = language_of(example.text)
        names[f"language {language}"] = say(f"of_language_{language}")
        if kind == "label" and example.references:
            names[f"label {example.references[0]}"] = say("of_label", name=plain(example.references[0]))
        for document in example.documents[:1]:
            names[f"document {document}"] = say("of_document", name=plain(document))
        for key, name in names.items():
            found.setdefault(key, (name, []))[1].append(i)
    known = sum(example is not None for example in examples)
    for name, rows in found.values():
        if len(rows) < known:
            yield name, rows
