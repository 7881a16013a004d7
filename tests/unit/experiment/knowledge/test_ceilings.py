"""Ceilings: found, shown and read are told apart, counts add up, and test is not opened."""

from __future__ import annotations

from pathlib import Path

import pytest
from diagnosis_task import answer_of, number_of, script
from knowledge_run import write_rooms_run

from rung.core.answer import Hit, Item
from rung.core.errors import UsageError
from rung.core.model import Request
from rung.core.task import Example, OutputSpec, Task
from rung.experiment.kept_run import KeptRun, items_in
from rung.experiment.knowledge.ceilings import ceilings_of
from rung.experiment.knowledge.gold import gold_of, holds
from rung.experiment.knowledge.measure import measure_run
from rung.store.runs import RunFolder


def reads(request: Request) -> str:
    """Right where the passage is in the prompt, but for every fourth room."""
    n = number_of(request)
    told = any(answer_of(n) in passage.text for passage in request.passages)
    return answer_of(n) if told and n % 4 else "nothing"


class Planned:
    """An index that finds room n's passage at a planned rank, behind those of other rooms."""

    id = "planned@1"

    def __init__(self, ranks: dict[int, int | None], items: list[Item]) -> None:
        self._ranks, self._items = ranks, {item.payload["document"]: item for item in items}

    def search(self, queries: list[str], k: int, **_: object) -> list[list[Hit]]:
        found = []
        for query in queries:
            n = int("".join(c for c in query if c.isdigit()))
            own = f"room-{n}.md"
            others = [item for name, item in self._items.items() if name != own]
            rank = self._ranks[n]
            hits = others if rank is None else [*others[: rank - 1], self._items[own], *others[rank - 1 :]]
            found.append([Hit(item, 1.0) for item in hits[:k]])
        return found


def test_ranks_paths_and_the_worst_questions_are_those_that_were_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, reads)
    run = write_rooms_run(tmp_path / "run")
    kept = KeptRun(run)
    (name,) = kept.retrieving
    items = list(items_in(kept.index(name)))
    dev, test = run.read_examples("dev"), run.read_examples("test")
    gold = gold_of(kept.task, [*dev, *test], items)
    assert gold is not None
    assert gold.basis == "marked"
    ranks = {n: 1 if n < 10 else 4 if n < 15 else None for n in range(20)}
    # What was shown is read off the record: these four are shown as the run's own index found them.
    found = ceilings_of(kept, name, Planned(ranks, items), gold, {"dev": dev, "test": test})  # type: ignore[arg-type]
    assert [(at.k, at.document.point) for at in found.recall] == [(1, 0.5), (3, 0.5), (5, 0.75), (10, 0.75), (20, 0.75)]
    assert [at.passage.point for at in found.recall] == [at.document.point for at in found.recall]
    assert all(at.document.low < at.document.point for at in found.recall if at.document.low is not None)  # type: ignore[operator]
    steps = {step.stage: step for step in found.path}
    assert sum(step.n for step in found.path) == found.n == found.passages == 20
    assert (steps["shown"].right, steps["shown"].wrong) == (15, 5)
    assert [missed.id for missed in found.read_wrong] == ["q000", "q004", "q008", "q012", "q016"]
    assert found.missed == ()
    (on_dev, on_test) = found.splits
    assert (on_dev.n, on_dev.shown, on_test.n, on_test.shown) == (20, 20, 10, 10)


def test_what_was_not_shown_is_listed_the_worst_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, reads)
    run = write_rooms_run(tmp_path / "run")
    kept = KeptRun(run)
    (name,) = kept.retrieving
    # The recorded answers were shown nothing: their documents were not found, or found too late.
    path = run.evaluation_path(name, "dev")
    path.write_text(path.read_text("utf-8").replace('"passages": ["room-', '"passages": ["hall-'), "utf-8")
    items = list(items_in(kept.index(name)))
    dev = run.read_examples("dev")
    gold = gold_of(kept.task, dev, items)
    assert gold is not None
    ranks = {n: None if n == 7 else 1 + n for n in range(20)}
    found = ceilings_of(kept, name, Planned(ranks, items), gold, {"dev": dev, "test": []})  # type: ignore[arg-type]
    assert [missed.id for missed in found.missed[:3]] == ["q007", "q019", "q018"]
    assert found.missed[0].rank is None
    assert found.missed[1].rank == 20
    assert found.missed[1].instead.startswith("room-0.md#1")
    steps = {step.stage: step.n for step in found.path}
    assert steps == {"not_found": 1, "not_shown": 19, "shown": 0}
    # Right all the same: the recorded answers stay what they were.
    assert sum(step.right for step in found.path) == 15


