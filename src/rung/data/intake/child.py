"""The process that parses files: confined first, then one file after another, each told on a line of JSON.

It is started by `pool.Worker`. A request is {"path", "name"}; a reply is {"parsed": ...} or {"code", "values"}, with
"last": true where the process has grown and ends after it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from rung.data.intake.wire import to_json
from rung.data.parsing.blocks import Parsed
from rung.data.parsing.refusal import Unreadable

Parse = Callable[[Path, str], Parsed]
_MANY = 500
"""Files after which a process makes room for a fresh one."""
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
"""Flags of unshare(2)."""
_FORBIDDEN = frozenset(
    {
        *(f"socket.{name}" for name in ("connect", "bind", "getaddrinfo", "gethostbyname", "sendto", "sendmsg")),
        *(f"os.{name}" for name in ("exec", "fork", "forkpty", "posix_spawn", "spawn", "startfile", "system")),
        "subprocess.Popen",
    }
)


def main(given: Parse | None = None) -> None:
    """Confine this process and parse what is asked for: arguments are MiB of memory and seconds for a file."""
    memory_mib, seconds = (int(argument) for argument in sys.argv[1:3])
    requests, replies = _own_pipes()
    leave_network()
    parse = given or _parser()
    confine(memory_mib)
    serve(parse, requests, replies, memory_mib=memory_mib, seconds=seconds)


def _parser() -> Parse:
    from rung.data.parsing.parse import parse

    return parse


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent, out of reach of a library that prints: it prints to nowhere."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("r+b") as nowhere:
        os.dup2(nowhere.fileno(), 0)
        os.dup2(nowhere.fileno(), 1)
    # The parent stops its children itself; Ctrl-C would reach them as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return requests, replies


def leave_network() -> None:
    """Into a network of this process alone, where the system allows that; the audit hook of `confine` holds in any case."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        if libc.unshare(_NEW_NETWORK):
            libc.unshare(_NEW_USER | _NEW_NETWORK)


def confine(memory_mib: int) -> None:
    """No more memory than that, no file written, no core dump, no connection, no other program. For good."""
    for kind, value in (
        (resource.RLIMIT_AS, memory_mib << 20),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        # macOS knows the limit on memory and does not take it.
        with contextlib.suppress(ValueError) if sys.platform != "linux" else contextlib.nullcontext():
            resource.setrlimit(kind, (value, value))
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(f"{event} is not allowed while a document is read")


def serve(parse: Parse, requests: BinaryIO, replies: BinaryIO, *, memory_mib: int, seconds: int) -> None:
    """Answer requests until there are no more, or until this process has grown or worked for long."""
    _tell(replies, {"ready": True})
    # What goes wrong until here is told on stderr; from now on only libraries would talk there.
    os.dup2(1, 2)
    for number, line in enumerate(requests, 1):
        request = json.loads(line)
        # The limit is on the whole life of a process: each file gets its share on top of what was used.
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, resource.RLIM_INFINITY))
        reply = _reply(parse, Path(request["path"]), request["name"])
        if number == _MANY or reply.get("code") == "E2352" or _size_mib() > memory_mib / 2:
            reply["last"] = True
        _tell(replies, reply)
        if "last" in reply:
            return


def _reply(parse: Parse, path: Path, name: str) -> dict[str, Any]:
    try:
        return {"parsed": to_json(parse(path, name))}
    except Unreadable as refused:
        return {"code": refused.code, "values": refused.values}
    except MemoryError:
        return {"code": "E2352", "values": {}}
    except Exception as error:
        # Whatever a parser stumbles over on a damaged file must not end the others.
        return {"code": "E2354", "values": {"reason": f"{type(error).__name__}: {error}"[:200]}}


def _size_mib() -> float:
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize() / (1 << 20)
    return 0.0


def _tell(replies: BinaryIO, value: dict[str, Any]) -> None:
    try:
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode(
            "utf-8", "surrogatepass"
        )
    except MemoryError:
        line = b'{"code":"E2352","values":{},"last":true}'
    with contextlib.suppress(BrokenPipeError):
        replies.write(line + b"\n")
        replies.flush()


if __name__ == "__main__":
    main()
