"""Writers of a traffic database that are killed at any moment: `python traffic_kills.py DATABASE KILLS`.

Each is a process of its own that says on a pipe what the database has acknowledged; afterwards all of it must be there.
Prints a JSON object of what was acknowledged and what is missing.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from traffic_store import a_trace, a_word

from rung.store.traffic.database import Traffic
from rung.store.traffic.writer import TraceWriter


def write(path: Path, acknowledged: int) -> None:
    """Answers, words on them, keys and backups until the end; says `kind id` once each is acknowledged."""
    traffic = Traffic.open(path)
    writer = TraceWriter(traffic)
    n = 0
    while True:
        n += 1
        traces = [a_trace(n), a_trace(n)]
        for trace in traces:
            writer.add(trace)
        word = a_word(traces[0], corrected="deposit" * n)
        writer.add_feedback(word)
        os.write(acknowledged, f"feedback {word.id}\n".encode())
        if n % 3 == 0:
            key, _ = traffic.new_key(f"desk {n}")
            os.write(acknowledged, f"key {key.id}\n".encode())
            traffic.revoke_key(key.id)
            os.write(acknowledged, f"revoked {key.id}\n".encode())
        if n % 5 == 0:
            traffic.back_up()


def kill_one(path: Path, after: float) -> set[str]:
    """What a writer had acknowledged when it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            write(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    said = os.read(reading, 65536)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reading, 65536):
        said += more
    os.close(reading)
    return set(said[: said.rfind(b"\n") + 1].decode().splitlines())


def main(path: Path, kills: int) -> None:
    chance = random.Random(kills)
    acknowledged: set[str] = set()
    mended = 0
    there: set[str] = set()
    for _ in range(kills):
        acknowledged |= kill_one(path, chance.random() * 0.05)
        with Traffic.open(path) as traffic:
            mended += traffic.mended is not None
            there = {f"feedback {word.id}" for word in traffic.feedback()}
            for key in traffic.keys():  # noqa: SIM118 - a method of ours
                there |= {f"key {key.id}"} | ({f"revoked {key.id}"} if key.revoked else set())
            assert acknowledged <= there, sorted(acknowledged - there)
    print(json.dumps({"acknowledged": len(acknowledged), "missing": len(acknowledged - there), "mended": mended}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
