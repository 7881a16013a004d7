"""Text of tokens as they come: whole characters, stop strings over tokens, blanks at the ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tiny_llama import write_tokenizer

from rung.models.pieces import Pieces, written


def decode(tokens: Sequence[int]) -> str:
    """Every byte is a token: the hardest case of a byte-level tokenizer."""
    return bytes(tokens).decode("utf-8", "replace")


def told(text: bytes, stop: Sequence[str] = (), *, cut: bool = False) -> tuple[list[str], Pieces]:
    pieces = Pieces(decode, stop)
    found = [pieces.add([byte]) for byte in text]
    return [*found, pieces.end(cut=cut)], pieces


@given(some.text(max_size=30), some.lists(some.text(min_size=1, max_size=3), max_size=3))
def test_pieces_joined_are_the_text_up_to_the_first_stop(text: str, stop: list[str]) -> None:
    found, pieces = told(text.encode("utf-8", "replace"), stop)
    kept = text.encode("utf-8", "replace").decode()
    # The first stop string to be complete ends the answer; of two that are complete together, the one that began first.
    ends = [place + len(mark) for mark in stop if (place := kept.find(mark)) >= 0]
    if ends:
        seen = kept[: min(ends)]
        kept = seen[: min(place for mark in stop if (place := seen.find(mark)) >= 0)]
    assert "".join(found) == pieces.text == kept.strip()
    assert pieces.stopped == bool(ends)
    assert written(decode, text.encode("utf-8", "replace"), stop) == pieces.text


@given(some.binary(max_size=24))
def test_broken_bytes_are_the_same_whole_and_in_pieces(data: bytes) -> None:
    found, pieces = told(data)
    assert "".join(found) == pieces.text == written(decode, data) == decode(data).strip()


@pytest.mark.parametrize(
    "text",
    ["押金应在签约后5天内付清。", "\U0001f3e0\U0001f1e9\U0001f1ea ok \U0001f468‍\U0001f469‍\U0001f467", "naïve café"],
)
def test_characters_split_over_tokens_come_whole(text: str) -> None:
    found, _ = told(text.encode())
    assert not any("\ufffd" in piece for piece in found)
    assert "".join(found) == text


def test_a_character_that_the_length_limit_cuts_is_left_out() -> None:
    cut = "租金".encode()[:-1]
    assert told(cut, cut=True)[1].text == written(decode, cut, cut=True) == "租"
    assert told(cut)[1].text == written(decode, cut) == "租\ufffd"


def test_nothing_is_told_that_may_become_a_stop_string() -> None:
    pieces = Pieces(decode, ("</end>",))
    found = [pieces.add([byte]) for byte in b"rent </en rent</end> more"]
    assert "".join(found) == pieces.text == "rent </en rent"
    assert pieces.stopped
    assert len(pieces.tokens) == len(b"rent </en rent</end>")
    assert pieces.end() == ""


def test_tokens_that_come_together_end_where_they_end_one_by_one() -> None:
    one, many = Pieces(decode, ("b", "abc")), Pieces(decode, ("b", "abc"))
    for byte in b"xabcd":
        one.add([byte])
    many.add(b"xabcd")
    assert one.text == many.text == "xa"
    assert one.tokens == many.tokens


def test_blanks_around_the_answer_are_no_part_of_it() -> None:
    found, pieces = told(b" \n the  rent \n\n ")
    assert pieces.text == "the  rent"
    assert "".join(found) == "the  rent"


def test_a_real_tokenizer_is_decoded_alike(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_tokenizer(tmp_path)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path)

    def of(tokens: Sequence[int]) -> str:
        return str(tokenizer.decode(list(tokens), skip_special_tokens=True))

    for text in ("the rent , 租金 and \U0001f3e0 don't .", "Question about the deposit\n- one\n- two"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        pieces = Pieces(of)
        assert "".join([*(pieces.add([token]) for token in ids), pieces.end()]) == written(of, ids) == text
