"""Wrong encodings put right, lost bytes named, and honest text left alone."""

from __future__ import annotations

import pytest

from rung.text.mojibake import lost_encoding, mend_encoding

REVIEW = "你好，这家酒店的服务员态度很好，房间干净。"
REVIEW_TRADITIONAL = "找號路號正對走路"


def as_windows(data: bytes) -> str:
    """As browsers read Windows-1252: its five gaps as control characters."""
    return "".join(bytes([b]).decode("cp1252") if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(b) for b in data)


@pytest.mark.parametrize(
    ("garbled", "meant"),
    [
        (REVIEW.encode().decode("latin-1"), REVIEW),
        (as_windows(REVIEW.encode()), REVIEW),
        (as_windows(as_windows(REVIEW.encode()).encode()), REVIEW),
        (REVIEW.encode("gbk").decode("latin-1"), REVIEW),
        (as_windows(REVIEW.encode("gbk")), REVIEW),
        (as_windows("你好".encode("gbk")), "你好"),
        ("你好".encode().decode("gbk"), "你好"),
        (REVIEW.encode("gbk").decode("big5hkscs"), REVIEW),
        (REVIEW_TRADITIONAL.encode("big5").decode("gbk"), REVIEW_TRADITIONAL),
        ('补充：~{N@Iz<dC;SP4rI(8I>;~},~{SPM77"~}', "补充：卫生间没有打扫干净,有头发"),
        ("酒店 cafÃ© 很好", "酒店 café 很好"),
        ("Itâ€™s naÃ¯ve", "It’s naïve"),
        (as_windows("Привет мир".encode()), "Привет мир"),
    ],
)
def test_mends_what_can_be_won_back(garbled: str, meant: str) -> None:
    assert mend_encoding(garbled) == meant


@pytest.mark.parametrize(
    "text",
    [
        REVIEW,
        "魑魅魍魉，饕餮貔貅",
        "龑翀彧懿赟",
        "气温20°C～30℃ ±5‰，约 3×4 ÷ 2",
        "ÀÁÂÃÄÅ àáâãäå",
        "L’été à Paris, ça coûte 10 €",
        "NÃO É ASSIM",
        "Größe, ÄÖÜ, Łódź, Việt Nam, Þórr",
        "nǐ hǎo, x² + y², “quoted” — done…",
        "今日は天気がいいですね。ｱｲｳ",
        "Привет мир. РСФСР",
        "~{}~ and ~{not hz~}",
    ],
)
def test_leaves_honest_text_alone(text: str) -> None:
    assert mend_encoding(text) == text


def test_names_what_is_lost() -> None:
    assert lost_encoding("锟斤拷锟斤拷 ok \ufffd 烫烫烫") == {"锟斤拷": 2, "replacement": 1, "烫烫烫": 1}
    assert lost_encoding("妗赶ㄛ勤劓嬴虚腔璃挂膻衄惕询腔ㄛ酴踢洁祥勤谛忮") == {"garbled": 1}
    assert not lost_encoding(REVIEW * 3)
    assert mend_encoding("锟斤拷") == "锟斤拷"
