"""Every step, and all of them together: doing it twice is doing it once, and the order of asking does not matter."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rung.core.errors import UsageError
from rung.data.cleaning.registry import all_steps, text_step
from rung.data.cleaning.run import clean_records
from rung.data.cleaning.texts import clean_text
from rung.data.cleaning.wanted import Wanted
from rung.data.record import Record

ARGUMENTS = {"script": {"to": "simplified"}}
TEXT_STEPS = [info.name for info in all_steps() if info.kind == "text"]
# What the steps look for, whole and in halves, so that one removal can make the next one possible.
PIECES = (
    *(
        "<b>",
        "</b>",
        "<br/>",
        "<p>",
        "</p>",
        "<!--",
        "-->",
        "<sup>2</sup>",
        "&amp;",
        "&lt;",
        "&gt;",
        "b&gt;",
        "lt;",
        "&#8203;",
        "<",
    ),
    *(
        "\u200b",
        "\u200d",
        "\u202e",
        "\ufeff",
        "\u200f",
        "\U000e0041",
        "👨",
        "👩",
        "می",
        "क्",
        "\x0b",
        "\x00",
        "\u0301",
        "e",
    ),
    *(" ", "  ", "\t", "\n", "\r\n", "\n\n\n", "\u3000", "\u00a0", "    ", "```", "`", "|", "~~~"),
    *("你", "好(hǎo)", "你(nǐ)", "nǐ", "hao3", "漢字(かんじ)を", "ㄋㄧˇ", "１", "Ａ", "．", "：", "％", "，"),
    *(
        "cafÃ©",
        "å¥½",
        "浣犲ソ",
        "ÄãºÃ",
        "~{",
        "N@Iz",
        "~}",
        "锟斤拷",
        "\ufffd",
        "房间",
        "干净",
        "word",
        "HTML",
        "拼音",
        "nan",
    ),
)
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.characters(exclude_categories=["Cs"])), max_size=14).map("".join)


@pytest.mark.parametrize("name", TEXT_STEPS)
@given(text=texts)
def test_a_step_done_twice_is_done_once(name: str, text: str) -> None:
    step = text_step(name, ARGUMENTS.get(name))
    once = step.clean(text)
    assert step.clean(once) == once


@given(text=texts)
def test_all_steps_done_twice_are_done_once(text: str) -> None:
    steps = Wanted().text_steps()
    once = clean_text(text, steps)
    assert clean_text(once, steps) == once


@example([("<b>", "HTML\u200bb&gt;")])
@given(rows=st.lists(st.tuples(texts, texts), max_size=6))
def test_cleaning_clean_rows_changes_nothing(rows: list[tuple[str, str]]) -> None:
    records = [Record(id=str(n), inputs={"q": q}, answers=(a,)) for n, (q, a) in enumerate(rows)]
    wanted = Wanted(steps=tuple(info.name for info in all_steps() if info.default), answers=True)
    once = clean_records(records, wanted)
    again = clean_records(once.records, wanted)
    assert again.records == once.records
    assert not again.changed


def test_steps_run_in_the_order_of_the_table() -> None:
    assert Wanted(steps=("space", "html")).names == ("html", "space")
    assert Wanted(skip=("ruby",), languages=("zh",)).names == tuple(
        info.name for info in all_steps() if (info.default or info.name == "language") and info.name != "ruby"
    )


@pytest.mark.parametrize("info", [info for info in all_steps() if info.kind == "text"], ids=lambda info: info.name)
def test_the_table_shows_what_a_step_does(info) -> None:  # type: ignore[no-untyped-def]
    assert text_step(info.name, ARGUMENTS.get(info.name)).clean(info.before) == info.after


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Wanted(steps=("hmtl",)), "E2270"),
        (Wanted(skip=("hmtl",)), "E2270"),
        (Wanted(steps=("language",)), "E2271"),
        (Wanted(steps=("script",)), "E2271"),
        (Wanted(steps=("html",), skip=("html",)), "E2272"),
        (Wanted(min_chars=10, max_chars=5), "E2273"),
        (Wanted(min_chars=-1), "E2273"),
        (Wanted(languages=("fr",)), "E2274"),
        (Wanted(merge={"a": "b", "b": "a"}), "E2275"),
    ],
)
def test_says_what_is_wrong_with_a_wish(wanted: Wanted, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        _ = wanted.names
    assert caught.value.problems[0].code == code
