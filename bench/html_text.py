"""Main text of web pages: ours and that of other extractors against hand-made article bodies (50 English pages), and phrases
that must and must not come out of 8 Chinese pages.

`f1`: bag-of-words F1 of a page's text against its truth, mean over the English pages. `f1_runs_of_4`: the same over runs of four
words, nearer to the published figures of these pages. `zh_right`: share of the Chinese checks that hold.
`seconds`: for all pages, in this process.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections import Counter

from harness import finish, need_datasets, say

from rung.data.parsing.parse import parse

_WORD = re.compile(r"\w+")


def f1(found: str, truth: str, run: int) -> float:
    ours, theirs = (
        Counter(zip(*[words[n:] for n in range(run)], strict=False)) for words in (tokens(found), tokens(truth))
    )
    both = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / both if both else 1.0


def tokens(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def ours(page: bytes) -> str:
    return "\n".join(block.text for block in parse(page, "page.html").blocks)


def extractors():
    """Every extractor that is installed: name -> function of a page's bytes."""
    found = {"rung": ours}
    try:
        import trafilatura

        found["trafilatura"] = lambda page: trafilatura.extract(page) or ""
        found["trafilatura, no comments"] = lambda page: trafilatura.extract(page, include_comments=False) or ""
    except ImportError:
        say("trafilatura is not installed")
    try:
        from lxml.html import fromstring
        from readability import Document

        found["readability-lxml"] = lambda page: fromstring(Document(page).summary()).text_content()
    except ImportError:
        say("readability-lxml is not installed")
    try:
        import html2text

        found["html2text"] = lambda page: html2text.html2text(page.decode("utf-8", "replace"))
    except ImportError:
        say("html2text is not installed")
    return found


def main() -> None:
    folder = need_datasets("docs_dirty") / "docs_dirty"
    truth = json.loads((folder / "html_en" / "ground-truth.json").read_text("utf-8"))
    pages = {
        path.name.split(".")[0]: gzip.decompress(path.read_bytes())
        for path in sorted((folder / "html_en").glob("*.gz"))
    }
    checks = [
        json.loads(line) for line in (folder / "html_zh" / "checks.jsonl").read_text("utf-8").splitlines() if line
    ]
    figures: dict[str, dict[str, float]] = {}
    for name, extract in extractors().items():
        started = time.perf_counter()
        texts = {id: extract(page) for id, page in pages.items()}
        scores = {
            key: sum(f1(texts[id], truth[id]["articleBody"], run) for id in pages) / len(pages)
            for key, run in (("f1", 1), ("f1_runs_of_4", 4))
        }
        right = wanted = 0
        for check in checks:
            text = "".join(extract((folder / check["file"]).read_bytes()).split())
            held = [
                ("".join(phrase.split()) in text) == (key == "must_contain")
                for key in ("must_contain", "must_not_contain")
                for phrase in check[key]
            ]
            right, wanted = right + sum(held), wanted + len(held)
        figures[name] = {key: round(score, 4) for key, score in scores.items()}
        figures[name] |= {"zh_right": round(right / wanted, 4), "seconds": round(time.perf_counter() - started, 2)}
        say(f"{name}: {figures[name]}")
    own = figures.pop("rung")
    finish("html", {"pages_en": len(pages), "pages_zh": len(checks), "checks_zh": wanted}, **own, others=figures)


if __name__ == "__main__":
    main()
