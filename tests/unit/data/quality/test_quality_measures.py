"""Copies, conflicts, answers, annotators, words, lengths, topics, coverage and counts."""

from __future__ import annotations

import numpy as np
import pytest

from rung.core.task import Document, OutputSpec, Task
from rung.data.leakage.keys import keys_of
from rung.data.quality.annotators import annotator_agreement
from rung.data.quality.answers import find_faults
from rung.data.quality.copies import count_copies, find_repeats
from rung.data.quality.coverage import cover
from rung.data.quality.head import Predictions
from rung.data.quality.personal import count_personal, unreadable
from rung.data.quality.ranking import rank_rows
from rung.data.quality.record import Reason
from rung.data.quality.topic_words import topic_words
from rung.data.quality.topics import cluster, describe_topics, strangers
from rung.data.quality.vocabulary import count_vocabulary, measure_lengths, odd_lengths
from rung.data.quality.volume import count_labels, learning_curve
from rung.data.record import Record


def row(id: str, question: str, answer: str = "", **more: object) -> Record:
    return Record.model_validate({"id": id, "inputs": {"q": question}, "answers": (answer,) if answer else (), **more})


def test_copies_conflicts_and_near_conflicts_are_told_apart() -> None:
    long = "Please tell me how long it usually takes until a new bank card arrives at my home address"
    rows = [
        row("a", "How much?", "fee"),
        row("b", "how much", "price", split="test"),
        row("c", "How  MUCH ?!", "Fee"),
        row("d", long, "arrival"),
        row("e", long + " please", "lost"),
        row("f", "Other", ""),
    ]
    found = find_repeats(rows, keys_of([record.question for record in rows]))
    assert found.exact == ((0, 1), (0, 2))
    assert found.near == ((3, 4),)
    exact, near = found.conflicts
    assert (exact.ids, exact.answers, exact.near) == (("a", "b", "c"), ("fee", "price", "Fee"), False)
    assert near.near
    # A near copy is no reason to doubt a row: the word that differs may decide.
    assert found.conflicting == {0: 1, 1: 0, 2: 1}
    counted = count_copies(rows, found)
    assert (counted.exact, counted.near, counted.across) == (2, 1, 1)


@pytest.mark.parametrize(
    ("question", "answer", "fault"),
    [
        ("Where do I pay?", "  ", "empty"),
        ("我在哪里付款？", "nan", "empty"),
        ("Where do I pay the rent?", "where do I pay the rent", "copied"),
        ("Where do I pay?", "As an AI language model, I have no access to that.", "refusal"),
        ("Where do I pay?", "I'm sorry, but I can't help with that.", "refusal"),
        ("我在哪里付款？", "很抱歉，我无法回答这个问题。", "refusal"),
        ("我在哪里付款？", "作为一个人工智能助手，我不知道。", "refusal"),
        (
            "How is the deposit paid back?",
            "It is paid back within twenty days after the flat has been handed over to the landlord and",
            "truncated",
        ),
        ("How long does it take to get my deposit back?", "押金会在退房之后二十天之内退还给您。", "language"),
        ("Where do I pay the rent?", "At the blue counter of the railway museum", "unsupported"),
    ],
)
def test_a_bad_answer_is_caught_for_what_it_is(question: str, answer: str, fault: str) -> None:
    good = [row(f"g{n}", f"Where do I pay part {n} of it now?", "At the counter of the town hall.") for n in range(9)]
    bad = Record(id="bad", inputs={"q": question}, answers=(answer,), documents=("d",))
    documents = [
        Document(
            "d",
            "",
            "Rent is paid at the counter of the town hall. It is paid back within twenty days after "
            "the flat has been handed over to the landlord and the keys.",
        )
    ]
    found = find_faults([*good, bad], "text", None, documents)
    assert {kind: places for kind, places in found.rows.items() if places} == {fault: [9]}


