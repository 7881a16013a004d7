"""The lines of a page as headings, paragraphs, items and tables."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from rung.data.parsing.blocks import Block
from rung.data.parsing.pdf_layout import Line, lines_of, read_order
from rung.data.parsing.pdf_page import Page, Run
from rung.data.parsing.pdf_tables import Grid, cells_of, open_table, ruled_grids
from rung.text.script import is_cjk

_BULLET = re.compile(r"([•●▪◦◆▸❖✓‣⁃∙·]|■(?!.*□)|[-–—*]|o(?=\s))\s*(?=\S)")
_NUMBER = re.compile(r"(\d{1,3}[.)]|\(\w{1,3}\)|[a-z][.)])\s+\S")
_ENDS = tuple(".。!！?？:：;；")
_LARGER = 1.12
_HEADING_LENGTH = 160
_HEADING_LINES = 3
_LEVELS = 4
_COMMON = 0.15
_LETTERS = re.compile(r"[^\W\d_]*")
_HYPHENATED = re.compile(r"[^\W\d_]{2,}-$")


@dataclass(frozen=True)
class Body:
    """How the running text of a document is set, against which its headings stand out."""

    size: float
    bold: bool
    sizes: tuple[float, ...]
    """Sizes of headings, the largest first."""
    common: frozenset[float]
    """Sizes that too much is set in to be headings."""
    words: frozenset[str]
    """Words that end and begin no line: what tells a broken word from a compound."""

    def level(self, line: Line) -> int:
        """Depth of the heading that a line is; 0 for other text."""
        text = line.text
        if (
            len(text) > _HEADING_LENGTH
            or text.endswith(("。", "；", "，", ","))
            or not any(char.isalpha() for char in text)
        ):
            return 0
        size = round(line.size * 2) / 2
        if line.size >= self.size * _LARGER and size not in self.common:
            return next((n for n, other in enumerate(self.sizes[:_LEVELS], 1) if size >= other), _LEVELS)
        if (
            line.bold
            and not self.bold
            and len(line.runs) == 1
            and line.size >= self.size * 0.95
            and not text.endswith(tuple(".,;，；"))
        ):
            return min(len(self.sizes), _LEVELS) + 1
        return 0


def learn_body(pages: Sequence[Page]) -> Body:
    """The commonest size by characters, and the larger ones."""
    sizes: Counter[float] = Counter()
    prose: Counter[float] = Counter()
    heavy = total = 0
    words: Counter[str] = Counter()
    for page in pages:
        for run in page.runs:
            length = len(run.text)
            size = round(run.points * 2) / 2
            sizes[size] += length
            # Cells of tables are short and often smaller than the text between the tables.
            prose[size] += length * (length >= 25 or length - len(run.text.encode("ascii", "ignore")) >= 14)
            total += length
            heavy += length * run.bold
            words.update(word.lower() for word in re.findall(r"[^\W\d_]{3,}(?:-[^\W\d_]+)*", run.text))
    usual = prose if prose.total() > 0.1 * total else sizes
    body = max(usual, key=lambda size: usual[size], default=10.0)
    common = frozenset(size for size, length in sizes.items() if length > max(2000, _COMMON * total))
    larger = sorted((size for size in sizes if size >= body * _LARGER and size not in common), reverse=True)
    return Body(body, heavy * 2 > total, tuple(larger), common, frozenset(words))


def page_blocks(page: Page, label: str, body: Body) -> list[Block]:
    """Everything on a page in reading order."""
    grids = ruled_grids(page.rules, page.runs)
    free = [run for run in page.runs if not any(grid.holds(run) for grid in grids)]
    blocks: list[Block] = []
    # Tables divide the page: what is above each comes first.
    for part, grid in _parts(free, grids):
        for region in read_order(part):
            blocks += region_blocks(region, label, body)
        if grid is not None:
            held = [run for run in page.runs if grid.holds(run)]
            if text := grid.written(held):
                blocks.append(Block("table", text, page=label))
    if page.others:
        for line in lines_of(page.others):
            blocks.append(Block("paragraph", line.text, page=label))
    return blocks


def _parts(free: list[Run], grids: list[Grid]) -> Iterator[tuple[list[Run], Grid | None]]:
    for grid in sorted(grids, key=lambda grid: grid.ys[0]):
        above = [run for run in free if run.middle < grid.ys[0]]
        free = [run for run in free if run.middle >= grid.ys[0]]
        yield above, grid
    yield free, None


def region_blocks(lines: Sequence[Line], label: str, body: Body) -> Iterator[Block]:
    """Blocks of a column."""
    at = 0
    held: list[Line] = []
    pitch = _pitch(lines)
    while at < len(lines):
        end = _table_end(lines, at)
        if end > at:
            yield from _paragraph(held, label, body)
            held = []
            yield from _table(lines[at:end], label)
            at = end
            continue
        line = lines[at]
        level = body.level(line)
        if level:
            yield from _paragraph(held, label, body)
            held = []
            end = at + 1
            while end < len(lines) and _continues(lines[end - 1], lines[end], 0.6) and body.level(lines[end]) == level:
                end += 1
            text = join_prose([part.text for part in lines[at:end]], body.words)
            goes_on = (
                end < len(lines) and _continues(lines[end - 1], lines[end], 1.1) and lines[end].text.endswith("。")
            )
            if end - at > _HEADING_LINES or len(text) > 2 * _HEADING_LENGTH or goes_on:
                held = list(lines[at:end])
            else:
                yield Block("heading", text, level, label)
            at = end
            continue
        if held and _begins(held, line, pitch, lines[max(0, at - 4) : at + 4]):
            yield from _paragraph(held, label, body)
            held = []
        held.append(line)
        at += 1
    yield from _paragraph(held, label, body)


def _continues(line: Line, following: Line, gap: float) -> bool:
    """Whether two lines stand as close, and are set as large, as those of one paragraph."""
    return following.top - line.bottom < gap * line.size and abs(following.size - line.size) < 0.1 * line.size


def _pitch(lines: Sequence[Line]) -> float:
    steps = [two.bottom - one.bottom for one, two in itertools.pairwise(lines)]
    return median(step for step in steps if step > 0) if any(step > 0 for step in steps) else 12.0


def _begins(held: list[Line], line: Line, pitch: float, near: Sequence[Line]) -> bool:
    """Whether a line starts a new paragraph."""
    last = held[-1]
    step = line.bottom - last.bottom
    if step > 1.35 * min(pitch, 2.2 * line.size) or abs(line.size - last.size) > 0.2 * line.size:
        return True
    text = line.text
    if _BULLET.match(text) or _NUMBER.match(text):
        return True
    left = min(other.x0 for other in near)
    right = max(other.x1 for other in near)
    indent = line.x0 - last.x0 > 0.9 * line.size and last.x0 - left < 1.0 * line.size
    room = right - last.x1
    short = room > 0.25 * (right - left) and last.text.rstrip().endswith(_ENDS)
    # The next line's first word would have fitted: the line was ended on purpose.
    first = text.split(None, 1)[0]
    word = 1.5 if is_cjk(first[0]) else len(first) * (line.x1 - line.x0) / max(1, len(text)) / line.size
    return (indent and not _BULLET.match(held[0].text)) or short or room > (word + 1.5) * line.size


def _paragraph(held: list[Line], label: str, body: Body) -> Iterator[Block]:
    if not held:
        return
    text = join_prose([line.text for line in held], body.words)
    bullet = _BULLET.match(text)
    # A dash alone means "none".
    if bullet and (bullet[1] not in "-–—*" or len(text) > 3):
        yield Block("item", text[bullet.end() :], 0, label)
    else:
        yield Block("paragraph", text, page=label)


def join_prose(texts: Sequence[str], words: frozenset[str]) -> str:
    """Lines of a paragraph as one text: a word broken at a line's end is mended, Chinese lines join without a space."""
    whole = texts[0].strip()
    for text in texts[1:]:
        text = text.strip()
        if not text:
            continue
        if _HYPHENATED.search(whole) and text[0].islower():
            compound = f"{whole.rsplit(None, 1)[-1]}{_LETTERS.match(text)[0]}".lower().lstrip("(\"'“‘[")  # type: ignore[index]
            whole = whole + text if compound in words else whole[:-1] + text
        elif (is_cjk(whole[-1]) and is_cjk(text[0])) or whole[-1] in "，、；：。）》" or text[0] in "，、；：。）《（":
            whole += text
        else:
            whole += " " + text
    return whole


