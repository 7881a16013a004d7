"""A child process with a parser of a few lines, so that what happens around parsing can be tested: some words are traps."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from rung.data.intake.child import main
from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.refusal import Unreadable


def parse(path: Path, name: str) -> Parsed:
    text = path.read_bytes().decode("utf-8", "replace")
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if word == "nap":
        time.sleep(float(rest.split()[0]))
    elif word == "burn":
        end = time.process_time() + float(rest)
        while time.process_time() < end:
            pass
    elif word == "hang":
        signal.pause()
    elif word == "spin":
        while True:
            pass
    elif word == "grow":
        held = [bytes(1 << 20) for _ in range(1 << 20)]
        raise AssertionError(len(held))
    elif word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif word == "leave":
        os._exit(3)
    elif word == "stumble":
        raise RuntimeError("row 7 {of} 3")
    elif word == "locked":
        raise Unreadable("E2361")
    elif word == "flood":
        text = "x" * (3 << 20)
    elif word == "noise":
        os.write(1, b'{"parsed": "no"}\n')
        os.write(2, b"x" * (1 << 20))
        print("noise")
    elif word == "call":
        socket.create_connection(("127.0.0.1", int(rest)), timeout=1)
    elif word == "resolve":
        socket.getaddrinfo("localhost", 80)
    elif word == "program":
        subprocess.run(["true"], check=True)
    elif word == "write":
        Path(rest).write_text("written")
    remarks = (Remark("E2356", {"name": "x"}),) if word == "remark" else ()
    paragraphs = tuple(Block("paragraph", part, page=f"p. {n}") for n, part in enumerate(text.split("\f"), 1))
    return Parsed("", paragraphs, remarks, {"format": Path(name).suffix.lstrip(".")})


if __name__ == "__main__":
    assert len(sys.argv) == 3
    main(parse)
