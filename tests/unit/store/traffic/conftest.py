"""A traffic database in each of the places it may lie in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from traffic_store import fresh_postgres

from rung.store.traffic.database import Traffic


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    if request.param == "sqlite":
        return tmp_path / "state" / "traffic.sqlite"
    return fresh_postgres(request.getfixturevalue("postgres_server"))


@pytest.fixture
def traffic(address: str | Path) -> Iterator[Traffic]:
    with Traffic.open(address) as found:
        yield found
