"""Reading order of a page: columns of prose one after the other, runs of one height as a line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from rung.data.parsing.pdf_page import Run
from rung.text.script import is_cjk

_CANDIDATES = 12
_LEAST_LINES = 4
_PROSE = 4.0
"""Words in the middling line of a column of prose; table cells hold fewer. Two Chinese characters count as a word."""
_FILLED = 0.55
_DEPTH = 8


@dataclass(slots=True)
class Line:
    """Runs of one height, from left to right."""

    runs: list[Run]

    @property
    def x0(self) -> float:
        return self.runs[0].x0

    @property
    def x1(self) -> float:
        return max(run.x1 for run in self.runs)

    @property
    def top(self) -> float:
        return min(run.top for run in self.runs)

    @property
    def bottom(self) -> float:
        return max(run.bottom for run in self.runs)

    @property
    def size(self) -> float:
        longest = max(self.runs, key=lambda run: len(run.text))
        return longest.points

    @property
    def bold(self) -> bool:
        return sum(len(run.text) for run in self.runs if run.bold) * 2 > sum(len(run.text) for run in self.runs)

    @property
    def text(self) -> str:
        """The runs as words; a Chinese line has no space where it has no gap."""
        parts = [self.runs[0].text]
        for before, run in zip(self.runs, self.runs[1:], strict=False):
            chinese = is_cjk(before.text[-1]) and is_cjk(run.text[0])
            parts.append("" if run.x0 - before.x1 < (0.6 if chinese else 0.1) * run.size else " ")
            parts.append(run.text)
        return "".join(parts)


def read_order(runs: Sequence[Run]) -> list[list[Line]]:
    """Regions in the order they are read, each with its lines from top to bottom."""
    return [lines_of(region) for region in _cut(list(runs), 0) if region]


def lines_of(runs: Sequence[Run]) -> list[Line]:
    """Runs joined to lines by their height."""
    lines: list[Line] = []
    spans: list[tuple[float, float]] = []
    for run in sorted(runs, key=lambda run: run.middle):
        best = -1
        for at in range(len(lines) - 1, max(-1, len(lines) - 4), -1):
            top, bottom = spans[at]
            shared = min(bottom, run.bottom) - max(top, run.top)
            if shared > 0.55 * min(run.size, bottom - top):
                best = at
                break
        if best < 0:
            lines.append(Line([run]))
            spans.append((run.top, run.bottom))
        else:
            lines[best].runs.append(run)
            # The line keeps the height of its tallest run that is no odd one out.
            if run.size > spans[best][1] - spans[best][0] and run.size < 1.5 * (spans[best][1] - spans[best][0]):
                spans[best] = (run.top, run.bottom)
    for line in lines:
        line.runs.sort(key=lambda run: run.x0)
    lines.sort(key=lambda line: line.runs[0].middle)
    return lines


def _cut(runs: list[Run], depth: int) -> list[list[Run]]:
    """Regions of a part of the page: what is above two columns, the left one, the right one, what is below."""
    if depth >= _DEPTH or len(runs) < 2 * _LEAST_LINES:
        return [runs]
    gutter = _find_gutter(runs)
    if gutter is None:
        return [runs]
    at, top, bottom = gutter
    above = [run for run in runs if run.middle <= top]
    below = [run for run in runs if run.middle >= bottom]
    inside = [run for run in runs if top < run.middle < bottom]
    left = [run for run in inside if (run.x0 + run.x1) / 2 < at]
    right = [run for run in inside if (run.x0 + run.x1) / 2 >= at]
    return [region for part in (above, left, right, below) for region in _cut(part, depth + 1)]


def _find_gutter(runs: list[Run]) -> tuple[float, float, float] | None:
    """x of the white strip between two columns of prose and the heights it lies between; None where there is none."""
    x0, x1, middle = (np.array([getattr(run, name) for run in runs]) for name in ("x0", "x1", "middle"))
    left, right = float(x0.min()), float(x1.max())
    wide = right - left
    spots = np.arange(left + 0.12 * wide, right - 0.12 * wide, 2.0)
    if len(spots) == 0 or wide < 100:
        return None
    covered = ((x0[None, :] < spots[:, None] - 1) & (x1[None, :] > spots[:, None] + 1)).sum(axis=1)
    best: tuple[int, float, float, float] | None = None
    for spot in _valleys(spots, covered):
        blocks = (x0 < spot - 1) & (x1 > spot + 1)
        edges = np.concatenate([[-np.inf], np.sort(middle[blocks]), [np.inf]])
        for top, bottom in itertools.pairwise(edges):
            inside = (middle > top) & (middle < bottom)
            if inside.sum() < 2 * _LEAST_LINES:
                continue
            one = [run for run, used in zip(runs, inside & (x1 <= spot + 1), strict=True) if used]
            two = [run for run, used in zip(runs, inside & (x0 >= spot - 1), strict=True) if used]
            if len(one) < _LEAST_LINES or len(two) < _LEAST_LINES:
                continue
            ours, theirs = lines_of(one), lines_of(two)
            lines = min(len(ours), len(theirs))
            if lines < _LEAST_LINES or (best is not None and lines <= best[0]):
                continue
            shared = min(ours[-1].bottom, theirs[-1].bottom) - max(ours[0].top, theirs[0].top)
            least = min(ours[-1].bottom - ours[0].top, theirs[-1].bottom - theirs[0].top)
            if shared > 0.5 * least and _is_prose(ours) and _is_prose(theirs):
                best = (lines, float(spot), float(top), float(bottom))
    return best[1:] if best else None


def _valleys(spots: np.ndarray, covered: np.ndarray) -> list[float]:
    """The middles of the strips that fewest runs cross, a few of them."""
    limit = float(np.sort(covered)[min(len(covered) - 1, len(covered) // 4)])
    found: list[tuple[float, float]] = []
    start = 0
    for at in range(1, len(spots) + 1):
        if at == len(spots) or covered[at] != covered[start]:
            low_left = start == 0 or covered[start - 1] > covered[start]
            low_right = at == len(spots) or covered[at] > covered[start]
            if low_left and low_right and covered[start] <= limit:
                found.append((float(covered[start]), float(spots[(start + at - 1) // 2])))
            start = at
    return [spot for _, spot in sorted(found)[:_CANDIDATES]]


def _is_prose(lines: list[Line]) -> bool:
    wide = max(line.x1 for line in lines) - min(line.x0 for line in lines)
    if wide <= 0:
        return False
    words = median(_words(line.text) for line in lines)
    filled = median((line.x1 - line.x0) / wide for line in lines)
    single = sum(len(line.runs) <= 2 for line in lines) / len(lines)
    return words >= _PROSE and filled >= _FILLED and single >= 0.7


def _words(text: str) -> float:
    chinese = sum(map(is_cjk, text))
    letters = sum(any(char.isalpha() for char in word) for word in text.split())
    return chinese / 2 if chinese * 2 > letters else float(letters)
