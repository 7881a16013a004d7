"""The gateway before a fast fake engine, and the embedded model behind it, beside `transformers serve` and llama.cpp's server.

`overhead_p50_ms`: one keep-alive client, an engine that answers at once, a key checked and a trace written for every answer.
`requests_per_second`: 32 such clients. `embedded`, `embedded_openvino`: 1, 8 and 32 clients on the embedded model, the same
questions, at most 32 new tokens. Peers get the very messages that the candidate renders, on the same weights: RUNG_TRANSFORMERS_SERVE
is a `transformers` command that can serve, RUNG_LLAMA_SERVER a `llama-server`; a side without its command is left out.
The load comes from bench/load.py, a process of its own; with RUNG_AUTOCANNON, an `autocannon` command, from that one besides.
SECONDS=1800 is the soak, alone: that long 32 clients against the gateway, its memory read every ten seconds.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from harness import ROOT, finish, median, say

REQUESTS = int(os.environ.get("REQUESTS", "3000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
QUESTIONS = int(os.environ.get("QUESTIONS", "64"))
SECONDS = float(os.environ.get("SECONDS", "0"))
NEW_TOKENS = 32
INSTRUCTION = "You answer tenants' questions for the advice desk of Harrow Vale."


def questions() -> list[str]:
    with (ROOT / "examples" / "tenants-desk" / "questions.csv").open(encoding="utf-8", newline="") as file:
        return [row["question"] for row in csv.DictReader(file)][:QUESTIONS]


def serve(kind: str) -> None:
    """A server in this process: `fake`, or a backend's name for the embedded model. Prints its port and a key."""
    from rung.core.answer import Opened
    from rung.core.candidate import Candidate, OutputSlot, PromptSlot, StepRef
    from rung.core.registry import create
    from rung.core.steps import bind
    from rung.core.streaming import Live
    from rung.models.fake import FakeModel
    from rung.serving.engine import Engine
    from rung.serving.hosting import Hosted
    from rung.serving.live import LiveEngine
    from rung.serving.server import listen, run_server
    from rung.serving.service import OneDesk, Service
    from rung.store.traffic.database import Traffic
    from rung.store.traffic.writer import TraceWriter

    class Instant(FakeModel):
        """Forgets what it was asked, which a fake model keeps for tests."""

        def generate(self, requests):
            self.calls.clear()
            return super().generate(requests)

    fake = Instant(default="Within thirty days of the end of the tenancy, less what is owed.")
    model = fake if kind == "fake" else create("model", kind)
    output = OutputSlot(max_tokens=NEW_TOKENS, steps=(StepRef(name="strip_marks"),))
    prompt = PromptSlot(instruction=INSTRUCTION, fields=("question",))
    candidate = Candidate(method="prompt", model=model.ref, prompt=prompt, output=output)
    opened = Opened(candidate, model, steps=bind(output.steps))
    kind = LiveEngine if isinstance(model, Live) and model.joins() else Engine
    engine = kind(opened, batch=32)
    with tempfile.TemporaryDirectory() as folder, Traffic.open(Path(folder) / "traffic.sqlite") as traffic:
        writer = TraceWriter(traffic)
        _, secret = traffic.new_key("bench")
        door = listen("127.0.0.1", 0)
        service = Service(OneDesk(Hosted("bench", opened, engine)), book=traffic, traces=writer)
        run_server(service, door, started=lambda: print(door.getsockname()[1], secret, flush=True))
        writer.close()
        print(json.dumps({"written": writer.written, "dropped": writer.dropped}), flush=True)


@contextmanager
def ours(kind: str):
    """(port, headers, process) of a server of ours."""
    child = subprocess.Popen([sys.executable, __file__, kind], stdout=subprocess.PIPE, text=True)
    try:
        port, secret = child.stdout.readline().split()
        yield int(port), {"authorization": f"Bearer {secret}"}, child
        child.send_signal(signal.SIGTERM)
        kept = json.loads(child.stdout.readline())
        assert kept["dropped"] == 0, kept
        child.wait(30)
    finally:
        child.kill()
        child.wait()


