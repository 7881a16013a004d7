"""Equations of Office files (OMML) as one line of text: a/b, x^2, sqrt(x), sum_(i=1)^n."""

from __future__ import annotations

from typing import Any

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_NAMES = {"∑": "sum", "∫": "int", "∏": "prod", "⋃": "union", "⋂": "intersection"}
_DEPTH = 100


def linear(element: Any, depth: int = 0) -> str:
    """An equation, or a part of one, written on one line."""
    if depth > _DEPTH or not isinstance(element.tag, str):
        return ""
    name = element.tag.rpartition("}")[2]

    def part(kind: str) -> str:
        child = element.find(f"{_M}{kind}")
        return linear(child, depth + 1).strip() if child is not None else ""

    def mark(kind: str, usual: str) -> str:
        child = element.find(f"{_M}{name}Pr/{_M}{kind}")
        return usual if child is None else child.get(f"{_M}val") or ""

    def inner() -> str:
        return "".join(linear(child, depth + 1) for child in element)

    if name == "t":
        return (element.text or "").replace("\u2061", " ")
    if name == "f":
        return f"{_held(part('num'))}/{_held(part('den'))}"
    if name == "sSup":
        return f"{_held(part('e'))}^{_held(part('sup'))}"
    if name == "sSub":
        return f"{_held(part('e'))}_{_held(part('sub'))}"
    if name in ("sSubSup", "sPre"):
        return f"{_held(part('e'))}_{_held(part('sub'))}^{_held(part('sup'))}"
    if name == "rad":
        degree = part("deg")
        return f"root({degree}, {part('e')})" if degree else f"sqrt({part('e')})"
    if name == "nary":
        sign = mark("chr", "∫")
        limits = "".join(f"{join}{_held(text)}" for join, text in (("_", part("sub")), ("^", part("sup"))) if text)
        return f"{_NAMES.get(sign, sign)}{limits} {part('e')}"
    if name == "d":
        inside = mark("sepChr", "|").join(linear(child, depth + 1).strip() for child in element.findall(f"{_M}e"))
        return f"{mark('begChr', '(')}{inside}{mark('endChr', ')')}"
    if name == "func":
        return f"{part('fName')}({part('e')})"
    if name in ("limLow", "limUpp"):
        return f"{part('e')}{'_' if name == 'limLow' else '^'}{_held(part('lim'))}"
    if name == "acc":
        return f"{part('e')}{mark('chr', chr(0x302))}"
    if name == "m":
        rows = [
            ", ".join(linear(cell, depth + 1).strip() for cell in row.findall(f"{_M}e"))
            for row in element.findall(f"{_M}mr")
        ]
        return f"[{'; '.join(rows)}]"
    if name == "eqArr":
        return "; ".join(linear(child, depth + 1).strip() for child in element.findall(f"{_M}e"))
    if name.endswith("Pr"):
        return ""
    return inner()


def _held(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text})"
