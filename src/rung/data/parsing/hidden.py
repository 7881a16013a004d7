"""Text that a reader does not see, and text that speaks to a model instead of a reader."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from rung.data.parsing.blocks import Block, Remark
from rung.text.unseen import strip_unseen, unseen_kinds

_TAGS = re.compile("[\U000e0000-\U000e007f]")
_EXAMPLE = 80
_REACH = 300
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,4000}={0,2}")
# Each pattern with the words that it can begin with: looking for words first is a hundred times faster than trying patterns
# at every place.
_ORDERS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (
        ("ignore", "disregard", "forget", "override", "bypass"),
        re.compile(
            r"\w+\W+(?:\w+\W+){0,3}?(?:previous|prior|above|earlier|preceding|foregoing|system|your)\W+(?:\w+\W+){0,2}?"
            r"(?:instruction|prompt|rule|direction|guideline|message)s?"
        ),
    ),
    (
        ("reveal", "print", "repeat", "show", "leak", "output"),
        re.compile(r"\w+\W+(?:\w+\W+){0,2}?(?:system|hidden|initial)\W+(?:prompt|instruction|message)s?"),
    ),
    (
        ("do not", "don't", "never"),
        re.compile(r"[\w' ]+?\s+(?:tell|inform|warn|mention\s+(?:this|it)\s+to)\s+the\s+user"),
    ),
    (
        ("you are",),
        re.compile(
            r"you are\s+(?:now\s+(?:a|an|the|in|free|dan|chatgpt)|no\s+longer\s+(?:a|an|the|bound))\b[^.\n]{0,60}"
        ),
    ),
    (("new ",), re.compile(r"new\s+(?:system\s+)?instructions?\s*:")),
    (
        ("cite this",),
        re.compile(r"cite this\s+(?:document|page|file|text|passage)?\s*as\s+(?:the\s+)?(?:source|first|\[?1)"),
    ),
    (
        ("when ", "if "),
        re.compile(
            r"\w+\s+(?:you\s+are\s+)?(?:an?\s+|any\s+)?(?:ai|llm|language\s+model|(?:ai\s+)?assistant|chatbot)\W+(?:\w+\W+){0,3}?(?:read|process|summari[sz]e|see)"
        ),
    ),
    (("<|",), re.compile(r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>")),
    (("[inst]", "[/inst]", "<<sys>>"), re.compile(r"\S+")),
    (
        ("忽略", "无视", "無視", "忘记", "忘記", "不要理会", "不用管", "跳过"),
        re.compile(
            r"..[^。\n]{0,10}?(?:之前|以前|前面|以上|上面|上述|先前|此前|系统|系統)[^。\n]{0,8}?"
            r"(?:指令|指示|提示|要求|规则|規則|设定|設定|命令|说明)"
        ),
    ),
    (
        ("输出", "显示", "泄露", "透露", "打印", "重复", "告诉我"),
        re.compile(r"..[^。\n]{0,7}?(?:系统|系統|初始|隐藏)(?:提示|指令|设定)"),
    ),
    (("不要", "不得", "别", "请勿"), re.compile(r"(?:不要|不得|别|请勿)(?:告诉|告知|透露给|提醒)用户")),
    (
        ("你现在", "您现在", "从现在"),
        re.compile(r"(?:[你您]现在|从现在(?:开始|起)[，,]?[你您]?)(?:就?是|扮演|充当)[^。\n]{0,30}"),
    ),
    (
        ("把本", "将本", "将此", "把这", "将这"),
        re.compile(r"..[^。\n]{0,8}?(?:作为|引用为|列为|标为)[^。\n]{0,6}?(?:来源|出处|引用)"),
    ),
    (("如果你是",), re.compile(r"如果你是[^。\n]{0,6}?(?:ai|人工智能|大模型|语言模型|助手)")),
)


@dataclass(frozen=True)
class Seen:
    """Text without what cannot be seen, and how much of it there was by code point."""

    text: str
    removed: Counter[str]
    tags: str = ""
    """What Unicode tag characters spelt."""


def see(text: str) -> Seen:
    """Take out characters that show nothing, as `text.unseen` does. Soft hyphens are not counted: they are honest layout."""
    shown = strip_unseen(text)
    if shown == text:
        return Seen(text, Counter())
    removed = unseen_kinds(text, shown)
    removed.pop("U+00AD", None)
    kept = Counter(_TAGS.findall(shown))
    tags = "" if kept else "".join(chr(max(32, ord(char) - 0xE0000)) for char in _TAGS.findall(text))
    return Seen(shown, removed, tags)


def show_blocks(blocks: Iterable[Block], title: str = "") -> tuple[tuple[Block, ...], tuple[Remark, ...]]:
    """Blocks without unseen characters; remarks E2333 on those, E2335 on text that gives a model orders.

    `title`: what the file says that it is called, which is shown before every passage.
    """
    found: list[Block] = []
    removed: Counter[str] = Counter()
    tags: list[str] = []
    for block in blocks:
        seen = see(block.text)
        if seen.removed:
            removed += seen.removed
        tags.append(seen.tags)
        if seen.text.strip():
            found.append(block if seen.text == block.text else replace(block, text=seen.text))
    remarks = []
    if removed:
        kinds = ", ".join(f"{name} x {n}" for name, n in removed.most_common(6))
        remarks.append(Remark("E2333", {"count": removed.total(), "kinds": kinds}))
    # A heading's order goes on in no paragraph, so the blocks are looked at together.
    texts = [block.text for block in found]
    called = see(title)
    texts += [text for text in (called.text, called.tags, *tags) if text and text not in texts]
    if orders := find_orders("\n\n".join(texts)):
        remarks.append(Remark("E2335", {"count": len(orders), "example": orders[0]}))
    return tuple(found), tuple(remarks)


def find_orders(text: str) -> list[str]:
    """Phrases that give orders to a model, in English and Chinese, in the open or in base64."""
    found = list(_orders(text if text.isascii() else unicodedata.normalize("NFKC", text)))
    for match in _BASE64.finditer(text):
        token = match.group()
        try:
            inner = base64.b64decode(token[: len(token) // 4 * 4], validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            continue
        found += _orders(inner)
    return found


def _orders(text: str) -> Iterator[str]:
    text = text.lower()
    for words, pattern in _ORDERS:
        for word in words:
            at = text.find(word)
            while at >= 0:
                starts = at == 0 or not (text[at - 1].isalnum() and text[at - 1].isascii())
                match = pattern.match(text, at, at + _REACH) if starts else None
                if match:
                    yield _short(match.group())
                at = text.find(word, match.end() if match else at + len(word))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXAMPLE else line[: _EXAMPLE - 1] + "…"
