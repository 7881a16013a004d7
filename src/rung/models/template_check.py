"""A chat template tried out before it is used: rendered once in a process of its own, with limits on time, memory and length.

transformers compiles chat templates in jinja's immutable sandbox, which keeps them from reaching Python; it does not keep a loop
from running for hours or a text from growing to gigabytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

from rung.core.errors import BackendError

_SECONDS = 5
_MEMORY = 1 << 29
_LONGEST = 1_000_000
"""Characters that a template may make of four short messages."""

_TRIAL = f"""
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
resource.setrlimit(resource.RLIMIT_CPU, ({_SECONDS}, {_SECONDS}))
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Const, If
from jinja2.sandbox import ImmutableSandboxedEnvironment

class Generation(Extension):
    tags = {{"generation"}}
    def parse(self, parser):
        line = next(parser.stream).lineno
        return If(Const(True), parser.parse_statements(("name:endgeneration",), drop_needle=True), [], [], lineno=line)

def refuse(message):
    raise ValueError(message)

environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
)
environment.globals.update(raise_exception=refuse, strftime_now=lambda form: "2026-01-01")
environment.filters["tojson"] = lambda value, **_: json.dumps(value)
turns = [dict(role=role, content="text") for role in ("system", "user", "assistant", "user")]
length = 0
for piece in environment.from_string(json.load(sys.stdin)).generate(messages=turns, add_generation_prompt=True):
    length += len(piece)
    if length > {_LONGEST}:
        sys.exit(3)
"""


@cache
def check_template(template: str, name: str) -> None:
    """Refuse a chat template that takes too long, too much memory, or writes too much. Raises BackendError E3047.

    Whatever else is wrong with a template shows when it is used.
    """
    command = [sys.executable, "-c", _TRIAL]
    try:
        done = subprocess.run(command, input=json.dumps(template).encode(), capture_output=True, timeout=4 * _SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BackendError("E3047", name=name, reason=f"it ran for more than {_SECONDS} s") from error
    if done.returncode == 3:
        raise BackendError("E3047", name=name, reason=f"it wrote more than {_LONGEST:,} characters")
    if done.returncode < 0:
        raise BackendError("E3047", name=name, reason=f"it ran for more than {_SECONDS} s")
    if b"MemoryError" in done.stderr:
        raise BackendError("E3047", name=name, reason=f"it took more than {_MEMORY >> 20} MiB")
