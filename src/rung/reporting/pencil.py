"""What all pictures share: how axes look, text with a halo at a place in pixels, and marks that tell winner, tied and other apart."""

from __future__ import annotations

from typing import Any, Literal

from rung.reporting.svg import TOKENS

SIZE = 12.5
"""Font size in pixels."""
Align = Literal["left", "center", "right"]


def altair() -> Any:
    """Altair without its types, which spell out every colour name there is for every argument."""
    import altair as found

    return found


def axis_looks() -> dict[str, Any]:
    """How every axis looks."""
    return {
        "labelColor": TOKENS["muted"],
        "labelFontSize": 12,
        "titleColor": TOKENS["muted"],
        "titleFontSize": SIZE,
        "titleFontWeight": 400,
        "titlePadding": 10,
        "labelPadding": 6,
        "gridColor": TOKENS["grid"],
        "ticks": False,
        "domain": False,
    }


def title(text: str, *, strong: bool = False) -> Any:
    """A line above the plot: where an axis is named, it can be read there without turning one's head."""
    color = TOKENS["ink" if strong else "muted"]
    weight = 600 if strong else 400
    return altair().Title(
        text, anchor="start", frame="bounds", fontSize=SIZE, fontWeight=weight, color=color, offset=10
    )


def rows(values: list[dict[str, Any]]) -> Any:
    """A chart over these rows."""
    return altair().Chart(altair().Data(values=values))


def word(
    text: str, x: float, y: float, *, align: Align = "left", color: str = "ink", strong: bool = False
) -> list[Any]:
    """Text at a place in pixels, on a halo of the page's colour that keeps it readable on top of lines."""
    alt = altair()
    looks = {"align": align, "baseline": "middle", "fontSize": SIZE, "fontWeight": 600 if strong else 400}
    places = {"x": alt.value(x), "y": alt.value(y), "text": "text:N"}
    data = rows([{"text": text}])
    halo = data.mark_text(**looks, color=TOKENS["paper"], stroke=TOKENS["paper"], strokeWidth=4, strokeJoin="round")
    return [halo.encode(**places), data.mark_text(**looks, color=TOKENS[color]).encode(**places)]


def thin_line(x: float, y: float, x2: float, y2: float) -> Any:
    """A line from a point to its label, in pixels."""
    alt = altair()
    ends = {"x": alt.value(x), "x2": alt.value(x2), "y": alt.value(y), "y2": alt.value(y2)}
    return rows([{}]).mark_rule(strokeWidth=1, color=TOKENS["faint"]).encode(**ends)


def target_line(**datum: Any) -> Any:
    """A dashed line through the whole plot at `x` or `y`."""
    return rows([{}]).mark_rule(strokeWidth=1.5, strokeDash=[5, 4], color=TOKENS["target"]).encode(**datum)


def reserve(left: float, right: float) -> Any:
    """Nothing that shows, as wide as the text will be: the renderer measures text in a font that the reader may not have."""
    alt = altair()
    ends = {"x": alt.value(left), "x2": alt.value(right), "y": alt.value(0), "y2": alt.value(0)}
    return rows([{}]).mark_rule(opacity=0).encode(**ends)


def points(data: Any) -> Any:
    """Winner: a filled diamond. Tied: an open circle in its colour. Others: a filled grey circle."""
    alt = altair()
    places = ["winner", "tied", "other"]
    return data.mark_point(filled=True, opacity=1, strokeWidth=2.5).encode(
        shape=alt.Shape("place:N", scale=alt.Scale(domain=places, range=["diamond", "circle", "circle"]), legend=None),
        size=alt.Size("place:N", scale=alt.Scale(domain=places, range=[230, 110, 90]), legend=None),
        stroke=alt.Stroke("color:N", scale=None, legend=None),
        fill=alt.Fill("fill:N", scale=None, legend=None),
    )
