"""Passages: whole structure where it fits, exact spans, nothing lost, English and Chinese."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.answer import Item
from rung.core.task import Document, Mark, Passage
from rung.metrics.grounding import document_of
from rung.retrieval.chunk import chunk_documents, count_words


def cut(text: str, words: int = 40, overlap: int = 0, title: str = "Guide") -> list[Item]:
    return chunk_documents([Document("d.md", title, text)], words, overlap)


def body(item: Item) -> str:
    return item.text[-(item.payload["end"] - item.payload["start"]) :]


def words(n: int, word: str = "word") -> str:
    return " ".join([word] * n)


def test_short_document_is_one_passage_with_its_title() -> None:
    (item,) = cut("Bring your key.\n\nThen wait.")
    assert (item.id, item.text) == ("d.md#1", "Guide\nBring your key.\n\nThen wait.")
    assert Passage(id=item.id, text=item.text, **item.payload).end == 27


def test_headings_lead_their_passages_and_a_title_is_not_said_twice() -> None:
    text = f"# Guide\n\n{words(30)}.\n\n## Fees\n\n{words(30)}.\n\n### Late fees\n\n{words(30)}.\n\n## Keys\n\n{words(30)}."
    assert [item.text.split("\n")[0] for item in cut(text)] == [
        "Guide",
        "Guide > Fees",
        "Guide > Fees > Late fees",
        "Guide > Keys",
    ]


def test_a_heading_may_end_in_a_mark() -> None:
    assert [item.text.split("\n")[0] for item in cut("# C#\n\nfirst\n\n# F# #\n\n" + words(39))] == [
        "Guide > C#",
        "Guide > F#",
    ]


@pytest.mark.parametrize("heading", ["第二章 押金", "押金\n====", "## 押金 ##"])
def test_headings_in_other_writing(heading: str) -> None:
    (item,) = cut(f"{heading}\n押金最高为两个月租金。", title="办法")
    assert item.text.startswith("办法 > ")
    assert "押金\n押金最高" in item.text
    assert "=" not in item.text


def test_small_sections_share_a_passage_but_not_across_parents() -> None:
    text = "# A\n\n## A1\n\none two\n\n## A2\n\nthree four\n\n# B\n\n## B1\n\nfive six"
    first, second = cut(text)
    assert body(first) == "one two\n\n## A2\n\nthree four"
    assert second.text == "Guide > B > B1\nfive six"


def test_heading_without_text_is_not_lost() -> None:
    items = cut("# A\n\nbody text\n\n# Contact 555-0199")
    assert any("555-0199" in item.text for item in items)


def test_list_and_table_stay_whole_where_they_fit() -> None:
    bullets = "- one two\n- three four\n- five six"
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
    items = cut(f"{words(35)}.\n\n{bullets}\n\n{words(34)}.\n\n{table}")
    assert any(bullets in body(item) for item in items)
    assert any(table in body(item) for item in items)


def test_table_that_goes_on_repeats_its_first_row() -> None:
    rows = "\n".join(f"| item {n} | {n} pounds |" for n in range(30))
    items = cut(f"| name | price |\n|---|---|\n{rows}")
    assert len(items) > 2
    assert all(item.text.startswith("Guide\n| name | price |\n") for item in items)


def test_overlap_repeats_whole_sentences_within_the_section_only() -> None:
    sentences = [f"So {words(7)} {n}." for n in range(12)]
    first, second, *_, last = cut(" ".join(sentences[:9]) + "\n\n# Next\n\n" + " ".join(sentences[9:]), overlap=10)
    assert body(second).startswith(sentences[3])
    assert body(first).endswith(sentences[3])
    assert body(last).startswith(sentences[9])


def test_two_chinese_characters_count_as_a_word() -> None:
    assert count_words("押金退还 within 30 days") == 5.0
    sentence = "租客应当在五天之内付清全部押金的第一期款。"
    items = cut(sentence * 12, words=40)
    assert len(items) == 3
    assert all(body(item).endswith("。") for item in items)


def test_text_without_a_place_to_cut_is_cut_anyway() -> None:
    for text in ("押" * 500, "x" * 5000, "." * 5000, words(300)):
        items = cut(text)
        assert len(items) > 3
        assert all(count_words(body(item)) <= 40 for item in items)
        assert "".join(map(body, items)).replace(" ", "") == text.replace(" ", "")


def test_blank_document_yields_nothing_and_ids_are_per_document() -> None:
    documents = [Document("a", "A", " \n\n"), Document("b", "B", "text"), Document("c", "C", "text")]
    assert [item.id for item in chunk_documents(documents, 40, 0)] == ["b#1", "c#1"]


def test_a_passage_names_its_page_and_still_its_document() -> None:
    text = f"{words(30)}.\n\n{words(30)}."
    document = Document("a#1.pdf", "A", text, marks=(Mark(0, "p. 1"), Mark(text.rindex("\n"), "Sheet #2")))
    ids = [item.id for item in chunk_documents([document], 40, 0)]
    assert ids == ["a#1.pdf#1 (p. 1)", "a#1.pdf#2 (Sheet 2)"]
    assert {document_of(id) for id in ids} == {"a#1.pdf"}


def test_code_is_no_heading_and_an_open_fence_loses_nothing() -> None:
    (item,) = cut("Run this:\n\n```\n# not a heading\nls\n")
    assert item.text == "Guide\nRun this:\n\n```\n# not a heading\nls"


@pytest.mark.parametrize(("size", "overlap"), [(3, 0), (40, 40), (40, -1)])
def test_senseless_sizes_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="chunk_words"):
        chunk_documents([], size, overlap)


BLOCKS = st.sampled_from(
    [
        "# Top",
        "## Below",
        "### Deep",
        "第三章 总则",
        "A short paragraph. It has two sentences.",
        "A paragraph that is\nwrapped over lines, with no. 4 and 3.5 in it",
        "租客应当付清押金。房东不得自行保管！逾期者，罚款三百元。",
        "- one thing\n- another thing, longer than the first one\n  and wrapped",
        "| a | b |\n| - | - |\n| 1 | 二 |\n| 3 | 四 |",
        "```\ncode  here\n\n# and here\n```",
        words(45, "endless"),
        "字" * 90,
        "a-b/c." * 40,
        "……" * 30,
        "",
    ]
)


@settings(deadline=None)
@given(st.lists(BLOCKS, max_size=9), st.sampled_from([(6, 0), (20, 6), (60, 20)]), st.sampled_from(["\n\n", "\n"]))
def test_spans_are_exact_in_order_and_cover_the_text(blocks: list[str], size: tuple[int, int], gap: str) -> None:
    text = gap.join(blocks)
    items = cut(text, *size)
    spans = [(item.payload["start"], item.payload["end"]) for item in items]
    covered = {n for start, end in spans for n in range(start, end)}
    assert spans == sorted(spans)
    assert len(set(spans)) == len(spans)
    for item, (start, end) in zip(items, spans, strict=True):
        assert item.text.endswith("\n" + text[start:end])
        assert text[start:end].strip() == text[start:end] != ""
        assert count_words(text[start:end]) <= size[0]
    position = 0
    for block in blocks:
        if not block.startswith(("#", "第")):
            visible = {position + n for n, char in enumerate(block) if not char.isspace()}
            assert visible <= covered
        position += len(block) + len(gap)
    assert cut(text, *size) == items
