"""Documents: furniture out, pages where they were, content of slides and tables in."""

from __future__ import annotations

from rung.core.task import Document, Mark
from rung.data.cleaning.documents import clean_blocks, clean_documents
from rung.data.cleaning.furniture import find_furniture
from rung.data.cleaning.run import clean_records
from rung.data.cleaning.wanted import Wanted
from rung.data.parsing.blocks import Block
from rung.data.record import Record

WORDS = ("房间", "早餐", "位置", "服务", "价格", "设施")


def report(foot: str = "第 {n} 页 共 9 页") -> Document:
    text, marks = "", []
    for n, word in enumerate(WORDS, 1):
        marks.append(Mark(len(text), f"p. {n}"))
        body = "\n\n".join(f"{word}说明{k * n}，内容各不相同。" for k in range(3, 7))
        text += f"ACME 年报 2026\n\n{body}\n\n{foot.format(n=n + 10)}\n\n"
    return Document("report", "report", text, marks=tuple(marks))


def test_heads_feet_and_page_numbers_go_and_pages_stay() -> None:
    cleaned = clean_documents([report()])
    document = cleaned.documents[0]
    assert "ACME" not in document.text
    assert "共 9 页" not in document.text
    assert document.text.count("说明") == report().text.count("说明")
    assert [document.place(document.text.index(word)) for word in WORDS] == [f"p. {n}" for n in range(1, 7)]
    assert cleaned.steps[-1].counts == {"ACME 年报 #": 6, "第 # 页 共 # 页": 6}
    assert clean_documents(cleaned.documents).documents == cleaned.documents


def test_marks_move_with_their_text() -> None:
    document = Document(
        "d", "d", "一\u200b二\n\n三  四\n\n五", marks=(Mark(0, "p. 1"), Mark(5, "p. 2"), Mark(11, "p. 3"))
    )
    cleaned = clean_documents([document]).documents[0]
    assert cleaned.text == "一二\n\n三 四\n\n五"
    assert [cleaned.text[mark.start] for mark in cleaned.marks] == ["一", "三", "五"]


def test_what_counts_slides_or_heads_a_table_is_content() -> None:
    slides = [[f"Step {n}", f"do {word}", f"then rest {word}"] for n, word in enumerate(WORDS, 1)]
    assert not find_furniture(slides)
    tables = [["| name | price |", f"| {word} | {n} |", f"| more {word} | {n} |"] for n, word in enumerate(WORDS)]
    assert not find_furniture(tables)
    years = [[f"Result of the year {1990 + n * n}", f"text {word}", f"more {word}"] for n, word in enumerate(WORDS)]
    assert not find_furniture(years)


def test_bare_page_numbers_must_count_pages() -> None:
    counting = [[f"text {word}", f"more {word}", str(n + 4)] for n, word in enumerate(WORDS)]
    assert find_furniture(counting) == {(page, 2) for page in range(6)}
    prices = [
        [f"text {word}", f"more {word}", str(price)] for price, word in zip((12, 40, 7, 3, 99, 1), WORDS, strict=True)
    ]
    assert not find_furniture(prices)


def test_a_set_of_pages_without_marks_shares_its_furniture() -> None:
    def page(word: str) -> str:
        return f"首页 > 帮助中心\n\n{word}的说明在这里。\n\n{word}还有更多。\n\n版权所有 © ACME 2026"

    cleaned = clean_documents([Document(word, word, page(word)) for word in WORDS])
    assert [document.text for document in cleaned.documents] == [f"{w}的说明在这里。\n\n{w}还有更多。" for w in WORDS]
    rows = [Record(id=word, inputs={"text": page(word)}) for word in WORDS]
    assert not clean_records(rows).changed
    on_request = clean_records(rows, Wanted(steps=("furniture",)))
    assert [row.inputs["text"].split("\n")[0] for row in on_request.records] == [f"{w}的说明在这里。" for w in WORDS]


def test_blocks_lose_furniture_and_code_keeps_its_spaces() -> None:
    blocks = [
        block
        for n, word in enumerate(WORDS, 1)
        for block in (
            Block("paragraph", "ACME 年报", page=f"p. {n}"),
            Block("paragraph", f"{word}\u200b　说明", page=f"p. {n}"),
            Block("code", f"x  =  {n}", page=f"p. {n}"),
            Block("paragraph", f"{word}更多", page=f"p. {n}"),
        )
    ]
    cleaned = clean_blocks(blocks)
    assert [block.text for block in cleaned[:3]] == ["房间 说明", "x  =  1", "房间更多"]
    assert len(cleaned) == 18
