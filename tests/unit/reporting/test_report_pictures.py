"""Pictures: labels lie apart, axes hold every cost, and an SVG keeps shapes and text only."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rung.reporting.axes import cost_axis, round_ticks
from rung.reporting.curves import MOST, thinned
from rung.reporting.letters import clean, pad, width, wrap
from rung.reporting.placing import Box, Dot, place_labels
from rung.reporting.svg import tidy


def test_labels_of_a_crowded_picture_neither_overlap_nor_leave_it() -> None:
    generator = np.random.default_rng(3)
    dots = [
        Dot(x, y, y - 40, y + 40, f"few_shot+fine_tune {i}")
        for i, (x, y) in enumerate(zip(generator.uniform(150, 420, 9), generator.uniform(60, 340, 9), strict=True))
    ]
    room = Box(0, 0, 720, 400)
    spots = place_labels(dots, room)
    assert len(spots) == len(dots)
    assert [pair for pair in combinations([s.box for s in spots], 2) if pair[0].overlap(pair[1]) > 0] == []
    assert all(spot.box.overlap(room) == pytest.approx(spot.box.area) for spot in spots)
    points = [Box(dot.x - 6, dot.y - 6, dot.x + 6, dot.y + 6) for dot in dots]
    assert all(spot.box.overlap(point) == 0 for spot in spots for point in points)


def test_costs_far_apart_go_on_a_log_scale_and_zero_gets_a_place_left_of_all() -> None:
    axis = cost_axis([0.0, 0.0004, 2.0], 8)
    assert axis.log
    assert 0 < axis.share(0.0) < axis.share(0.0004) < axis.share(2.0) < 1
    assert axis.ticks[0] == axis.zero_at
    assert '"nothing"' in axis.label_expression(lambda value: "nothing" if value == 0 else "some")


def test_costs_close_together_stay_linear() -> None:
    axis = cost_axis([0.02, 0.08], 6)
    assert not axis.log
    assert axis.ticks[0] == 0
    assert axis.share(0.04) - axis.share(0.02) == pytest.approx(axis.share(0.08) - axis.share(0.06))


@pytest.mark.parametrize(("low", "high"), [(0, 100), (41.2, 97.8), (0.0003, 0.0011), (-5, 5)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high, 6)
    assert 2 <= len(ticks) <= 7
    assert low <= ticks[0] < ticks[-1] <= high
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[0])


def test_a_curve_noted_at_every_step_is_drawn_as_means_over_its_whole_length() -> None:
    curve = [{"step": step, "value": float(step % 2)} for step in range(1000)]
    few = thinned(curve)
    assert len(few) <= MOST
    assert few[0]["step"] < 9
    assert few[-1]["step"] > 990
    assert sum(point["value"] for point in few) / len(few) == pytest.approx(0.5, abs=0.05)
    assert thinned(curve[:50]) == curve[:50]
    assert thinned([]) == []


def test_an_svg_keeps_shapes_and_text_only() -> None:
    hostile = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9" onload="x()">'
        '<script>alert(1)</script><image xlink:href="http://evil.example/i"/><a href="http://evil.example"><text>a</text></a>'
        '<g style="background:url(http://evil.example)"><text fill="#0b5cad" onclick="x()">$0.0001 &lt;b&gt;</text></g>'
        '<rect fill="url(#a)" x="1.23456" width="2" height="2"/></svg>'
    )
    found = tidy(hostile)
    for gone in ("script", "image", "href", "http", "onload", "onclick", "style", "url", "<a"):
        assert gone not in found
    assert '<text fill="var(--winner)">$0.0001 &lt;b&gt;</text>' in found
    assert 'x="1.23"' in found


def test_wide_characters_count_as_two_and_lines_break_between_them() -> None:
    assert width("微调 RAG") == 8
    assert pad("微调", 6, right=True) == "  微调"
    lines = wrap("微调后的模型在测试集上十题能答对八题，检索增强与它不相上下。 And so on, and so on.", 20)
    assert all(width(line) <= 22 for line in lines)  # a closing mark may hang over by its width
    assert not any(line[0] in "，。" for line in lines)
    assert (
        "".join(lines).replace(" ", "")
        == "微调后的模型在测试集上十题能答对八题，检索增强与它不相上下。Andsoon,andsoon."
    )


def test_characters_that_steer_are_shown_not_obeyed() -> None:
    assert clean("a\x1b[31m\u202eb\ud800c\x00") == "a\ufffd[31m\ufffdb\ufffdc\ufffd"
    assert clean("line\r\nnext\tcell") == "line\nnext\tcell"