def test_a_run_is_measured_once_and_test_stays_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(monkeypatch, reads)
    run = write_rooms_run(tmp_path / "run", dev=40)
    opened = run.openings()
    asked.clear()
    found = measure_run(run.path)
    assert {number_of(request) for request in asked} <= set(range(40))
    (one,) = found.candidates
    assert one.reading is not None
    # Its own index finds every room: the right passage changes nothing.
    assert one.reading.n == len(asked) == 32
    assert one.reading.gain.point == 0
    assert one.reading.given.point == one.reading.own.point
    assert run.openings() == opened
    assert run.read_ceilings() == found
    asked.clear()
    measure_run(run.path)
    assert asked == []
    assert measure_run(run.path, questions=0).candidates[0].reading is None


def test_reading_gains_where_the_index_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(
        monkeypatch,
        lambda request: answer_of(number_of(request)) if request.passages and not number_of(request) % 2 else "?",
    )
    run = write_rooms_run(tmp_path / "run", dev=24)
    script(monkeypatch, reads)
    reading = measure_run(run.path).candidates[0].reading
    assert reading is not None
    assert reading.given.point == 0.75
    assert reading.own.point == 0.5
    assert reading.gain.point == 0.25


def test_without_marks_an_answer_that_stands_word_for_word_tells_its_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, reads)
    found = measure_run(write_rooms_run(tmp_path / "run", marked=False).path, questions=0)
    assert found.basis == "quoted"
    assert found.candidates[0].n == 20
    assert found.candidates[0].recall[0].document.point == 1.0


def test_labels_without_marks_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_rooms_run(tmp_path / "run", marked=False, labels=True)
    with pytest.raises(UsageError) as caught:
        measure_run(run.path)
    assert caught.value.problems[0].code == "E2751"


def test_an_unanswerable_question_and_a_common_answer_have_no_gold() -> None:
    task = Task(
        name="t",
        instruction="i",
        inputs=("q",),
        output=OutputSpec(kind="text", abstain="Not said."),
        metrics=("exact_match",),
    )
    items = [
        Item(f"d{n}.md#1", f"Fees: open 2014 hours, paid weekly to office {n}", {"document": f"d{n}.md"})
        for n in range(7)
    ]
    items.append(Item("x.md#1", "The fee is 14 days of rent.", {"document": "x.md"}))
    examples = [
        Example("none", {"q": "a"}, ("Not said.",)),
        Example("common", {"q": "b"}, ("paid weekly",)),
        Example("one", {"q": "c"}, ("14 days",)),
        Example("short", {"q": "d"}, ("14",)),
    ]
    gold = gold_of(task, examples, items)
    assert gold is not None
    assert gold.documents == {"one": frozenset({"x.md"})}
    marked = gold_of(task, [Example("none", {"q": "a"}, ("Not said.",), documents=("x.md",))], items)
    assert marked is None


@pytest.mark.parametrize(
    ("text", "said", "held"),
    [
        ("in 2014", "14", False),
        ("within 14 days", "14 Days.", True),
        ("共需14天。", "14天", True),
        ("押金应在十四日内退还", "十四日内", True),
        ("unrest", "rest", False),
    ],
)
def test_an_answer_is_held_whole(text: str, said: str, held: bool) -> None:
    assert holds(text, said) is held


def test_a_run_that_reads_no_documents_says_so(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_run({"id": "r", "task": {}})
    with pytest.raises(UsageError) as caught:
        measure_run(tmp_path)
    assert caught.value.problems[0].code == "E2750"
