"""HTML remains out; code, prompts and comparisons in."""

from __future__ import annotations

import time

import pytest

from rung.text.html_remains import strip_html


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("<p>你好</p><p>世界</p>", "你好\n\n世界"),
        ("很好<br />不错&hellip;", "很好\n不错…"),
        ("10<sup>2</sup> m, H<sub>2</sub>O, x<sup>k</sup>", "10² m, H₂O, x^k"),
        ("<table><tr><td>1</td><td>2</td></tr></table>", "1 | 2"),
        ("<script>alert(1)</script>x<!-- note -->y", "xy"),
        ("<ruby>你<rt>nǐ</rt></ruby>好", "你好"),
        ('<a href="x?a=1&amp;b=2">link</a> <b>bold</b>', "link bold"),
        ("&lt;b&gt;hi&lt;/b&gt; &amp;amp;amp;", "hi &"),
        ("态&#24230;好 &#x4f60;", "态度好 你"),
        ("Use <b>`<b>`</b> now", "Use `<b>` now"),
    ],
)
def test_takes_remains_out(dirty: str, clean: str) -> None:
    assert strip_html(dirty) == clean


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "if a<b: print(x)",
        "vector<int> v; List<String> names; Map<K, V>",
        "#include <stdio.h>",
        "Dear <your name>, write to John <john@example.com>",
        "<|im_start|>user <s>[INST] hi </s> <think>",
        "<summary>text</summary>",
        "a <b> c",
        "AT&T R&D; http://x/?a=1&lt=3&copy=2",
        "Use the `<hr>` tag",
        "```html\n<p>a</p>\n```",
        "How do I write <b>bold</b> in HTML?",
        "<br> 标签的作用是什么？",
        "<!DOCTYPE html><html><body><p>x</p></body></html>",
        "3 &#0; &#128; &unknownname;",
    ],
)
def test_leaves_code_and_prompts_alone(text: str) -> None:
    assert strip_html(text) == text


@pytest.mark.parametrize("piece", ["<!--", "<script>", '<span a="', "<p ", "&amp;", "<sup>", "</td><td>"])
def test_hostile_repetition_stays_quick(piece: str) -> None:
    start = time.process_time()
    strip_html(piece * 5000)
    assert time.process_time() - start < 5
