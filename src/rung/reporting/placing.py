"""Where the labels of a picture go: next to their point, off every other label, point and interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rung.reporting.letters import width
from rung.reporting.pencil import SIZE, Align

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


def place_labels(dots: Sequence[Dot], room: Box, *, size: float = SIZE, blocked: Sequence[Box] = ()) -> list[Spot]:
    """A spot for every label: each takes its cheapest place in turn, and then twice more with all others in view.

    A place costs the area that it hides of other labels and points (much), of intervals (little: text has a halo), what sticks
    out of `room`, and its distance.
    """
    points = [Box(dot.x - 7, dot.y - 7, dot.x + 7, dot.y + 7) for dot in dots]
    bars = [Box(dot.x - 2, dot.top, dot.x + 2, dot.bottom) for dot in dots]
    spots: dict[int, Spot] = {}
    for _ in range(3):
        for i, dot in enumerate(dots):
            hard = [*points, *blocked, *(spot.box for j, spot in spots.items() if j != i)]
            spots[i] = min(_places(dot, size), key=lambda spot: _cost(spot, dot, hard, bars, room))
    return [spots[i] for i in range(len(dots))]


def text_width(text: str, size: float = SIZE) -> float:
    """Pixels that a text takes in a common sans-serif font, on the generous side."""
    return width(text) * size * 0.58


def _places(dot: Dot, size: float) -> Iterator[Spot]:
    long = text_width(dot.label, size)
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


def _cost(spot: Spot, dot: Dot, hard: Sequence[Box], bars: Sequence[Box], room: Box) -> float:
    hidden = sum(spot.box.overlap(other) for other in hard)
    crossed = sum(spot.box.overlap(other) for other in bars)
    outside = spot.box.area - spot.box.overlap(room)
    away = abs(spot.y - dot.y) if spot.align != "center" else 12.0
    # On equal terms to the right of its point, where reading goes on.
    return 60.0 * hidden + 4.0 * crossed + 80.0 * outside + 6.0 * away + (8.0 if spot.align == "right" else 0.0)
