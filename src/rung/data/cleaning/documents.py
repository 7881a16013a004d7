"""Cleaning documents and the blocks of parsed files: texts page by page, so that pages stay where they were, and furniture."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import pairwise

from rung.core.task import Document, Mark
from rung.data.cleaning.furniture import Place, find_furniture, masked
from rung.data.cleaning.registry import TextStep
from rung.data.cleaning.tally import Tally
from rung.data.cleaning.wanted import Wanted
from rung.data.parsing.blocks import Block
from rung.data.versions.version import Step

_NO_CODE_STEPS = frozenset({"html", "width", "ruby", "script", "space"})
"""Steps that would change what code says."""
_FURNITURE = "furniture"
_PASSES = 4
_PAGES = 3
"""A document of fewer pages has nothing that repeats; it is one page of its set."""


@dataclass(frozen=True)
class CleanedDocuments:
    """Documents in their order, each with its marks moved along, and what each step did to how many of them."""

    documents: tuple[Document, ...]
    steps: tuple[Step, ...]


def clean_documents(documents: Sequence[Document], wanted: Wanted | None = None) -> CleanedDocuments:
    """Run the wanted steps that change texts over documents; page furniture goes too unless it is skipped.

    Steps that drop rows do not apply: a document is never dropped. Raises as `Wanted.names` does.
    """
    wanted = wanted or Wanted()
    steps = wanted.text_steps()
    tallies = {step.name: Tally(step.name, wanted.arguments(step.name)) for step in steps}
    cleaned = [_clean_text(document, steps, tallies) for document in documents]
    if _FURNITURE not in wanted.skip and (not wanted.steps or _FURNITURE in wanted.steps):
        tallies[_FURNITURE] = Tally(_FURNITURE)
        cleaned = _without_furniture(cleaned, tallies[_FURNITURE])
    n = len(documents)
    return CleanedDocuments(tuple(cleaned), tuple(tally.step(n, n) for tally in tallies.values()))


def clean_blocks(blocks: Sequence[Block], wanted: Wanted | None = None) -> tuple[Block, ...]:
    """The blocks of one file, cleaned, without its page furniture; code keeps all but its encoding."""
    wanted = wanted or Wanted()
    cleaned = []
    for block in blocks:
        text = block.text
        for step in wanted.text_steps():
            if block.kind != "code" or step.name not in _NO_CODE_STEPS:
                text = step.clean(text)
        if text.strip():
            cleaned.append(block if text == block.text else replace(block, text=text))
    pages: dict[str, list[int]] = {}
    for n, block in enumerate(cleaned):
        if block.page and block.kind not in ("table", "code"):
            pages.setdefault(block.page, []).append(n)
    homes = list(pages.values())
    furniture = find_furniture([[cleaned[n].text for n in home] for home in homes]) if len(homes) >= _PAGES else ()
    gone = {homes[page][line] for page, line in furniture}
    return tuple(block for n, block in enumerate(cleaned) if n not in gone)


def _clean_text(document: Document, steps: Sequence[TextStep], tallies: dict[str, Tally]) -> Document:
    pages = _pages(document)
    for step in steps:
        changed = [_keeping_end(page, step) for page in pages]
        if changed != pages:
            before, after = next((a, b) for a, b in zip(pages, changed, strict=True) if a != b)
            tallies[step.name].touched += 1
            tallies[step.name].sample(document.id, ("text",), before, after)
            pages = changed
    return _joined(document, pages)


def _keeping_end(page: str, step: TextStep) -> str:
    """The page cleaned, with its line breaks to the next one as they were."""
    body = page.rstrip()
    breaks = page[len(body) :].count("\n")
    return step.clean(body) + "\n" * min(breaks, 2)


def _pages(document: Document) -> list[str]:
    starts = [mark.start for mark in document.marks]
    edges = [0, *starts, len(document.text)]
    return [document.text[a:b] for a, b in pairwise(edges)]


def _joined(document: Document, pages: Sequence[str]) -> Document:
    """The document of these pages, the first of them being what stands before any mark."""
    text = "".join(pages)
    if text == document.text:
        return document
    marks, at = [], len(pages[0])
    for mark, page in zip(document.marks, pages[1:], strict=True):
        marks.append(Mark(at, mark.label))
        at += len(page)
    return replace(document, text=text, marks=tuple(marks))


def _without_furniture(documents: Sequence[Document], tally: Tally) -> list[Document]:
    """Lines that repeat over the pages of one document, and over the documents that have no pages."""
    cleaned = list(documents)
    touched: dict[int, Document] = {}
    for _ in range(_PASSES):
        drop: dict[int, set[int]] = {}
        for n, line in _furniture_of_pages(cleaned) + _furniture_of_set(cleaned):
            drop.setdefault(n, set()).add(line)
        if not drop:
            break
        for n, lines in drop.items():
            touched.setdefault(n, cleaned[n])
            said = cleaned[n].text.split("\n")
            tally.counts.update(masked(said[line]) for line in lines)
            cleaned[n] = _drop(cleaned[n], lines)
    for n, before in touched.items():
        tally.touched += 1
        tally.sample(before.id, ("text",), before.text, cleaned[n].text)
    return cleaned


def _furniture_of_pages(documents: Sequence[Document]) -> list[Place]:
    """(document, line) for what repeats over one document's pages."""
    found = []
    for n, document in enumerate(documents):
        if len(document.marks) < _PAGES:
            continue
        starts = [mark.start for mark in document.marks]
        homes: list[list[int]] = [[] for _ in range(len(starts) + 1)]
        lines, at = document.text.split("\n"), 0
        for k, line in enumerate(lines):
            homes[bisect_right(starts, at)].append(k)
            at += len(line) + 1
        places = find_furniture([[lines[k] for k in home] for home in homes[1:]])
        found += [(n, homes[page + 1][line]) for page, line in places]
    return found


def _furniture_of_set(documents: Sequence[Document]) -> list[Place]:
    """(document, line) for what repeats over documents that have no pages of their own."""
    rest = [n for n, document in enumerate(documents) if len(document.marks) < _PAGES]
    return [(rest[page], line) for page, line in find_furniture([documents[n].text.split("\n") for n in rest])]


def _drop(document: Document, gone: AbstractSet[int]) -> Document:
    """The document without these lines, and without a blank line that one of them leaves beside another."""
    kept: list[str] = []
    marks, after_blank = list(document.marks), True
    at = removed = 0
    moved: list[Mark] = []
    for n, line in enumerate(document.text.split("\n")):
        while marks and marks[0].start <= at:
            moved.append(Mark(max(0, marks[0].start - removed), marks.pop(0).label))
        blank_twice = not line.strip() and after_blank and (n - 1 in gone or not kept)
        if n in gone or blank_twice:
            removed += len(line) + 1
        else:
            kept.append(line)
            after_blank = not line.strip()
        at += len(line) + 1
    text = "\n".join(kept).rstrip("\n")
    moved += [Mark(max(0, mark.start - removed), mark.label) for mark in marks]
    return replace(document, text=text, marks=tuple(Mark(min(m.start, len(text)), m.label) for m in moved))
