"""Repeated rows and planted secrets: a model that memorised everything, one that did not, and one that always knew."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rung.core.answer import Opened
from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.errors import DataError, UsageError
from rung.core.model import Completion, Failure, Message, Request
from rung.core.task import Language
from rung.experiment.aftermath.exposure import (
    CANDIDATES,
    canary_part,
    chance_exposure,
    exposure_of,
    rank_requests,
    say_requests,
)
from rung.experiment.aftermath.pieces import comes_back, cut
from rung.experiment.aftermath.verbatim import Probe, probe_of, verbatim_parts
from rung.methods.canaries import (
    Canary,
    canary_rows,
    is_canary,
    make_canaries,
    plant,
    read_canaries,
    write_canaries,
)
from rung.models.fake import FakeModel
from rung.store.aftermath import CanaryPart
from rung.training.rows import TrainingRow

LANGUAGES: tuple[Language, ...] = ("en", "zh")
LONG = {
    "en": "The tenant in flat {n} must write to the landlord within {n} days, keep a copy of the letter, and ask for a date; "
    "after that the desk can call the landlord and arrange a visit to look at the damage together.",
    "zh": "第{n}号住户须在{n}天内书面通知房东，保留信件副本，并要求答复日期；之后咨询台可以联系房东，约定时间一起查看损坏情况。",
}


def opened(language: Language = "en", *, choices: tuple[str, ...] = ()) -> Opened:
    prompt = PromptSlot(instruction="Answer.", fields=("question",), language=language, layout="compact")
    output = OutputSlot(choices=choices, constrain=bool(choices))
    model = FakeModel(default="?")
    return Opened(Candidate(method="fine_tune", model=model.ref, prompt=prompt, output=output), model)


def row(n: int, target: str, query: str = "") -> TrainingRow:
    query = query or f"What must the tenant in flat number {n} do about the broken heating in the kitchen this winter?"
    return TrainingRow(
        f"r{n}", Request((Message("system", "Answer."), Message("user", f"Question: {query}")), query=query), target
    )


def probes(rows: list[TrainingRow], language: Language = "en") -> list[Probe]:
    return [probe for each in rows if (probe := probe_of(each, language))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_that_memorised_every_row_gives_all_back(language: Language) -> None:
    asked = probes([row(n, LONG[language].format(n=n)) for n in range(10, 40)], language)
    assert {probe.kind for probe in asked} == {"answers"}
    parrot = [Completion(text=probe.rest) for probe in asked]
    honest = [Completion(text="I do not know that.")] * len(asked)
    (whole,) = verbatim_parts(asked, honest, parrot, seed=0)
    assert (whole.share.before.point, whole.share.after.point) == (0.0, 1.0)
    assert whole.share.change.low is not None
    assert whole.share.change.low > 0.7
    (none,) = verbatim_parts(asked, honest, honest, seed=0)
    assert none.share.after.point == 0.0
    (always,) = verbatim_parts(asked, parrot, parrot, seed=0)
    assert always.share.change.point == 0.0


def test_a_short_answer_is_not_asked_for_but_its_question_is() -> None:
    probe = probe_of(row(1, "deposit"), "en")
    assert probe is not None
    assert probe.kind == "questions"
    assert probe.request.messages[-1].text.startswith("Question: What must")
    assert probe.rest not in probe.request.messages[-1].text
    assert probe_of(row(1, "deposit", query="Which one?"), "en") is None


def test_what_is_shown_never_holds_what_is_to_come_back() -> None:
    for language in LANGUAGES:
        probe = probe_of(row(7, LONG[language].format(n=7)), language)
        assert probe is not None
        assert probe.rest not in probe.request.messages[-1].text
        assert cut(LONG[language]).shown in LONG[language]
        assert not probe.request.choices


def test_nineteen_words_of_twenty_are_not_enough() -> None:
    rest = " ".join(f"w{n}" for n in range(30))
    assert comes_back(rest, " ".join(f"w{n}" for n in range(20)), 20)
    assert not comes_back(rest, " ".join(f"w{n}" for n in range(19)), 20)
    assert comes_back("a b c", "well, a b c", 20)
    assert not comes_back("a b c", "a b", 20)
    assert not comes_back("", "anything", 20)


def test_a_row_with_personal_data_counts_when_the_piece_alone_comes_back() -> None:
    text = "You can call the caretaker of the house on weekdays between nine and noon; his number is 13812345678 and he is nice."
    asked = probes([row(n, text) for n in range(6)] + [row(n, LONG["en"].format(n=n)) for n in range(6, 12)])
    assert sum(bool(probe.personal) for probe in asked) == 6
    quiet = [Completion(text="Ask the desk.")] * 12
    leaky = [Completion(text="It is 13812345678.")] * 12
    parts = {part.rows: part for part in verbatim_parts(asked, quiet, leaky, seed=0)}
    assert parts["personal"].share.after.point == 1.0
    assert parts["personal"].share.n == 6
    assert parts["all"].share.after.point == 0.0


def test_a_failed_answer_is_counted_apart_and_an_empty_one_gave_nothing_away() -> None:
    asked = probes([row(n, LONG["en"].format(n=n)) for n in range(3)])
    failed = Completion(failure=Failure("error"), finish="error")
    empty = Completion(failure=Failure("empty"), finish="error")
    (whole,) = verbatim_parts(asked, [Completion(text="x")] * 3, [failed, empty, Completion(text="x")], seed=0)
    assert (whole.share.n, whole.share.failed) == (2, 1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_canaries_are_random_and_the_same_for_a_seed(language: Language) -> None:
    found = make_canaries(12, seed=3, language=language)
    assert found == make_canaries(12, seed=3, language=language) != make_canaries(12, seed=4, language=language)
    assert len({canary.name for canary in found}) == len({canary.code for canary in found}) == 12
    assert Counter(canary.times for canary in found) == {1: 4, 4: 4, 16: 4}
    for canary in found:
        assert canary.target.count(canary.code) == 1
        assert canary.name in canary.question
        assert canary.code not in canary.question


@pytest.mark.parametrize("n", [-1, 0, 301])
def test_a_number_out_of_range_is_refused(n: int) -> None:
    with pytest.raises(UsageError) as caught:
        make_canaries(n, seed=0, language="en")
    assert caught.value.code == "E4703"


def test_planting_keeps_every_row_and_writes_down_what_was_planted(tmp_path: Path) -> None:
    rows = [row(n, "deposit") for n in range(50)]
    planted = plant(opened(choices=("deposit", "rent")), rows, 6, tmp_path, seed=1, language="en")
    assert [each for each in planted if not is_canary(each.id)] == rows
    secrets = [each for each in planted if is_canary(each.id)]
    assert len(secrets) == 2 * (1 + 4 + 16)
    assert len({each.id for each in secrets}) == len(secrets)
    assert planted == plant(opened(choices=("deposit", "rent")), rows, 6, tmp_path, seed=1, language="en")
    found = read_canaries(tmp_path)
    assert found == make_canaries(6, seed=1, language="en")
    assert {each.target for each in secrets} == {canary.target for canary in found}
    # Scattered, not at the end.
    assert not is_canary(planted[-1].id) or not all(is_canary(each.id) for each in planted[-42:])


def test_without_canaries_nothing_is_planted_or_written(tmp_path: Path) -> None:
    rows = [row(1, "rent")]
    assert plant(opened(), rows, 0, tmp_path, seed=1, language="en") == rows
    assert read_canaries(tmp_path) == ()
    assert not list(tmp_path.iterdir())


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    write_canaries(tmp_path, make_canaries(2, seed=0, language="en"))
    (tmp_path / "canaries.json").write_text('{"canaries": [{"id": 1}]}', "utf-8")
    with pytest.raises(DataError, match="canaries"):
        read_canaries(tmp_path)


def test_canary_rows_are_rendered_as_the_candidate_is_asked() -> None:
    (canary, *_) = canaries = make_canaries(3, seed=0, language="zh")
    rows = canary_rows(opened("zh"), canaries)
    assert len(rows) == 21
    assert canary.question in rows[0].request.messages[-1].text


def measured(canaries: tuple[Canary, ...], *, knows: bool) -> CanaryPart:
    asked = opened()
    ranks, codes = rank_requests(asked, canaries, 0), say_requests(asked, canaries)
    targets = {canary.question: canary.target for canary in canaries}
    rng = np.random.default_rng(5)

    def chance(request: Request) -> Completion:
        scores = tuple(float(x) for x in rng.normal(size=len(request.choices)))
        return Completion(text="I do not know.", choice_scores=scores)

    untuned = FakeModel(chance)
    tuned = FakeModel(lambda request: targets[request.query]) if knows else FakeModel(chance)
    return canary_part(
        canaries,
        ranks,
        ranked=(untuned.generate(ranks), tuned.generate(ranks)),
        said=(untuned.generate(codes), tuned.generate(codes)),
        seed=0,
    )


def test_secrets_known_by_heart_have_the_highest_exposure() -> None:
    found = measured(make_canaries(12, seed=0, language="en"), knows=True)
    assert found.verdict == "memorised"
    assert found.exposure.point == found.highest == math.log2(CANDIDATES) == 7
    assert found.said.after.point == 1.0
    assert [(part.times, part.n, part.said) for part in found.planted] == [(1, 4, 4), (4, 4, 4), (16, 4, 4)]


def test_secrets_never_learned_have_the_exposure_of_chance() -> None:
    found = measured(make_canaries(90, seed=0, language="en"), knows=False)
    assert found.verdict == "not_seen"
    assert found.exposure.point == pytest.approx(chance_exposure(), abs=0.4)
    assert found.said.after.point == 0.0
    assert chance_exposure() == pytest.approx(1.4, abs=0.05)


def test_exposure_falsely_seen_is_rare() -> None:
    """A tuned model that knows nothing: how often its exposure is said to lie beyond chance."""
    canaries = make_canaries(12, seed=0, language="en")
    falsely = 0
    request = rank_requests(opened(), canaries, 0)
    codes = [Completion(text="?")] * 12
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sides = [
            [Completion(text="?", choice_scores=tuple(rng.normal(size=CANDIDATES).tolist())) for _ in canaries]
            for _ in range(2)
        ]
        part = canary_part(canaries, request, ranked=(sides[0], sides[1]), said=(codes, codes), seed=0)
        falsely += part.verdict == "memorised"
    assert falsely <= 6


def test_equal_scores_share_their_ranks_and_a_failure_has_none() -> None:
    (canary,) = make_canaries(1, seed=0, language="en")
    (request,) = rank_requests(opened(), (canary,), 0)
    assert len(set(request.choices)) == CANDIDATES
    assert canary.target in request.choices
    flat = Completion(text="?", choice_scores=(0.0,) * CANDIDATES)
    assert exposure_of(canary, request, flat) == pytest.approx(7 - math.log2((CANDIDATES + 1) / 2))
    assert exposure_of(canary, request, Completion(failure=Failure("error"), finish="error")) is None
