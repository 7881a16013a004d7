"""Stability on scripted models: what is planted is measured, repeats are real, and a limit on it takes part in the verdict."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, answer, say
from letters import LETTERS, register_letters
from small_task import LABELS, QUESTIONS, scripted, write_task

from rung.core.answer import Opened
from rung.core.candidate import Candidate, OutputSlot, PromptSlot, ShotExample, ShotsSlot
from rung.core.errors import DataError, InterruptedRun, UsageError
from rung.core.model import Completion, Failure, ModelRef, Request
from rung.core.task import Example, Language, OutputSpec, Task
from rung.experiment.diagnosing.probes import LIGHT, Effort, Probe, Skipped, probes, question_field
from rung.experiment.diagnosing.stability import Measured, Paraphrases, measure, measure_run
from rung.experiment.run import run_task
from rung.metrics.text import ExactMatch
from rung.models.fake import FakeModel
from rung.store.diagnosis import KindStability, Stability
from rung.store.runs import RunFolder

REAL = FakeModel._answer


def label_of(request: Request) -> str:
    """The right label, whatever frame, case or width the question comes in."""
    return next(label for label in LABELS if label in request.query.lower())


def script(monkeypatch: pytest.MonkeyPatch, answers: Callable[[Request], str]) -> list[Request]:
    asked: list[Request] = []

    def scripted_answer(self: FakeModel, request: Request) -> Completion:
        asked.append(request)
        self._answers = answers
        return REAL(self, request)

    monkeypatch.setattr(FakeModel, "_answer", scripted_answer)
    return asked


def kinds_of(found: Stability) -> dict[str, KindStability]:
    return {kind.kind: kind for kind in found.kinds}


def stability_of(run: RunFolder) -> Stability:
    found = run.read_stability()
    assert found is not None
    assert Stability.model_validate_json(found.model_dump_json()) == found
    for kind in found.kinds:
        assert 0 <= kind.agree <= kind.pairs
        assert (kind.why_not is None) == (kind.status == "measured")
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    script(monkeypatch, label_of)
    return run_task(write_task(tmp_path))


def test_what_is_planted_is_measured(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers otherwise whenever it is asked politely, and otherwise never."""

    def touchy(request: Request) -> str:
        right = label_of(request)
        polite = "Hello" in request.query or "Thank you" in request.query
        return LABELS[(LABELS.index(right) + 1) % 3] if polite else right

    script(monkeypatch, touchy)
    found = stability_of(measure_run(run.path))
    kinds = kinds_of(found)
    assert (found.n, found.repeats, found.deterministic, found.accuracy) == (12, 5, False, 1.0)
    assert kinds["politeness"].agreement.point == 0.0
    assert kinds["politeness"].change.point == -1.0
    assert len(kinds["politeness"].examples) == 3
    assert kinds["repeat"].pairs == 48
    for kind in ("repeat", "rewording", "case"):
        assert (kinds[kind].agreement.point, kinds[kind].change.point) == (1.0, 0.0)
        low = kinds[kind].agreement.low
        assert low is not None
        assert low < 1.0
    measured = [k.agreement.point for k in found.kinds if k.status == "measured"]
    assert found.agreement.point == pytest.approx(sum(p for p in measured if p is not None) / len(measured))
    assert kinds["shots"].status == "not_applicable"


