"""Tokens for metrics, and terms for search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.text.tokens import search_tokens, tokens


def test_metric_tokens() -> None:
    assert tokens("The landlord returns it within 12 days.", "en") == [
        "landlord",
        "returns",
        "it",
        "within",
        "12",
        "days",
    ]
    assert tokens("区消防指导站。", "zh") == list("区消防指导站")
    assert tokens("用 Apple Pay 付 £2,400", "zh") == ["用", "apple", "pay", "付", "£2400"]
    assert tokens("支持Visa、MasterCard", "zh") == ["支", "持", "visa", "mastercard"]
    assert tokens("Beijing (北京)", "en") == ["beijing", "北", "京"]
    assert tokens("  ", "en") == tokens("", "zh") == []
    assert tokens("?", "zh") == ["?"]


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("deposits", "The deposit is protected."),
        ("tenancy", "tenancies end"),
        ("boxes", "one box"),
        ("movie", "movies"),
        ("caches", "a cache"),
        ("landlord", "the landlord’s duty"),
        ("landlord", "landlords' duties"),
        ("D-4", "use form D-4 today"),
        ("d4", "use form D-4 today"),
        ("form 4", "form D-4"),
        ("２，４００", "up to £2,400"),
        ("租", "房租什么时候付"),
        ("退租", "提前退租的手续"),
        ("保修期", "iPhone保修期多久"),
        ("iphone", "iPhone保修期多久"),
    ],
)
def test_a_query_meets_its_document(query: str, document: str) -> None:
    assert set(search_tokens(query)) & set(search_tokens(document)) - {"form"}


def test_codes_stay_whole_as_well() -> None:
    assert search_tokens("D-4") == ["d-4", "d4", "d", "4"]
    assert search_tokens("self-contained") == ["self-contained", "self", "contained"]
    assert search_tokens("7.50") == ["7.50"]
    assert search_tokens("don't") == ["dont"]


@pytest.mark.parametrize("word", ["address", "gas", "bus", "status", "this", "basis", "fee"])
def test_words_that_are_no_plurals(word: str) -> None:
    assert search_tokens(word) == [word]


def test_chinese_yields_characters_and_pairs() -> None:
    assert search_tokens("消防站") == ["消", "防", "站", "消防", "防站"]
    assert search_tokens("押") == ["押"]
    assert "金退" not in search_tokens("押金，退还")


@given(st.text())
def test_search_terms_ignore_case_and_width_and_are_never_blank(text: str) -> None:
    terms = search_tokens(text)
    assert all(term.strip() for term in terms)
    assert search_tokens(text.upper().lower()) == search_tokens(text.upper())