@contextmanager
def theirs(command: list[str], port: int):
    """A peer's server; it is there when /health or /v1/models answers."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 300
        while not answers(port):
            assert child.poll() is None, f"{Path(command[0]).name} ended before it served"
            assert time.monotonic() < until, f"{Path(command[0]).name} does not serve"
            time.sleep(0.5)
        yield port, {}, child
    finally:
        child.terminate()
        child.wait(30)


def answers(port: int) -> bool:
    for path in ("/health", "/v1/models"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
                return reply.status == 200
        except OSError:
            continue
    return False


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def load(port: int, headers: dict, bodies: list, clients: int, **how) -> dict:
    """Requests per second, p50 and p95 in ms; raises where an answer was not 200."""
    order = {"host": "127.0.0.1", "port": port, "path": "/v1/chat/completions", "headers": headers, "bodies": bodies}
    order |= {"clients": clients, **how}
    script = str(Path(__file__).with_name("load.py"))
    done = subprocess.run([sys.executable, script], input=json.dumps(order), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert not found["errors"], found["errors"]
    waits = sorted(found["latencies"])
    return {
        "requests_per_second": round(found["n"] / found["seconds"], 2),
        "p50_ms": round(waits[len(waits) // 2] * 1000, 3),
        "p95_ms": round(waits[int(len(waits) * 0.95)] * 1000, 3),
        "n": found["n"],
        "texts": found["texts"],
    }


def body_of(question: str, **more) -> dict:
    return {"model": "rung", "messages": [{"role": "user", "content": question}], **more}


def gateway() -> dict:
    """The gateway before an engine that takes no time."""
    bodies = [body_of(question) for question in questions()]
    with ours("fake") as (port, headers, _):
        load(port, headers, bodies, 8, requests=500)
        alone = [load(port, headers, bodies, 1, requests=max(200, REQUESTS // 4)) for _ in range(ROUNDS)]
        many = [load(port, headers, bodies, 32, requests=REQUESTS) for _ in range(ROUNDS)]
        found = {
            "overhead_p50_ms": median([each["p50_ms"] for each in alone]),
            "overhead_p95_ms": median([each["p95_ms"] for each in alone]),
            "requests_per_second": median([each["requests_per_second"] for each in many]),
            "p95_ms_at_32": median([each["p95_ms"] for each in many]),
        }
        if command := os.environ.get("RUNG_AUTOCANNON"):
            found["requests_per_second_autocannon"] = autocannon(command, port, headers, bodies[0])
    return found


def autocannon(command: str, port: int, headers: dict, body: dict) -> float:
    named = [part for name, value in headers.items() for part in ("-H", f"{name}={value}")]
    order = ["-j", "-c", "32", "-d", "10", "-m", "POST", "-H", "content-type=application/json", *named]
    order += ["-b", json.dumps(body), f"http://127.0.0.1:{port}/v1/chat/completions"]
    done = subprocess.run([command, *order], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert not found["non2xx"] + found["errors"], found
    return found["requests"]["average"]


def side(server, bodies: list) -> dict:
    """One engine at 1, 8 and 32 clients, and how many of its answers at 8 and 32 are those it gave alone."""
    found = {}
    with server as (port, headers, _):
        load(port, headers, bodies[:4], 1, requests=4)
        first = None
        for clients in (1, 8, 32):
            part = bodies[:16] if clients == 1 else bodies
            each = load(port, headers, part, clients, requests=len(part))
            texts = each.pop("texts")
            first = texts if first is None else first
            shared = first.keys() & texts.keys()
            each["same_answers"] = round(sum(first[n] == texts[n] for n in shared) / len(shared), 3)
            found[f"clients_{clients}"] = each
            say(f"    {clients} clients: {each['requests_per_second']} requests/s, p95 {each['p95_ms']} ms")
    return found


def peer(command: list[str], port: int, bodies: list) -> dict:
    """A peer's figures, or why it has none."""
    try:
        return side(theirs(command, port), bodies)
    except (AssertionError, subprocess.CalledProcessError) as error:
        say(f"    not run: {error}")
        return {"not_run": str(error)}


