"""What traffic may teach: with consent, in the task's form, nothing that test asks, and everything once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rung.core.task import Example, OutputSpec, Turn
from rung.experiment.next_round.review import LEFT_OUT, Review, homes_of, review
from rung.store.traffic.records import Feedback, Trace

TOPICS = OutputSpec(kind="label", labels=("deposit", "rent", "repairs"))
TEXT = OutputSpec(kind="text")
START = datetime(2026, 5, 1, tzinfo=UTC)
WORDS = (
    "alpha",
    "bravo",
    "carbon",
    "delta",
    "echo",
    "foxtrot",
    "granite",
    "hotel",
    "indigo",
    "jackal",
    "kettle",
    "lagoon",
    "mirror",
    "needle",
    "orchid",
    "paddle",
)


@dataclass
class Heard:
    """Traffic in memory."""

    said: list[tuple[Trace, list[Feedback]]]

    def trace(self, id: str, tenant: str | None = None) -> Trace | None:
        return next((trace for trace, _ in self.said if trace.id == id), None)

    def traces(self, since: datetime | None = None) -> Iterable[Trace]:
        return [trace for trace, _ in self.said]

    def feedback(self, since: datetime | None = None) -> Iterable[Feedback]:
        return [word for _, words in self.said for word in words]


def asked(n: int, question: str, answer: str = "rent", **more: Any) -> Trace:
    return Trace(f"rq-{n:02}", START + timedelta(minutes=n), inputs={"question": question}, answer=answer, **more)


def word(trace: Trace, rating: Any = 0, corrected: str = "", *, consent: bool = True, n: int = 0) -> Feedback:
    at = trace.at + timedelta(seconds=1 + n)
    return Feedback(f"fb-{trace.id}-{n}", trace.id, at, rating=rating, corrected=corrected, consent=consent)


def one(trace: Trace, *words: dict[str, Any]) -> tuple[Trace, list[Feedback]]:
    return trace, [word(trace, n=n, **said) for n, said in enumerate(words)]


def looked(*said: tuple[Trace, list[Feedback]], output: OutputSpec = TOPICS, **more: Any) -> Review:
    held = more.pop("held", {"train": [], "dev": [], "test": []})
    return review(Heard(list(said)), output, held, **more)


def test_corrections_and_thumbs_become_rows_and_the_rest_is_counted() -> None:
    found = looked(
        one(asked(1, "Who pays the boiler?"), {"rating": -1, "corrected": " Repairs. "}),
        one(asked(2, "When is it due?"), {"rating": 1}),
        one(asked(3, "Where is my deposit?", "rent"), {"rating": -1}),
        one(asked(4, "May I paint?"), {"corrected": "painting"}),
        one(asked(5, "May I leave?"), {"rating": 1, "consent": False}),
        one(asked(6, ""), {"rating": 1}),
        one(asked(7, "Is it cold?", "", failure="timeout", consent=True)),
        one(asked(8, "Is it hot?", "", failure="timeout")),
        one(asked(9, "Is it shadowed?", "", failure="timeout", consent=True, role="shadow")),
    )
    rows = {row.record.id: row for row in found.rows}
    assert {id: (row.kind, row.record.answers, row.record.rejected) for id, row in rows.items()} == {
        "rq-01": ("corrected", ("repairs",), ("rent",)),
        "rq-02": ("confirmed", ("rent",), ()),
    }
    assert [(record.id, kind) for record, kind in found.unanswered] == [("rq-03", "disliked"), ("rq-07", "failed")]
    assert found.left_out == {"no_answer_of_the_task": 1, "no_consent": 2, "no_text": 1, "repeated": 0}
    assert set(found.left_out) <= set(LEFT_OUT)
    assert found.counts == {"corrected": 1, "confirmed": 1, "disliked": 1, "failed": 1}


def test_nothing_of_a_question_without_consent_is_in_the_result() -> None:
    found = looked(
        one(asked(1, "secret question", failure="timeout"), {"rating": -1, "corrected": "rent", "consent": False})
    )
    assert "secret" not in repr(found)


def test_the_last_word_counts_but_a_thumb_takes_no_correction_back() -> None:
    trace = asked(1, "Who pays the boiler?")
    found = looked(one(trace, {"corrected": "deposit"}, {"corrected": "repairs"}, {"rating": -1}))
    assert [row.record.answers for row in found.rows] == [("repairs",)]
    liked = looked(one(trace, {"corrected": "repairs"}, {"rating": 1}))
    assert [(row.kind, row.record.answers) for row in liked.rows] == [("confirmed", ("rent",))]


def test_what_the_run_asks_already_is_left_out_and_test_stays_sealed() -> None:
    long = (
        "the landlord of my flat has not returned the money for the broken window and the door since last winter began"
    )
    held = {
        "train": [
            Example("t1", {"question": "When is rent due?"}, ("rent",)),
            Example("t2", {"question": long}, ("deposit",)),
        ],
        "dev": [Example("d1", {"question": "Who fixes the roof?"}, ("repairs",))],
        "test": [Example("x1", {"question": "Is the deposit safe?"}, ("deposit",))],
        "fresh_test": [Example("f1", {"question": "Can I sublet?"}, ("rent",))],
    }
    found = looked(
        one(asked(1, "when is rent due"), {"rating": 1}),
        one(asked(2, "When is RENT due?!"), {"corrected": "deposit"}),
        one(asked(3, "Who fixes the roof"), {"rating": 1}),
        one(asked(4, "is the deposit safe ?"), {"corrected": "rent"}),
        one(asked(5, "can I sublet"), {"rating": 1}),
        one(asked(6, f"{long} again"), {"rating": 1}),
        held=held,
    )
    # The first two ask the same; the correction is the one that stays.
    assert found.left_out == {"repeated": 1, "contradicts_train": 1, "in_dev": 1, "in_test": 1, "in_fresh_test": 1}
    assert [(row.record.id, row.only_train) for row in found.rows] == [("rq-06", True)]


def test_dialogues_keep_what_was_said_before() -> None:
    history = (Turn("user", "I rent a flat."), Turn("assistant", "What is wrong?"))
    found = looked(one(asked(1, "The boiler.", "Call them.", history=history), {"rating": 1}), output=TEXT)
    example = found.rows[0].record.to_example(("question",))
    assert example.history == history
    assert example.inputs == {"question": "The boiler."}
    assert example.references == ("Call them.",)


def test_personal_data_is_masked_when_asked_and_alike_in_all_rows() -> None:
    said = [one(asked(n, f"{WORDS[n]}: my phone is 13812345678", "Call 13812345678."), {"rating": 1}) for n in range(3)]
    found = looked(*said, output=TEXT, mask=True)
    assert len(found.rows) == 3
    assert "13812345678" not in repr(found)
    assert len({row.record.answers for row in found.rows}) == 1
    assert "13812345678" in repr(looked(*said, output=TEXT))


def test_rows_go_to_train_and_dev_the_same_way_every_time_and_never_to_test() -> None:
    said = [one(asked(n, f"{WORDS[n % 16]} {WORDS[n // 16]} number {n}", "ok"), {"rating": 1}) for n in range(90)]
    found = looked(*said, output=TEXT)
    homes = homes_of(found, dev_share=0.3)
    assert set(homes.values()) == {"train", "dev"}
    assert 10 < list(homes.values()).count("dev") < 45
    assert homes_of(replace(found, rows=tuple(reversed(found.rows))), dev_share=0.3) == homes
    fresh = homes_of(found, dev_share=0.3, fresh_share=0.5)
    assert set(fresh.values()) == {"train", "dev", "fresh_test"}
    kept = {id for id, home in fresh.items() if home != "fresh_test"}
    assert all(fresh[id] == homes[id] for id in kept)
    only = replace(found, rows=tuple(replace(row, only_train=True) for row in found.rows))
    assert set(homes_of(only, dev_share=0.9, fresh_share=0.9).values()) == {"train"}
