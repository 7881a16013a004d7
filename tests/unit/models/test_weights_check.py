"""What is refused before weights are loaded: damaged and disguised files, configurations that cannot be, adapters of another base."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_llama import write_lora, write_model

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError
from rung.core.hashing import hash_file
from rung.core.model import Message, Request
from rung.models.transformers_local import TransformersModel
from rung.models.weights_check import check_config, check_weights, estimate_parameters, read_header

ASKED = Request(messages=(Message("user", "the rent"),), max_tokens=2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base"))


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "model"))


def write(path: Path, header: Any, body: bytes = b"", *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def tensor(start: int, end: int, shape: list[Any], dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def refused(path: Path) -> str:
    with pytest.raises(BackendError) as caught:
        read_header(path)
    assert str(path) in str(caught.value)
    return caught.value.code


def open_and_ask(folder: Path, **arguments: Any) -> None:
    model = TransformersModel(str(folder), precision="fp32", device="cpu", **arguments)
    model.generate([ASKED])


def code_of(folder: Path, **arguments: Any) -> str:
    with pytest.raises(BackendError) as caught:
        open_and_ask(folder, **arguments)
    return caught.value.code


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, bytes(12)),
        ({"a": tensor(0, 8, [2]), "b": tensor(12, 20, [2])}, bytes(20)),
        ({"a": tensor(0, 8, [3])}, bytes(8)),
        ({"a": tensor(0, 8, [2])}, bytes(9)),
        ({"a": tensor(0, 8, [2])}, bytes(7)),
        ({"a": tensor(0, 8, [-2, -1])}, bytes(8)),
        ({"a": tensor(0, 8, [True, 2])}, bytes(8)),
        ({"a": tensor(0, 8, [2.0])}, bytes(8)),
        ({"a": tensor(0, 8, [2], "OBJECT")}, bytes(8)),
        ({"a": tensor(0, 8, [2], ["F32"])}, bytes(8)),
        ({"a": tensor(8, 0, [2])}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
        ({"a": [1]}, bytes(8)),
        (
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
            bytes(8),
        ),
        (b'{"a":', b""),
        (b"{" * 50_000, b""),
        (b"\xff\xfe{}", b""),
        (b"[]", b""),
    ],
)
def test_a_header_that_is_not_true_of_its_file_is_refused(tmp_path: Path, header: Any, body: bytes) -> None:
    assert refused(write(tmp_path / "w.safetensors", header, body)) == "E3040"


@pytest.mark.parametrize("claimed", [(1 << 63) - 1, 1 << 62, 10**9, 400])
def test_a_header_that_claims_to_be_huge_is_refused_without_room_being_made_for_it(
    tmp_path: Path, claimed: int
) -> None:
    import tracemalloc

    path = write(tmp_path / "w.safetensors", {"a": tensor(0, 8, [2])}, bytes(8), length=claimed)
    tracemalloc.start()
    assert refused(path) == "E3040"
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


class Canary:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_pickles_under_another_name_are_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    import torch

    canary = tmp_path / "canary"
    weights = folder / "model.safetensors"
    weights.write_bytes(pickle.dumps(Canary(canary)))
    assert code_of(folder) == "E3041"
    torch.save({"a": Canary(canary)}, weights)
    assert code_of(folder) == "E3041"
    # A sound header with a pickle behind it.
    write(weights, {"a": tensor(0, 8, [2])}, bytes(8) + pickle.dumps(Canary(canary)))
    assert code_of(folder) == "E3040"
    weights.unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(canary)))
    assert code_of(folder) == "E3007"
    assert not canary.exists()


def test_pickles_beside_sound_weights_are_not_opened(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name in ("pytorch_model.bin", "rng_state.pth", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    open_and_ask(folder)
    assert not canary.exists()


def test_whatever_a_damaged_file_holds_it_is_refused_or_read_by_the_library_too(base: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    sound = (base / "model.safetensors").read_bytes()
    rng = np.random.default_rng(5)
    length = struct.unpack("<Q", sound[:8])[0]
    refusals = 0
    path = tmp_path / "w.safetensors"
    for turn in range(400):
        data = bytearray(sound[: 8 + length + 64] if turn % 2 else sound)
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(0, 8 + length))] = int(rng.integers(0, 256))
        if turn % 5 == 0:
            del data[int(rng.integers(0, len(data))) :]
        path.write_bytes(bytes(data))
        try:
            read_header(path)
        except BackendError:
            refusals += 1
        else:
            with safe_open(path, framework="np") as file:
                list(file.keys())
    assert refusals > 200


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors", "c": "../outside.safetensors"}}
    (folder.parent / "outside.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BackendError) as caught:
        check_weights(folder)
    assert caught.value.code == "E3042"
    assert caught.value.problems[0].values["n"] == 2


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"auto_map": {"AutoModelForCausalLM": "evil.Model"}}, "E3043"),
        ({"model_type": "evil"}, "E3044"),
        ({"model_type": None}, "E3044"),
        ({"model_type": ["llama"]}, "E3044"),
        ({"hidden_size": 10**9}, "E3045"),
        ({"num_hidden_layers": 10**9}, "E3045"),
        ({"vocab_size": 10**15}, "E3045"),
        ({"hidden_size": -64}, "E3045"),
        ({"intermediate_size": "96"}, "E3045"),
        ({"num_key_value_heads": [2]}, "E3045"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_before_anything_is_loaded(
    folder: Path, changes: dict[str, Any], code: str
) -> None:
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    change_config(folder, **changes)
    assert code_of(folder) == code


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "[" * 100_000])
def test_a_configuration_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    assert code_of(folder) == "E3002"


def test_the_estimate_is_what_the_weights_hold(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    held = sum(info.size for info in read_header(base / "model.safetensors").values())
    assert estimate_parameters(config) == pytest.approx(held, rel=0.02)
    check_config(config, "tiny")


def opened_with(base: Path, adapter: Path, **slot: Any) -> TransformersModel:
    ref = TransformersModel(str(base), precision="fp32", device="cpu").ref
    sha256 = hash_file(adapter / "adapter_model.safetensors")
    made = AdapterSlot(**{"path": adapter.name, "sha256": sha256, "base": str(base), **slot})
    return TransformersModel.open(ref, adapter=made, folder=adapter.parent)


def refusal(base: Path, adapter: Path) -> BackendError:
    with pytest.raises(BackendError) as caught:
        opened_with(base, adapter).generate([ASKED])
    return caught.value


def test_an_adapter_of_a_wider_or_deeper_base_is_refused_with_both_names(base: Path, tmp_path: Path) -> None:
    for sizes in ({"hidden_size": 32}, {"num_hidden_layers": 3}):
        other = write_model(tmp_path / "-".join(sizes) / "other", **sizes)
        adapter = other.parent / "adapter"
        write_lora(other, adapter)
        error = refusal(base, adapter)
        assert error.code == "E3046"
        assert str(base) in str(error)
        assert str(other) in str(error)


def test_an_adapter_whose_rank_is_not_its_configurations_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    write_lora(base, adapter)
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 8}))
    error = refusal(base, adapter)
    assert error.code == "E3046"
    assert "rank 4" in str(error)


def test_a_truncated_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    write_lora(base, adapter)
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(base, adapter).code == "E3040"