def sides() -> dict:
    from rung.core.registry import parts

    plain = [body_of(question) for question in questions()]
    system = {"role": "system", "content": INSTRUCTION}
    shown = [
        {"model": "smollm2", "messages": [system, *body["messages"]], "max_tokens": NEW_TOKENS, "temperature": 0}
        for body in plain
    ]
    found = {"embedded": side(ours("transformers"), plain)}
    if "openvino" in parts("model"):
        found["embedded_openvino"] = side(ours("openvino"), plain)
    port = free_port()
    if command := os.environ.get("RUNG_TRANSFORMERS_SERVE"):
        from rung.models.embedded import embedded_folder

        folder = str(embedded_folder())
        order = [command, "serve", folder, "--host", "127.0.0.1", "--port", str(port), "--continuous-batching"]
        found["transformers_serve"] = peer(order, port, [{**body, "model": folder} for body in shown])
    if command := os.environ.get("RUNG_LLAMA_SERVER"):
        with tempfile.TemporaryDirectory() as folder:
            weights = gguf(Path(folder))
            order = [
                command,
                "-m",
                str(weights),
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "-np",
                "32",
                "-c",
                "32768",
            ]
            found["llama_cpp_server"] = peer(order, port, shown)
    return found


def gguf(folder: Path) -> Path:
    """The embedded weights as Q8_0."""
    from rung.models.embedded import embedded_folder
    from rung.models.gguf_file import write_gguf

    path = folder / "model-q8_0.gguf"
    write_gguf(embedded_folder(), path, "q8_0", name="smollm2")
    return path


def soak(seconds: float) -> dict:
    """Memory of the gateway over a long time of full load, every request traced."""
    bodies = [body_of(question) for question in questions()]
    with ours("fake") as (port, headers, child):
        load(port, headers, bodies, 32, requests=2000)
        order = {"host": "127.0.0.1", "port": port, "path": "/v1/chat/completions", "headers": headers}
        order |= {"bodies": bodies, "clients": 32, "seconds": seconds}
        script = str(Path(__file__).with_name("load.py"))
        loading = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        loading.stdin.write(json.dumps(order))
        loading.stdin.close()
        sizes = []
        while loading.poll() is None and len(sizes) < seconds / 10 + 60:
            sizes.append(resident(child.pid))
            time.sleep(min(10.0, seconds / 6))
            if loading.stdout in ready(loading.stdout):
                break
        found = json.loads(loading.stdout.read())
        loading.wait()
    assert not found["errors"], found["errors"]
    tenth = max(1, len(sizes) // 10)
    return {
        "seconds": seconds,
        "requests": found["n"],
        "requests_per_second": round(found["n"] / found["seconds"], 2),
        "mib_first": round(median(sizes[:tenth]), 1),
        "mib_last": round(median(sizes[-tenth:]), 1),
        "mib_most": round(max(sizes), 1),
    }


def ready(pipe) -> list:
    import select

    return select.select([pipe], [], [], 0)[0]


def resident(pid: int) -> float:
    import psutil

    return psutil.Process(pid).memory_info().rss / 2**20


def main() -> None:
    if SECONDS:
        say(f"soak: {SECONDS:g} s")
        command = f"SECONDS={SECONDS:g} make bench-serving"
        finish("serving-soak", {"clients": 32}, command=command, load_generator="bench/load.py", **soak(SECONDS))
        return
    say("the gateway before a fake engine")
    found = gateway()
    say(f"  p50 {found['overhead_p50_ms']} ms at one client, {found['requests_per_second']} requests/s at 32")
    if os.environ.get("GATEWAY_ONLY") != "1":
        say("the embedded model and its peers")
        found |= sides()
    finish(
        "serving",
        {"requests": REQUESTS, "rounds": ROUNDS, "questions": QUESTIONS},
        load_generator="bench/load.py",
        **found,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[1])
    else:
        main()
