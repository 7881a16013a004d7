"""Finding personal data: formats with their check digits, hard negatives, and sentences written for this test."""

from __future__ import annotations

import gzip
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from rung.core.errors import UsageError
from rung.data.privacy.cards import passes_iban, passes_luhn
from rung.data.privacy.codes import credit_check_digit
from rung.data.privacy.find import find_personal
from rung.data.privacy.ids import id_check_digit

SENTENCES = Path(__file__).with_name("sentences.txt")


def found(text: str, *kinds: str) -> list[tuple[str, str]]:
    return [(hit.kind, hit.text) for hit in find_personal(text, kinds or None)]


def marked() -> list[str]:
    lines = SENTENCES.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("line", marked())
def test_sentence(line: str) -> None:
    text = re.sub(r"\{\w+\|([^}]*)\}", r"\1", line)
    assert found(text) == re.findall(r"\{(\w+)\|([^}]*)\}", line)


def test_check_digits_known_from_their_standards() -> None:
    # The examples printed in GB 11643-1999, GB 32100-2015 (a company's public code), ISO 7812 test cards, ISO 13616.
    assert id_check_digit("11010519491231002") == "X"
    assert credit_check_digit("91350100M000100Y4") == "3"
    assert passes_luhn("4111111111111111")
    assert not passes_luhn("4111111111111112")
    assert passes_iban("GB82WEST12345698765432")
    assert not passes_iban("GB82WEST12345698765433")


@pytest.mark.parametrize(
    ("good", "bad", "kind"),
    [
        ("号码11010519491231002X。", "号码110105194912310021。", "id_card"),
        ("号码11010519491231002X。", "号码11010519491331002X。", "id_card"),
        ("代码91350100M000100Y43。", "代码91350100M000100Y44。", "credit_code"),
        ("pay to GB82 WEST 1234 5698 7654 32 now", "pay to GB82 WEST 1234 5698 7654 33 now", "iban"),
        ("card 4111-1111-1111-1111 ok", "card 4111-1111-1111-1112 ok", "bank_card"),
        ("港A123456(3)", "港A123456(4)", "permit"),
        ("SSN 219-09-9998", "SSN 000-09-9998", "ssn"),
        ("ping 8.8.4.4 now", "ping 8.8.4.256 now", "ip"),
    ],
)
def test_check_digit_decides(good: str, bad: str, kind: str) -> None:
    assert [name for name, _ in found(good, kind)] == [kind]
    assert found(bad, kind) == []


@pytest.mark.parametrize(
    "number",
    ["13812345678", "138 1234 5678", "138-1234-5678", "+86 138 1234 5678", "0086-13812345678", "(+86)138 1234 5678"],
)
def test_one_mobile_many_forms(number: str) -> None:
    assert found(f"请拨{number}，谢谢") == [("phone", number)]


def test_full_width_characters_are_read_and_given_back_as_written() -> None:
    text = "电话１３８１２３４５６７８，邮箱ａ@ｂ.com"
    hit = find_personal(text, ["phone"])[0]
    assert (hit.text, text[hit.start : hit.end]) == ("１３８１２３４５６７８", hit.text)


@pytest.mark.parametrize(
    "text",
    [
        "客服400-800-8820或95588",
        "call 1-800-555-0199",
        "订单号13812345678901",
        "订单13812345678",
        "SN13812345678",
        "金额￥13812345678",
        "ISBN 9787302511850",
        "圆周率3.1415926535897932",
        "护照办理需要5个工作日",
        "QQ音乐20周年",
        "QQ群 12345678",
        "微信小程序和WindowsPhone",
        "密码是多少",
        "password: required",
        "password: ********",
        "api_key = ${OPENAI_API_KEY_VALUE}",
        "127.0.0.1 and 255.255.255.0",
        "std::vector::iterator at 10:30:45",
        "版本 10.2.3.4",
        "see section 1.2.3.4",
        "高兴的话周末去安徽黄山",
        "第二十三条",
        "在高速公路12号出口",
        "https://docs.example.org/guide",
    ],
)
def test_hard_negatives(text: str) -> None:
    assert found(text) == []


def test_secrets() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw"
    assert found(f"jwt {token}") == [("jwt", token)]
    block = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
    assert found(f"look:\n{block}\nbye") == [("private_key", block)]
    assert found("Authorization: Bearer abc123def456ghi789jkl") == [("api_key", "abc123def456ghi789jkl")]
    assert found("postgres https://root:hunter2@db.corp.net/x") == [
        ("private_url", "https://root:hunter2@db.corp.net/x")
    ]


def test_a_field_name_says_what_a_short_value_is() -> None:
    assert found("白一涵") == [("person", "白一涵")] or find_personal("白涵") == []
    assert [h.kind for h in find_personal("白涵", field="姓名")] == ["person"]
    assert [h.kind for h in find_personal("26781234", field="home phone")] == ["phone"]
    assert find_personal("26781234", field="count") == []
    hit = find_personal("26781234", field="phone")[0]
    assert (hit.start, hit.end) == (0, 8)


def test_the_longer_or_stronger_finding_stays_and_none_overlap() -> None:
    text = "联系人张伟，身份证11010519491231002X，地址北京市海淀区中关村大街27号1101室，手机13812345678"
    hits = find_personal(text, ["all"])
    assert all(a.end <= b.start for a, b in pairwise(hits))
    assert [h.kind for h in hits] == ["person", "id_card", "address", "phone"]


def test_values_stay_out_of_repr_and_unknown_kinds_are_refused() -> None:
    assert "13812345678" not in repr(find_personal("13812345678"))
    with pytest.raises(UsageError) as error:
        find_personal("x", ["phones"])
    assert error.value.code == "E2910"


def test_masks_are_never_found_again() -> None:
    for text in ("客户[PERSON_1]的电话[PHONE_2]", "密码：[PASSWORD_1]", "张**，138******00", "card 4111********1111"):
        assert found(text) == []


def test_long_texts_without_sense_take_no_time() -> None:
    for text in (
        "1" * 20_000,
        "a." * 10_000,
        "市" * 10_000,
        "张" * 5_000,
        ":" * 10_000,
        "A b " * 5_000,
        "1 2-" * 5_000,
    ):
        find_personal(text, ["all"])


@pytest.mark.datasets
def test_real_sets(datasets: Path) -> None:
    rows = [json.loads(line) for line in (datasets / "pii" / "zh_synthetic.jsonl").read_text("utf-8").splitlines()]
    with gzip.open(datasets / "pii" / "en_presidio.jsonl.gz", "rt", encoding="utf-8") as file:
        english = [json.loads(line) for line in file]
    clean = [row["text"] for row in rows if not row["spans"]]
    assert sum(len(find_personal(text)) for text in clean) == 0
    for gold, kind, sample in (
        ("ID_CARD", "id_card", rows),
        ("PHONE_NUMBER", "phone", english),
        ("PHONE", "phone", rows),
    ):
        wanted = {(n, s["start"], s["end"]) for n, row in enumerate(sample) for s in row["spans"] if s["type"] == gold}
        ours = {(n, h.start, h.end) for n, row in enumerate(sample) for h in find_personal(row["text"], [kind])}
        assert 2 * len(wanted & ours) / (len(wanted) + len(ours)) >= 0.95
