"""What a format is to the rest of the house: one class with three methods, found by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from rung.core.errors import UsageError
from rung.data.record import Record


class Codec(Protocol):
    """One format of rows: JSON objects, or rows of a table by column."""

    name: str
    suffix: str
    """The file ending that its programs expect."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether a row looks like this format, by its fields alone."""
        ...

    def decode(self, row: Mapping[str, Any]) -> Record:
        """The record of a row; its id is '' where the row has none. Raises BadRow."""
        ...

    def encode(self, record: Record) -> dict[str, Any]:
        """The row of a record. Raises CannotCarry where the format has no place for its kind."""
        ...


class CannotCarry(Exception):
    """A record that a format has no place for; `code` is a key of reasons.json, which says why in both languages."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@cache
def reasons() -> dict[str, dict[str, str]]:
    """Why a format has no place for a record, in English and Chinese, by the code of `CannotCarry`."""
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("reasons.json").read_text("utf-8"))
    return found


FOLDERS = ("beir", "llamafactory")
"""Formats of more than one file."""


@cache
def codecs() -> dict[str, Codec]:
    """Every format of rows by name, the more particular ones first: detection asks in this order."""
    from rung.data.formats import alpaca, doccano, label_studio, openai, own, sentence_pairs, sharegpt, swift, trl

    found: Sequence[Codec] = (
        own.Own(),
        label_studio.LabelStudio(),
        doccano.Cluener(),
        doccano.Doccano(),
        doccano.Spans(),
        openai.OpenAIPreference(),
        swift.Swift(),
        swift.QueryResponse(),
        sharegpt.ShareGPT(),
        alpaca.Alpaca(),
        trl.Preference(),
        trl.PromptCompletion(),
        sentence_pairs.Bge(),
        sentence_pairs.Triplets(),
        sentence_pairs.Pairs(),
        openai.OpenAI(),
        trl.Text(),
    )
    return {codec.name: codec for codec in found}


def known_formats() -> tuple[str, ...]:
    """Every name that `format` may be."""
    return (*codecs(), "table", *FOLDERS)


def codec_named(name: str) -> Codec:
    """Raises UsageError E2237 for a name that is none."""
    from rung.data.formats.table_rows import Table

    if name == "table":
        return Table({})
    if name not in codecs():
        raise UsageError("E2237", name=name, known=", ".join(known_formats()))
    return codecs()[name]
