"""A finished run in a folder of each test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_runs import finished_run

from rung.store.runs import RunFolder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunFolder]:
    def make(kind: str = "label", language: str = "en", name: str = "run-1", **changes: Any) -> RunFolder:
        return finished_run(tmp_path / name, kind, language, **changes)

    return make
