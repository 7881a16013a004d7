"""Post-processing of task.yaml: lengths, forbidden words in every writing, marks for the reader."""

from __future__ import annotations

import pytest

from rung.core.errors import UsageError
from rung.core.model import Failure
from rung.core.steps import Changed
from rung.data.privacy.step import mask_personal
from rung.text.steps_forbidden import forbid
from rung.text.steps_length import limit_length
from rung.text.steps_shown import MARKS, ai_mark, disclaimer, label_map, mark_metadata


def text_of(done: str | Changed | Failure) -> str:
    assert not isinstance(done, Failure), done
    return done.text if isinstance(done, Changed) else done


@pytest.mark.parametrize(
    ("text", "limits", "kept"),
    [
        ("One two. Three four. Five.", {"words": 4}, "One two. Three four."),
        ("One two. Three four. Five.", {"words": 5}, "One two. Three four. Five."),
        ("押金应当退还。房东必须说明理由。", {"words": 9}, "押金应当退还。"),
        ("押金应当退还。房东必须说明理由。", {"characters": 15}, "押金应当退还。"),
        ("one two three four five", {"words": 3}, "one two three…"),
        ("one two three four five", {"characters": 9}, "one two…"),
        ("abcdefghijkl", {"characters": 5}, "abcd…"),
        ("押金应当退还", {"characters": 4}, "押金应…"),
        ("short  ", {"characters": 5}, "short  "),
    ],
)
def test_a_long_answer_is_cut_behind_a_sentence_or_a_word(text: str, limits: dict[str, int], kept: str) -> None:
    assert text_of(limit_length(text, **limits)) == kept


def test_a_cut_says_so_and_a_text_that_fits_says_nothing() -> None:
    assert isinstance(limit_length("One two. Three.", words=2), Changed)
    assert limit_length("One two.", words=2) == "One two."


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("Get a GUN here", "gun"),
        ("Get a ｇｕｎ here", "gun"),
        ("Get a g\u200bun here", "gun"),
        ("Get a gu\u0301n here", "gun"),
        ("buy  hard   drugs now", "hard drugs"),
        ("他卖炸弹。", "炸弹"),
        ("他賣炸彈。", "炸弹"),
        ("他卖炸 弹。", "炸弹"),
        ("他卖炸-弹。", "炸弹"),
        ("他卖炸\u200b弹。", "炸弹"),
        ("请用vpn 翻 墙", "VPN翻墙"),
    ],
)
def test_a_forbidden_term_is_found_in_every_writing(text: str, term: str) -> None:
    done = forbid(text, terms=[term])
    assert isinstance(done, Failure)
    assert done.kind == "content_filter"
    assert term not in done.message, "logs must not repeat the word"


@pytest.mark.parametrize(
    ("text", "term"), [("class", "ass"), ("gunnery", "gun"), ("the shotgun", "gun"), ("炸鸡和弹簧", "炸弹")]
)
def test_a_term_inside_another_word_is_no_hit(text: str, term: str) -> None:
    assert forbid(text, terms=[term]) == text


def test_masking_stars_out_what_stands_there_and_keeps_the_rest() -> None:
    done = forbid("他賣炸 彈，a GUN too, code AB-12.", terms=["炸弹", "gun"], patterns=[r"[A-Z]{2}-\d+"], action="mask")
    assert text_of(done) == "他賣* *，a *** too, code *****."
    assert isinstance(done, Changed)
    assert "gun" not in done.note.lower()


def test_a_pattern_without_end_is_a_timeout_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.text.steps_forbidden.SECONDS", 0.05)
    done = forbid("a" * 5000 + "!", patterns=[r"(a|aa|a?)+(b|c)+$"])
    assert done == Failure("timeout", "forbidden: no end after 0.05 s")
    with pytest.raises(UsageError, match="E7100"):
        forbid("x", patterns=["("])


def test_personal_data_is_masked_in_both_languages() -> None:
    done = mask_personal("请致电 13812345678 或写信至 li.wei@example.com。")
    assert "13812345678" not in text_of(done)
    assert "li.wei@example.com" not in text_of(done)
    assert isinstance(done, Changed)
    assert done.note == "email 1, phone 1"
    assert mask_personal("Nothing personal here.") == "Nothing personal here."


def test_marks_for_the_reader() -> None:
    assert text_of(disclaimer("A.", "No legal advice.")) == "A.\n\nNo legal advice."
    assert text_of(disclaimer("A.", "No legal advice.", "start")) == "No legal advice.\n\nA."
    marked = text_of(ai_mark("押金应退还。"))
    assert marked.endswith(MARKS["zh"])
    assert "人工智能" in marked
    assert "生成" in marked
    assert ai_mark(marked) == marked, "no mark stands twice"
    fields = mark_metadata("rq-1", producer="Desk Ltd")["AIGC"]
    assert fields["Label"] == "1"
    assert (fields["ContentProducer"], fields["ProduceID"]) == ("Desk Ltd", "rq-1")


def test_a_label_becomes_the_code_of_the_customer() -> None:
    assert text_of(label_map("rent", {"rent": "R-01"})) == "R-01"
    assert text_of(label_map("other", {"rent": "R-01"}, default="X")) == "X"
    assert isinstance(label_map("other", {"rent": "R-01"}), Failure)
