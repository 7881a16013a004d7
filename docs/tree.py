"""Prints the rooms of the package with what lives in each, and keeps that list current in the README.

    python docs/tree.py                        print the tree
    python docs/tree.py --write README.md ...  put it between the marks <!-- tree --> and <!-- /tree -->
    python docs/tree.py --check README.md ...  exit 1 where a file holds another tree

The lines are the first docstring lines of the packages; their order is that of the import contract in pyproject.toml.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "rung"
_BETWEEN = re.compile(r"(?<=<!-- tree -->\n).*?(?=<!-- /tree -->)", re.DOTALL)


def first_line(module: Path) -> str:
    """The first line of a module's docstring; nothing is imported."""
    text = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    if not text:
        raise SystemExit(f"{module.relative_to(ROOT)} has no docstring")
    return text.splitlines()[0]


def rooms() -> list[str]:
    """The packages, top floor first; one that the contract does not place comes last."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = [name.strip().removeprefix("rung.") for layer in layers for name in layer.split("|")]
    there = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    return [name for name in placed if name in there] + [name for name in there if name not in placed]


def tree() -> str:
    """The block as it stands between the marks."""
    lines = {f"{name}/": first_line(PACKAGE / name / "__init__.py") for name in rooms()}
    lines |= {path.name: first_line(path) for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"}
    width = max(map(len, lines))
    shown = [f"  {name:<{width}}  {about}" for name, about in lines.items()]
    return "\n".join(["```text", "src/rung/", *shown, "```", ""])


def renewed(text: str, name: str) -> str:
    """The text with the tree of today between its marks."""
    if not _BETWEEN.search(text):
        raise SystemExit(f"{name} has no marks <!-- tree --> and <!-- /tree -->")
    return _BETWEEN.sub(lambda _: tree(), text)


def main(arguments: list[str]) -> int:
    if not arguments:
        print(tree(), end="")
        return 0
    mode, *names = arguments
    if mode not in {"--check", "--write"} or not names:
        raise SystemExit(__doc__)
    stale = []
    for name in names:
        path = ROOT / name
        text = path.read_text("utf-8")
        new = renewed(text, name)
        if new != text:
            stale.append(name)
            if mode == "--write":
                path.write_text(new, "utf-8")
    if mode == "--check" and stale:
        print(f"the tree is out of date in {', '.join(stale)}: run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