def _table_end(lines: Sequence[Line], at: int) -> int:
    """The line after a table that begins here; `at` where none does."""
    if len(cells_of(lines[at])) < 2:
        return at
    many, end, since = 0, at, 0
    for n in range(at, len(lines)):
        line = lines[n]
        if n > at and line.top - lines[n - 1].bottom > 2.2 * line.size:
            break
        cells = cells_of(line)
        if len(cells) > 1 and not _is_numbered(cells):
            many += 1
            since = 0
            end = n + 1
        else:
            since += 1
            if since > 2 or len(line.text) > 90:
                break
    return end if many >= 3 else at


def _is_numbered(cells: Sequence[Run]) -> bool:
    """Whether a line of two cells is a list item with its mark set apart."""
    return len(cells) == 2 and (
        (len(cells[0].text) <= 2 and not cells[0].text.isalnum()) or bool(_NUMBER.match(f"{cells[0].text} x"))
    )


def _table(lines: Sequence[Line], label: str) -> Iterator[Block]:
    if text := open_table(lines):
        yield Block("table", text, page=label)
        return
    # Several tables below each other, perhaps, with a line of words between them.
    single = [n for n, line in enumerate(lines) if len(cells_of(line)) == 1]
    starts = [0, *single, len(lines)]
    for start, end in itertools.pairwise(starts):
        part = lines[start:end]
        if part and len(cells_of(part[0])) == 1:
            yield Block("paragraph", part[0].text, page=label)
            part = part[1:]
        if part:
            text = open_table(part) if len(part) > 1 else ""
            rows = ["   ".join(cell.text for cell in cells_of(line)) for line in part]
            yield Block("table", text or "\n".join(rows), page=label)
