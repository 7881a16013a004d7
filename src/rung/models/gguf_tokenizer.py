"""The tokenizer of a Hugging Face folder as GGUF has it: byte-level BPE, told apart by how it cuts text before merging.

The name under `tokenizer.ggml.pre` selects one of the regular expressions built into llama.cpp (src/llama-vocab.cpp). It is taken
from what tokenizer.json does, so that the engine cuts text as it was cut in training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import UsageError

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Kinds of tokens in GGUF."""
_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {_SPLIT % r"\p{N}": "qwen2", _SPLIT % r"\p{N}{1,3}": "llama-bpe"}


@dataclass(frozen=True)
class GgufTokenizer:
    """What goes into `tokenizer.ggml.*`."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    """llama.cpp's name for the way text is cut."""
    bos: int | None
    eos: int | None
    unknown: int | None
    padding: int | None
    template: str
    """The chat template, in jinja."""
    begins: bool
    """Whether a rendered conversation begins with the BOS token."""


def read_tokenizer(folder: Path, vocabulary: int) -> GgufTokenizer:
    """The tokenizer of a folder, padded with unused tokens to the model's `vocabulary`.

    Raises UsageError E6206 for one that GGUF writing does not cover.
    """
    record = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    model = record["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise UsageError(
            "E6206", reason=f"its model is {model.get('type')}, with byte_fallback {bool(model.get('byte_fallback'))}"
        )
    pre, normalizer = _cutting(record.get("pre_tokenizer")), record.get("normalizer")
    # llama.cpp composes no letters; where a question has them apart, the proof counts it among those cut otherwise.
    if normalizer is not None and (pre, normalizer.get("type")) != ("qwen2", "NFC"):
        raise UsageError("E6206", reason=f"it normalises text ({normalizer.get('type')})")
    if bool(model.get("ignore_merges")) != (pre == "llama-bpe"):
        raise UsageError("E6206", reason=f"ignore_merges is {bool(model.get('ignore_merges'))}")
    places = {place: token for token, place in model["vocab"].items()}
    types = dict.fromkeys(places, NORMAL)
    for added in record.get("added_tokens", ()):
        places[added["id"]] = added["content"]
        types[added["id"]] = CONTROL if added.get("special") else USER_DEFINED
    if max(places) >= vocabulary:
        raise UsageError("E6206", reason=f"it has token {max(places)}, and the model {vocabulary} embeddings")
    tokens = [places.get(place, f"[PAD{place}]") for place in range(vocabulary)]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    named = _named(folder)
    ids = {token: place for place, token in places.items()}
    return GgufTokenizer(
        tokens=tokens,
        types=[types.get(place, UNUSED) for place in range(vocabulary)],
        merges=merges,
        pre=pre,
        bos=ids.get(named.get("bos_token", "")),
        eos=ids.get(named.get("eos_token", "")),
        unknown=ids.get(named.get("unk_token", "")),
        padding=ids.get(named.get("pad_token", "")),
        template=chat_template(folder),
        begins=begins_with_bos(folder),
    )


def _cutting(rule: Any) -> str:
    """llama.cpp's name for a pre-tokenizer. Raises UsageError E6206 where it has none that we know."""
    steps = rule.get("pretokenizers", ()) if isinstance(rule, Mapping) and rule.get("type") == "Sequence" else [rule]
    kinds = [step.get("type") if isinstance(step, Mapping) else None for step in steps]
    last = steps[-1] if steps and isinstance(steps[-1], Mapping) else {}
    plain = last.get("type") == "ByteLevel" and not last.get("add_prefix_space", True)
    if plain and last.get("use_regex", True):
        if kinds == ["ByteLevel"]:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
            return "smollm"
    if plain and not last.get("use_regex", True) and kinds == ["Split", "ByteLevel"]:
        split = steps[0]
        isolated = split.get("behavior") == "Isolated" and not split.get("invert")
        found = _SPLITS.get(split.get("pattern", {}).get("Regex"))
        if isolated and found:
            return found
    raise UsageError("E6206", reason=f"it cuts text by {', '.join(map(str, kinds))} in a way of its own")


def _named(folder: Path) -> dict[str, str]:
    """Special tokens by their role, as text."""
    path = folder / "tokenizer_config.json"
    record = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    found = {}
    for role in ("bos_token", "eos_token", "unk_token", "pad_token"):
        value = record.get(role)
        text = value.get("content") if isinstance(value, Mapping) else value
        if isinstance(text, str):
            found[role] = text
    return found


def chat_template(folder: Path) -> str:
    """The chat template of a folder, from its own file or the tokenizer's configuration; '' without one."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text("utf-8")
    path = folder / "tokenizer_config.json"
    found = json.loads(path.read_text("utf-8")).get("chat_template") if path.is_file() else None
    return found if isinstance(found, str) else ""


def begins_with_bos(folder: Path) -> bool:
    """Whether the template writes the BOS token itself."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": role, "content": "a"} for role in ("user", "assistant")]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    # Some families use their turn mark as BOS; that is no token in front of the conversation.
    return bool(tokenizer.bos_token) and text.count(tokenizer.bos_token) == 1 and text.startswith(tokenizer.bos_token)