def test_good_answers_and_the_task_s_own_abstention_are_no_faults() -> None:
    task = Task(
        name="t",
        instruction="",
        inputs=("q",),
        output=OutputSpec(kind="text", abstain="Sorry, I cannot say."),
        metrics=("m",),
    )
    rows = [
        row("1", "Can I pay by card?", "Sorry, I cannot say.", documents=("d",)),
        row("2", "Can I pay by card?", "Yes"),
        row("3", "能刷卡吗？", "可以，在前台刷卡。"),
        row("4", "How many days?", "3"),
    ]
    found = find_faults(rows, "text", task, [Document("d", "", "nothing")])
    assert not any(found.rows.values())


def test_a_translation_is_no_mistake_of_language() -> None:
    rows = [
        row(str(n), "How do I get to the old railway station?", "请问去老火车站应该怎么走才好呢？") for n in range(5)
    ]
    found = find_faults(rows, "text")
    assert found.rows["language"] == []
    assert found.looked_at["language"] == 0


def test_json_answers_are_held_against_the_schema() -> None:
    schema = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
    task = Task(
        name="t", instruction="", inputs=("q",), output=OutputSpec(kind="json", json_schema=schema), metrics=("m",)
    )
    answers = ['{"city": "Graz"}', '{"town": "Graz"}', "Graz", '{"city": NaN}', '["Graz"]']
    rows = [row(str(n), "Where?", answer) for n, answer in enumerate(answers)]
    assert find_faults(rows, "json", task).rows["json"] == [1, 2, 3, 4]
    assert find_faults(rows, "json").rows["json"] == [2, 3, 4]


def test_agreement_takes_the_measure_that_fits_the_annotators() -> None:
    def labelled(*given: dict[str, str]) -> list[Record]:
        return [row(str(n), f"q{n}", labelled=one) for n, one in enumerate(given)]

    two = annotator_agreement(labelled(*[{"a": "x", "b": "x"}] * 8, *[{"a": "y", "b": "y"}] * 8, {"a": "x", "b": "y"}))
    assert two is not None
    assert two.kind == "cohen"
    assert two.kappa.low is not None
    assert two.kappa.low < (two.kappa.point or 0) < 1
    three = {"a": "x", "b": "x", "c": "y"}
    whole = annotator_agreement(labelled(three, {"a": "y", "b": "y", "c": "y"}, three))
    assert whole is not None
    assert whole.kind == "fleiss"
    gaps = annotator_agreement(labelled(three, {"a": "y", "b": "y"}, {"a": "x"}))
    assert gaps is not None
    assert (gaps.kind, gaps.kappa.n, gaps.annotators) == ("krippendorff", 2, ("a", "b", "c"))
    assert annotator_agreement(labelled({"a": "x"})) is None


def test_words_and_lengths() -> None:
    found = count_vocabulary(["the red house", "the red car", "猫"], "en")
    assert found is not None
    # Articles are no words here; red stands twice.
    assert (found.words, found.different, found.once) == (5, 4, 0.75)
    assert count_vocabulary(["", " "], "en") is None
    lengths = measure_lengths(["a" * n for n in [10] * 500 + [2000]])
    assert lengths is not None
    assert sum(bin.n for bin in lengths.bins) == 501
    assert (lengths.median, lengths.longest, lengths.bins[-1].n) == (10, 2000, 1)
    odd = odd_lengths(["a" * n for n in [40, 44, 48, 52] * 20 + [2000]])
    assert np.flatnonzero(odd > 4).tolist() == [80]
    assert measure_lengths([]) is None


def test_topic_words_are_those_that_other_topics_do_not_have() -> None:
    zh = ["酒店的早餐很好", "早餐在酒店里", "酒店的早餐太少", "酒店的隔音很差", "房间隔音不行", "酒店隔音太差"]
    first, second = topic_words(zh, np.array([0, 0, 0, 1, 1, 1]), 2)
    assert first[0] == "早餐"
    assert "隔音" in second[0]
    en = ["I lost my card", "my card is lost", "lost card!", "the refund is late", "late refund", "where is the refund"]
    first, second = topic_words(en, np.array([0, 0, 0, 1, 1, 1]), 2)
    assert set(first[:2]) == {"lost", "card"}
    assert second[0] == "refund"


