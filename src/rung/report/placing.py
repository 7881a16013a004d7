"""Where the labels of a picture go: next to their point, off every other label, point and interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rung.report.text import width

Align = Literal["left", "center", "right"]
GAP = 9.0
LINE = 15.0
FAR = 26.0
"""A label farther from its point than this gets a thin line to it."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Shared area in square pixels."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across * down if across > 0 and down > 0 else 0.0

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class Dot:
    """A labelled point with its vertical interval, in pixels."""

    x: float
    y: float
    top: float
    bottom: float
    label: str


@dataclass(frozen=True)
class Spot:
    """Where a label is drawn: its anchor, and how the text lies on it."""

    x: float
    y: float
    align: Align
    box: Box
    far: bool


def place_labels(dots: Sequence[Dot], room: Box, *, size: float = 12.0, blocked: Sequence[Box] = ()) -> list[Spot]:
    """A spot for every label, greedily in the order given (the most important first), each at its cheapest free place.

    A place costs the area it hides of other things and of the outside of `room`, and a little for its distance.
    """
    taken = [*blocked]
    for dot in dots:
        taken += [Box(dot.x - 6, dot.y - 6, dot.x + 6, dot.y + 6), Box(dot.x - 2, dot.top, dot.x + 2, dot.bottom)]
    spots = []
    for dot in dots:
        best = min(_places(dot, size), key=lambda spot: _cost(spot, dot, taken, room))
        taken.append(best.box)
        spots.append(best)
    return spots


def _places(dot: Dot, size: float) -> Iterator[Spot]:
    long = width(dot.label) * size * 0.56
    for step in range(16):
        for down in {step * LINE / 2, -step * LINE / 2}:
            for align in ("left", "right"):
                x = dot.x + GAP if align == "left" else dot.x - GAP
                left = x if align == "left" else x - long
                y = dot.y + down
                box = Box(left, y - size * 0.7, left + long, y + size * 0.6)
                yield Spot(x, y, "left" if align == "left" else "right", box, abs(down) > FAR)
    for y in (dot.top - LINE * 0.7, dot.bottom + LINE * 0.7):
        box = Box(dot.x - long / 2, y - size * 0.7, dot.x + long / 2, y + size * 0.6)
        yield Spot(dot.x, y, "center", box, False)


def _cost(spot: Spot, dot: Dot, taken: Sequence[Box], room: Box) -> float:
    hidden = sum(spot.box.overlap(other) for other in taken)
    outside = spot.box.area - spot.box.overlap(room)
    away = abs(spot.y - dot.y) if spot.align != "center" else 12.0
    # On equal terms to the right of its point, where reading goes on.
    return 40.0 * hidden + 80.0 * outside + 6.0 * away + (8.0 if spot.align == "right" else 0.0)
