"""What every test shares: no network beyond loopback, the real data sets where they are there."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Every core has a worker of its own: more threads would only stand in each other's way. Before torch is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

DATASETS = Path(__file__).resolve().parents[2] / "shared" / "datasets"


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of real data sets; a test that needs it is skipped where it is absent."""
    if not DATASETS.is_dir():
        pytest.skip("the shared data sets are not beside this checkout")
    return DATASETS


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a real PostgreSQL server with pgvector; a test that needs it is skipped where none can be started."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (rung[postgres])")
    pytest.importorskip("pgvector", reason="pgvector is not installed (rung[postgres])")
    from postgres_server import NotHere, running_server

    try:
        running = running_server()
        address = running.__enter__()
    except NotHere as error:
        pytest.skip(str(error))
    yield address
    running.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise OSError(f"tests may not reach {address[0]}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
    return
