"""Questions cleaned by rule, in English and Chinese: courtesies go, the question stays."""

from __future__ import annotations

import pytest

from rung.core.finding import Helper
from rung.core.task import Example, Turn
from rung.models.fake import FakeModel
from rung.retrieval.query import Cleaned, LastQuestion, clean

NOBODY = Helper(FakeModel(), "en")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (
            "Hi there, could you please tell me how long the landlord may keep my deposit? Thanks in advance!",
            "how long the landlord may keep my deposit?",
        ),
        (
            "Dear Sir or Madam,\n\nI would like to know whether pets are allowed.\n\nBest regards,\nJohn Smith\nTel 123",
            "pets are allowed.",
        ),
        ("> old text\nOn Monday, Bob wrote:\nWhat is the fee?\n--\nBob", "What is the fee?"),
        (
            "Good morning! I hope this email finds you well. Where is the office?\nSent from my phone",
            "Where is the office?",
        ),
        ("What is the fee?\nThis email and any files are confidential and intended for you.", "What is the fee?"),
        ("您好，请问押金多久能退？谢谢！", "押金多久能退？"),
        ("你好请问一下，退租要提前多久通知？麻烦了，谢谢", "退租要提前多久通知？"),
        ("我想了解一下宠物政策。在线等，急！", "宠物政策。"),
        ("请说明公司2019年的营业收入", "公司2019年的营业收入"),
    ],
)
def test_courtesies_go(said: str, left: str) -> None:
    assert clean(said) == left
    assert clean(left) == left


@pytest.mark.parametrize(
    "said",
    [
        "How long may the landlord keep the deposit?",
        "Can you deduct rent?",
        "How do you say thanks?",
        "Hi-fi systems: which are allowed?",
        "Dear John letters: what are they?",
        "问题是什么",
        "咨询费用是多少",
        "你好酒店在哪里",
        "需要了解哪些信息",
        "如何表示感谢",
    ],
)
def test_a_question_that_only_looks_like_a_courtesy_stays(said: str) -> None:
    assert clean(said) == said


@pytest.mark.parametrize("said", ["Thanks", "谢谢", "您好！", "Hello,", "?!"])
def test_nothing_is_ever_emptied(said: str) -> None:
    assert clean(said) == said


def test_every_turn_of_a_dialogue_is_cleaned_or_the_last_taken_alone() -> None:
    history = (Turn("user", "Hello, may I keep a dog?"), Turn("assistant", "Yes."))
    example = Example("e", {"q": "Thanks! And a cat? Thank you"}, (), history=history)
    assert Cleaned().make([example], NOBODY)[0].texts == ("may I keep a dog?\nThanks! And a cat?",)
    assert LastQuestion().make([example], NOBODY)[0].texts == ("Thanks! And a cat? Thank you",)
