"""Numbers and dates, however they are written."""

from __future__ import annotations

from fractions import Fraction

import pytest

from rung.text.numbers import find_amounts, find_dates, find_numbers, is_amount


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("so 1,234.50 are left.", ["1234.5"]),
        ("$1,200 and -$20", ["1200", "-20"]),
        ("２１ 颗，共１，２３４", ["21", "1234"]),
        ("100，200", ["100", "200"]),
        ("答案是十八。", ["18"]),
        ("三百二十一个", ["321"]),
        ("两万三", ["23000"]),
        ("一千零五", ["1005"]),
        ("一千五元", ["1500"]),
        ("二〇二七", ["2027"]),
        ("一点五", ["1.5"]),
        ("三分之二", ["2/3"]),
        ("2 1/2 or 2½ or 1/2", ["2.5", "2.5", "0.5"]),
        ("3 million, 20万元, 1.5亿", ["3000000", "200000", "150000000"]),
        ("5-3=2", ["5", "3", "2"]),
        ("25 m2 on A4", ["25"]),
        ("我们一起去第一中学，万一十分高兴，这是一个问题", []),
        ("9" * 5000, []),
    ],
)
def test_values(text: str, values: list[str]) -> None:
    assert [number.value for number in find_numbers(text)] == [Fraction(value) for value in values]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("£860", "gbp"), ("860 pounds", "gbp"), ("3200元", "cny"), ("50%", "%"), ("百分之五十", "%"), ("50 percent", "%"),
        ("30 days' notice", "day"), ("提前30天", "day"), ("2个月", "month"), ("14 apples", ""),
    ],
)  # fmt: skip
def test_units(text: str, unit: str) -> None:
    assert [number.unit for number in find_numbers(text)] == [unit]


@pytest.mark.parametrize(
    "text", ["1 March 2027", "March 1st, 2027", "2027-03-01", "2027年3月1日", "２０２７/3/1", "1st of Mar 2027"]
)
def test_dates(text: str) -> None:
    assert find_dates(f"from {text}, 12 months") == ["2027-03-01"]
    assert [number.value for number in find_amounts(f"from {text}, 12 months")] == [12]


def test_what_is_nothing_but_an_amount() -> None:
    assert all(map(is_amount, ("£860", "30 days", "1 March 2027", "三个月", "5%")))
    assert not any(map(is_amount, ("14 Larch Street", "month", "", "rent £860")))