def test_only_dev_is_asked_and_repeats_are_asked_for(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(monkeypatch, label_of)
    measure_run(run.path, effort=Effort(questions=5, repeats=3))
    dev = (run.read_splits() or {})["splits"]["dev"]["ids"]
    plain = {QUESTIONS[int(id[1:])] for id in dev}
    assert {next(q for q in QUESTIONS if q.lower() in r.query.lower()) for r in asked} <= plain
    assert [sum(r.repeat == n for r in asked) for n in (1, 2, 3)] == [5, 5, 0]


def test_a_second_answer_from_an_endpoint_is_a_second_answer_and_is_paid_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = itertools.count()

    def fickle(_: int, body: Any) -> Any:
        return say(answer(LABELS[next(count) % 3]))

    with FakeEndpoint(fickle) as endpoint:
        model = {"kind": "openai", "id": "m1", "base_url": endpoint.url, "input_price": 1_000_000}
        run = run_task(write_task(tmp_path, models=[model]))
        before = endpoint.asked
        effort = Effort(questions=6, repeats=4, each=1)
        found = stability_of(measure_run(run.path, candidate=run.candidates()[0], effort=effort))
        assert kinds_of(found)["repeat"].agree < kinds_of(found)["repeat"].pairs == 18
        spent = endpoint.asked - before
        assert found.spent.money == pytest.approx(10 * spent)
        again = stability_of(measure_run(run.path, candidate=run.candidates()[0], effort=effort))
        assert endpoint.asked - before == spent
        assert again.kinds == found.kinds


def test_stopped_it_goes_on(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [40]

    def stops(request: Request) -> str:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return label_of(request)

    script(monkeypatch, stops)
    with pytest.raises(InterruptedRun):
        measure_run(run.path)
    assert run.read_stability() is None
    asked = script(monkeypatch, label_of)
    found = stability_of(measure_run(run.path))
    assert 0 < len(asked) <= found.n + sum(k.pairs for k in found.kinds) - 24


def test_wordings_that_people_wrote(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, label_of)
    dev = (run.read_splits() or {})["splits"]["dev"]["ids"]
    with (tmp_path / "other.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [["id", "question", "asked"]]
        rows += [[dev[0], "", f"Tell me of {LABELS[int(dev[0][1:]) % 3]}"]]
        rows += [
            ["", QUESTIONS[int(dev[1][1:])], f"So, {LABELS[(int(dev[1][1:]) + 1) % 3]}?"],
            ["q999", "", "no one's"],
        ]
        csv.writer(file).writerows(rows)
    found = stability_of(measure_run(run.path, paraphrases=Paraphrases(tmp_path / "other.csv", "asked")))
    told = kinds_of(found)["paraphrase"]
    assert (told.pairs, told.agree) == (2, 1)
    with pytest.raises(DataError) as caught:
        measure_run(run.path, paraphrases=Paraphrases(tmp_path / "other.csv"))
    assert caught.value.code == "E2651"


def test_what_cannot_be_measured_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, label_of)
    task = write_task(tmp_path, models=[scripted("hasty", 2)], target=1.0)
    run = run_task(task)
    (run.path / "decision.json").unlink()
    with pytest.raises(UsageError) as caught:
        measure_run(run.path)
    assert caught.value.code == "E4207"
    with pytest.raises(UsageError) as caught:
        measure_run(run.path, candidate="nobody")
    assert caught.value.code == "E1302"


# The verdict


def test_a_limit_on_stability_takes_a_candidate_out_and_another_limit_is_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touchy(request: Request) -> str:
        right = label_of(request)
        return LABELS[(LABELS.index(right) + 1) % 3] if "Question" not in request.query[:8] else right

    asked = script(monkeypatch, touchy)
    first = run_task(write_task(tmp_path))
    assert (first.read_decision() or 0).winner is not None  # type: ignore[union-attr]
    run = run_task(write_task(tmp_path, constraints={"min_stability": 0.9}))
    assert run.path == first.path
    decision = run.read_decision()
    assert decision is not None
    (standing,) = decision.standings
    check = next(check for check in standing.checks if check.name == "min_stability")
    assert check.value is not None
    assert (check.ok, standing.eligible, decision.winner) == (False, False, None)
    assert any("min_stability" in text.en for text in decision.would_change)
    kept = run.read_stability(standing.candidate)
    assert kept is not None
    assert (kept.light, kept.agreement.point) == (True, check.value)
    assert run.read_stability() is None
    asked.clear()
    lower = run_task(write_task(tmp_path, constraints={"min_stability": 0.1})).read_decision()
    assert lower is not None
    assert lower.winner == standing.candidate
    assert asked == []


# Probes and comparison


def opened(*, list_choices: bool = False, k: int = 0, priors: tuple[float, ...] = ()) -> Opened:
    shots = tuple(ShotExample(id=f"s{n}", inputs={"q": f"shot {n}"}, answer="a") for n in range(k))
    candidate = Candidate(
        method="prompt",
        model=ModelRef(kind="fake", id="m"),
        prompt=PromptSlot(instruction="i", fields=("q",), list_choices=list_choices),
        shots=ShotsSlot(mode="fixed", k=k, fixed=shots) if k else None,
        output=OutputSlot(choices=("a", "b", "c"), constrain=True, priors=priors, prior_weight=1.0 if priors else 0.0),
    )
    return Opened(candidate, FakeModel(default="a"))


def text_task(language: Language = "en", *fields: str) -> Task:
    output = OutputSpec(kind="text")
    return Task(
        name="t", instruction="i", inputs=fields or ("q",), output=output, metrics=("exact_match",), language=language
    )


def asked_of(found: Sequence[Probe | Skipped], kind: str) -> list[Probe]:
    return [p for p in found if isinstance(p, Probe) and p.kind == kind]


def test_labels_and_examples_change_places_and_keep_their_own() -> None:
    examples = [Example("q", {"q": "what?"}, ("a",))]
    found = list(probes(text_task(), opened(list_choices=True, k=3, priors=(1.0, 2.0, 3.0)), examples, Effort()))
    turned = [p.opened.candidate.output for p in asked_of(found, "choices")]
    assert [(o.choices, o.priors) for o in turned] == [
        (("c", "b", "a"), (3.0, 2.0, 1.0)),
        (("b", "c", "a"), (2.0, 3.0, 1.0)),
    ]
    slots = [p.opened.candidate.shots for p in asked_of(found, "shots")]
    assert [[shot.id for shot in slot.fixed] for slot in slots if slot] == [["s2", "s1", "s0"], ["s1", "s2", "s0"]]
    bare = list(probes(text_task(), opened(k=1), examples, LIGHT))
    assert {p.kind for p in bare if isinstance(p, Skipped)} == {"choices", "shots"}
    assert len(asked_of(bare, "repeat")) == len(asked_of(bare, "politeness")) == 1


def test_nearest_examples_come_in_another_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_letters(monkeypatch)
    asked = script(monkeypatch, label_of)
    run = run_task(write_task(tmp_path, methods=["few_shot"], encoder=LETTERS))
    candidate = run.read_candidate(run.candidates()[0])
    asked.clear()
    found = stability_of(measure_run(run.path, candidate=run.candidates()[0], effort=Effort(questions=3, repeats=1)))
    assert kinds_of(found)["shots"].n == 3
    assert candidate.shots is not None
    by_query: dict[str, set[tuple[str, ...]]] = {}
    for request in asked:
        by_query.setdefault(request.query, set()).add(tuple(shot.id for shot in request.shots))
    orders = [shots for shots in by_query.values() if len(shots) > 1]
    assert len(orders) == 3
    assert all(len({frozenset(order) for order in shots}) == 1 for shots in orders)


def test_chinese_is_asked_in_other_widths_and_scripts_and_frames_go_around_the_question() -> None:
    task = text_task("zh", "背景", "问题")
    examples = [Example("q", {"背景": "房东张三。", "问题": "押金多久退还？"}, ("14天",))]
    assert question_field(task, examples) == "问题"
    found = list(probes(task, opened(), examples, Effort()))
    assert len(asked_of(found, "width")) == 1
    (script_probe,) = asked_of(found, "script")
    assert dict(script_probe.examples[0].inputs) == {"背景": "房東張三。", "问题": "押金多久退還？"}
    for probe in asked_of(found, "politeness"):
        assert probe.examples[0].inputs["背景"] == "房东张三。"
        assert "押金多久退还？" in probe.examples[0].inputs["问题"]
    assert not asked_of(found, "case")


class Said:
    """A model that answers what is written for the question."""

    def __init__(self, answers: dict[str, str | Failure]) -> None:
        self.ref, self.capabilities = FakeModel().ref, replace(FakeModel().capabilities, trainable=True)
        self._answers = answers

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        found = [self._answers.get(r.query, "天14") for r in requests]
        return [Completion(failure=f) if isinstance(f, Failure) else Completion(text=f) for f in found]


def test_an_answer_in_the_other_script_is_the_same_answer_and_no_wrong_one(tmp_path: Path) -> None:
    task = text_task("zh")
    answers: dict[str, str | Failure] = {"谁维修下水道？": "房东", "誰維修下水道？": "房東。"}
    plain = opened().candidate.model_copy(update={"output": OutputSlot()})
    subject = Measured(RunFolder(tmp_path), "c", "prompt", task, ExactMatch(task=task))
    sample = [Example("q", {"q": "谁维修下水道？"}, ("房东",))]
    found = measure(subject, Opened(plain, Said(answers)), sample, Effort())
    kinds = kinds_of(found)
    assert (kinds["script"].agree, kinds["script"].pairs, kinds["script"].change.point) == (1, 1, 0.0)
    assert kinds["politeness"].agree == 0
    assert (found.deterministic, found.repeats) == (True, 2)
    # A repeat that cannot differ must not raise the agreement over all ways.
    counted = [k.agreement.point for k in found.kinds if k.status == "measured" and k.kind != "repeat"]
    assert found.agreement.point == pytest.approx(sum(p for p in counted if p is not None) / len(counted))


def test_no_answer_twice_is_left_out_and_no_answer_once_is_a_change(tmp_path: Path) -> None:
    task = text_task("en")
    out = Failure("timeout")
    answers: dict[str, str | Failure] = {"A?": out, "a?": out, "B?": "x", "b?": out, "C?": "x", "c?": "X."}
    plain = opened().candidate.model_copy(update={"output": OutputSlot()})
    subject = Measured(RunFolder(tmp_path), "c", "prompt", task, ExactMatch(task=task))
    sample = [Example(name, {"q": name}, ("x",)) for name in ("A?", "B?", "C?")]
    told = kinds_of(measure(subject, Opened(plain, Said(answers)), sample, Effort()))["case"]
    assert (told.n, told.pairs, told.agree, told.failed) == (3, 2, 1, 1)
    assert told.examples[0].after == "[timeout]"
