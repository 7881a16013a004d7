"""The MCP server: over stdio with the SDK's own client, as an editor starts it."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from small_source import small_base, small_run

pytest.importorskip("mcp.server.mcpserver", reason="mcp is not installed (rung[mcp])")

import anyio
from mcp import Client, StdioServerParameters

from rung.connect.mcp_server import LONGEST_PASSAGE, Desk, build_server
from rung.connect.source import Source
from rung.core.answer import Hit, Item

Talk = Callable[[Client], Awaitable[None]]
_RUNG = "import sys; from rung.cli.main import main; sys.argv[0] = 'rung'; main()"


def over_stdio(talk: Talk, *arguments: str) -> None:
    """Talk with `rung mcp ARGUMENTS` in a process of its own."""
    environment = {**os.environ, "RUNG_LANG": "en"}
    server = StdioServerParameters(command=sys.executable, args=["-c", _RUNG, "mcp", *arguments], env=environment)
    _talk(server, talk)


def _talk(server: Any, talk: Talk) -> None:
    async def main() -> None:
        async with Client(server) as client:
            await talk(client)

    anyio.run(main)


def said(result: Any) -> str:
    return str(result.content[0].text)


def test_a_client_searches_asks_and_is_told_its_mistakes(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")

    async def talk(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"search", "ask", "get_report"}
        for tool in tools.values():
            assert tool.annotations
            assert tool.annotations.read_only_hint is True
            assert tool.annotations.destructive_hint is False
            assert "seen_by" not in str(tool.input_schema)
        found = await client.call_tool("search", {"question": "When is the deposit returned?"})
        assert not found.is_error
        assert [passage["id"] for passage in found.structured_content["passages"]] == ["lease.md#1"]
        # Whoever sits at the client cannot choose what may be seen.
        sly = await client.call_tool("search", {"question": "deposit", "seen_by": ["hr"]})
        assert "canary" not in str(sly)
        answer = await client.call_tool("ask", {"question": "When is the deposit returned?"})
        assert answer.structured_content["answer"] == "The deposit is returned within thirty days."
        (cited,) = answer.structured_content["citations"]
        assert (cited["id"], cited["document"]) == ("lease.md#1", "lease.md")
        assert "returned within thirty days" in cited["text"]
        odd = await client.call_tool("search", {"question": "which bell rings"})
        assert (
            odd.structured_content["passages"][0]["text"]
            == "Odd \ufffd[31m\nA bell \ufffd rings, and half a \ufffd character."
        )
        for arguments, words in (
            ({"question": " "}, "The question is empty."),
            ({"question": "x" * 5000}, "must be between 1 and 4000"),
            ({"question": "x", "k": 99}, "k is 99; it must be between 1 and 20."),
        ):
            wrong = await client.call_tool("search", arguments)
            assert wrong.is_error
            assert words in said(wrong)
            assert "Traceback" not in said(wrong)
        broken = await client.call_tool("get_report", {"language": "zh"})
        assert broken.is_error
        assert "E2901" in said(broken)

    over_stdio(talk, str(run.path), "--candidate", "answering")


def test_labels_are_set_when_the_server_starts(tmp_path: Path) -> None:
    base = small_base(tmp_path / "kb")

    async def talk(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search"]
        found = await client.call_tool("search", {"question": "deposit", "k": 9})
        assert [passage["id"] for passage in found.structured_content["passages"]] == ["lease.md#1", "pay.md#1"]
        base.delete(["pay.md"])
        found = await client.call_tool("search", {"question": "deposit", "k": 9})
        assert "canary" not in str(found)

    over_stdio(talk, str(base.folder), "--seen-by", "hr, desk")


def test_outputs_are_bounded_and_crashes_say_nothing_of_their_insides(tmp_path: Path) -> None:
    source = Source(small_base(tmp_path / "kb").folder)

    def long(*_: object, **__: object) -> list[Hit]:
        return [Hit(Item("a#1", "x" * 100_000, {"document": "a", "title": "", "start": 0, "end": 9}), 1.0)]

    def crash(*_: object, **__: object) -> list[Hit]:
        raise RuntimeError("canary")

    async def talk(client: Client) -> None:
        source.search = long  # type: ignore[method-assign]
        found = await client.call_tool("search", {"question": "x"})
        assert len(found.structured_content["passages"][0]["text"]) == LONGEST_PASSAGE
        source.search = crash  # type: ignore[method-assign]
        found = await client.call_tool("search", {"question": "x"})
        assert found.is_error
        assert "canary" not in str(found)

    _talk(build_server(source, Desk()), talk)
