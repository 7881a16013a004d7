"""Drafting: what is asked, what is read, what is refused and why, and that no call is made twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.core.answer import Item
from rung.core.errors import BackendError, DataError, UsageError
from rung.core.model import Completion, Failure, Request
from rung.core.task import Document
from rung.data.record import Record
from rung.experiment.drafting.draft import BATCH, Drafted, Wanted, draft
from rung.experiment.drafting.parse import Pair, read_pairs
from rung.experiment.drafting.prompts import check_request, draft_request
from rung.experiment.drafting.rows import KINDS, check_splits
from rung.experiment.drafting.sieve import Sieve, grounding, same_answer
from rung.models.fake import FakeModel

TEXT = "The deposit for a furnished home is six weeks' rent. It is lodged with the Deposit Registry within 12 days."
CHUNK = Item(
    "pay.md#1", f"Deposits\n{TEXT}", {"document": "pay.md", "title": "Deposits", "start": 40, "end": 40 + len(TEXT)}
)
ZH_TEXT = "押金最多为六周的租金。房东必须在十二天内把押金交到登记处。"
ZH_CHUNK = Item("zh.md#1", ZH_TEXT, {"document": "zh.md", "title": "", "start": 0, "end": len(ZH_TEXT)})


def documents(n: int = 3) -> list[Document]:
    """Each about a fee of its own, one passage long."""
    names = ("parking", "garden", "laundry", "storage", "cellar", "balcony", "garage", "attic", "terrace", "workshop")
    return [
        Document(
            f"{name}.md",
            name.title(),
            f"The {name} fee of the house is {10 + i} crowns a month. It is paid to the caretaker before the first Sunday, "
            f"and whoever does not use the {name} pays nothing at all for it.",
        )
        for i, name in enumerate(names[:n])
    ]


def answering(request: Request) -> str:
    """A model that drafts one good pair and one bad one, and answers a check from the passage."""
    name = next((d.id.removesuffix(".md") for d in documents(10) if d.id.removesuffix(".md") in request.query), "")
    number = next(i for i, d in enumerate(documents(10)) if d.id == f"{name}.md")
    if len(request.messages) == 1:
        return f"{10 + number} crowns"
    return (
        f"Q: How much is the {name} fee of the house?\nA: {10 + number} crowns a month\n"
        f"Q: What does the passage say about the {name}?\nA: a fee"
    )


def run(
    folder: Path, model: FakeModel | None = None, n: int = 3, checker: FakeModel | None = None, **wanted: object
) -> Drafted:
    return draft(documents(n), model or FakeModel(answering), folder, Wanted(**wanted), checker=checker)  # type: ignore[arg-type]


def asked(model: FakeModel) -> int:
    return sum(len(batch) for batch in model.calls)


def adds_up(found: Drafted) -> bool:
    return found.drafted == found.kept + sum(found.refused.values()) + found.surplus


# Reading


@pytest.mark.parametrize(
    "text",
    [
        "Q: How long?\nA: 12 days\nQ: How much?\nA: six weeks' rent",
        "**Question 1:** How long?\n**Answer 1:** 12 days\n\n**Question 2:** How much?\n**Answer 2:** six weeks' rent",
        "1. Q: How long?\n   A: 12 days\n2. Q: How much?\n   A: six weeks' rent",
        'Sure!\n```json\n[{"question": "How long?", "answer": "12 days"}, {"question": "How much?", "answer": "six weeks\' rent"}]\n```',
        '{"pairs": [{"Q": "How long?", "A": "12 days"}, {"Q": "How much?", "A": "six weeks\' rent"}]}',
    ],
)
def test_pairs_are_read_however_a_model_writes_them(text: str) -> None:
    assert read_pairs(text) == [Pair("How long?", "12 days"), Pair("How much?", "six weeks' rent")]


def test_chinese_pairs_are_read() -> None:
    assert read_pairs("问：押金最多多少？\n答：六周的租金\n问题2：多久内登记？\n答案2：十二天") == [
        Pair("押金最多多少？", "六周的租金"),
        Pair("多久内登记？", "十二天"),
    ]


def test_what_is_no_pair_says_why() -> None:
    assert [p.problem for p in read_pairs("I am happy to help.")] == ["unparsable"]
    assert [p.problem for p in read_pairs("")] == ["unparsable"]
    assert [p.problem for p in read_pairs("Q: How long?\nQ: How much?\nA: six")] == ["empty", ""]
    assert [p.problem for p in read_pairs("Q: How long?\nA: 12 days\nQ: How mu", cut_off=True)] == ["", "cut_off"]
    assert [p.problem for p in read_pairs("Q: How long?\nA: 12 days\n" * 3)] == ["", "repeated", "repeated"]
    broken = '[{"question": "How long?", "answer": "12 days"}, {"question": "How mu'
    assert [p.problem for p in read_pairs(broken)] == [""]


def test_the_document_decides_the_language_and_its_braces_stay() -> None:
    assert "请写出 3 个" in draft_request(ZH_CHUNK, 3).messages[-1].text
    braces = Item("b", "Use {n} and {passage} in the form, as the clerk says.", CHUNK.payload)
    assert "Use {n} and {passage} in the form" in draft_request(braces, 2).messages[-1].text
    assert "{question}" in check_request("A passage with {question} in it", "Is it so?").messages[0].text


# Filters


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("How long does lodging a deposit take?", "12 days", ""),
        ("What deposit may be asked for a furnished home?", "six weeks' rent", ""),
        ("What does the passage say about the deposit?", "six weeks' rent", "refers_to_text"),
        ("What is the deposit mentioned above?", "six weeks' rent", "refers_to_text"),
        ("How high is the deposit?", "ten weeks of pay", "ungrounded"),
        ("Is a deposit of six weeks' rent allowed?", "six weeks' rent", "gives_away"),
        ("Who wrote the novel about the whale?", "12 days", "off_topic"),
        ("Deposit registry", "12 days", "length"),
        ("The deposit is lodged within days", "12 days", "not_a_question"),
        ("押金要在多少天内登记？", "12 days", "language"),
        ("How many books may a member of the Harbour Library borrow at a time?", "up to twelve", "echo"),
    ],
)
def test_each_filter_refuses_what_it_is_for(question: str, answer: str, reason: str) -> None:
    sieve = Sieve()
    found = sieve.look(Pair(question, answer), CHUNK, 0)
    assert dict(sieve.refused) == ({reason: 1} if reason else {})
    assert (found is None) == bool(reason)


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("房东要在多少天内登记押金？", "十二天", ""),
        ("文中的押金最多是多少？", "六周的租金", "refers_to_text"),
        ("押金最多是多少？", "三个月的工资", "ungrounded"),
        ("How much is the deposit of the tenant?", "六周", "language"),
    ],
)
def test_filters_read_chinese(question: str, answer: str, reason: str) -> None:
    sieve = Sieve()
    sieve.look(Pair(question, answer), ZH_CHUNK, 0)
    assert dict(sieve.refused) == ({reason: 1} if reason else {})


def test_the_place_of_an_answer_is_its_span_in_the_document() -> None:
    found = Sieve().look(Pair("How long does lodging a deposit take?", "12 days."), CHUNK, 0)
    assert found is not None
    assert TEXT[found.start - 40 : found.end - 40] == "12 days"


def test_grounding_counts_tokens_as_often_as_they_stand_there() -> None:
    assert grounding("six weeks' rent", TEXT, "en") == 1.0
    assert grounding("six six six", TEXT, "en") == pytest.approx(1 / 3)
    # The letters of "or" stand in "for": a word is what counts.
    assert grounding("or", TEXT, "en") == 0.0
    assert grounding("no", "There is no fee.", "en") == 0.0
    assert same_answer("12 days", "within 12 days", "en") == 1.0
    assert same_answer("12 days", "20 weeks", "en") == 0.0


def test_equal_and_near_questions_are_copies() -> None:
    sieve = Sieve()
    sieve.known(["What is the deposit for a furnished home?"])
    pairs = [
        Pair("what is the deposit for a furnished home", "six weeks' rent"),
        Pair("How long does lodging a deposit with the Deposit Registry take in all?", "12 days"),
        Pair("How long does lodging a deposit with the Deposit Registry take, in all?!", "12 days"),
        Pair("How long does the lodging of a deposit with the Deposit Registry take in all?", "12 days"),
    ]
    drafts = [draft for n, pair in enumerate(pairs) if (draft := sieve.look(pair, CHUNK, n))]
    assert [draft.pair for draft in sieve.without_copies(drafts)] == [pairs[1]]
    assert sieve.refused["copy"] == 3


def test_questions_about_two_things_are_no_copies_however_alike() -> None:
    questions = ["How much is the garage fee of the house?", "How much is the storage fee of the house?"]
    text = "The garage fee of the house is 16 crowns, and the storage fee of the house is 13 crowns."
    chunk = Item("a#1", text, {"document": "a", "title": "", "start": 0, "end": len(text)})
    sieve = Sieve()
    pairs = [Pair(question, answer) for question, answer in zip(questions, ("16 crowns", "13 crowns"), strict=True)]
    drafts = [draft for n, pair in enumerate(pairs) if (draft := sieve.look(pair, chunk, n))]
    assert len(sieve.without_copies(drafts)) == 2


# Drafting


def test_every_pair_is_kept_or_counted_and_rows_say_where_they_come_from(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert (found.asked, found.drafted, found.kept) == (3, 6, 3)
    assert found.refused == {"refers_to_text": 3}
    assert adds_up(found)
    texts = {document.id: document.text for document in documents()}
    for row in found.rows:
        assert row.synthetic
        assert row.split is None
        (document,) = row.documents
        start, end = row.extra["draft"]["answer_span"]
        assert texts[document][start:end] == row.answer
        assert row.source.startswith(f"{document}#")
        assert row.extra["draft"]["model"] == "fake"
    assert found.step.counts["refused.refers_to_text"] == 3


def test_a_second_call_asks_nothing_and_gives_the_same_rows(tmp_path: Path) -> None:
    first, again = run(tmp_path), FakeModel(answering)
    second = run(tmp_path, again)
    assert asked(again) == 0
    assert second.rows == first.rows
    assert second.calls == 3
    assert second.new_calls == 0


def test_a_killed_draft_goes_on_where_it_was(tmp_path: Path) -> None:
    n = BATCH + 2
    killed = FakeModel(answering, faults={BATCH + 1: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, killed, n)
    model = FakeModel(answering)
    found = run(tmp_path, model, n)
    assert asked(model) == 2
    assert found.kept == n


def test_a_failed_request_is_counted_and_asked_again(tmp_path: Path) -> None:
    found = run(tmp_path, FakeModel(answering, faults={2: Failure("timeout", "too slow")}))
    assert (found.asked, found.failed, found.kept, found.calls) == (3, 1, 2, 3)
    model = FakeModel(answering)
    found = run(tmp_path, model)
    assert asked(model) == 1
    assert (found.failed, found.kept, found.calls) == (0, 3, 4)


def test_a_model_that_never_answers_ends_it(tmp_path: Path) -> None:
    with pytest.raises(BackendError) as caught:
        run(tmp_path, FakeModel(lambda request: Failure("server", "no such model")))
    assert caught.value.code == "E2964"


def test_calls_are_limited_over_all_sessions(tmp_path: Path) -> None:
    for _ in range(2):
        found = run(tmp_path, n=5, max_calls=3)
        assert (found.calls, found.kept, found.stopped) == (3, 3, True)
    assert run(tmp_path, n=5, max_calls=30).kept == 5


def test_most_stops_early_and_counts_the_rest(tmp_path: Path) -> None:
    model = FakeModel(answering)
    found = run(tmp_path, model, n=10, most=2)
    assert found.kept == 2
    assert found.surplus == BATCH - 2
    assert asked(model) == BATCH
    assert adds_up(found)


def test_a_checker_that_answers_otherwise_refuses(tmp_path: Path) -> None:
    def contrary(request: Request) -> str | Failure:
        return Failure("timeout") if "parking" in request.query else "nothing at all, as far as anybody knows"

    assert run(tmp_path, checker=FakeModel(answering)).kept == 3
    found = run(tmp_path, checker=FakeModel(contrary, id="contrary"))
    assert found.refused == {"refers_to_text": 3, "round_trip_failed": 1, "round_trip": 2}
    assert adds_up(found)


def test_rows_for_retrieval_never_hold_the_answer_where_they_abstain(tmp_path: Path) -> None:
    found = run(tmp_path, n=5, kinds=KINDS, abstain="Not said.", distractors=2, split="train")
    by_kind: dict[str, list[Record]] = {kind: [] for kind in KINDS}
    for row in found.rows:
        by_kind[row.extra["draft"]["kind"]].append(row)
    assert {kind: len(rows) for kind, rows in by_kind.items()} == dict.fromkeys(KINDS, 5)
    answers = {row.group: row.answer for row in by_kind["answerable"]}
    for row in by_kind["distractor"]:
        gold = [passage for passage in row.extra["passages"] if passage["gold"]]
        assert len(row.extra["passages"]) == 3
        assert len(gold) == 1
        assert row.answer in gold[0]["text"]
        assert row.answer in row.inputs["passages"]
    for row in by_kind["unanswerable"]:
        assert row.answer == "Not said."
        assert row.documents == ()
        assert len(row.extra["passages"]) == 2
        assert answers[row.group] not in row.inputs["passages"]
    assert len({row.extra["passages"][0]["gold"] for row in by_kind["distractor"]}) == 2
    assert {row.split for row in found.rows} == {"train"}


def test_what_cannot_be_made_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    model = FakeModel(answering)
    for wanted, code in (({"kinds": ("riddle",)}, "E2962"), ({"kinds": ("unanswerable",)}, "E2963")):
        with pytest.raises(UsageError) as caught:
            run(tmp_path, model, **wanted)
        assert caught.value.code == code
    with pytest.raises(DataError) as wrong:
        draft([Document("a.md", "", "Too short.")], model, tmp_path, Wanted())
    assert wrong.value.code == "E2960"
    assert asked(model) == 0


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_drafted_row_is_tested_on_only_once_a_person_has_confirmed_it(split: str) -> None:
    row = Record(id="a", inputs={"question": "?"}, answers=("x",), synthetic=True, split=split)
    with pytest.raises(DataError) as caught:
        check_splits([row])
    assert caught.value.code == "E2961"
    check_splits([row.model_copy(update={"labelled": {"anna": "x"}}), row.model_copy(update={"split": "train"})])


def test_a_cut_off_completion_loses_its_last_pair_only(tmp_path: Path) -> None:
    def cut(request: Request) -> Completion:
        return Completion(text=answering(request), finish="length")

    found = run(tmp_path, FakeModel(cut))
    assert found.refused == {"cut_off": 3}
    assert found.kept == 3
