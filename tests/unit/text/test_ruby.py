"""Readings between characters: chains of them are noise, a single one is a gloss."""

from __future__ import annotations

import pytest

from rung.text.ruby import strip_ruby


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("你(nǐ)好(hǎo)", "你好"),
        ("你（nǐ）好（hǎo），世界", "你好，世界"),
        ("你 (nǐ) 好 (hǎo)", "你 好"),
        ("你nǐ好hǎo", "你好"),
        ("你ni3好hao3", "你好"),
        ("今天(jīntiān)天气(tiānqì)很(hěn)好(hǎo)", "今天天气很好"),
        ("我wǒ们men去qù学xué校xiào", "我们去学校"),
        ("女(nǚ)儿(ér)绿(lǜ)色(sè)", "女儿绿色"),
        ("你(ㄋㄧˇ)好(ㄏㄠˇ)", "你好"),
        ("漢字(かんじ)を読(よ)むのは楽(たの)しい", "漢字を読むのは楽しい"),
    ],
)
def test_takes_chains_out(dirty: str, clean: str) -> None:
    assert strip_ruby(dirty) == clean


@pytest.mark.parametrize(
    "text",
    [
        "北京（Běijīng）是中国的首都",
        "东京（とうきょう）は日本の首都",
        "用iPhone手机下载app再打开WiFi",
        "跑10km用1h，5kg米，3月5日",
        "选项A和选项B，维生素A和维生素B1含B2",
        "咖啡café很好，résumé写好了",
        "我爱(I love)你(you)",
        "我的(a)和(b)项",
        "处(chǔ)理，角(jué)色",
        "下列读音正确的是：你(nǐ)好(hǎo)",
        "Write the pinyin: 你(nǐ)好(hǎo)",
        "妗赶ㄛ勤劓嬴虚腔ㄛ酴踢洁ㄛ笋妗ㄗ褫夔",
    ],
)
def test_leaves_words_and_glosses_alone(text: str) -> None:
    assert strip_ruby(text) == text
