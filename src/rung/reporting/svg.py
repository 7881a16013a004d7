"""From an Altair chart to inline SVG that loads nothing, runs nothing and follows the page's colours."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from rung.reporting.letters import clean

TOKENS = {
    "ink": "#14202b",
    "muted": "#5b6773",
    "faint": "#b7c1ca",
    "grid": "#e6eaee",
    "winner": "#0b5cad",
    "other": "#7b8794",
    "target": "#b4500b",
    "paper": "#fffffe",
    "series1": "#0072b2",
    "series2": "#d55e00",
    "series3": "#009e73",
    "series4": "#cc79a7",
    "series5": "#8a6d00",
    "series6": "#56b4e9",
}
"""Colours by role, light theme. In the picture each becomes `var(--role)`, so that the dark theme can change it."""

FONTS = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, "
    "'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', 'Source Han Sans SC', sans-serif"
)
_TAGS = {"svg", "g", "path", "line", "rect", "text", "tspan"}
_ATTRIBUTES = {
    "viewBox", "transform", "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "width", "height",
    "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "opacity", "text-anchor", "font-family", "font-size", "font-weight", "font-style",
}  # fmt: skip
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def to_svg(chart: Any) -> str:
    """Render a chart without a network, and keep only shapes and text."""
    import vl_convert

    settled = chart.configure(background="transparent", font=FONTS).configure_view(stroke=None).to_dict()
    return tidy(vl_convert.vegalite_to_svg(settled, allowed_base_urls=[]))


def tidy(svg: str) -> str:
    """SVG with nothing but the listed elements and attributes, the theme's colours as variables, and the page's font."""
    root = ElementTree.fromstring(clean(svg))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    _prune(root)
    root.set("font-family", FONTS)
    text = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    for name, color in TOKENS.items():
        text = text.replace(f'"{color}"', f'"var(--{name})"')
    return text


def _prune(element: ElementTree.Element) -> None:
    for child in list(element):
        empty = child.tag == "path" and (not child.get("d") or child.get("class") == "background")
        if child.tag not in _TAGS or empty or child.get("display") == "none" or child.get("opacity") == "0":
            element.remove(child)
        else:
            _prune(child)
            if child.tag == "g" and len(child) == 0:
                element.remove(child)
    for name, value in list(element.attrib.items()):
        if name not in _ATTRIBUTES or name == "font-family" or "url" in value:
            del element.attrib[name]
        else:
            element.set(name, _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.2f}", value))
