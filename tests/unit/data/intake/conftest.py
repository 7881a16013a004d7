"""Documents are read through a real child process whose parser is a stand-in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rung.data.intake import pool

CHILD = (sys.executable, "-P", str(Path(__file__).with_name("standin_child.py")))


@pytest.fixture(autouse=True)
def _standin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "COMMAND", CHILD)
