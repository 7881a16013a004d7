"""Quotations and citations held against the passages, in English and Chinese."""

from __future__ import annotations

import pytest

from rung.core.quotes import check_quotes
from rung.core.task import Passage

SHOWN = (
    Passage("a", "a.md", "A", "Rent > When\nThe rent is due on the first day of the month, in advance."),
    Passage("b", "b.md", "B", "A deposit is returned within ten days of moving out."),
    Passage("c", "c.md", "C", "押金应在退租后 10 天内全额退还给承租人。"),
)


@pytest.mark.parametrize(
    ("said", "quoted", "missing"),
    [
        ("It says \u201cdue on the FIRST day of the month\u201d.", 1, ()),
        ('It says "due on the last day".', 1, ("due on the last day",)),
        ('"the rent is due ... in advance" holds', 1, ()),
        ('"the rent is due ... in arrears" does not', 1, ("the rent is due ... in arrears",)),
        ("规定是\u201c押金应在退租后10天内\u201d退还", 1, ()),
        ("规定是「押金应在三十天内退还」", 1, ("押金应在三十天内退还",)),
        ('The "deposit" is a word, not a quotation.', 0, ()),
        ('"due on the" and "within ten days"', 2, ()),
        ("the day's end isn't quoted", 0, ()),
    ],
)
def test_quotations_must_stand_in_what_was_shown(said: str, quoted: int, missing: tuple[str, ...]) -> None:
    found = check_quotes(said, SHOWN, ())
    assert (found.quoted, found.unsupported_quotes) == (quoted, missing)


def test_a_part_of_a_word_is_no_quotation_of_it() -> None:
    assert check_quotes('"rent is du"', SHOWN, ()).unsupported_quotes == ("rent is du",)


def test_a_quotation_must_stand_in_the_passages_cited() -> None:
    said = '"due on the first day" [2]'
    assert check_quotes(said, SHOWN, ("b",)).unsupported_quotes == ("due on the first day",)
    assert check_quotes(said, SHOWN, ("a", "b")).unsupported_quotes == ()


def test_words_of_the_question_are_no_quotation() -> None:
    assert check_quotes('A "very late fee" is not named.', SHOWN, (), question="What is a very late fee?").quoted == 0


def test_a_copied_answer_is_a_quotation_as_a_whole() -> None:
    assert check_quotes("within ten days [2]", SHOWN, ("b",), copied=True).unsupported_quotes == ()
    wrong = check_quotes("within five days", SHOWN, (), copied=True)
    assert (wrong.quoted, wrong.unsupported_quotes) == (1, ("within five days",))
    assert check_quotes("10天内", SHOWN, ("c",), copied=True).unsupported_quotes == ()
    assert check_quotes("within five days", SHOWN, ()).quoted == 0


def test_a_citation_must_hold_the_sentence_that_bears_it() -> None:
    said = "The rent is due on the first day [1]. The deposit is returned within ten days [1]."
    assert check_quotes(said, SHOWN, ("a",)).unsupported_citations == ()
    said = "The rent is due on the first day [1]. Pets are welcome in all flats [2]."
    assert check_quotes(said, SHOWN, ("a", "b")).unsupported_citations == ("b",)
    said = "押金在退租后10天内退还[3]。宠物可以进入花园[2]。"
    assert check_quotes(said, SHOWN, ("b", "c")).unsupported_citations == ("b",)


def test_an_answer_without_numbers_is_held_against_its_citation_as_a_whole() -> None:
    assert check_quotes("within ten days of moving out", SHOWN, ("b",)).unsupported_citations == ()
    assert check_quotes("never at all, whatever happens", SHOWN, ("b",)).unsupported_citations == ("b",)
