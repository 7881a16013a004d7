"""A look at the traffic: quiet where nothing has changed, and naming the cause where something has."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from traffic_store import a_word
from watched_run import NOW, World, label_candidate, relabelled, write_watched_run

from rung.core.candidate import Candidate
from rung.core.errors import UsageError
from rung.core.evaluation import Answer, Row
from rung.core.model import Failure
from rung.core.task import Example
from rung.monitoring.alarms import watch_answers, watch_questions, watch_running
from rung.monitoring.baseline import Baseline, read_baseline
from rung.monitoring.gauges import drift_gauges
from rung.monitoring.judging import judge
from rung.monitoring.sample import Counting, Sample, document_of
from rung.monitoring.watch import Look, watch
from rung.store.runs import RunFolder
from rung.store.traffic.database import Traffic
from rung.store.traffic.records import Trace
from rung.store.watch import Watch

WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Candidate, Baseline]:
    run, candidate = write_watched_run(tmp_path_factory.mktemp("runs") / "topics")
    return run, candidate, read_baseline(run, candidate.id)


def looked(baseline: Baseline, traces: list[Trace], folder: Path, *, texts: bool = True, **how: Any) -> Watch:
    with Traffic.open(folder / "traffic.sqlite", texts=texts) as traffic:
        traffic.add_traces(traces)
        return watch(traffic, baseline, Look(NOW - WEEK, NOW, **how))


def causes(found: Watch) -> set[tuple[str, str]]:
    return {(alarm.cause, alarm.about) for alarm in found.alarms}


def state(found: Watch, name: str) -> str:
    return next(measure.status for measure in found.measures if measure.name == name)


def simulated(world: World, n: int) -> Sample:
    """As `Counting.traffic` makes them, without a database."""
    return Counting.of(label_candidate()).traffic(world.traces(n, "c", fails=0.02))


def test_without_drift_it_rings_at_most_as_often_as_it_says() -> None:
    """100 worlds: test and traffic alike in all that is tested at once."""
    alpha, rang, looks = 0.05, 0, 100
    for seed in range(looks):
        world = World(seed)
        before, now = simulated(world, 100), simulated(world, 200)
        times = np.array([world.seconds() for _ in range(40)])
        baseline = Baseline(
            RunFolder(Path("none")), label_candidate(), before, float(np.quantile(times, 0.95)), 40, index=""
        )
        watched = [
            *watch_questions(before, now, None, texts=True),
            *watch_answers(before, now),
            *watch_running(baseline, now),
        ]
        found = judge(watched, alpha)
        assert found.tests > 8
        rang += bool(found.alarms)
    assert rang / looks <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / looks)


def test_the_same_kind_of_traffic_is_quiet(proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path) -> None:
    _, candidate, baseline = proved
    found = looked(baseline, World(7).traces(400, candidate.id), tmp_path)
    assert found.alarms == ()
    assert (found.answers, found.proved_on, len(found.days)) == (400, 300, 8)
    assert sum(day.answers for day in found.days) == 400
    assert state(found, "labels") == "steady"
    assert state(found, "feedback") == "too_little"


@pytest.mark.parametrize(
    ("how", "cause", "about"),
    [
        ({"longer": 2.0}, "input_longer", ""),
        ({"longer": 0.5}, "input_shorter", ""),
        ({"chinese": 0.5}, "language_up", "zh"),
        ({"slower": 3.0}, "slower", ""),
        ({"fails": 0.15}, "failures_up", "timeout"),
    ],
)
def test_planted_drift_is_found_and_its_cause_named(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path, how: dict[str, float], cause: str, about: str
) -> None:
    _, candidate, baseline = proved
    found = looked(baseline, World(8).traces(400, candidate.id, **how), tmp_path)
    assert (cause, about) in causes(found)
    alarm = next(alarm for alarm in found.alarms if alarm.cause == cause)
    assert alarm.p is not None
    assert alarm.p <= found.alpha
    assert alarm.n_now > 300


def test_a_label_that_rises_is_named_with_its_numbers(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    _, candidate, baseline = proved
    traces = relabelled(World(9).traces(400, candidate.id), "rent", "noise", every=3)
    found = looked(baseline, traces, tmp_path)
    alarm = next(alarm for alarm in found.alarms if (alarm.cause, alarm.about) == ("label_up", "noise"))
    assert alarm.before is not None
    assert alarm.now is not None
    assert alarm.low is not None
    assert alarm.high is not None
    assert alarm.before < 0.1 < alarm.now
    assert 0 < alarm.low < alarm.now - alarm.before < alarm.high
    assert state(found, "input_length") == "steady"


def test_a_new_language_and_questions_about_something_else_are_found(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    _, candidate, baseline = proved
    traces = World(10).traces(400, candidate.id, chinese=0.0)
    strange = "почему квартира стоит так дорого {n} каждый месяц"
    traces[::4] = [replace(t, inputs={"question": strange.format(n=n)}) for n, t in enumerate(traces[::4])]
    found = looked(baseline, traces, tmp_path)
    assert ("language_new", "ru") in causes(found)
    unlike = next(alarm for alarm in found.alarms if alarm.cause == "questions_unlike")
    russian = {trace.id for trace in traces[::4]}
    assert set(unlike.examples) <= russian
    assert unlike.examples


def test_confidence_that_falls_is_found(proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path) -> None:
    _, candidate, baseline = proved
    traces = [replace(t, confidence=t.confidence and t.confidence * 0.7) for t in World(11).traces(300, candidate.id)]
    assert ("less_sure", "") in causes(looked(baseline, traces, tmp_path))


def test_waiting_in_the_queue_is_told_from_a_slow_engine(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    _, candidate, baseline = proved
    traces = [
        replace(t, seconds_queue=2.0, seconds_total=t.seconds_engine + 2.0) for t in World(12).traces(300, candidate.id)
    ]
    named = {cause for cause, _ in causes(looked(baseline, traces, tmp_path))}
    assert "queue_longer" in named
    assert "slower" not in named


def test_feedback_is_held_against_the_time_before(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    _, candidate, baseline = proved
    world = World(13)
    earlier, now = world.traces(200, candidate.id, until=NOW - WEEK), world.traces(200, candidate.id)
    with Traffic.open(tmp_path / "traffic.sqlite") as traffic:
        traffic.add_traces([*earlier, *now])
        for n, trace in enumerate(earlier[:100]):
            traffic.add_feedback(a_word(trace, rating=-1 if n % 10 == 0 else 1))
        for n, trace in enumerate(now[:100]):
            traffic.add_feedback(a_word(trace, rating=-1 if n % 2 == 0 else 1))
        found = watch(traffic, baseline, Look(NOW - WEEK, NOW))
    (alarm,) = found.alarms
    assert (alarm.cause, alarm.before, alarm.now) == ("feedback_worse", 0.1, 0.5)
    assert sum(day.down for day in found.days) == 50


def test_too_little_traffic_is_said_and_rings_nothing(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    _, candidate, baseline = proved
    found = looked(baseline, World(14).traces(20, candidate.id, longer=9.0, fails=0.9), tmp_path)
    assert found.alarms == ()
    assert {measure.status for measure in found.measures} == {"too_little"}


def test_shadows_other_candidates_and_cancelled_requests_are_left_out_and_counted(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    _, candidate, baseline = proved
    traces = World(15).traces(100, candidate.id)
    traces[0] = replace(traces[0], role="shadow")
    traces[1] = replace(traces[1], candidate="another")
    traces[2] = replace(traces[2], cancelled=True, failure="cancelled")
    found = looked(baseline, traces, tmp_path)
    assert (found.answers, found.others, found.cancelled) == (97, 2, 1)


def test_without_texts_lengths_languages_and_labels_are_still_watched(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    _, candidate, baseline = proved
    traces = relabelled(World(16).traces(400, candidate.id, longer=2.0), "rent", "noise", every=3)
    found = looked(baseline, traces, tmp_path, texts=False)
    assert {("input_longer", ""), ("label_up", "noise")} <= causes(found)
    assert state(found, "unlike") == "not_measured"
    assert not found.texts


def test_another_index_than_the_one_proved_is_a_fact(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    _, candidate, baseline = proved
    traces = [replace(t, index="abc@2") for t in World(17).traces(60, candidate.id)]
    found = looked(replace(baseline, index="abc@1"), traces, tmp_path)
    (alarm,) = [alarm for alarm in found.alarms if alarm.cause == "index_changed"]
    assert (alarm.about, alarm.now, alarm.p, alarm.n_now) == ("abc@2", None, None, 60)


def test_a_look_says_nothing_of_a_candidate_that_was_not_proved(
    proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path
) -> None:
    run, candidate = write_watched_run(tmp_path / "run", n=5)
    run.evaluation_path(candidate.id, "test").with_suffix(".json").unlink()
    with pytest.raises(UsageError, match="E7060"):
        read_baseline(run, candidate.id)


def test_test_answers_and_traffic_are_counted_alike() -> None:
    """The same answers, once as rows of an evaluation and once as traces."""
    counting = Counting(retrieves=True, abstain="Not said.", label_of=None)
    said = [("Rent is due.", "", ("a.md#3", "b.md#1")), ("Not said.", "", ()), ("", "timeout", ())]
    examples = {f"t{n}": Example(f"t{n}", {"q": f"房租 {n}"}, ("x",)) for n in range(3)}
    rows = [
        Row(Answer(f"t{n}", text, failure=Failure(kind) if kind else None, passages=passages, tokens_in=3), {})
        for n, (text, kind, passages) in enumerate(said)
    ]
    traces = [
        Trace(f"t{n}", NOW, inputs={"q": f"房租 {n}"}, answer=text, failure=kind, passages=passages, tokens_in=3)
        for n, (text, kind, passages) in enumerate(said)
    ]
    before, now = counting.proof(rows, examples), counting.traffic(traces)
    for name in (
        "ids", "texts", "lengths", "languages", "failures", "answered", "abstained", "answer_lengths", "tokens",
        "looked_up", "found_nothing", "top_documents",
    ):  # fmt: skip
        assert getattr(before, name) == getattr(now, name), name
    assert now.top_documents == {"a.md": 1}
    assert (now.abstained, now.found_nothing, now.failures["timeout"]) == (1, 1, 1)


def test_the_document_of_a_passage() -> None:
    assert [document_of(name) for name in ("a#b.md#12", "a.pdf#3 (p. 4 (of 9))", "x")] == ["a#b.md", "a.pdf", "x"]


def test_gauges_are_lines_that_prometheus_reads(proved: tuple[RunFolder, Candidate, Baseline], tmp_path: Path) -> None:
    _, candidate, baseline = proved
    lines = list(drift_gauges(looked(baseline, World(8).traces(400, candidate.id, longer=2.0), tmp_path)))
    assert f'rung_drift_alarms{{candidate="{candidate.id}",cause="input_longer"}} 1' in lines
    for line in lines:
        if not line.startswith("# "):
            name, value = line.rsplit(" ", 1)
            float(value)
            assert name.startswith("rung_drift")
