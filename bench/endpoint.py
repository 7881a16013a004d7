"""The embedded model behind a chat endpoint on loopback, so that peers that only speak to endpoints can ask the same weights.

For benchmarks: one request at a time, no streaming, no key. It counts its requests.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

from rung.core.model import Message, Model, Request


@dataclass
class Endpoint:
    url: str
    calls: int = 0


@contextmanager
def serving(model: Model) -> Iterator[Endpoint]:
    """`model` as an OpenAI-compatible chat endpoint while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.calls += 1
            request = Request(
                tuple(Message(turn["role"], turn["content"]) for turn in asked["messages"]),
                max_tokens=asked.get("max_tokens") or 64,
                temperature=asked.get("temperature") or 0.0,
                seed=endpoint.calls,
            )
            done = model.generate([request])[0]
            body = json.dumps(
                {
                    "id": f"call-{endpoint.calls}",
                    "object": "chat.completion",
                    "created": 0,
                    "model": asked.get("model", ""),
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": done.text},
                            "finish_reason": "length" if done.finish == "length" else "stop",
                        }
                    ],
                    "usage": {
                        "prompt_tokens": done.tokens_in,
                        "completion_tokens": done.tokens_out,
                        "total_tokens": done.tokens_in + done.tokens_out,
                    },
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
