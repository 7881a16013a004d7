"""A sealed folder vouches for its files, and a write that fails leaves nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rung.core.durable import aside, differing, listed, seal, write_whole
from rung.core.errors import WriteError


def test_a_sealed_folder_tells_which_file_is_not_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"one")
    (tmp_path / "b.bin").write_bytes(b"two")
    seal(tmp_path, "MANIFEST.json", {"files": listed(tmp_path)})
    files = json.loads((tmp_path / "MANIFEST.json").read_text("utf-8"))["files"]
    assert list(files) == ["a.bin", "b.bin"]
    assert differing(tmp_path, files) is None
    (tmp_path / "b.bin").write_bytes(b"twO")
    assert differing(tmp_path, files) == "b.bin"
    (tmp_path / "a.bin").unlink()
    assert differing(tmp_path, files) == "a.bin"


def test_the_manifest_reaches_the_disk_after_the_files_it_vouches_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.bin").write_bytes(b"one")
    synced: list[int] = []
    real = os.fsync

    def watched(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", watched)
    seal(tmp_path, "MANIFEST.json", {"files": listed(tmp_path)})
    assert synced == [path.stat().st_ino for path in (tmp_path / "a.bin", tmp_path / "MANIFEST.json", tmp_path)]


def test_a_refused_write_names_the_file_and_leaves_no_working_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("")
    with pytest.raises(WriteError, match="taken"):
        write_whole(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert aside(tmp_path / "x") != aside(tmp_path / "x")
