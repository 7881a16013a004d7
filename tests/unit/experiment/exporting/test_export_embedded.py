"""The embedded model's own tokenizer as GGUF, beside the GGUF it came from; and an export of it, answered by llama.cpp."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from tiny_llama import LABELS

from rung.core.model import Message, Request
from rung.experiment.exporting.modelfile import find_family
from rung.models.embedded import _source, embedded_folder
from rung.models.gguf_file import read_shape, write_gguf
from rung.models.gguf_tokenizer import read_tokenizer
from rung.models.transformers_local import TransformersModel

TEXTS = ("Rent of 1,250.75 for 12 months", "押金什么时候退还？", "it's\tTwo  spaces\n\nand 3rd", "<|im_end|> 007")


def test_the_embedded_tokenizer_is_the_packaged_one() -> None:
    import gguf

    packaged = gguf.GGUFReader(_source())
    folder = embedded_folder()
    made = read_tokenizer(folder, read_shape(folder).vocabulary)

    def field(name: str) -> object:
        return packaged.fields[f"tokenizer.ggml.{name}"].contents()

    assert made.tokens == field("tokens")
    assert made.merges == field("merges")
    assert made.types == field("token_type")
    assert (made.bos, made.eos, made.unknown, made.padding) == (1, 2, 0, 2)
    assert not made.begins
    # transformers reads the packaged file without its rule for digits; the export says what was trained with.
    assert (made.pre, field("pre")) == ("gpt-2", "smollm")


def test_the_embedded_template_is_chatml_with_a_usual_system_message() -> None:
    family = find_family(embedded_folder(), "ollama")
    assert (family.name, family.factory) == ("chatml", "chatml")
    assert family.usual.startswith("You are a helpful AI assistant")


@pytest.mark.slow
def test_llama_cpp_cuts_text_and_scores_labels_like_transformers(tmp_path: Path) -> None:
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is not installed")
    import numpy as np

    from rung.models.llama_cpp_local import LlamaCppModel

    path = tmp_path / "model-bf16.gguf"
    write_gguf(embedded_folder(), path, "bf16", name="embedded")
    ours, theirs = TransformersModel(precision="fp32", device="cpu"), LlamaCppModel(path)
    asked = [Request(messages=(Message("user", text),), choices=LABELS) for text in TEXTS]
    assert [theirs.encode(request, "rent 12") for request in asked] == [
        ours.encode(request, "rent 12") for request in asked
    ]
    for a, b in zip(ours.generate(asked), theirs.generate(asked), strict=True):
        assert np.abs(np.array(a.choice_scores) - np.array(b.choice_scores)).max() < 0.5