def test_topics_of_plain_clusters_are_found_and_strangers_with_them() -> None:
    rng = np.random.default_rng(0)
    middle = np.repeat(np.eye(8)[:3], [60, 40, 20], axis=0)
    vectors = (middle + 0.05 * rng.standard_normal(middle.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = cluster(vectors, rng)
    assert np.bincount(found.topic).tolist() == [60, 40, 20]
    assert found.silhouette > 0.6
    texts = [["card lost", "refund late", "pin blocked"][int(row.argmax())] for row in middle]
    topics = describe_topics(found, texts, texts, rng)
    assert [topic.example for topic in topics.topics] == ["card lost", "refund late", "pin blocked"]
    assert len(topics.map) == 120
    assert topics.method == "tsne"
    far = strangers(np.vstack([vectors, np.eye(8, dtype=np.float32)[7:]]))
    assert np.flatnonzero(far).tolist() == [120]


def test_coverage_counts_named_documents_and_the_sections_nearest_to_a_question() -> None:
    rows = [row("1", "q", documents=("a",)), row("2", "r", documents=("gone",))]
    found = cover(rows, ["a", "b"], ["a", "a", "b"], np.array([1, -1]))
    assert (found.reached, found.sections_reached, found.named, found.missed) == (1, 1, True, ("b",))
    free = cover([row("1", "q")], ["a", "b"], ["a", "a", "b"], np.array([2]))
    assert (free.reached, free.named, free.missed) == (1, False, ("a",))


def test_a_learning_curve_rises_and_its_doubling_is_bounded() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(400) % 4
    vectors = np.eye(24)[labels] + 0.45 * rng.standard_normal((400, 24))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    like = Predictions(np.zeros((400, 4)), 1.0, 10.0)
    curve = learning_curve(vectors, labels, np.arange(400), 4, like, seeds=2)
    assert curve is not None
    assert [point.rows for point in curve.points] == [40, 80, 160, 320]
    scores = [point.score.point or 0 for point in curve.points]
    assert scores[0] < scores[-1] <= (curve.doubled.point or 0) <= 1
    assert all((p.score.low or 0) < (p.score.point or 0) < (p.score.high or 0) for p in curve.points)
    # Where every row is right no resample gains, and chance is still there.
    clear = np.eye(24, dtype=np.float32)[labels]
    sure = learning_curve(clear, labels, np.arange(400), 4, like, seeds=1)
    assert sure is not None
    assert (sure.gain.point, sure.doubled.point) == (0.0, 1.0)
    assert 0 < (sure.gain.high or 0) < 0.02
    assert 0.98 < (sure.doubled.low or 0) < 1
    assert learning_curve(vectors[:60], labels[:60], np.arange(60), 4, like) is None


def test_labels_without_a_row_are_counted_too() -> None:
    counts = count_labels(["a", "a", "b"], ["b"], None, ("a", "b", "c"))
    assert [(count.label, count.n, count.test) for count in counts] == [("a", 2, 0), ("b", 1, 1), ("c", 0, 0)]


def test_doubts_add_up_and_no_listed_text_shows_personal_data() -> None:
    rows = [row("1", "Write to lena.huber@example.com please"), row("2", "hello")]
    assert set(count_personal(rows)) == {0}
    assert "lena.huber@example.com" not in unreadable(rows[0].question)
    half, third = Reason(kind="length", weight=0.5), Reason(kind="outlier", weight=0.2)
    looks = rank_rows(rows, {1: [half], 0: [third, half]}, {})
    assert [(look.id, look.weight) for look in looks] == [("1", 0.6), ("2", 0.5)]
    assert [reason.kind for reason in looks[0].reasons] == ["length", "outlier"]
    assert "lena" not in looks[0].text
