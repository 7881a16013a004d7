"""Training rows: rendered as the candidate will be asked, and never shown their own answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from letters import LETTERS, LetterEncoder, register_letters

from rung.core.answer import Item, Opened, open_candidate, prepare
from rung.core.candidate import Candidate, OutputSlot, PromptSlot, ShotExample, ShotsSlot
from rung.core.model import Message, ModelRef, Request
from rung.core.task import Example
from rung.models.fake import FakeModel
from rung.retrieval.index import build_index
from rung.training.rows import TrainingRow, held_out, read_rows, render_rows, write_rows


def row(name: str, text: str, answer: str, group: str = "") -> Example:
    return Example(name, {"question": text}, (answer,), group)


# Each row's closest neighbours are its copies and its group, so a leak would be seen at once.
ROWS = (
    row("r1", "When is the rent due?", "rent"),
    row("r2", "WHEN is the rent due", "rent, again"),
    row("r3", " when   is—the rent due?! ", "rent, a third time"),
    row("k1", "Who keeps the keys?", "keys", "flat 7"),
    row("k2", "Who kept the keys?", "keys, then", "flat 7"),
    row("k3", "Who keeps the key?", "key"),
    row("z1", "租金何时交？", "租金"),
    row("z2", "租金何时交", "租金二"),
    row("d1", "Is the deposit safe", "deposit"),
)
FAMILIES = ({"r1", "r2", "r3"}, {"k1", "k2"}, {"k3"}, {"z1", "z2"}, {"d1"})
FAMILY = {name: family for family in FAMILIES for name in family}


def fixed_slot(k: int) -> ShotsSlot:
    fixed = tuple(ShotExample(id=e.id, inputs=dict(e.inputs), answer=e.references[0]) for e in ROWS[:k])
    return ShotsSlot(mode="fixed", k=k, fixed=fixed)


def candidate(shots: ShotsSlot | None) -> Candidate:
    prompt = PromptSlot(instruction="Answer.", layout="compact", fields=("question",))
    return Candidate(
        method="few_shot", model=ModelRef(kind="fake", id="m"), prompt=prompt, shots=shots, output=OutputSlot()
    )


@pytest.fixture
def nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """A candidate that shows the three nearest rows of the whole pool."""
    register_letters(monkeypatch)
    items = [Item(e.id, e.text, {"inputs": dict(e.inputs), "answer": e.references[0]}) for e in ROWS]
    index = build_index(items, encoder=LetterEncoder(), indexes=tmp_path, kind="examples")
    slot = ShotsSlot(mode="nearest", k=3, index=index, encoder=LETTERS)
    return open_candidate(candidate(slot), tmp_path, tmp_path, model=FakeModel())


def test_a_row_holds_out_itself_its_copies_and_its_group() -> None:
    assert held_out(ROWS) == [frozenset(FAMILY[e.id]) for e in ROWS]
    assert held_out([]) == []


def test_rows_without_a_group_are_not_one_group() -> None:
    assert held_out([row("a", "one", ""), row("b", "two", "")]) == [frozenset({"a"}), frozenset({"b"})]


def test_the_planted_neighbours_would_be_shown_if_nothing_held_them_out(nearest: Opened) -> None:
    """Otherwise the test below could not fail."""
    for example, request in zip(ROWS, prepare(nearest, ROWS), strict=True):
        shown = {shot.id for shot in request.shots}
        assert example.id in shown
        assert FAMILY[example.id] <= shown


def test_no_row_is_shown_itself_its_copy_or_its_group(nearest: Opened) -> None:
    rows = render_rows(nearest, ROWS)
    assert [made.id for made in rows] == [e.id for e in ROWS]
    for example, made in zip(ROWS, rows, strict=True):
        shown = [shot.id for shot in made.request.shots]
        assert len(shown) == 3
        assert not FAMILY[example.id] & set(shown)
        prompt = made.request.messages[-1].text
        for sibling in (e for e in ROWS if e.id in FAMILY[example.id]):
            assert f"Answer: {sibling.references[0]}\n" not in prompt
        assert made.target == example.references[0]
    assert "k3" in {shot.id for shot in rows[3].request.shots}


def test_fixed_shots_hold_out_too() -> None:
    opened = Opened(candidate(fixed_slot(4)), FakeModel())
    shown = {made.id: [shot.id for shot in made.request.shots] for made in render_rows(opened, ROWS)}
    assert shown["r2"] == ["k1"]
    assert shown["k2"] == ["r1", "r2", "r3"]
    assert shown["d1"] == ["r1", "r2", "r3", "k1"]


def test_apart_from_what_is_held_out_a_row_is_what_production_will_ask(nearest: Opened) -> None:
    pool_of_others = [e for e in ROWS if e.id != "d1"]
    stranger = row("new", "Is my deposit held safe", "deposit")
    made = render_rows(nearest, [stranger])[0]
    assert made.request == prepare(nearest, [stranger])[0]
    assert {shot.id for shot in made.request.shots} <= {e.id for e in ROWS}
    assert render_rows(Opened(candidate(None), FakeModel()), pool_of_others)[0].request.shots == ()


def test_a_row_without_an_answer_cannot_be_learned() -> None:
    rows = render_rows(Opened(candidate(None), FakeModel()), [Example("u", {"question": "?"}, ()), ROWS[0]])
    assert [made.id for made in rows] == ["r1"]


def test_rows_survive_the_file_between_two_processes(tmp_path: Path, nearest: Opened) -> None:
    schema = {"type": "object", "properties": {"a": {"const": "{x}"}}}
    odd = Request(
        messages=(Message("system", "a\u2028b\r\n\x00"), Message("user", "{{ 租金 }}")),
        choices=("rent", "租金"),
        json_schema=schema,
        max_tokens=3,
        query="\\n",
    )
    rows = [TrainingRow("o", odd, "\u2029"), *render_rows(nearest, ROWS)]
    write_rows(tmp_path / "train.jsonl", rows)
    again = read_rows(tmp_path / "train.jsonl")
    assert again[0] == rows[0]
    assert [(r.id, r.request.messages, r.target) for r in again] == [(r.id, r.request.messages, r.target) for r in rows]
    # What the messages already show is not written a second time.
    assert all(r.request.shots == () and r.request.passages == () for r in again)
